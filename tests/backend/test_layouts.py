"""Sequence layouts, against plain numpy."""

import keras
import numpy as np
import pytest

from elmo_keras import backend
from elmo_keras.backend.layouts import PaddedLayout
from tests.small_models import IS_TENSORFLOW, to_numpy

TIME, DIM = 4, 2
MASKS = {
    "none": None,
    "padded": np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]], bool),
    "holes": np.array([[0, 1, 0, 1], [1, 1, 1, 0], [0, 0, 0, 1]], bool),
    "nothing": np.zeros((3, TIME), bool),
}
only_tensorflow = pytest.mark.skipif(not IS_TENSORFLOW, reason="layouts of TensorFlow")


def values():
    return 1 + np.arange(3.0 * TIME * DIM, dtype="float32").reshape(3, TIME, DIM)


def tensor_or_none(mask):
    return None if mask is None else keras.ops.convert_to_tensor(mask)


def layout_of(mask, x):
    return backend.sequence_layout(x, tensor_or_none(mask))


@pytest.mark.parametrize("mask", MASKS)
def test_unpack_inverts_pack_and_zeroes_masked_steps(mask):
    x = keras.ops.convert_to_tensor(values())
    layout = layout_of(MASKS[mask], x)
    is_real = np.ones((3, TIME), bool) if MASKS[mask] is None else MASKS[mask]
    actual = to_numpy(layout.unpack(layout.pack(x)))
    np.testing.assert_array_equal(actual, np.where(is_real[..., None], values(), 0))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("mask", ["none", "padded"])
def test_the_dtype_does_not_change(mask, dtype):
    x = keras.ops.cast(values(), dtype)
    layout = layout_of(MASKS[mask], x)
    packed = layout.pack(x)
    for y in (packed, layout.unpack(packed)):
        assert keras.backend.standardize_dtype(y.dtype) == dtype


@pytest.mark.parametrize("mask", MASKS)
def test_padded_layout_is_time_major(mask):
    x = keras.ops.convert_to_tensor(values())
    layout = PaddedLayout(x, tensor_or_none(MASKS[mask]))
    packed = layout.pack(x)
    np.testing.assert_array_equal(to_numpy(packed), values().transpose(1, 0, 2))
    is_real = np.ones((3, TIME), bool) if MASKS[mask] is None else MASKS[mask]
    np.testing.assert_array_equal(to_numpy(layout.mask), is_real.T[..., None])
    actual = to_numpy(layout.unpack(packed))
    np.testing.assert_array_equal(actual, np.where(is_real[..., None], values(), 0))


def steps_by_hand(mask):
    """The real steps `(row, time)` at each time step of the loop, longest rows first."""
    places = [np.flatnonzero(row) for row in mask]
    order = sorted(range(len(mask)), key=lambda row: -len(places[row]))
    for step in range(max(map(len, places))):
        yield [(row, places[row][step]) for row in order if len(places[row]) > step]


@only_tensorflow
@pytest.mark.parametrize("mask", ["padded", "holes"])
def test_packed_layout_has_the_real_steps_alone(mask):
    x = keras.ops.convert_to_tensor(values())
    layout = layout_of(MASKS[mask], x)
    packed = layout.pack(x)
    steps = list(steps_by_hand(MASKS[mask]))
    expected = [values()[place] for step in steps for place in step]
    np.testing.assert_array_equal(to_numpy(packed), expected)
    for number, step in enumerate(steps):
        expected = [values()[place] for place in step]
        np.testing.assert_array_equal(to_numpy(layout.at(packed, number)), expected)


@only_tensorflow
@pytest.mark.parametrize("mask", MASKS)
def test_states_keep_their_rows(mask):
    x = keras.ops.convert_to_tensor(values())
    layout = layout_of(MASKS[mask], x)
    state = keras.ops.convert_to_tensor(np.arange(6.0, dtype="float32").reshape(3, 2))
    actual = layout.unpack_state(layout.pack_state(state))
    np.testing.assert_array_equal(to_numpy(actual), to_numpy(state))


@only_tensorflow
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("mask", ["none", "padded", "holes"])
def test_loop_visits_every_step_once(mask, backward):
    """A running sum over the time steps: of the state, and of the packed values before them."""
    x = keras.ops.convert_to_tensor(values())
    layout = layout_of(MASKS[mask], x)
    packed = layout.pack(x)

    def body(step, total, sums):
        new = layout.running(total, step) + layout.at(packed, step)
        return layout.renew(total, new, step), layout.write(sums, step, (new,))

    zeros = layout.pack_state(keras.ops.zeros((3, DIM)))
    total, (sums,) = layout.loop(backward, body, zeros, layout.arrays(DIM, dtype="float32"))
    is_real = np.ones((3, TIME), bool) if MASKS[mask] is None else MASKS[mask]
    real = np.where(is_real[..., None], values(), 0)
    np.testing.assert_allclose(to_numpy(layout.unpack_state(total)), real.sum(axis=1))
    expected = real[:, ::-1].cumsum(axis=1)[:, ::-1] if backward else real.cumsum(axis=1)
    actual = to_numpy(layout.unpack(layout.join(sums)))
    np.testing.assert_allclose(actual, np.where(is_real[..., None], expected, 0))
