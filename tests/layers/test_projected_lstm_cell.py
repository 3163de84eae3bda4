import keras
import numpy as np
import pytest

from elmo_keras import layers
from tests.layers.equations import lstm_step, weights_of
from tests.small_models import to_numpy


def test_in_a_keras_rnn():
    x = np.random.default_rng(0).standard_normal((2, 3, 5)).astype("float32")
    make = lambda **k: keras.layers.RNN(  # noqa: E731
        layers.ProjectedLSTMCell(8, 4, cell_clip=1.0, projection_clip=0.5, dtype=k.get("dtype")),
        return_sequences=True,
        **k,
    )
    layer = make()
    assert layer(x).shape == (2, 3, 4)
    assert len(layer.weights) == 4
    rebuilt = keras.layers.RNN.from_config(layer.get_config())
    assert rebuilt.cell.get_config() == layer.cell.get_config()


@pytest.mark.parametrize("projection_dim", [None, 3])
@pytest.mark.parametrize("clips", [(None, None), (0.2, 0.05)])
@pytest.mark.parametrize("forget_bias", [0.0, 1.0])
def test_values(projection_dim, clips, forget_bias):
    rng = np.random.default_rng(0)
    cell = layers.ProjectedLSTMCell(4, projection_dim, *clips, forget_bias=forget_bias, name="c")
    x = rng.standard_normal((2, 5)).astype("float32")
    h = rng.standard_normal((2, cell.output_size)).astype("float32")
    c = rng.standard_normal((2, 4)).astype("float32")
    y, (h1, c1) = cell(x, [h, c])
    expected_h, expected_c = lstm_step(x, h, c, weights_of(cell), cell)
    np.testing.assert_allclose(to_numpy(h1), expected_h, atol=1e-6)
    np.testing.assert_allclose(to_numpy(c1), expected_c, atol=1e-6)
    np.testing.assert_array_equal(to_numpy(y), to_numpy(h1))


def test_bad_units():
    with pytest.raises(ValueError, match="`units` must be"):
        layers.ProjectedLSTMCell(0)
