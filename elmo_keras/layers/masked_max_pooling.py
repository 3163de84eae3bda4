"""Pooling of sentences by the maximum over time."""

from typing import Any

import keras
from keras import ops

from elmo_keras.layers.masking import expand_mask


@keras.saving.register_keras_serializable(package="elmo_keras")
class MaskedMaxPooling(keras.layers.Layer):
    """The maximum of each feature over the real time steps, one vector for each sentence.

    Note on masking: padded steps do not count, even if all real values are negative. A sentence
    without real steps gives zeros. Without a mask all steps count.

    Args:
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Input shape:
        `(batch, time, ...)` float. Axes after time are kept, for example the layers of an
        `ElmoLayer` with `output="all"`.

    Output shape:
        `(batch, ...)`.

    Example:

    >>> import elmo_keras, numpy as np
    >>> pooling = elmo_keras.layers.MaskedMaxPooling()
    >>> x = np.array([[[-1.0], [-3.0], [0.0]]], "float32")
    >>> pooling(x, mask=np.array([[True, True, False]])).numpy().tolist()
    [[-1.0]]
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        pass

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return _max_over_time(inputs, inputs)
        is_token = expand_mask(mask, inputs)
        lowest = ops.full_like(inputs, float("-inf"))
        maximum = _max_over_time(inputs, ops.where(is_token, inputs, lowest))
        is_any = ops.any(is_token, axis=1)
        return ops.where(is_any, maximum, ops.zeros_like(maximum))  # (batch, ...)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *input_shape[2:])


def _max_over_time(inputs: Any, scores: Any) -> Any:
    """Returns the entries of `inputs` at the largest `scores` over time.

    The gradient of `ops.max` compares the inputs with their maximum. XLA may compute the inputs a
    second time for it and round them differently: they then equal no maximum, and the gradient is
    wrong. Places are compared exactly.
    """
    places = ops.expand_dims(ops.argmax(scores, axis=1), 1)  # (batch, 1, ...)
    picked = ops.squeeze(ops.take_along_axis(inputs, places, axis=1), axis=1)
    # `argmax` may pass over NaN, which must not disappear.
    return picked + ops.stop_gradient(ops.max(scores, axis=1) - picked)
