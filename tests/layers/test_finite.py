"""Outputs and weights that are not finite."""

import keras
import numpy as np
import pytest

from elmo_keras.layers.finite import check_finite, check_weights

# === Outputs ===


def make_layer(value=1.0):
    layer = keras.layers.Dense(2, name="dense", kernel_initializer="ones")
    layer.build((None, 3))
    layer.kernel.assign(value * np.ones((3, 2)))
    return layer


def test_finite_outputs_pass():
    huge = np.full(4, 3e38, "float32")  # finite, though their sum is not
    check_finite([np.ones(3, "float32"), huge, np.array([1, 2]), np.array(["a"])], make_layer())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=["nan", "inf", "-inf"])
def test_the_largest_weight_is_named(value):
    output = np.array([1.0, value], "float32")
    message = "must be finite.*from 'dense', whose largest weight is 7, in .*kernel"
    with pytest.raises(ValueError, match=message):
        check_finite([np.ones(2), output], make_layer(7.0))


def test_a_weight_that_is_not_finite_is_named():
    message = "probabilities of a model must be finite.*kernel is not finite itself"
    with pytest.raises(ValueError, match=message):
        check_finite([np.array([np.nan])], make_layer(np.nan), "probabilities")


# === Weights ===

FINITE = np.ones((2, 2), "float32")
NOT_FINITE = np.array([1, np.nan], "float32")


@pytest.mark.parametrize(
    "weight",
    [
        lambda: FINITE,
        lambda: np.full(1000, 1e38, "float32"),  # whose sum is infinite
        lambda: FINITE[:0],
        lambda: np.array(["a"]),
        lambda: keras.ops.ones(3),
        lambda: keras.ops.cast(keras.ops.ones(3), "bfloat16"),
        lambda: keras.ops.ones(3, dtype="int8"),
    ],
    ids=["array", "large", "empty", "text", "tensor", "half", "int8"],
)
def test_finite_weights(weight):
    check_weights({"weight": weight()}, "model")


@pytest.mark.parametrize(
    "weight",
    [
        lambda: NOT_FINITE,
        lambda: keras.Variable(np.array([[np.inf]], "float32")),
        lambda: keras.ops.cast(keras.ops.convert_to_tensor(NOT_FINITE), "bfloat16"),
    ],
    ids=["array", "variable", "half"],
)
def test_weights_that_are_not_finite(weight):
    with pytest.raises(ValueError, match="weights of a model must be .* in b. Load"):
        check_weights({"a": FINITE, "b": weight()}, "model")


def test_many_weights_that_are_not_finite():
    with pytest.raises(ValueError, match="0, 1, 2, 3, 4 and 2 more"):
        check_weights({str(index): NOT_FINITE for index in range(7)}, "layer")
