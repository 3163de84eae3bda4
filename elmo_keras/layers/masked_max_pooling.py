import keras
from keras import ops

from elmo_keras.layers.masking import expand_mask


@keras.saving.register_keras_serializable(package="elmo_keras")
class MaskedMaxPooling(keras.layers.Layer):
    """The maximum over the real time steps, feature by feature, one vector a sentence.

    Note on masking: padded steps do not count, not even their zeros. A sentence without a real
    step gives zeros. Without a mask all steps count.

    Args:
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Input shape:
        `(batch, time, ...)` float. Axes after time stay, so that ElmoLayer's `"all"` can be pooled.

    Output shape:
        `(batch, ...)`.

    Example:

    >>> import elmo_keras, numpy as np
    >>> pooling = elmo_keras.layers.MaskedMaxPooling()
    >>> x = np.array([[[-1.0], [-3.0], [0.0]]], "float32")
    >>> pooling(x, mask=np.array([[True, True, False]])).numpy().tolist()
    [[-1.0]]
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        pass

    def call(self, inputs, mask=None):
        if mask is None:
            return ops.max(inputs, axis=1)
        lowest = ops.full_like(inputs, float("-inf"))
        maximum = ops.max(ops.where(expand_mask(mask, inputs), inputs, lowest), axis=1)
        is_any = ops.any(expand_mask(mask, inputs), axis=1)
        return ops.where(is_any, maximum, ops.zeros_like(maximum))  # (batch, ...)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *input_shape[2:])
