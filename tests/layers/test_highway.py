import numpy as np

from elmo_keras import layers
from tests.check_layer import check_layer
from tests.layers.equations import weights_of
from tests.numpy_reference import sigmoid
from tests.small_models import to_numpy


def test_keras_contract(tmp_path):
    x = np.random.default_rng(0).standard_normal((2, 3, 5)).astype("float32")
    check_layer(lambda **k: layers.Highway(**k), x, tmp_path, weights=4, quantized=True)


def test_values():
    x = np.random.default_rng(0).standard_normal((4, 5)).astype("float32")
    layer = layers.Highway(name="h")
    actual = to_numpy(layer(x))
    w = weights_of(layer)
    assert np.all(w["gate/bias"] == -2)
    gate = sigmoid(x @ w["gate/kernel"] + w["gate/bias"])
    new = np.maximum(x @ w["transform/kernel"] + w["transform/bias"], 0)
    np.testing.assert_allclose(actual, gate * new + (1 - gate) * x, atol=1e-6)
