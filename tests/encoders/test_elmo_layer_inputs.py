"""ElmoLayer: text, tokens and ids as inputs, and the inputs that it refuses."""

import keras
import numpy as np
import pytest

import elmo_keras
from tests import small_models
from tests.numpy_reference import bilm
from tests.small_models import IS_TENSORFLOW, to_numpy

needs_strings = pytest.mark.skipif(not IS_TENSORFLOW, reason="strings are TensorFlow's")


@needs_strings
def test_text_tokens_and_ids_are_the_same():
    elmo = small_models.elmo()
    tokens = [["The", "cat", "."], ["naïve"]]
    by_tokens = to_numpy(elmo(tokens))
    np.testing.assert_array_equal(to_numpy(elmo(["The cat.", "naïve"])), by_tokens)
    np.testing.assert_array_equal(to_numpy(elmo(np.array(["The cat.", "naïve"]))), by_tokens)
    ids = elmo_keras.text.CharacterIds()(tokens)
    np.testing.assert_array_equal(to_numpy(elmo(ids)), by_tokens)
    np.testing.assert_array_equal(to_numpy(elmo(ids.numpy().tolist())), by_tokens)


ODD_TOKENS = [
    "x",
    "",
    "x" * 10_000,
    "é" * 24 + "é",
    "🙂",
    "<S>",
    "</S>",
    "\x00",
    "a\x00b",
    "\udc80",
]


@needs_strings
@pytest.mark.parametrize("token", ODD_TOKENS, ids=lambda token: ascii(token[:8]))
def test_odd_tokens_have_the_vectors_of_the_numpy_reference(token, tmp_path):
    """A lone surrogate is read as U+FFFD."""
    opts = small_models.options()
    arrays = small_models.datasets(opts)
    small_models.write_checkpoint(tmp_path, opts, arrays)
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path, output="all", keep_boundaries=True)
    tokens = [token] if token else []
    expected = bilm([token.replace("\udc80", "\ufffd") for token in tokens], opts, arrays)
    actual = np.moveaxis(to_numpy(elmo([tokens, ["a", "b"]]))[0, : len(expected[0])], 1, 0)
    np.testing.assert_allclose(actual, expected, atol=5e-6)


@needs_strings
def test_jit_stops_at_strings_alone():
    inputs = keras.Input((None, 50), dtype="int32")
    elmo = small_models.elmo()
    model = keras.Model(inputs, elmo(inputs))
    assert all(layer.supports_jit for layer in model._flatten_layers())
    model.compile("sgd", "mse", jit_compile=True)
    model.fit(small_models.ids(), np.ones((4, 5, 12), "float32"), verbose=0)
    elmo = small_models.elmo()
    elmo(["a"])
    assert not elmo.supports_jit


IDS = small_models.ids((2, 1))
HOLE = small_models.ids((3, 2))
HOLE[0, 1] = 0
LEFT = np.concatenate([np.zeros_like(IDS[:, :1]), IDS], axis=1)


@pytest.mark.parametrize(
    "inputs, message",
    [
        ("a bare str", "bare str"),
        (7, "Received: int"),
        ([["a"], "b"], "or token lists, not both"),
        ([["a", "", "b"]], "Padding must stand at the right"),
        ([["", "b"]], "Padding must stand at the right"),
        ([1.5, 2.5], "dtype=float"),
        (IDS.astype("float32"), "dtype=float32"),
        (IDS[..., :40], "shape=\\(2, 2, 40\\)"),
        (IDS[0], "shape=\\(2, 50\\)"),
        (IDS + 200, "in \\[0, 262\\)"),
        (-IDS, "in \\[0, 262\\)"),
        (HOLE, "move it to the right"),
        (LEFT, "move it to the right"),
    ],
    ids=[
        "str",
        "int",
        "tokens and a sentence",
        "a hole in tokens",
        "tokens at the right",
        "floats",
        "float ids",
        "short ids",
        "one sentence",
        "large ids",
        "negative ids",
        "a hole in ids",
        "ids at the right",
    ],
)
def test_bad_input_is_an_error_that_helps(inputs, message):
    with pytest.raises(ValueError, match=message):
        small_models.elmo()(inputs)


@needs_strings
@pytest.mark.parametrize(
    "kind, inputs, message",
    [
        ("ids", LEFT, "move it to the right"),
        ("ids", HOLE, "move it to the right"),
        ("ids", IDS + 200, "in \\[0, 262\\)"),
        ("tokens", [["", "a"]], "move it to the right"),
        ("tokens", [["a", "", "b"]], "move it to the right"),
    ],
    ids=[
        "ids at the right",
        "a hole in ids",
        "large ids",
        "tokens at the right",
        "a hole in tokens",
    ],
)
def test_the_graph_asserts_the_same_sentence(kind, inputs, message):
    import tensorflow as tf

    shape, dtype = ((None, 50), "int32") if kind == "ids" else ((None,), "string")
    x = keras.Input(shape, dtype=dtype)
    model = keras.Model(x, small_models.elmo()(x))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        model.predict(tf.constant(inputs), verbose=0)


@pytest.mark.parametrize(
    "shape, dtype", [((50,), "int32"), ((None, 40), "int32"), ((None, 50), "float32")]
)
def test_symbolic_input_is_checked(shape, dtype):
    with pytest.raises(ValueError, match="keras.Input"):
        small_models.elmo()(keras.Input(shape, dtype=dtype))
