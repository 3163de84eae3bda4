"""ElmoLayer: states of the LSTMs that are carried or warm."""

import keras
import numpy as np
import pytest

import elmo_keras
from tests import small_models
from tests.check_layer import check_padding
from tests.small_models import IS_TENSORFLOW, to_numpy


def test_carried_states():
    elmo = small_models.elmo(state="carry", max_rows=4)
    x = small_models.ids((5, 3))
    first = to_numpy(elmo(x))
    second = to_numpy(elmo(x))
    assert np.abs(second - first).max() > 1e-3
    # A smaller batch reaches the first row alone; the second keeps its state.
    elmo.reset_states()
    elmo(x)
    elmo(x[:1])
    third = to_numpy(elmo(x))
    np.testing.assert_allclose(third[1], second[1], atol=1e-6)
    assert np.abs(third[0] - second[0]).max() > 1e-3
    elmo.reset_states()
    np.testing.assert_array_equal(to_numpy(elmo(x)), first)


def test_carried_states_are_saved(tmp_path):
    elmo = small_models.elmo(state="carry", max_rows=4)
    inputs = keras.Input((None, 50), dtype="int32")
    model = keras.Model(inputs, elmo(inputs))
    x = small_models.ids()
    model(x)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded(x)), to_numpy(model(x)))


def test_carried_states_are_float32_whatever_the_policy():
    cnn, bilstm = (
        small_models.char_cnn(dtype="mixed_bfloat16"),
        small_models.bilstm(dtype="mixed_bfloat16"),
    )
    elmo = elmo_keras.ElmoLayer(cnn, bilstm, state="carry", max_rows=4, dtype="mixed_bfloat16")
    elmo(small_models.ids())
    assert {w.dtype for w in elmo.lstm_states.weights} == {"float32"}


def test_more_rows_than_are_carried():
    elmo = small_models.elmo(state="carry", max_rows=2)
    with pytest.raises(ValueError, match="max_rows=2"):
        elmo(small_models.ids((1, 1, 1)))


def test_warm_state():
    zeros, warm = small_models.elmo(), small_models.elmo(state="warm")
    x = small_models.ids((4, 2, 3))
    zeros(x), warm(x)
    weights = zeros.get_weights()
    warm.set_weights(weights + [np.zeros(w.shape) for w in warm.lstm_states.weights])
    np.testing.assert_array_equal(to_numpy(warm(x)), to_numpy(zeros(x)))
    warm.warm_up(x)
    moved = to_numpy(warm(x))
    assert np.abs(moved - to_numpy(zeros(x))).max() > 1e-3
    np.testing.assert_array_equal(to_numpy(warm(x)), moved)
    check_padding(warm, [row[: row.any(-1).sum()] for row in x])

    # Carried states end there after the same sentences, one after the other.
    carry = small_models.elmo(state="carry", max_rows=1)
    carry(x[:1])
    carry.set_weights(weights + [np.zeros(w.shape) for w in carry.lstm_states.weights])
    for row in x:
        carry(row[None, : row.any(-1).sum()])
    for a, b in zip(carry.lstm_states.weights, warm.lstm_states.weights):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), atol=1e-6)


def test_warm_up_errors():
    with pytest.raises(ValueError, match="Build the layer with state='warm'"):
        small_models.elmo().warm_up(small_models.ids())
    with pytest.raises(ValueError, match="at least one sentence"):
        small_models.elmo(state="warm").warm_up(np.zeros((0, 1, 50), "int32"))


@pytest.mark.skipif(not IS_TENSORFLOW, reason="a strategy of TensorFlow")
def test_carry_is_refused_under_a_strategy():
    import tensorflow as tf

    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        with pytest.raises(ValueError, match="Use state='zeros' or 'warm'"):
            small_models.elmo(state="carry")(small_models.ids())
    built_outside = small_models.elmo(state="carry")
    built_outside(small_models.ids())
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        with pytest.raises(ValueError, match="Use state='zeros' or 'warm'"):
            built_outside(small_models.ids())
