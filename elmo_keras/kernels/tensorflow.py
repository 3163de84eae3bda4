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
