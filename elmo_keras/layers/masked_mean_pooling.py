"""Pooling of sentences by the mean over time."""

from typing import Any

import keras
from keras import ops

from elmo_keras.layers.masking import expand_mask


@keras.saving.register_keras_serializable(package="elmo_keras")
class MaskedMeanPooling(keras.layers.Layer):
    """The mean over the real time steps, one vector for each sentence.

    Note on masking: padded steps do not count. A sentence without real steps gives zeros, where
    `keras.layers.GlobalAveragePooling1D` gives NaN. Without a mask all steps count.

    Args:
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Input shape:
        `(batch, time, ...)` float. Axes after time are kept, for example the layers of an
        `ElmoLayer` with `output="all"`.

    Output shape:
        `(batch, ...)`.

    Example:

    >>> import elmo_keras, numpy as np
    >>> pooling = elmo_keras.layers.MaskedMeanPooling()
    >>> x = np.array([[[1.0], [3.0], [9.0]]], "float32")
    >>> pooling(x, mask=np.array([[True, True, False]])).numpy().tolist()
    [[2.0]]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        pass

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return ops.mean(inputs, axis=1)
        # Half precision is too narrow for long sums.
        x = ops.where(expand_mask(mask, inputs), ops.cast(inputs, "float32"), 0.0)
        number = ops.sum(ops.cast(expand_mask(mask, inputs), "float32"), axis=1)
        mean = ops.sum(x, axis=1) / ops.maximum(number, 1.0)
        return ops.cast(mean, self.compute_dtype)  # (batch, ...)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *input_shape[2:])
