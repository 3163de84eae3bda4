import keras
import numpy as np
import pytest

from elmo_keras import layers
from tests.check_layer import check_layer
from tests.small_models import to_numpy

LAYER_NORMS = [False, True, "bilm-tf", "allennlp"]


@pytest.mark.parametrize("layer_norm", LAYER_NORMS)
def test_keras_contract(tmp_path, layer_norm):
    rng = np.random.default_rng(0)
    x = [rng.standard_normal((2, 3, 5)).astype("float32") for _ in range(3)]
    check_layer(lambda **k: layers.ScalarMix(layer_norm, **k), x, tmp_path, weights=2)


@pytest.mark.parametrize("layer_norm", LAYER_NORMS)
def test_values(layer_norm):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 2, 4, 5)).astype("float32")  # (layers, batch, time, dim)
    mask = np.array([[True, True, True, False], [True, False, False, False]])
    mix = layers.ScalarMix(layer_norm)
    mix(list(x), mask=mask)
    scalars, gamma = rng.standard_normal(3).astype("float32"), np.float32(1.7)
    mix.set_weights([scalars, gamma])
    normalized = x.astype("float64")
    if layer_norm is True:
        normalized = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
    elif layer_norm:
        kept = x[:, mask]  # (layers, tokens, dim)
        mean, std = kept.mean((1, 2)), kept.std((1, 2))
        normalized = (x - mean[:, None, None, None]) / std[:, None, None, None]
    weights = np.exp(scalars) / np.exp(scalars).sum()
    expected = gamma * np.einsum("l,lbtd->btd", weights, normalized)
    actual = mix(list(x), mask=mask)
    np.testing.assert_allclose(to_numpy(actual)[mask], expected[mask], atol=1e-5)
    stacked = mix(np.moveaxis(x, 0, 2), mask=mask)
    np.testing.assert_allclose(to_numpy(stacked)[mask], expected[mask], atol=1e-5)
    np.testing.assert_allclose(mix.layer_weights[0], weights, atol=1e-6)
    assert mix.layer_weights[1] == pytest.approx(1.7)


def test_the_regularizer_is_on_the_scalars_alone():
    mix = layers.ScalarMix(regularizer=keras.regularizers.L2(0.5))
    mix([np.ones((1, 2, 3), "float32")] * 2)
    mix.set_weights([np.array([1.0, 2.0], "float32"), np.float32(7.0)])
    assert [float(to_numpy(loss)) for loss in mix.losses] == [pytest.approx(2.5)]
