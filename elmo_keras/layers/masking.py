"""Masks against tensors that may have more axes than time."""

from typing import Any

import keras
from keras import ops


def expand_mask(mask, x):
    """The mask `(batch, time)` with axes of size 1 behind, as many as `x` has."""
    return ops.reshape(mask, (*ops.shape(mask), *[1] * (len(x.shape) - 2)))


@keras.saving.register_keras_serializable(package="elmo_keras")
class MaskOf(keras.layers.Layer):
    """The Keras mask of a tensor, as a tensor of its own.

    Args:
        **kwargs: Layer keyword arguments, like `name`.

    Call arguments:
        inputs: `(batch, time, ...)`, with a Keras mask.

    Output shape:
        `(batch, time)` bool, `True` for tokens. Without a mask, all positions are tokens.

    Example:

    >>> import elmo_keras, numpy as np
    >>> ids = np.array([[3, 0]])
    >>> vectors = keras.layers.Embedding(5, 2, mask_zero=True)(ids)
    >>> elmo_keras.layers.MaskOf()(vectors).numpy().tolist()
    [[True, False]]
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True  # It has no weights; a layer not built makes Keras rebuild its model.

    def call(self, inputs, mask=None):
        return ops.ones(ops.shape(inputs)[:2], "bool") if mask is None else mask

    def compute_output_spec(self, inputs, mask=None):
        return keras.KerasTensor(tuple(inputs.shape[:2]), dtype="bool")

    def compute_mask(self, inputs, previous_mask=None):
        return None


@keras.saving.register_keras_serializable(package="elmo_keras")
class FillPadding(keras.layers.Layer):
    """Sets padded positions to exactly one value, most often 0, and carries the mask on.

    As the last sub-layer of a composite it gives the composite's output its Keras mask.

    Args:
        value: float. What padded positions are set to. Defaults to `0.0`.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Call arguments:
        inputs: `(batch, time, ...)` float.
        mask: `(batch, time)` bool, or `None`: then nothing is padding.

    Output shape:
        As the input.

    Example:

    >>> import elmo_keras, numpy as np
    >>> fill = elmo_keras.layers.FillPadding()
    >>> fill(np.ones((1, 2, 1), "float32"), mask=np.array([[True, False]])).numpy().tolist()
    [[[1.0], [0.0]]]
    """

    def __init__(self, value=0.0, **kwargs):
        super().__init__(**kwargs)
        self.value = value
        self.supports_masking = True
        self.built = True  # It has no weights; a layer not built makes Keras rebuild its model.

    def call(self, inputs, mask=None):
        if mask is None:
            return inputs
        # A product would keep what is not finite.
        return ops.where(expand_mask(mask, inputs), inputs, ops.full_like(inputs, self.value))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config["value"] = self.value
        return config
