"""Gradients of Keras variables on every backend."""

import keras

from tests.small_models import to_numpy


def gradients(loss, variables):
    """The gradients of `loss()`, a scalar, at Keras variables, as numpy arrays."""
    backend = keras.backend.backend()
    values = [variable.value for variable in variables]
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(values)
            value = loss()
        result = tape.gradient(value, values)
    elif backend == "jax":
        import jax

        def stateless(values):
            with keras.StatelessScope(state_mapping=list(zip(variables, values))):
                return loss()

        result = jax.grad(stateless)(values)
    else:
        for value in values:
            value.grad = None
        loss().backward()
        result = [value.grad for value in values]
    return [to_numpy(keras.ops.convert_to_tensor(gradient)) for gradient in result]
