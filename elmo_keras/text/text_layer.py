import keras

from elmo_keras.text.conversion import string_tensor
from elmo_keras.utils.optional_module import tensorflow as tf


def at_least_one_step(tokens):
    """A matrix of tokens, with a step of padding if it has none: of empty sentences alone."""
    missing = tf.maximum(1 - tf.shape(tokens)[1], 0)
    return tf.pad(tokens, [[0, 0], [0, missing]], constant_values="")


class TextLayer(keras.layers.Layer):
    """Base of the layers that read strings: Python lists in, TensorFlow ops inside.

    They run inside a TensorFlow model and, on any backend, inside `tf.data`. XLA cannot compile
    strings, so `supports_jit` turns False with the first call; a text layer that no string has
    reached yet leaves the model around it free to be compiled.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # As in Keras' own string layers: inputs are TensorFlow's on every backend.
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.built = True  # It has no weights; a layer not built makes Keras rebuild its model.

    def __call__(self, inputs, **kwargs):
        self.supports_jit = False
        return super().__call__(string_tensor(inputs), **kwargs)

    def check_text(self, inputs, rank, form):
        """Raises a ValueError unless `inputs` is a string tensor of that rank."""
        dtype = getattr(inputs.dtype, "name", inputs.dtype)
        if dtype != "string" or len(inputs.shape) != rank:
            raise ValueError(
                f"{type(self).__name__} needs {form}. "
                f"Received: dtype={dtype}, shape={tuple(inputs.shape)}."
            )
