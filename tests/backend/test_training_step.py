"""The training step of each backend, against numpy."""

import keras
import numpy as np
import pytest
from keras import ops

from elmo_keras import backend
from tests.small_models import to_numpy

WORDS, DIM = 9, 3
SHAPES = (WORDS, DIM), (DIM,)
RATE, BEGIN = 0.2, 1.0


def weights():
    """A matrix that the loss gathers rows of, and a vector that it uses whole."""
    rng = np.random.default_rng(0)
    return [keras.Variable(rng.normal(size=shape), dtype="float32") for shape in SHAPES]


def batches():
    """Indices of rows, many of them repeated, and a factor for each."""
    rng = np.random.default_rng(1)
    for size in (7, 4, 7):
        yield rng.integers(0, 4, size).astype("int32"), rng.normal(size=(size, DIM)).astype("f")


def loss(matrix, vector):
    def of_batch(batch, states):
        rows, factors = map(ops.convert_to_tensor, batch)
        # Two gathers from one matrix, like those of the softmax for negatives and targets.
        read = backend.take_rows(matrix, rows) + 0.5 * backend.take_rows(matrix, ops.flip(rows))
        value = ops.sum(factors * (read + vector))
        return value, ops.stack([value, value]), states

    return of_batch


def gradients(rows, factors):
    matrix = np.zeros((WORDS, DIM))
    np.add.at(matrix, rows, factors)
    np.add.at(matrix, rows[::-1], 0.5 * factors)
    return [matrix, factors.sum(axis=0)]


def adagrad(values, sums, all_gradients):
    for value, total, gradient in zip(values, sums, all_gradients):
        total += gradient**2
        value -= RATE * gradient / np.sqrt(total + 1e-7)


def adam(values, moments, all_gradients, step):
    for value, (first, second), gradient in zip(values, moments, all_gradients):
        first += 0.1 * (gradient - first)
        second += 0.001 * (gradient**2 - second)
        corrected = RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        value -= corrected * first / (np.sqrt(second) + 1e-7)


@pytest.mark.parametrize("max_norm", [1.5, 100.0])
@pytest.mark.parametrize("name", ["adagrad", "adam"])
def test_steps_equal_those_of_numpy(name, max_norm):
    variables = weights()
    values = [to_numpy(variable).astype("float64") for variable in variables]
    before = values[0].copy()
    if name == "adagrad":
        optimizer = backend.Adagrad(RATE, initial_accumulator_value=BEGIN)
        slots = [np.full(value.shape, BEGIN) for value in values]
    else:
        optimizer = backend.Adam(RATE)
        slots = [np.zeros((2, *value.shape)) for value in values]
    step = backend.training_step(loss(*variables), variables, optimizer, max_norm)
    states = [ops.convert_to_tensor(np.zeros(1, "float32"))]
    for number, (rows, factors) in enumerate(batches(), 1):
        expected = gradients(rows, factors)
        expected_norm = np.sqrt(sum((gradient**2).sum() for gradient in expected))
        clipped = [gradient * min(1, max_norm / expected_norm) for gradient in expected]
        if name == "adagrad":
            adagrad(values, slots, clipped)
        else:
            adam(values, slots, clipped, number)
        _, norm, states = step((rows, factors), states)
        np.testing.assert_allclose(float(to_numpy(norm)), expected_norm, rtol=1e-5)
        for variable, value in zip(variables, values):
            np.testing.assert_allclose(to_numpy(variable), value, rtol=1e-4, atol=1e-6)
    # Rows that no batch used are unchanged.
    np.testing.assert_array_equal(to_numpy(variables[0])[4:], before[4:].astype("float32"))
    assert np.abs(values[0][:4] - before[:4]).min() > 0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_take_rows(dtype):
    variable = keras.Variable(np.arange(12.0).reshape(4, 3), dtype=dtype)
    rows = ops.convert_to_tensor(np.array([[3, 0], [3, 1]], "int32"))
    actual = ops.cast(backend.take_rows(variable, rows), "float32")
    np.testing.assert_array_equal(to_numpy(actual), np.arange(12.0).reshape(4, 3)[[[3, 0], [3, 1]]])
