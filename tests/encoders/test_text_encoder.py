"""Text as the input of encoders: the accepted forms, and the errors of others."""

import importlib.util
import types

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import backend
from tests import small_models
from tests.small_models import IS_TENSORFLOW

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="strings need TensorFlow"
)
needs_tensorflow_backend = pytest.mark.skipif(not IS_TENSORFLOW, reason="strings in a graph")

SENTENCE = "A lovely film"
SPACES = {"space": " ", "tab": "\t", "lf": "\n", "vt": "\v", "ff": "\f", "cr": "\r"}


def static(**options):
    return elmo_keras.StaticEmbedding(["a", "b", ". . .", "New York"], 3, **options)


LAYERS = {"elmo": small_models.elmo, "static": static}


@pytest.fixture(params=list(LAYERS), scope="module")
def make(request):
    return LAYERS[request.param]


def entries(layer):
    """All methods that accept text, by name."""
    ways = {"call": layer, "to_ids": layer.to_ids}
    if hasattr(layer, "embed"):
        ways["embed"] = lambda data: list(layer.embed(data))
    return ways


@pytest.mark.parametrize("space", SPACES)
def test_tokens_with_white_space_are_refused_everywhere(make, space):
    token = f"A{SPACES[space]}b"
    for name, enter in entries(make()).items():
        with pytest.raises(ValueError, match="must not contain white space") as error:
            enter([["a", "b"], ["b", token]])
        assert "as token 1 of sentence 1" in str(error.value), name
        assert "allow_spaces=True" in str(error.value), name


def test_no_other_character_is_white_space(make):
    tokens = [f"a{character}b" for character in "\u00a0\u3000\u200b\u0085\u2028\x00\x1c"]
    assert make()([tokens]).shape[1] == 7


def test_bytes_that_are_not_utf8(make):
    with pytest.raises(ValueError, match="must not contain white space"):
        make()([["a", b"\xff \xfe"]])


def test_tokens_may_hold_spaces_where_that_is_asked_for(make):
    layer = make(allow_spaces=True)
    tokens = [["New York", "a"], ["b"]]
    y = small_models.to_numpy(layer(tokens))
    again = type(layer).from_config(layer.get_config())
    assert again.allow_spaces
    assert y.shape[:2] == (2, 2)
    with pytest.raises(ValueError, match="`allow_spaces` must be a bool"):
        make(allow_spaces="yes")


def test_a_token_with_a_space_is_one_token():
    elmo = small_models.elmo(allow_spaces=True)
    ids = small_models.to_numpy(keras.ops.convert_to_tensor(elmo.to_ids([["a b"]]).numpy()))
    row = [259, *(byte + 1 for byte in b"a b"), 260]
    assert ids[0, 0].tolist() == row + [261] * (50 - len(row))
    np.testing.assert_array_equal(
        small_models.to_numpy(elmo([["a b"]])), small_models.to_numpy(elmo(ids))
    )
    (vectors,) = elmo.embed([["a b"]])
    np.testing.assert_allclose(vectors, small_models.to_numpy(elmo(ids))[0], atol=1e-6)


def test_words_of_a_vocabulary_may_hold_spaces():
    layer = static()
    layer.build((None, None))
    layer.embedding.embeddings.assign(np.arange(12).reshape(4, 3))
    actual = small_models.to_numpy(layer([[". . .", "New York", "a"]]))
    assert actual[0].tolist() == [[6, 7, 8], [9, 10, 11], [0, 1, 2]]
    with pytest.raises(ValueError, match="Received: 'New York City' as token 1 of sentence 0"):
        layer([["a", "New York City"]])


def test_tables_are_refused_everywhere(make):
    layer = make()
    tables = [
        {"text": [SENTENCE], "label": ["good"]},
        types.SimpleNamespace(columns=["text", "label"], shape=(1, 2), dtype="object"),
    ]
    for table in tables:
        for enter in entries(layer).values():
            with pytest.raises(ValueError, match="the columns 'text', 'label'. Pass one column"):
                enter(table)


def test_missing_texts_are_named_everywhere(make):
    layer = make()
    for enter in entries(layer).values():
        with pytest.raises(ValueError, match="a missing text, as sentence 1"):
            enter([SENTENCE, None, SENTENCE])


def test_columns_are_texts_everywhere(make):
    import pandas as pd

    layer = make()
    expected = small_models.to_numpy(layer([SENTENCE, "b"]))
    for column in (
        pd.Series([SENTENCE, "b"], index=[7, 3]),
        np.array([SENTENCE, "b"], dtype=np.dtypes.StringDType()),
    ):
        np.testing.assert_array_equal(small_models.to_numpy(layer(column)), expected)
        if hasattr(layer, "embed"):
            for vectors, row in zip(layer.embed(column), expected):
                np.testing.assert_allclose(vectors, row[: len(vectors)], atol=1e-6)


@needs_tensorflow_backend
def test_graphs_refuse_white_space(make):
    import tensorflow as tf

    layer = make()
    tokens = tf.constant([["a", SENTENCE]])
    layer(tf.constant([["a", "b"]]))
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None), "string")])
    graph(tf.constant([["a", "b"]]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="must not contain white space"):
        graph(tokens)
    dataset = tf.data.Dataset.from_tensors(tokens).map(layer.to_ids)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must not contain white space"):
        list(dataset)
    inputs = keras.Input((None,), dtype="string")
    model = keras.Model(inputs, layer(inputs))
    with pytest.raises(tf.errors.InvalidArgumentError, match="must not contain white space"):
        model.predict(tokens, verbose=0)


@needs_tensorflow_backend
def test_an_input_of_shape_1_is_refused(make):
    """TF-Hub's and TextVectorization's tutorials use it; here a sentence would be one token."""
    with pytest.raises(ValueError, match=r"shape \(None, 1\).*Use shape \(\) for sentences"):
        make()(keras.Input((1,), dtype="string"))
    assert make()(keras.Input((2,), dtype="string")).shape[1] == 2
    assert make(allow_spaces=True)(keras.Input((1,), dtype="string")).shape[1] == 1


@needs_tensorflow_backend
def test_a_string_model_under_a_strategy_is_told_what_to_do(make, monkeypatch):
    layer = make()
    monkeypatch.setattr(backend, "number_of_replicas", lambda: 2)
    with pytest.raises(ValueError, match="under a tf.distribute strategy cannot start at strings"):
        layer(keras.Input((), dtype="string"))
    layer([SENTENCE])  # An eager call is allowed.


@needs_tensorflow_backend
def test_a_model_under_a_strategy_starts_at_ids():
    """The advice in the error message works."""
    import tensorflow as tf

    devices = ["/cpu:0"]
    strategy = tf.distribute.MirroredStrategy(devices)
    with strategy.scope():
        elmo = small_models.elmo()
        ids = keras.Input((None, 50), dtype="int32")
        x = elmo_keras.layers.MaskedMeanPooling()(elmo(ids))
        model = keras.Model(ids, keras.layers.Dense(1)(x))
        model.compile("sgd", "mse")
    data = tf.data.Dataset.from_tensor_slices(([SENTENCE, "b"], [0.0, 1.0])).batch(2)
    model.fit(data.map(lambda x, y: (elmo.to_ids(x), y)), shuffle=False, verbose=0)


@needs_tensorflow_backend
def test_a_plain_keras_model_is_fed_as_documented(tmp_path):
    import pandas as pd

    texts, y = ["A cat sat.", "Yes", ""], np.zeros((3, 1))
    sentences, tokens = keras.Input((), dtype="string"), keras.Input((None,), dtype="string")
    rows = [["A", "cat", "sat", "."], ["Yes"], []]
    elmo = small_models.elmo()
    pooled = [elmo_keras.layers.MaskedMeanPooling()(elmo(x)) for x in (sentences, tokens)]
    first, second = (keras.Model(x, y) for x, y in zip((sentences, tokens), pooled))
    expected = first.predict(elmo_keras.text.to_tensor(texts), verbose=0)
    for x in (tuple(texts), np.array(texts), pd.Series(texts)):
        actual = first.predict(elmo_keras.text.to_tensor(x), verbose=0)
        np.testing.assert_array_equal(actual, expected)
    actual = second.predict(elmo_keras.text.pad(rows), verbose=0)
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    head = keras.layers.Dense(1)
    model = keras.Model(sentences, head(pooled[0]))
    model.compile("sgd", "mse")
    model.fit(elmo_keras.text.to_tensor(texts), y, verbose=0)


def test_ragged_tensors_and_generators(make):
    import tensorflow as tf

    layer = make()
    rows = [["a", "b"], ["b"]]
    ragged = tf.ragged.constant(rows)
    assert layer.to_ids(rows).shape[:2] == (2, 2)
    if hasattr(layer, "embed"):
        assert [len(y) for y in layer.embed(ragged)] == [2, 1]
    with pytest.raises(ValueError, match="Received: generator"):
        layer.to_ids(row for row in rows)


def test_encode_is_not_the_encode_of_sentence_transformers():
    elmo = small_models.elmo()
    import pandas as pd
    import tensorflow as tf

    texts = [SENTENCE]
    for data in (texts, SENTENCE, np.array(texts), pd.Series(texts), tf.constant(texts), 7):
        with pytest.raises(ValueError, match=r"For the vectors of sentences .*embed\(sentences\)"):
            elmo.encode(data)


def test_parts_of_an_elmo_layer():
    with pytest.raises(ValueError, match=r"ElmoLayer.from_preset\('elmo_mini_en'\)"):
        elmo_keras.ElmoLayer("elmo_mini_en")
    with pytest.raises(ValueError, match="`token_encoder` must be a TokenEncoder.*type Dense"):
        elmo_keras.ElmoLayer(keras.layers.Dense(3))
    with pytest.raises(ValueError, match="`bilstm` must be a BiLSTMStack.*type int"):
        elmo_keras.ElmoLayer(small_models.char_cnn(), 7)


def test_the_policy_of_a_built_layer_is_fixed():
    elmo = small_models.elmo()
    elmo.dtype_policy = "bfloat16"  # before it is built, the parts follow
    assert elmo.token_encoder.compute_dtype == elmo.bilstm.compute_dtype == "bfloat16"
    y = elmo(small_models.ids())
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    assert {weight.dtype for weight in elmo.weights} == {"bfloat16"}
    elmo.dtype_policy = "bfloat16"  # no change
    with pytest.raises(ValueError, match="must be set before it is built.*dtype='float32'"):
        elmo.dtype_policy = "float32"
    with pytest.raises(ValueError, match="must be set before it is built"):
        elmo.bilstm.dtype_policy = "float32"
