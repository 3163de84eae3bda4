"""MaskedMeanPooling and MaskedMaxPooling, which differ in one operation."""

import keras
import numpy as np
import pytest

from elmo_keras import layers
from tests.check_layer import check_layer
from tests.small_models import to_numpy


@pytest.mark.parametrize("cls", [layers.MaskedMeanPooling, layers.MaskedMaxPooling])
@pytest.mark.parametrize("extra", [(), (3,)])
def test_keras_contract(tmp_path, cls, extra):
    x = np.random.default_rng(0).standard_normal((2, 3, *extra, 5)).astype("float32")
    check_layer(cls, x, tmp_path, weights=0)


@pytest.mark.parametrize("extra", [(), (3,)])
def test_values(extra):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4, *extra, 5)).astype("float32") - 5  # all negative
    lengths = [4, 2, 0]
    mask = np.arange(4) < np.array(lengths)[:, None]
    mean = to_numpy(layers.MaskedMeanPooling()(x, mask=mask))
    maximum = to_numpy(layers.MaskedMaxPooling()(x, mask=mask))
    for row, length in enumerate(lengths):
        if length:
            np.testing.assert_allclose(mean[row], x[row, :length].mean(0), rtol=1e-5)
            np.testing.assert_array_equal(maximum[row], x[row, :length].max(0))
        else:
            assert not mean[row].any()
            assert not maximum[row].any()
    np.testing.assert_allclose(to_numpy(layers.MaskedMeanPooling()(x)), x.mean(1), rtol=1e-5)
    np.testing.assert_array_equal(to_numpy(layers.MaskedMaxPooling()(x)), x.max(1))


@pytest.mark.parametrize("pooling", [layers.MaskedMeanPooling, layers.MaskedMaxPooling])
def test_gradients_are_finite(pooling):
    model = keras.Sequential([keras.layers.Dense(3), pooling(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((2, 4, 3), "float32")
    model.fit(x, np.ones((2, 1), "float32"), verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.parametrize("pooling", [layers.MaskedMeanPooling, layers.MaskedMaxPooling])
@pytest.mark.parametrize("mask", [None, np.array([[True, True, False]])])
def test_nan_does_not_disappear(pooling, mask):
    x = np.array([[[1.0, 1.0], [np.nan, 2.0], [3.0, 3.0]]], "float32")
    y = to_numpy(pooling()(x, mask=mask))
    assert np.isnan(y[0, 0]) and np.isfinite(y[0, 1])
