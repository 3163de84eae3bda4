"""Base classes of the layers that take strings."""

from typing import Any

import keras

from elmo_keras.text.conversion import string_tensor
from elmo_keras.utils.optional_module import tensorflow as tf


def at_least_one_step(tokens: Any) -> Any:
    """Adds one padding step if all sentences are empty, so that there is at least one time step.

    Args:
        tokens: `(batch, time)` string tensor.

    Returns:
        `(batch, max(time, 1))` string tensor.
    """
    missing = tf.maximum(1 - tf.shape(tokens)[1], 0)
    return tf.pad(tokens, [[0, 0], [0, missing]], constant_values="")


class TextLayer(keras.layers.Layer):
    """Base class of the layers that take strings: Python lists or string tensors.

    They run TensorFlow ops: inside a TensorFlow model, and in `tf.data` on any backend. XLA cannot
    compile strings, so the first call sets `supports_jit` to False. A model whose text layer is
    never called with strings can still be compiled.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # As in Keras' own string layers: inputs stay TensorFlow tensors on every backend.
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True
        self.built = True  # There are no weights; Keras would rebuild a model with unbuilt layers.

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        self.supports_jit = False
        return super().__call__(string_tensor(inputs), **kwargs)

    def check_text(self, inputs: Any, rank: int, form: str) -> None:
        """Raises a ValueError unless `inputs` is a string tensor of rank `rank`.

        Args:
            inputs: tensor.
            rank: number of axes that it must have.
            form: description of the expected input, for the error.
        """
        dtype = getattr(inputs.dtype, "name", inputs.dtype)
        if dtype != "string" or len(inputs.shape) != rank:
            raise ValueError(
                f"{type(self).__name__} needs {form}. "
                f"Received: dtype={dtype}, shape={tuple(inputs.shape)}. "
                "Pass sentences to a Tokenizer, and its tokens to a layer of ids."
            )


class TokenIdsLayer(TextLayer):
    """Base class of the layers that turn tokens into ids.

    A subclass defines `_token_ids(tokens)`: the ids `(batch, time, ...)` of `(batch, time)`
    tokens, with at least one time step.
    """

    def call(self, tokens: Any) -> Any:
        self.check_text(tokens, rank=2, form="tokens of shape (batch, time), dtype string")
        return self._token_ids(at_least_one_step(tokens))

    def _token_ids(self, tokens: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define `_token_ids(tokens)`.")
