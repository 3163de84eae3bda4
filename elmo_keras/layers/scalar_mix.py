import keras
from keras import ops

LAYER_NORMS = (False, True, "bilm-tf", "allennlp")
# What each program adds to the variance; True is ours.
_EPSILON = {True: 1e-12, "bilm-tf": 1e-12, "allennlp": 1e-13}


@keras.saving.register_keras_serializable(package="elmo_keras")
class ScalarMix(keras.layers.Layer):
    """The weighted sum of a model's layers, with learned weights: equation 1 of the ELMo paper.

    ```
    y = gamma * sum_j softmax(scalars)_j * layer_j
    ```

    The layers need not be a biLM's: hidden states of any encoder do, if they have one shape.

    Note on masking: the mask of the inputs goes on to the output. The whole-batch statistics of
    `layer_norm="bilm-tf"` and `"allennlp"` cover the positions that it keeps.

    Args:
        layer_norm: `False`, `True`, `"bilm-tf"` or `"allennlp"`. Normalisation of each layer
            before the sum, without parameters: `True` over the features of each token; the named
            ones, as those programs do it, over the whole batch, which makes a vector depend on its
            neighbours. Defaults to `False`.
        regularizer: Keras regularizer of the scalars (not of gamma), or `None`, the default.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Input shape:
        A list of `(batch, time, dim)` float tensors, or one of shape `(batch, time, layers, dim)`.

    Output shape:
        `(batch, time, dim)` float.

    Example:

    >>> import elmo_keras, keras
    >>> mix = elmo_keras.layers.ScalarMix()
    >>> mix([keras.ops.ones((1, 3, 4)), keras.ops.zeros((1, 3, 4))]).shape
    TensorShape([1, 3, 4])
    >>> mix.layer_weights
    (array([0.5, 0.5], dtype=float32), 1.0)

    References:
        - [Peters et al., 2018](https://arxiv.org/abs/1802.05365)
        - bilm-tf, `bilm/elmo.py`, `weight_layers`; AllenNLP, `modules/scalar_mix.py`
    """

    def __init__(self, layer_norm=False, regularizer=None, **kwargs):
        super().__init__(**kwargs)
        if layer_norm not in LAYER_NORMS:
            raise ValueError(
                f"`layer_norm` must be one of {LAYER_NORMS}. Received: layer_norm={layer_norm!r}"
            )
        self.layer_norm = layer_norm
        self.regularizer = keras.regularizers.get(regularizer)
        self.supports_masking = True

    @property
    def layer_weights(self):
        """The weights as they act: `(softmax of the scalars as a numpy array, gamma)`."""
        weights = ops.softmax(ops.cast(self.scalars, "float32"))
        return ops.convert_to_numpy(weights), float(ops.convert_to_numpy(self.gamma))

    def build(self, input_shape):
        num_layers = (
            len(input_shape) if isinstance(input_shape[0], (list, tuple)) else (input_shape[-2])
        )
        self.scalars = self.add_weight(
            shape=(num_layers,),
            initializer="zeros",
            regularizer=self.regularizer,
            name="scalars",
        )
        self.gamma = self.add_weight(shape=(), initializer="ones", name="gamma")

    def call(self, inputs, mask=None):
        if not isinstance(inputs, (list, tuple)):
            inputs = ops.unstack(inputs, axis=-2)
        if self.layer_norm:
            mask = _first(mask)
            inputs = [self._normalize(layer, mask) for layer in inputs]
        weights = ops.softmax(ops.cast(self.scalars, "float32")) * ops.cast(self.gamma, "float32")
        weights = ops.cast(weights, self.compute_dtype)
        return sum(weights[i] * layer for i, layer in enumerate(inputs))  # (batch, time, dim)

    def _normalize(self, layer, mask):
        x = ops.cast(layer, "float32")  # The epsilons are none in half precision.
        if self.layer_norm is True:
            mean = ops.mean(x, axis=-1, keepdims=True)
            variance = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
        else:
            kept = (
                ops.ones_like(x[..., :1]) if mask is None else ops.cast(mask, "float32")[..., None]
            )
            # Of a batch without a single token nothing is returned, whatever it is divided by.
            number = ops.maximum(ops.sum(kept), 1.0) * x.shape[-1]
            mean = ops.sum(x * kept) / number
            variance = ops.sum(ops.square((x - mean) * kept)) / number
        normalized = (x - mean) * ops.rsqrt(variance + _EPSILON[self.layer_norm])
        return ops.cast(normalized, layer.dtype)

    def compute_mask(self, inputs, previous_mask=None):
        return _first(previous_mask)

    def compute_output_shape(self, input_shape):
        if isinstance(input_shape[0], (list, tuple)):
            return tuple(input_shape[0])
        return (*input_shape[:-2], input_shape[-1])

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "layer_norm": self.layer_norm,
                "regularizer": keras.regularizers.serialize(self.regularizer),
            }
        )
        return config


def _first(mask):
    if isinstance(mask, (list, tuple)):
        return next((m for m in mask if m is not None), None)
    return mask
