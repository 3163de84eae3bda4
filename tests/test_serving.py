"""Models that leave the process that made them: `.keras` files, and SavedModels that take text.

Exports and processes cost seconds: each model is exported once, and all that is asked of a fresh
process is asked in one.
"""

import importlib.util
import os
import re
import shutil
import warnings

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import layers, serving
from elmo_keras.text import CharacterIds, Tokenizer
from tests import fresh_process, small_models

if not small_models.IS_TENSORFLOW:
    pytest.skip("SavedModels are TensorFlow's", allow_module_level=True)

import tensorflow as tf

TEXT = ["It isn't bad, is it?", "", "naïve 我很喜欢", "Yes"]
TOKENS = [["It", "is", "n't", "bad", "."], [], ["naïve", "我", "喜欢"], ["Yes"]]
PADDED = elmo_keras.text.pad(TOKENS).numpy()
LABELS = ["DET", "NOUN", "VERB"]


def toy_elmo(**options):
    cnn = small_models.char_cnn(filters=[(1, 4)], num_highways=0)
    return elmo_keras.ElmoLayer(cnn, small_models.bilstm(num_layers=1, units=5), **options)


def pooled(x):
    return layers.MaskedMeanPooling()(x)


def classifier(folder):
    """It reads a checkpoint that is gone when the model is loaded."""
    opts = small_models.options(n_layers=1, n_highway=None)
    source = small_models.write_checkpoint(folder / "source", opts, small_models.datasets(opts))
    model = elmo_keras.ElmoTextClassifier.from_preset(source, LABELS, pooling="mean_max")
    shutil.rmtree(source)
    return model


def tagger(folder):
    elmo = toy_elmo(state="warm")
    elmo.warm_up(TEXT)
    return elmo_keras.ElmoTagger(elmo, LABELS, hidden_dim=3)


def from_sentences(folder):
    """A Keras model of the user's own, with two representations and named outputs."""
    inputs = keras.Input((), dtype="string")
    first, second = toy_elmo(num_representations=2)(inputs)
    return keras.Model(inputs, {"score": keras.layers.Dense(1)(pooled(second)), "vectors": first})


def from_tokens(folder):
    inputs = keras.Input((None,), dtype="string")
    return keras.Model(inputs, pooled(toy_elmo(output="average")(inputs)))


def with_tensorflow_text(folder):
    """No ElmoLayer at all."""
    inputs = keras.Input((), dtype="string")
    return keras.Model(inputs, CharacterIds()(Tokenizer("unicode_script")(inputs)))


HAS_TENSORFLOW_TEXT = importlib.util.find_spec("tensorflow_text") is not None
MODELS = {
    "classifier": classifier,
    "tagger": tagger,
    "sentences": from_sentences,
    "tokens": from_tokens,
}
if HAS_TENSORFLOW_TEXT:
    MODELS["tensorflow_text"] = with_tensorflow_text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("serving")


@pytest.fixture(scope="module")
def models(folder):
    keras.utils.set_random_seed(0)
    return {name: make(folder) for name, make in MODELS.items()}


@pytest.fixture(scope="module")
def exported(models, folder):
    """Folders of SavedModels by name, and the warnings of each export."""
    noted = {}
    for name, model in models.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if isinstance(model, elmo_keras.models.ElmoTask):
                model.export(folder / name)
            else:
                serving.export_saved_model(model, folder / name)
        noted[name] = [str(warning.message) for warning in caught]
    return noted


CALLS = {
    "text": ("serve", TEXT),
    "one": ("serve", TEXT[2:3]),
    "nothing": ("serve", []),
    "empty": ("serve", ["", " "]),
    "embed": ("embed", TEXT),
    "embed nothing": ("embed", []),
    "embed empty": ("embed", ["", " "]),
}
TOKEN_CALLS = {
    "tokens": ("tokens", PADDED),
    "more padding": ("tokens", np.pad(PADDED, [(0, 0), (0, 3)], constant_values=b"")),
    "no rows": ("tokens", PADDED[:0]),
    "empty rows": ("tokens", np.full((2, 1), b"", dtype=object)),
    "left": ("tokens", np.array([[b"", b"a"]], dtype=object)),
    "hole": ("tokens", np.array([[b"a", b"", b"b"]], dtype=object)),
    "embed tokens": ("embed_tokens", PADDED),
    "embed left": ("embed_tokens", np.array([[b"", b"a"]], dtype=object)),
}

# TensorFlow imports Keras by itself, where it is installed: out with it, and never in again.
SERVE = """
import concurrent.futures

import numpy as np
import tensorflow as tf

FOREIGN = {"keras", "elmo_keras", "tensorflow_text"}


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FOREIGN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


for name in list(sys.modules):
    if name.partition(".")[0] == "keras":
        del sys.modules[name]
sys.meta_path.insert(0, Blocker())


def answer(loaded, endpoint, data):
    data = tf.constant(data, dtype="string", shape=np.shape(data))
    try:
        outputs = getattr(loaded, endpoint)(data)
    except tf.errors.InvalidArgumentError as error:
        return str(error)
    return {key: value.numpy() for key, value in outputs.items()}


result, models = {}, {}
for name, calls in given["calls"].items():
    models[name] = loaded = tf.saved_model.load(f"{given['folder']}/{name}")
    result[name] = {key: answer(loaded, *call) for key, call in calls.items()}
    default = loaded.signatures["serving_default"]
    names = list(default.structured_input_signature[1])
    result[name]["default"] = names, {
        key: value.numpy() for key, value in default(text=tf.constant(given["text"])).items()
    }
    result[name]["endpoints"] = sorted(loaded.signatures)

with concurrent.futures.ThreadPoolExecutor(2) as pool:
    batches = [given["text"][: 1 + i % 4] for i in range(16)]
    ask = lambda batch: answer(models["tagger"], "serve", batch)
    result["threads"] = list(pool.map(ask, batches))

result["imported"] = sorted(FOREIGN & set(sys.modules))
if given["has_tensorflow_text"]:
    path = f"{given['folder']}/tensorflow_text"
    try:
        tf.saved_model.load(path)
        result["without tensorflow_text"] = "it loads"
    except Exception as error:
        result["without tensorflow_text"] = str(error)
    del sys.meta_path[0]
    import tensorflow_text

    result["with tensorflow_text"] = answer(tf.saved_model.load(path), "serve", given["text"])
"""


@pytest.fixture(scope="module")
def served(exported, folder):
    """What a process with TensorFlow alone has from the SavedModels."""
    calls = {name: dict(CALLS) for name in ("classifier", "tagger", "sentences", "tokens")}
    for name in ("classifier", "tagger", "tokens"):
        calls[name] |= TOKEN_CALLS
    given = {"folder": str(folder), "calls": calls, "text": TEXT}
    given["has_tensorflow_text"] = HAS_TENSORFLOW_TEXT
    return fresh_process.run(SERVE, given, folder)


def vectors_of(elmo, inputs):
    """`(representations, batch, time, dim)` in numpy."""
    outputs = elmo(inputs)
    return np.stack([y.numpy() for y in (outputs if isinstance(outputs, list) else [outputs])])


def tokens_of(text):
    return Tokenizer()(text).numpy()


# === SavedModel ===


def test_it_loads_where_only_tensorflow_is(served):
    assert served["imported"] == []


def test_endpoints(served):
    both = ["embed", "embed_tokens", "serve", "serving_default", "tokens"]
    for name in ("classifier", "tagger", "tokens"):
        assert served[name]["endpoints"] == both
    assert served["sentences"]["endpoints"] == ["embed", "serve", "serving_default"]


def test_nothing_warns(exported):
    exported = {name: noted for name, noted in exported.items() if name != "tensorflow_text"}
    assert exported == dict.fromkeys(exported, [])


def test_classifier(models, served):
    actual, model = served["classifier"], models["classifier"]
    for key, x in (("text", TEXT), ("one", TEXT[2:3]), ("tokens", TOKENS), ("empty", ["", " "])):
        expected = model.predict(x, verbose=0)
        np.testing.assert_allclose(actual[key]["probabilities"], expected, atol=1e-6)
        assert actual[key]["labels"].tolist() == [name.encode() for name in model.classify(x)]
        assert set(actual[key]) == {"labels", "probabilities"}
    for key in ("nothing", "no rows"):
        assert actual[key]["probabilities"].shape == (0, 3)
        assert actual[key]["labels"].shape == (0,)


def test_tagger(models, served):
    actual, model = served["tagger"], models["tagger"]
    cases = (("text", TEXT), ("one", TEXT[2:3]), ("tokens", TOKENS), ("empty", ["", ""]))
    for key, x in cases:
        expected = model.predict(x, verbose=0)
        np.testing.assert_allclose(actual[key]["probabilities"], expected, atol=1e-6)
        tags = [[tag.decode() for tag in row if tag] for row in actual[key]["labels"]]
        assert tags == model.tag(x)
        assert set(actual[key]) == {"labels", "probabilities", "tokens"}
        is_padding = actual[key]["tokens"] == b""
        assert (actual[key]["labels"][is_padding] == b"").all()
        assert not actual[key]["probabilities"][is_padding].any()
    np.testing.assert_array_equal(actual["text"]["tokens"], tokens_of(TEXT))
    np.testing.assert_array_equal(actual["tokens"]["tokens"], PADDED)
    assert actual["nothing"]["probabilities"].shape[::2] == (0, 3)
    assert actual["no rows"]["labels"].shape == (0, 5)


def test_a_model_of_your_own(models, served):
    actual, model = served["sentences"], models["sentences"]
    for key, x in (("text", TEXT), ("one", TEXT[2:3]), ("empty", ["", " "])):
        expected = model(tf.constant(x))
        assert set(actual[key]) == {"score", "vectors"}
        for name, value in expected.items():
            np.testing.assert_allclose(actual[key][name], value.numpy(), atol=1e-6)
    assert actual["nothing"]["score"].shape == (0, 1)

    actual, model = served["tokens"], models["tokens"]
    expected = model(tf.constant(PADDED)).numpy()
    np.testing.assert_allclose(actual["tokens"]["outputs"], expected, atol=1e-6)
    expected = model(tf.constant(tokens_of(TEXT))).numpy()
    np.testing.assert_allclose(actual["text"]["outputs"], expected, atol=1e-6)
    assert actual["no rows"]["outputs"].shape == (0, 12)


@pytest.mark.parametrize("name", ["classifier", "tagger", "sentences", "tokens"])
def test_embeddings(models, served, name):
    model = models[name]
    elmo = next(layer for layer in model.layers if isinstance(layer, elmo_keras.ElmoLayer))
    cases = [("embed", tokens_of(TEXT)), ("embed empty", np.full((2, 1), b"", dtype=object))]
    if name != "sentences":
        cases.append(("embed tokens", PADDED))
    for key, tokens in cases:
        actual = served[name][key]
        np.testing.assert_array_equal(actual["tokens"], tokens)
        np.testing.assert_array_equal(actual["mask"], tokens != b"")
        assert actual["mask"].dtype == bool
        names = ["embeddings"]
        if name == "sentences":
            names = ["embeddings_0", "embeddings_1"]
        assert set(actual) == {"tokens", "mask", *names}
        for actual_row, expected_row in zip(
            [actual[k] for k in names], vectors_of(elmo, tf.constant(tokens))
        ):
            np.testing.assert_allclose(actual_row, expected_row, atol=1e-6)
            assert not actual_row[~actual["mask"]].any()
            assert np.isfinite(actual_row).all()
    nothing = served[name]["embed nothing"]
    assert all(len(value) == 0 for value in nothing.values())


def test_more_padding_changes_nothing(served):
    for name, key in (("classifier", "probabilities"), ("tagger", "probabilities")):
        few, many = served[name]["tokens"][key], served[name]["more padding"][key]
        if name == "tagger":
            assert not many[:, 5:].any()
            many = many[:, :5]
        np.testing.assert_allclose(many, few, atol=1e-6)


def test_padding_in_front_of_a_token_is_an_error(models, served):
    """The sentence that the layer says eagerly."""
    with pytest.raises(ValueError) as raised:
        models["tagger"].elmo(tf.constant([["", "a"]]))
    sentence = re.search(r"Padding must stand .* to the right\.", str(raised.value))[0]
    for name in ("classifier", "tagger", "tokens"):
        for key in ("left", "hole", "embed left"):
            assert sentence in served[name][key]


def test_serving_default_takes_sentences(served):
    for name in ("classifier", "tagger", "sentences", "tokens"):
        names, outputs = served[name]["default"]
        assert names == ["text"]
        assert set(outputs) == set(served[name]["text"])
        for key, value in outputs.items():
            np.testing.assert_array_equal(value, served[name]["text"][key])


def test_two_threads(served):
    for i, actual in enumerate(served["threads"]):
        expected = served["tagger"]["text"]["probabilities"][: 1 + i % 4]
        time = actual["probabilities"].shape[1]
        np.testing.assert_allclose(actual["probabilities"], expected[:, :time], atol=1e-6)


@pytest.mark.skipif(not HAS_TENSORFLOW_TEXT, reason="tensorflow-text is not installed")
def test_tensorflow_text_is_needed_where_it_is_used(models, exported, served, folder):
    (warning,) = exported["tensorflow_text"]
    assert f"{folder / 'tensorflow_text'} holds tensorflow-text ops" in warning
    assert "must `import tensorflow_text` first. Tokenizer('words') needs" in warning
    assert "Op type not registered" in served["without tensorflow_text"]
    actual = served["with tensorflow_text"]["outputs"]
    np.testing.assert_array_equal(actual, models["tensorflow_text"](tf.constant(TEXT)))


# === .keras ===

LOAD = """
import elmo_keras

import keras
import numpy as np
import tensorflow as tf

result = {}
for name, data in given["inputs"].items():
    model = keras.saving.load_model(f"{given['folder']}/{name}.keras")
    outputs = model.predict(data, verbose=0)
    result[name] = type(model).__name__, model.compiled, outputs
tagger = keras.saving.load_model(f"{given['folder']}/tagger.keras")
result["tags"] = tagger.tag(given["text"])
result["imported"] = [
    name for name in ("tensorflow_text", "keras_tuner", "h5py") if name in sys.modules
]
"""


def test_a_keras_file_is_whole(models, folder):
    """It loads in a process that imports elmo_keras alone; no file beside it is read."""
    inputs = {"classifier": TEXT, "tagger": TOKENS, "sentences": np.array(TEXT, dtype=object)}
    for name in inputs:
        model = models[name]
        if model.compiled:
            # Keras warns where an optimizer that has not run yet is loaded.
            model.optimizer.build(model.trainable_variables)
        model.save(folder / f"{name}.keras")
    result = fresh_process.run(
        LOAD, {"folder": str(folder), "inputs": inputs, "text": TEXT}, folder
    )
    assert "tensorflow_text" not in result["imported"]
    for name, x in inputs.items():
        kind, compiled, outputs = result[name]
        expected = models[name].predict(x, verbose=0)
        assert kind == type(models[name]).__name__
        assert compiled == (name != "sentences")
        for actual_row, expected_row in zip(
            keras.tree.flatten(outputs), keras.tree.flatten(expected)
        ):
            np.testing.assert_allclose(actual_row, expected_row, atol=1e-6)
    assert result["tags"] == models["tagger"].tag(TEXT)


# === What is refused ===


def test_carried_states_are_refused(tmp_path):
    carry = {"state": "carry", "max_rows": 4}
    task = elmo_keras.ElmoTextClassifier(toy_elmo(**carry), LABELS)
    inputs = keras.Input((), dtype="string")
    model = keras.Model(inputs, pooled(toy_elmo(**carry)(inputs)))
    for export in (
        lambda: task.export(tmp_path / "model"),
        lambda: serving.export_saved_model(model, tmp_path / "model"),
        lambda: model.export(tmp_path / "model", verbose=False),
    ):
        with pytest.raises(ValueError, match="state='warm' .* or state='zeros', or .*keras format"):
            export()
    assert not os.path.exists(tmp_path / "model")


IDS = keras.Input((None, 50), dtype="int32")
STRINGS = keras.Input((None,), dtype="string")


@pytest.mark.parametrize(
    "inputs, received",
    [
        (IDS, "[((None, None, 50), 'int32')]"),
        ([STRINGS, IDS], "[((None, None), 'string'), ((None, None, 50), 'int32')]"),
        (keras.Input((2, 3), dtype="string"), "[((None, 2, 3), 'string')]"),
        (keras.Input((4,)), "[((None, 4), 'float32')]"),
    ],
    ids=["ids", "two inputs", "rank 3", "floats"],
)
def test_models_that_start_elsewhere(tmp_path, inputs, received):
    model = keras.Model(inputs, inputs)
    with pytest.raises(ValueError) as raised:
        serving.export_saved_model(model, tmp_path / "model")
    message = str(raised.value)
    assert "`model` must be a Functional model with one input of strings" in message
    assert f"Received: inputs {received}. Use model.export" in message


def test_models_without_a_graph(tmp_path):
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    for model in (Subclassed(), toy_elmo(), None):
        with pytest.raises(ValueError, match=r"Received: inputs \[\]"):
            serving.export_saved_model(model, tmp_path / "model")


# === What the endpoints are made of, eagerly ===


@pytest.fixture
def endpoints(monkeypatch):
    """A callable of a model: its endpoints by name, as they go into the SavedModel."""
    functions = {}

    class Archive:
        def track(self, model):
            pass

        def add_endpoint(self, name, function, signature):
            functions[name] = function

        def write_out(self, directory, verbose):
            pass

    def collect(model):
        serving.export_saved_model(model, "nowhere")
        return functions

    monkeypatch.setattr(keras.export, "ExportArchive", Archive)
    return collect


def test_a_tokenizer_of_your_own(endpoints):
    """`embed` splits as the model does."""
    inputs = keras.Input((), dtype="string")
    vectors = toy_elmo()(Tokenizer("whitespace")(inputs))
    embed = endpoints(keras.Model(inputs, pooled(vectors)))["embed"]
    actual = embed(tf.constant(["It isn't.", "Yes"]))
    assert actual["tokens"].numpy().tolist() == [[b"It", b"isn't."], [b"Yes", b""]]
    assert actual["mask"].shape == actual["embeddings"].shape[:2] == (2, 2)


def test_a_nested_model(endpoints):
    inner = keras.Sequential([keras.Input((), dtype="string"), toy_elmo()], name="inner")
    inputs = keras.Input((), dtype="string")
    model = keras.Model(inputs, pooled(inner(inputs)))
    actual = endpoints(model)["serve"](tf.constant(TEXT))
    np.testing.assert_array_equal(actual["outputs"], model(tf.constant(TEXT)))


def test_a_layer_of_two_models(endpoints):
    elmo = toy_elmo()
    elmo_keras.ElmoTextClassifier(elmo, LABELS)
    inputs = keras.Input((), dtype="string")
    actual = endpoints(keras.Model(inputs, pooled(elmo(inputs))))["embed"](tf.constant(TEXT))
    np.testing.assert_array_equal(actual["embeddings"], elmo(TEXT))


def test_a_list_of_outputs(endpoints):
    inputs = keras.Input((), dtype="string")
    x = pooled(toy_elmo()(inputs))
    model = keras.Model(inputs, [keras.layers.Dense(1)(x), keras.layers.Dense(2)(x)])
    actual = endpoints(model)["serve"](tf.constant(TEXT))
    assert sorted(value.shape[1] for value in actual.values()) == [1, 2]


def test_the_mask_of_boundaries(endpoints):
    inputs = keras.Input((None,), dtype="string")
    vectors = toy_elmo(keep_boundaries=True)(inputs)
    actual = endpoints(keras.Model(inputs, pooled(vectors)))["embed_tokens"](tf.constant(PADDED))
    assert actual["mask"].shape == actual["embeddings"].shape[:2]
    np.testing.assert_array_equal(actual["mask"], actual["embeddings"].numpy().any(-1))


def test_no_time_step(endpoints, models):
    functions = endpoints(models["tagger"])
    nothing = tf.constant([], shape=(2, 0), dtype="string")
    actual = functions["tokens"](nothing)
    assert (
        actual["labels"].shape
        == actual["tokens"].shape
        == actual["probabilities"].shape[:2]
        == (2, 1)
    )
    actual = functions["embed_tokens"](nothing)
    assert (
        actual["mask"].shape == actual["tokens"].shape == actual["embeddings"].shape[:2] == (2, 1)
    )


def test_two_elmo_layers_have_no_embedding_of_their_own(endpoints):
    inputs = keras.Input((None,), dtype="string")
    both = keras.layers.Concatenate()([toy_elmo()(inputs), toy_elmo()(inputs)])
    assert sorted(endpoints(keras.Model(inputs, pooled(both)))) == ["serve", "tokens"]


def test_a_task_that_starts_at_ids(endpoints):
    """One made for a strategy takes the same text."""
    elmo = toy_elmo()
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        model = elmo_keras.ElmoTagger(elmo, LABELS)
    assert model.starts_at_ids
    functions = endpoints(model)
    expected = model.predict_on_batch(CharacterIds()(PADDED))
    actual = functions["tokens"](tf.constant(PADDED))
    np.testing.assert_allclose(actual["probabilities"], expected, atol=1e-6)
    actual = functions["embed"](tf.constant(TEXT))
    np.testing.assert_allclose(actual["embeddings"], elmo(TEXT), atol=1e-6)
