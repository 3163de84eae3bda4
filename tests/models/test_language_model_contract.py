"""Arguments and methods of a language model: ids, keywords, training, exports, changed weights."""

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import BidirectionalLanguageModel
from tests import small_models

WORDS = ["<S>", "</S>", "<UNK>", "the", "cat", "sat", "down"]
SENTENCES = [["the", "cat", "sat"], ["down", "the"], [], ["cat"], ["a", "dog"]]


def make(seed=0):
    keras.utils.set_random_seed(seed)
    elmo = elmo_keras.ElmoLayer(
        small_models.char_cnn(filters=[(2, 4)]),
        small_models.bilstm(num_layers=1),
        tokenizer="whitespace",
    )
    return BidirectionalLanguageModel(elmo, WORDS)


@pytest.fixture(scope="module")
def shared_model():
    return make()


# === Ids ===

IDS = small_models.ids((2, 1))
NUMBERS = {
    "an array": IDS,
    "a list of arrays": list(IDS),
    "lists": IDS.tolist(),
    "numbers of words": [[3, 4], [5]],
    "an empty sentence first": [[], [3, 4]],
    "floats": [[0.5, 1.0]],
    "an array of no ids": np.zeros((2, 2), "int32"),
}


@pytest.mark.parametrize("x", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("method", ["score", "perplexity", "predict", "evaluate"])
def test_ids_are_refused(shared_model, method, x):
    name = "x" if method in ("predict", "evaluate") else "sentences"
    for given in (x, keras.ops.convert_to_tensor(x)) if isinstance(x, np.ndarray) else (x,):
        with pytest.raises(ValueError, match=f"`{name}` must hold sentences.*Received: numbers"):
            getattr(shared_model, method)(given)


@pytest.mark.parametrize(
    "tokens", [IDS[0], IDS[0].tolist(), [3, 4]], ids=["array", "lists", "ints"]
)
def test_substitutes_refuse_ids(shared_model, tokens):
    with pytest.raises(ValueError, match="`tokens` must hold sentences.*Received: numbers"):
        shared_model.substitutes(tokens, 0)


# === Keywords ===


@pytest.mark.parametrize(
    "method, keyword, value",
    [
        ("predict", "step", 1),
        ("predict", "steps", 1),
        ("evaluate", "y", [1]),
        ("evaluate", "batchsize", 2),
        ("evaluate", "sample_weight", [1.0] * 5),
        ("score", "batch_size", 2),
    ],
)
def test_unknown_keywords_are_refused(shared_model, method, keyword, value):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{keyword}'"):
        getattr(shared_model, method)(SENTENCES, **{keyword: value})


def test_labels_are_refused(shared_model):
    with pytest.raises(TypeError, match="positional"):
        shared_model.evaluate(SENTENCES, [1] * 5)  # Keras' second argument is y.


@pytest.mark.parametrize("method", ["predict", "evaluate"])
def test_keywords_are_honoured(shared_model, monkeypatch, capsys, method):
    call = getattr(shared_model, method)
    sizes = []
    usual = type(shared_model._compiled)._to_inputs

    def to_inputs(self, rows):
        sizes.append(len(rows))
        return usual(self, rows)

    monkeypatch.setattr(type(shared_model._compiled), "_to_inputs", to_inputs)
    expected = call(SENTENCES, batch_size=None, verbose=0)
    assert sizes == [5] and not capsys.readouterr().out
    for batch_size, taken in ((2, [2, 2, 1]), (1, [1] * 5), (100, [5])):
        sizes.clear()
        actual = call(SENTENCES, batch_size=batch_size, verbose=0)
        assert sizes == taken
        if method == "evaluate":
            assert actual == pytest.approx(expected, rel=1e-5)
        else:
            np.testing.assert_allclose(actual, expected, atol=1e-5)
    for verbose in ("auto", 1, 2):
        call(SENTENCES, verbose=verbose)
        assert "5/5" in capsys.readouterr().out
    for wrong in ({"batch_size": 0}, {"batch_size": -1}, {"batch_size": 1.5}, {"verbose": 3}):
        with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be.*Received"):
            call(SENTENCES, **wrong)


def test_evaluate_gives_a_list(shared_model):
    actual = shared_model.evaluate(SENTENCES, verbose=0, return_dict=True)
    assert list(actual) == ["loss", "forward_perplexity", "backward_perplexity", "perplexity"]
    as_list = shared_model.evaluate(SENTENCES, verbose=0, return_dict=False)
    assert as_list == list(actual.values())


def test_predict_on_batch(shared_model):
    expected = shared_model.predict(SENTENCES, verbose=0)
    np.testing.assert_allclose(shared_model.predict_on_batch(SENTENCES), expected, atol=1e-6)


# === Training ===


@pytest.mark.parametrize(
    "method, arguments, keywords",
    [
        ("fit", [SENTENCES, np.zeros(5)], {}),
        ("fit", [SENTENCES], {}),
        ("fit", [], {"x": SENTENCES, "epochs": 2}),
        ("compile", [], {}),
        ("compile", ["adam"], {"loss": "mse"}),
        ("train_on_batch", [SENTENCES, np.zeros(5)], {}),
        ("test_on_batch", [SENTENCES, np.zeros(5)], {}),
    ],
)
def test_training_methods_of_keras_are_refused(shared_model, method, arguments, keywords):
    with pytest.raises(ValueError, match="elmo_keras.training.pretrain.*elmo-keras pretrain"):
        getattr(shared_model, method)(*arguments, **keywords)
    assert not shared_model.compiled


# === Files ===


@pytest.mark.parametrize(
    "format, reason", [("onnx", "ONNX"), ("litert", "LiteRT"), ("openvino", ""), ("torch", "")]
)
def test_other_export_formats_are_refused(shared_model, tmp_path, format, reason):
    with pytest.raises(ValueError, match=f"must be 'tf_saved_model'.*format='{format}'.*{reason}"):
        shared_model.export(tmp_path / "model", format=format)
    assert not list(tmp_path.iterdir())


def test_other_files_are_refused(shared_model, tmp_path):
    with pytest.raises(ValueError, match="must end in .keras"):
        shared_model.save(tmp_path / "model.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`:UserWarning")
@pytest.mark.filterwarnings("ignore:Invalid quantization mode:UserWarning")
@pytest.mark.parametrize("mode", ["int8", "int4", pytest.param("float8", marks=pytest.mark.slow)])
def test_quantized_weights_count_and_are_saved(tmp_path, mode):
    model = make()
    before = model.score(SENTENCES)  # It traces a graph with the unquantized weights.
    model.quantize(mode)
    actual = model.score(SENTENCES)
    assert np.abs(actual - before).max() > 1e-4
    np.testing.assert_allclose(actual, before, rtol=0.1)
    # Expected values: vectors computed eagerly, and the softmax in numpy.
    top = small_models.to_numpy(
        model.elmo([["the"]]) if small_models.IS_TENSORFLOW else model.elmo(ids_of("the"))
    )
    kernel, bias = map(small_models.to_numpy, model.head.weights)
    logits = [kernel @ top[0, step, :6] + bias for step in (0, 1)]
    logits = [x - np.log(np.exp(x).sum()) for x in logits]
    assert model.score([["the"]])[0, 0] == pytest.approx(logits[0][3] + logits[1][1], rel=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.score(SENTENCES), actual, rtol=1e-6)


def ids_of(*words):
    return elmo_keras.layers.CharCNN().numpy_ids(words)[None]


def test_lora_weights_are_used():
    """LoRA adds weights to a kernel that is already traced."""
    model = make()
    before = model.score(SENTENCES)
    part = model.elmo.bilstm.forward_layers[0].cell.projection
    part.enable_lora(2)
    np.testing.assert_allclose(model.score(SENTENCES), before, rtol=1e-5)
    part.lora_kernel_b.assign(np.ones(part.lora_kernel_b.shape))
    assert np.abs(model.score(SENTENCES) - before).max() > 1e-3


# === Results that are not finite ===


def every_call(model):
    yield lambda: model.score(SENTENCES)
    yield lambda: model.predict(SENTENCES, verbose=0)
    yield lambda: model.perplexity(SENTENCES)
    yield lambda: model.evaluate(SENTENCES, verbose=0)
    yield lambda: model.substitutes(["the", "cat"], 0)


@pytest.mark.parametrize(
    "biases",
    [[3e38, -3e38], [np.inf, 0.0], [np.nan, 0.0]],
    ids=["their difference is infinite", "infinity", "NaN"],
)
def test_results_that_are_not_finite(biases):
    model = make()
    bias = np.zeros(len(WORDS), "float32")
    bias[3:5] = biases  # of "the" and "cat"
    model.head.softmax.bias.assign(bias)
    for call in every_call(model):
        with pytest.raises(ValueError, match="must be finite. Received: NaN or inf.*softmax/bias"):
            call()


def test_a_perplexity_that_is_too_large():
    """The log-probabilities are finite, but the exponential overflows."""
    model = make()
    model.head.softmax.kernel.assign(1e10 * small_models.to_numpy(model.head.softmax.kernel))
    scores = model.score(SENTENCES)
    assert np.isfinite(scores).all() and scores.min() < -1e5
    for call in (model.perplexity, model.evaluate):
        with pytest.raises(ValueError, match="perplexities of a model must be finite.*softmax/ker"):
            call(SENTENCES)
