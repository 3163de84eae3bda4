"""Masks of sequences: reading them, and applying them to padded positions."""

from typing import Any

import keras
from keras import ops


def expand_mask(mask: Any, x: Any) -> Any:
    """Reshapes a mask to broadcast against a tensor.

    Args:
        mask: `(batch, time)` bool.
        x: `(batch, time, ...)`.

    Returns:
        The mask with as many axes as `x`; axes after time have size 1.
    """
    return ops.reshape(mask, (*ops.shape(mask), *[1] * (len(x.shape) - 2)))


@keras.saving.register_keras_serializable(package="elmo_keras")
class MaskOf(keras.layers.Layer):
    """The Keras mask of a tensor, as a tensor.

    Args:
        **kwargs: Layer keyword arguments, like `name`.

    Call arguments:
        inputs: `(batch, time, ...)`, with a Keras mask.

    Output shape:
        `(batch, time)` bool, `True` for tokens. Without a mask all positions are tokens.

    Example:

    >>> import elmo_keras, numpy as np
    >>> ids = np.array([[3, 0]])
    >>> vectors = keras.layers.Embedding(5, 2, mask_zero=True)(ids)
    >>> elmo_keras.layers.MaskOf()(vectors).numpy().tolist()
    [[True, False]]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True  # There are no weights; Keras would rebuild a model with unbuilt layers.

    def call(self, inputs: Any, mask: Any = None) -> Any:
        return ops.ones(ops.shape(inputs)[:2], "bool") if mask is None else mask

    def compute_output_spec(self, inputs: Any, mask: Any = None) -> Any:
        return keras.KerasTensor(tuple(inputs.shape[:2]), dtype="bool")

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None


@keras.saving.register_keras_serializable(package="elmo_keras")
class FillPadding(keras.layers.Layer):
    """Sets padded positions to a fixed value, and passes the mask on.

    As the last sub-layer of a composite, it attaches the Keras mask to the composite's output.

    Args:
        value: float. The value of padded positions. Defaults to `0.0`.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Call arguments:
        inputs: `(batch, time, ...)` float.
        mask: `(batch, time)` bool, `True` for tokens, or `None` if there is no padding.

    Output shape:
        The input shape.

    Example:

    >>> import elmo_keras, numpy as np
    >>> fill = elmo_keras.layers.FillPadding()
    >>> fill(np.ones((1, 2, 1), "float32"), mask=np.array([[True, False]])).numpy().tolist()
    [[[1.0], [0.0]]]
    """

    def __init__(self, value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value = value
        self.supports_masking = True
        self.built = True  # There are no weights; Keras would rebuild a model with unbuilt layers.

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return inputs
        # A product with the mask would keep NaN and infinity.
        return ops.where(expand_mask(mask, inputs), inputs, ops.full_like(inputs, self.value))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["value"] = self.value
        return config
