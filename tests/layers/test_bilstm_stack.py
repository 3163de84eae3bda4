import numpy as np
import pytest

from elmo_keras import layers
from tests import small_models
from tests.check_layer import check_layer
from tests.layers.equations import lstm_step, weights_of
from tests.small_models import to_numpy


def rng():
    return np.random.default_rng(0)


def test_keras_contract(tmp_path):
    x = rng().standard_normal((2, 3, 6)).astype("float32")
    check_layer(lambda **k: small_models.bilstm(**k), x, tmp_path, weights=16, quantized=True)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("projection_dim", [None, 3])
def test_values(num_layers, residual, projection_dim):
    """One row at a time, one step at a time, from given states, with a mask."""
    random = rng()
    stack = layers.BiLSTMStack(
        num_layers, 4, projection_dim, cell_clip=0.5, projection_clip=0.1, residual=residual
    )
    p = stack.output_dim
    x = random.standard_normal((3, 5, p)).astype("float32")
    lengths = [5, 2, 0]
    mask = np.arange(5) < np.array(lengths)[:, None]
    hidden = 0.1 * random.standard_normal((2, num_layers, 3, p)).astype("float32")
    cell = 0.1 * random.standard_normal((2, num_layers, 3, 4)).astype("float32")
    outputs, (h1, c1) = stack(x, mask=mask, initial_state=(hidden, cell))
    assert len(outputs) == num_layers
    expected_hidden, expected_cell = hidden.copy(), cell.copy()
    for row, length in enumerate(lengths):
        for direction, rnns in enumerate((stack.forward_layers, stack.backward_layers)):
            given = x[row, :length]
            for j, rnn in enumerate(rnns):
                w = weights_of(rnn.cell)
                w = {k.split("cell/")[-1]: v for k, v in w.items()}
                h, c = hidden[direction, j, row], cell[direction, j, row]
                made = np.zeros((length, p))
                order = range(length) if direction == 0 else reversed(range(length))
                for t in order:
                    h, c = lstm_step(given[t], h, c, w, rnn.cell)
                    made[t] = h
                expected_hidden[direction, j, row], expected_cell[direction, j, row] = h, c
                given = given + made if residual and j else made
                actual = to_numpy(outputs[j])[row, :, direction * p : (direction + 1) * p]
                np.testing.assert_allclose(actual[:length], given, atol=1e-6)
                assert not actual[length:].any() or residual and j
    np.testing.assert_allclose(to_numpy(h1), expected_hidden, atol=1e-6)
    np.testing.assert_allclose(to_numpy(c1), expected_cell, atol=1e-6)


def test_states_continue_a_sequence():
    """The forward LSTMs read two parts with carried states like the whole sequence."""
    stack = small_models.bilstm()
    x = rng().standard_normal((2, 6, 6)).astype("float32")
    whole, _ = stack(x)
    first, states = stack(x[:, :4])
    second, _ = stack(x[:, 4:], initial_state=states)
    forward = np.concatenate([to_numpy(first[-1]), to_numpy(second[-1])], axis=1)[..., :6]
    np.testing.assert_allclose(forward, to_numpy(whole[-1])[..., :6], atol=1e-6)


@pytest.mark.parametrize("adapted", [False, True], ids=["kernel", "cells"])
def test_two_streams_of_one_sequence_are_its_call(adapted, monkeypatch):
    """`call_streams` with a sequence and its reverse equals the call."""
    stack = small_models.bilstm(num_layers=3)
    x = rng().standard_normal((2, 7, 6)).astype("float32")
    state = [rng().standard_normal((2, 3, 2, size)).astype("float32") for size in (6, 16)]
    tops, final = stack(x, initial_state=state)
    if adapted:
        monkeypatch.setattr(type(stack), "_is_adapted", lambda self: True)
    y, read_final = stack.call_streams(np.stack([x, x[:, ::-1]]), state)
    forward, backward = np.split(to_numpy(tops[-1]), 2, axis=-1)
    y = to_numpy(y)
    np.testing.assert_allclose(y[0], forward, atol=1e-5)
    np.testing.assert_allclose(y[1], backward[:, ::-1], atol=1e-5)
    for one, other in zip(final, read_final):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), atol=1e-5)


@pytest.mark.parametrize("adapted", [False, True], ids=["kernel", "cells"])
def test_dropout_of_streams(adapted, monkeypatch):
    """The mask multiplies the input of the layer and its output."""
    stack = small_models.bilstm(num_layers=1)
    x = rng().standard_normal((2, 2, 4, 6)).astype("float32")
    stack(x[0])
    keep = rng().integers(0, 2, (2, 2, 2, 4, 6)).astype("float32")
    zeros = [np.zeros((2, 1, 2, size), "float32") for size in (6, 16)]
    if adapted:
        monkeypatch.setattr(type(stack), "_is_adapted", lambda self: True)
    y, _ = stack.call_streams(x, zeros, keep)
    plain, _ = stack.call_streams(x * keep[:, 0], zeros)
    np.testing.assert_allclose(to_numpy(y), to_numpy(plain) * keep[:, 1], atol=1e-6)


def test_bad_number_of_layers():
    with pytest.raises(ValueError, match="`num_layers` must be"):
        small_models.bilstm(num_layers=0)
