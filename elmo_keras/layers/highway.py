"""A highway layer."""

from collections.abc import Callable
from typing import Any

import keras

from elmo_keras.layers.composite import Composite


@keras.saving.register_keras_serializable(package="elmo_keras")
class Highway(Composite):
    """A highway layer: a gate mixes, per feature, a transformed input and the input.

    ```
    g = sigmoid(x W_gate + b_gate)
    y = g * relu(x W_transform + b_transform) + (1 - g) * x
    ```

    The gate's bias starts at `gate_bias`, so that a new layer mostly passes its input on. bilm-tf's
    files call the gate "carry", although it weights the transform.

    Args:
        activation: str or callable. Activation of the transform. Defaults to `"relu"`.
        gate_bias: float. Initial bias of the gate. Defaults to `-2.0`, as in bilm-tf.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Input shape:
        `(..., dim)` float.

    Output shape:
        The input shape.

    Example:

    >>> import elmo_keras, numpy as np
    >>> elmo_keras.layers.Highway()(np.ones((2, 3, 8), "float32")).shape
    TensorShape([2, 3, 8])

    References:
        - [Srivastava et al., 2015](https://arxiv.org/abs/1505.00387)
        - bilm-tf, `bilm/model.py`, `high`
    """

    def __init__(
        self,
        activation: str | Callable[..., Any] = "relu",
        gate_bias: float = -2.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)
        self.gate_bias = gate_bias
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        dim = input_shape[-1]
        self.transform = keras.layers.Dense(
            dim, activation=self.activation, dtype=self.dtype_policy, name="transform"
        )
        self.gate = keras.layers.Dense(
            dim,
            activation="sigmoid",
            bias_initializer=keras.initializers.Constant(self.gate_bias),
            dtype=self.dtype_policy,
            name="gate",
        )
        self.build_part(self.transform, input_shape)
        self.build_part(self.gate, input_shape)
        self.keep_frozen()

    def call(self, inputs: Any) -> Any:
        gate = self.gate(inputs)
        return gate * self.transform(inputs) + (1 - gate) * inputs  # (..., dim)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "activation": keras.activations.serialize(self.activation),
                "gate_bias": self.gate_bias,
            }
        )
        return config
