"""TensorFlow's side of the kernels."""

import tensorflow as tf


def require(condition, message):
    """Raises `ValueError(message)` eagerly, asserts with the same message in a graph."""
    if tf.executing_eagerly():
        if not bool(condition):
            raise ValueError(message)
    else:
        tf.debugging.Assert(condition, [message])


def in_distribution_strategy():
    """Whether a `tf.distribute` strategy is in scope."""
    return tf.distribute.has_strategy()


def adopt(array):
    """A tensor of an array that nobody else writes to, without a copy if it is aligned."""
    if array.ctypes.data % 64 or not array.flags.c_contiguous or not array.flags.writeable:
        return tf.convert_to_tensor(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
