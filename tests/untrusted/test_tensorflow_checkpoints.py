"""TensorFlow checkpoints that hold more than plain variables."""

import numpy as np
import pytest

from tests.untrusted.models import TENSORFLOW, read_arrays, write_arrays

pytestmark = pytest.mark.slow


def number_of_digits(arrays, name, folder):
    cell = f"RNN_0/rnn/multi_rnn_cell/cell_{'9' * 5000}/lstm_cell/kernel"
    arrays[name.replace("char_embed", cell)] = np.ones(3, "float32")


def sliced(shape, size):
    """Returns a change that stores only the first values of a variable with the given shape."""

    def change(arrays, name, folder):
        rows, columns = shape
        arrays[name] = np.zeros((size, columns if columns < 100 else size), "float32")
        return {name: f"{rows} {columns} 0,{size}:0,{arrays[name].shape[1]}"}

    return change


def variable(name, make):
    """Returns a change that adds a variable with another name, or replaces one."""

    def change(arrays, own, folder):
        import tensorflow as tf

        arrays[own.replace("char_embed", name)] = make(tf, arrays[own])

    return change


VARIABLES = {
    "slice of an absurd shape": sliced((10**6, 10**6), 1),
    "slice of the right shape": sliced((261, 4), 1),
    "number of many digits": number_of_digits,
    "large number": variable("CNN/W_cnn_999999999", lambda tf, x: x),
    "many highways": variable("CNN_high_999999999/W_carry", lambda tf, x: x),
    "many layers": variable(
        "RNN_0/RNN/MultiRNNCell/Cell999999999/rnn/lstm_cell/kernel", lambda tf, x: x
    ),
    "objects": variable("x/.ATTRIBUTES/VARIABLE_VALUE", lambda tf, x: x),
    "8 bits": variable("char_embed", lambda tf, x: tf.cast(x, "qint8")),
    "bfloat16": variable("char_embed", lambda tf, x: tf.cast(x, "bfloat16")),
    "many rows of nothing": variable("char_embed", lambda tf, x: tf.zeros((10**9, 0))),
    "many columns of nothing": variable("char_embed", lambda tf, x: tf.zeros((0, 10**9))),
}


@pytest.mark.parametrize("format", TENSORFLOW)
@pytest.mark.parametrize("what", VARIABLES)
def test_hostile_variables(model, format, what):
    target = model(format)
    arrays = read_arrays(target.weights)
    name = next(name for name in arrays if name.endswith("char_embed"))
    slices = VARIABLES[what](arrays, name, target.directory)
    write_arrays(target.weights, arrays, slices)
    target.assert_refused(target.named)


@pytest.mark.parametrize("format", TENSORFLOW)
def test_an_index_and_the_data_of_another_checkpoint(model, format):
    target = model(format)
    index = target.weights.with_name(f"{target.weights.name}.index").read_bytes()
    write_arrays(target.weights, {key: x + 1 for key, x in read_arrays(target.weights).items()})
    target.weights.with_name(f"{target.weights.name}.index").write_bytes(index)
    target.assert_refused(target.named, "damaged or cut short")
