import keras
import numpy as np

from elmo_keras import layers
from tests.check_layer import check_layer
from tests.small_models import to_numpy


def test_keras_contract_of_fill_padding(tmp_path):
    x = np.random.default_rng(0).standard_normal((2, 3, 5)).astype("float32")
    check_layer(layers.FillPadding, x, tmp_path, weights=0)


def test_fill_padding_replaces_nan():
    x = np.full((1, 3, 2), np.nan, "float32")
    x[0, 0] = 1
    actual = to_numpy(layers.FillPadding(0.5)(x, mask=np.array([[True, False, False]])))
    assert actual.tolist() == [[[1, 1], [0.5, 0.5], [0.5, 0.5]]]


def test_mask_of():
    ids = np.array([[3, 4], [2, 0]])
    vectors = keras.layers.Embedding(5, 2, mask_zero=True)(ids)
    np.testing.assert_array_equal(to_numpy(layers.MaskOf()(vectors)), ids != 0)


def test_without_a_mask_every_step_is_a_token():
    mask = to_numpy(layers.MaskOf()(np.zeros((2, 3, 1), "float32")))
    assert mask.dtype == bool and mask.shape == (2, 3) and mask.all()
