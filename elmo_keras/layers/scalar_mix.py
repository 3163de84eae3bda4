"""The learned weighted sum of a model's layers."""

from typing import Any

import keras
from keras import ops

LAYER_NORMS = (False, True, "bilm-tf", "allennlp")
# Added to the variance. `True` is an option of this package; bilm-tf and AllenNLP use the others.
_EPSILON: dict[bool | str, float] = {True: 1e-12, "bilm-tf": 1e-12, "allennlp": 1e-13}


@keras.saving.register_keras_serializable(package="elmo_keras")
class ScalarMix(keras.layers.Layer):
    """The weighted sum of a model's layers, with learned weights: equation 1 of the ELMo paper.

    ```
    y = gamma * sum_j softmax(scalars)_j * layer_j
    ```

    The layers may be the hidden states of any encoder, if all have the same shape.

    Note on masking: the mask of the inputs is passed on to the output. With `layer_norm="bilm-tf"`
    or `"allennlp"`, masked positions do not count in the statistics.

    Args:
        layer_norm: `False`, `True`, `"bilm-tf"` or `"allennlp"`. Normalization of each layer before
            the sum, without learned parameters. Defaults to `False`.
            - `True`: over the features of each token.
            - `"bilm-tf"` and `"allennlp"`: over the whole batch, as in these programs. A vector
              then depends on the other sentences of its batch.
        regularizer: Keras regularizer of the scalars, not of gamma. Defaults to `None`.
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

    def __init__(
        self, layer_norm: bool | str = False, regularizer: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if layer_norm not in LAYER_NORMS:
            raise ValueError(
                f"`layer_norm` must be one of {LAYER_NORMS}. Received: layer_norm={layer_norm!r}. "
                "Use False unless the weights were trained with a normalization."
            )
        self.layer_norm = layer_norm
        self.regularizer = keras.regularizers.get(regularizer)
        self.supports_masking = True

    @property
    def layer_weights(self) -> tuple[Any, float]:
        """The normalized weights, a `(layers,)` numpy array (softmax of the scalars), and gamma."""
        weights = ops.softmax(ops.cast(self.scalars, "float32"))
        return ops.convert_to_numpy(weights), float(ops.convert_to_numpy(self.gamma))

    def build(self, input_shape: Any) -> None:
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

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if not isinstance(inputs, (list, tuple)):
            inputs = ops.unstack(inputs, axis=-2)
        if self.layer_norm:
            mask = _first(mask)
            inputs = [self._normalize(layer, mask) for layer in inputs]
        weights = ops.softmax(ops.cast(self.scalars, "float32")) * ops.cast(self.gamma, "float32")
        weights = ops.cast(weights, self.compute_dtype)
        return sum(weights[i] * layer for i, layer in enumerate(inputs))  # (batch, time, dim)

    def _normalize(self, layer: Any, mask: Any) -> Any:
        x = ops.cast(layer, "float32")  # The epsilons are 0 in half precision.
        if self.layer_norm is True:
            mean = ops.mean(x, axis=-1, keepdims=True)
            variance = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
        else:
            kept = (
                ops.ones_like(x[..., :1]) if mask is None else ops.cast(mask, "float32")[..., None]
            )
            # At least 1, so that a batch without tokens is not divided by 0.
            number = ops.maximum(ops.sum(kept), 1.0) * x.shape[-1]
            mean = ops.sum(x * kept) / number
            variance = ops.sum(ops.square((x - mean) * kept)) / number
        normalized = (x - mean) * ops.rsqrt(variance + _EPSILON[self.layer_norm])
        return ops.cast(normalized, layer.dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return _first(previous_mask)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if isinstance(input_shape[0], (list, tuple)):
            return tuple(input_shape[0])
        return (*input_shape[:-2], input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "layer_norm": self.layer_norm,
                "regularizer": keras.regularizers.serialize(self.regularizer),
            }
        )
        return config


def _first(mask: Any) -> Any:
    """Returns the first mask that is not `None`."""
    if isinstance(mask, (list, tuple)):
        return next((m for m in mask if m is not None), None)
    return mask
