import numpy as np
import pytest

from elmo_keras.layers.lstm_states import LSTMStates
from tests.small_models import to_numpy


def make(mode):
    states = LSTMStates(mode, num_layers=2, output_dim=3, units=4, max_rows=5)
    states.build()
    return states


def random_states(rows):
    rng = np.random.default_rng(rows)
    return [rng.standard_normal((2, 2, rows, size)).astype("float32") for size in (3, 4)]


def check_equal(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(to_numpy(one), other)


def test_zeros_have_no_variables():
    states = make("zeros")
    assert states.load(2) is None and states.weights == []
    states.store(random_states(2), 2)
    states.reset()


def test_every_row_starts_from_the_warm_state():
    states = make("warm")
    warm = random_states(1)
    states.set_warm_state(warm)
    states.store(random_states(2), 2)
    check_equal(states.load(3), [np.repeat(state, 3, axis=2) for state in warm])


def test_rows_beyond_a_smaller_batch_keep_their_carried_states():
    states = make("carry")
    check_equal(states.load(3), [np.zeros((2, 2, 3, size), "float32") for size in (3, 4)])
    first, second = random_states(3), random_states(2)
    states.store(first, 3)
    check_equal(states.load(3), first)
    states.store(second, 2)
    check_equal(
        states.load(3),
        [np.concatenate([new, old[:, :, 2:]], axis=2) for new, old in zip(second, first)],
    )
    states.reset()
    assert not any(to_numpy(state).any() for state in states.load(5))


def test_too_many_rows():
    with pytest.raises(ValueError, match="max_rows=5 rows"):
        make("carry").load(6)


@pytest.mark.parametrize("mode", ["zeros", "warm", "carry"])
def test_config(mode):
    states = make(mode)
    rebuilt = LSTMStates.from_config(states.get_config())
    rebuilt.build()
    assert rebuilt.get_config() == states.get_config()
    assert [weight.shape for weight in rebuilt.weights] == list(states.shapes.values())
