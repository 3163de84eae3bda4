"""StaticEmbedding: its vectors, files, errors, and a model with an ElmoLayer."""

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import StaticEmbedding, layers
from elmo_keras.text import Tokenizer
from tests import small_models
from tests.check_layer import check_layer, check_padding
from tests.small_models import IS_TENSORFLOW, to_numpy
from tests.text.odd_words import ODD_WORDS, to_column

needs_strings = pytest.mark.skipif(not IS_TENSORFLOW, reason="strings are TensorFlow's")

WORDS = ["the", "cat", ".", "naïve"]
VECTORS = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")
IDS = np.array([[1, 2, 5, 3], [4, 0, 0, 0], [0, 0, 0, 0]], "int32")
TOKENS = [["the", "cat", "The", "."], ["naïve"], []]
SENTENCES = ["the cat The.", "naïve", ""]
OUTPUT = np.concatenate([np.zeros((1, 3)), VECTORS, np.zeros((1, 3))]).astype("float32")[IDS]


@pytest.fixture
def path(tmp_path):
    lines = [" ".join([w, *map(repr, row)]) for w, row in zip(WORDS, VECTORS.tolist())]
    (tmp_path / "vectors.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return tmp_path / "vectors.txt"


def static(**options):
    layer = StaticEmbedding(WORDS, 3, **options)
    layer.build((None, None))
    layer.set_weights([VECTORS])
    return layer


def mask_of(x):
    """The mask that the next Keras layer receives."""

    class Recorder(keras.layers.Layer):
        supports_masking = True

        def call(self, x, mask=None):
            self.mask = mask
            return x

    recorder = Recorder()
    recorder(x)
    return to_numpy(recorder.mask)


@pytest.mark.parametrize("options", [{}, {"lowercase": True, "tokenizer": "whitespace"}])
def test_static_embedding(tmp_path, options):
    check_layer(
        lambda **k: StaticEmbedding(WORDS, 3, trainable=True, **options, **k),
        IDS,
        tmp_path,
        weights=1,
        quantized=True,
    )


@pytest.mark.parametrize(
    "ids",
    [IDS, IDS.tolist(), IDS.astype("uint8"), IDS.astype("int64")],
    ids=["int32", "list", "uint8", "int64"],
)
def test_ids(ids):
    layer = static()
    output = layer(ids)
    np.testing.assert_array_equal(to_numpy(output), OUTPUT)
    np.testing.assert_array_equal(mask_of(output), IDS != 0)
    assert [weight.shape for weight in layer.weights] == [(4, 3)]
    assert layer.embedding.embeddings is layer.weights[0]


def test_vectors_do_not_depend_on_the_batch():
    check_padding(static(), [row[: (row != 0).sum()] for row in IDS])


@pytest.mark.parametrize("batch, time", [(0, 3), (2, 0), (0, 0)])
def test_empty_batches(batch, time):
    assert static()(np.zeros((batch, time), "int32")).shape == (batch, time, 3)


@needs_strings
def test_strings_are_ids():
    layer = static()
    assert layer.supports_jit
    layer(IDS)
    assert layer.supports_jit
    for text in (TOKENS, SENTENCES, np.array(SENTENCES), elmo_keras.text.pad(TOKENS)):
        output = layer(text)
        np.testing.assert_array_equal(to_numpy(output), OUTPUT)
        np.testing.assert_array_equal(mask_of(output), IDS != 0)
    assert not layer.supports_jit
    assert layer([]).shape == (0, 1, 3)
    assert layer([[], []]).shape == (2, 1, 3)
    assert layer(keras.Input((0,), dtype="string")).shape == (None, 1, 3)
    assert layer(keras.Input((4,), dtype="string")).shape == (None, 4, 3)
    assert layer(keras.Input((), dtype="string")).shape == (None, None, 3)


@pytest.mark.skipif(IS_TENSORFLOW, reason="other backends")
def test_strings_of_other_backends():
    pytest.importorskip("tensorflow")
    np.testing.assert_array_equal(to_numpy(static()(TOKENS)), OUTPUT)
    np.testing.assert_array_equal(to_numpy(static()(SENTENCES)), OUTPUT)
    with pytest.raises(ValueError, match="Start the model at ids"):
        static()(keras.Input((None,), dtype="string"))


@pytest.mark.parametrize("lowercase", [False, True])
def test_numpy_ids_equal_the_text_layer(lowercase):
    vocabulary = [
        "a",
        "A",
        "é",
        "É",
        "x" * 8,
        "<S>",
        "<s>",
        "\ufffd",
        "a\x00",
        "i\u0307",
        "ας",
        "ß",
    ]
    layer = StaticEmbedding(vocabulary, 3, lowercase=lowercase, allow_spaces=True)
    words = [*ODD_WORDS, "A", "A\x00b", "É", "É".encode(), "X" * 8, "İ", "ΑΣ", "ΑΣ\u0301", "ẞ"]
    actual = layer.numpy_ids(words)
    assert actual.dtype == np.int32 and actual.shape == (len(words),)
    expected = layer.to_ids(to_column(words)).numpy()[:, 0]
    assert dict(zip(words, actual.tolist())) == dict(zip(words, expected.tolist()))
    assert set(expected) > {0, 1, 3, 5, len(vocabulary) + 1}


@needs_strings
def test_lowercase():
    words = ["the", "ärger", "A", "\x00"]
    layer = StaticEmbedding(words, 3, lowercase=True, tokenizer=Tokenizer("whitespace"))
    layer.build((None, None))
    layer.set_weights([VECTORS])
    for text in ([["THE", "Ärger", "A", "\x00B"]], ["THE Ärger A \x00B"]):
        output = layer(text)
        np.testing.assert_array_equal(to_numpy(output)[0, :2], VECTORS[:2])
        assert not to_numpy(output)[0, 2:].any()
        assert mask_of(output).all()
    assert not to_numpy(static()([["THE"]])).any()


@pytest.mark.parametrize("trainable", [False, True])
def test_training_changes_the_vectors_if_asked(trainable):
    layer = static(trainable=trainable)
    assert layer.trainable == trainable
    inputs = keras.Input((None,), dtype="int32")
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
    model.compile("sgd", "mse")
    model.fit(IDS, np.ones((3, 4, 1)), verbose=0)
    (after,) = layer.get_weights()
    assert np.array_equal(after, VECTORS) != trainable
    assert len(layer.trainable_weights) == trainable
    layer.trainable = False
    assert not layer.trainable_weights


# === Files ===


def test_from_file(path, tmp_path):
    layer = StaticEmbedding.from_file(path)
    np.testing.assert_array_equal(to_numpy(layer(IDS)), OUTPUT)
    assert layer.vocabulary == WORDS
    assert not layer.trainable_weights
    half = StaticEmbedding.from_file(
        path, words={".", "the"}, max_words=1, dim=3, dtype="mixed_bfloat16", trainable=True
    )
    assert half.vocabulary == ["the"]
    assert (
        half(np.array([[1]])).dtype
        == StaticEmbedding(["a"], 1, dtype="bfloat16")(np.array([[1]])).dtype
    )
    np.testing.assert_array_equal(half.get_weights()[0], VECTORS[:1])
    with pytest.raises(ValueError, match="at least one of `words`"):
        StaticEmbedding.from_file(path, words=["The"])
    with pytest.raises(FileNotFoundError):
        StaticEmbedding.from_file(tmp_path / "nowhere")


def test_many_words(tmp_path):
    """The vocabulary is saved with the model, and the file is no longer needed."""
    words = [f"w{i}" for i in range(50_000)] + [". . .", "\u00a0", "", "\u2028"]
    layer = StaticEmbedding(words, 2)
    inputs = keras.Input((None,), dtype="string" if IS_TENSORFLOW else "int32")
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([np.arange(100_008, dtype="float32").reshape(-1, 2)])
    ids = np.array([[1, 50_001, 50_002, 50_000], [50_004, 50_005, 0, 0]], "int32")
    expected = to_numpy(layer(ids))
    assert expected[:, 0, 0].tolist() == [0, 100_006]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].vocabulary == words
    np.testing.assert_array_equal(to_numpy(loaded.layers[-1](ids)), expected)
    if IS_TENSORFLOW:
        import tensorflow as tf

        tokens = tf.constant([["w0", ". . .", "\u00a0", "w49999"], ["\u2028", "w50000", "", ""]])
        np.testing.assert_array_equal(to_numpy(loaded(tokens)), expected)
        loaded.export(tmp_path / "served", verbose=False)
        served = tf.saved_model.load(str(tmp_path / "served"))
        np.testing.assert_array_equal(served.serve(tokens).numpy(), expected)


# === Beside ELMo ===


def test_concatenation_of_ids(tmp_path):
    character_ids = small_models.ids((4, 1, 0))
    inputs = [keras.Input((None, 50), dtype="int32"), keras.Input((None,), dtype="int32")]
    x = keras.layers.Concatenate()([small_models.elmo()(inputs[0]), static()(inputs[1])])
    model = keras.Model(inputs, layers.MaskedMeanPooling()(x))
    model.compile("sgd", "mse")
    model.fit([character_ids, IDS], np.ones((3, 15)), verbose=0)
    output = to_numpy(model([character_ids, IDS]))
    assert not output[2].any()
    np.testing.assert_allclose(output[0, 12:], OUTPUT[0].mean(0), atol=1e-6)
    np.testing.assert_allclose(output[1, 12:], OUTPUT[1, 0], atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded([character_ids, IDS])), output)


@needs_strings
@pytest.mark.parametrize("kind", ["tokens", "sentences"])
def test_concatenation_of_strings(tmp_path, path, kind):
    import tensorflow as tf

    inputs = keras.Input((None,) if kind == "tokens" else (), dtype="string")
    data = elmo_keras.text.pad(TOKENS) if kind == "tokens" else tf.constant(SENTENCES)
    x = keras.layers.Concatenate()(
        [small_models.elmo()(inputs), StaticEmbedding.from_file(path)(inputs)]
    )
    model = keras.Model(inputs, {"x": x, "pooled": layers.MaskedMeanPooling()(x)})
    path.unlink()

    output = model(data)
    assert output["x"].shape == (3, 4, 15)
    np.testing.assert_array_equal(to_numpy(output["x"])[..., 12:], OUTPUT)
    np.testing.assert_array_equal(mask_of(keras.Model(inputs, x)(data)), IDS != 0)
    model.compile("sgd", {"x": None, "pooled": "mse"})
    model.fit(data, {"pooled": np.ones((3, 15))}, verbose=0)

    output = keras.tree.map_structure(to_numpy, model(data))
    np.testing.assert_array_equal(output["x"][..., 12:], OUTPUT)  # They are frozen.
    np.testing.assert_allclose(output["pooled"][0], output["x"][0].mean(0), atol=1e-6)
    np.testing.assert_allclose(output["pooled"][1], output["x"][1, 0], atol=1e-6)
    assert not output["pooled"][2].any()

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    for actual in (loaded(data), served.serve(data)):
        for name in ("x", "pooled"):
            np.testing.assert_allclose(to_numpy(actual[name]), output[name], atol=1e-6)


# === Errors ===


@pytest.mark.parametrize(
    "inputs, message",
    [
        ("a bare str", "bare str"),
        (7, "StaticEmbedding needs sentences.*Received: int"),
        ([["a"], "b"], "or token lists, not both"),
        ([["a", "", "b"]], "Padding must stand at the right"),
        ([1.5, 2.5], "dtype=float"),
        (IDS.astype("float32"), "or ids of shape \\(batch, time\\), dtype int32.*dtype=float32"),
        (IDS[0], "shape=\\(4,\\)"),
        (IDS[..., None], "shape=\\(3, 4, 1\\)"),
        (IDS + 1, "in \\[0, 5\\]: 0 is padding, 5 an unknown word"),
        (-IDS, "in \\[0, 5\\]"),
    ],
    ids=[
        "str",
        "int",
        "tokens and a sentence",
        "a hole in tokens",
        "floats",
        "float ids",
        "one sentence",
        "characters",
        "large ids",
        "negative ids",
    ],
)
def test_bad_input_is_an_error_that_helps(inputs, message):
    with pytest.raises(ValueError, match=message):
        static()(inputs)


@needs_strings
def test_the_graph_asserts_the_same_sentence():
    import tensorflow as tf

    inputs = keras.Input((None,), dtype="int32")
    model = keras.Model(inputs, static()(inputs))
    with pytest.raises(tf.errors.InvalidArgumentError, match="5 an unknown word"):
        model.predict(IDS + 1, verbose=0)


@pytest.mark.parametrize("shape, dtype", [((), "int32"), ((None, 5), "int32"), ((4,), "float32")])
def test_symbolic_input_is_checked(shape, dtype):
    with pytest.raises(ValueError, match="keras.Input"):
        static()(keras.Input(shape, dtype=dtype))


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        (([], 3), {}, "at least one word"),
        (("", 3), {}, "at least one word"),
        ((["a", "a"], 3), {}, "each token once"),
        ((["a\n", "b"], 3), {}, "without line breaks"),
        ((["a"], 0), {}, "`dim` must be"),
        ((["a"], 2.0), {}, "`dim` must be"),
        ((["a"], True), {}, "`dim` must be"),
        ((["a"], 3), {"tokenizer": "nltk"}, "`method` must be one of"),
    ],
    ids=[
        "no words",
        "empty text",
        "a word twice",
        "line break",
        "dim 0",
        "dim float",
        "dim bool",
        "tokenizer",
    ],
)
def test_bad_options(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        StaticEmbedding(*arguments, **options)


def test_a_word_that_is_a_line_break_has_no_token(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_bytes(b"the 1 2\n\n 3 4\ncat 5 6\n")
    layer = elmo_keras.StaticEmbedding.from_file(path)
    assert layer.vocabulary == ["the", "", "cat"]
    assert small_models.to_numpy(layer(np.array([[1, 3]]))).tolist() == [[[1, 2], [5, 6]]]


def test_embed():
    """`embed` gives the vectors of the layer, sentence by sentence, for any encoder."""
    layer = static()
    rows = [np.array([1, 2], "int32"), np.zeros(0, "int32"), np.array([3], "int32")]
    actual = list(elmo_keras.encoders.embed(layer, rows, max_tokens=3))
    assert [len(vectors) for vectors in actual] == [2, 0, 1]
    np.testing.assert_array_equal(np.concatenate(actual), VECTORS[:3])
