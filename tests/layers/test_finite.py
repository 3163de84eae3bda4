import keras
import numpy as np
import pytest

from elmo_keras.layers.finite import check_finite


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
