import keras

from elmo_keras.layers.composite import Composite


@keras.saving.register_keras_serializable(package="elmo_keras")
class Highway(Composite):
    """A highway layer: a gate decides, per feature, between a transformed input and the input.

    ```
    g = sigmoid(x W_gate + b_gate)
    y = g * relu(x W_transform + b_transform) + (1 - g) * x
    ```

    `g` is what bilm-tf's files call "carry", though it opens the transform; its bias starts at
    `gate_bias`, so that a new layer mostly carries its input.

    Args:
        activation: str or callable. Activation of the transform. Defaults to `"relu"`.
        gate_bias: float. Initial bias of the gate. Defaults to `-2.0`, as in bilm-tf.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Input shape:
        `(..., dim)` float.

    Output shape:
        As the input.

    Example:

    >>> import elmo_keras, numpy as np
    >>> elmo_keras.layers.Highway()(np.ones((2, 3, 8), "float32")).shape
    TensorShape([2, 3, 8])

    References:
        - [Srivastava et al., 2015](https://arxiv.org/abs/1505.00387)
        - bilm-tf, `bilm/model.py`, `high`
    """

    def __init__(self, activation="relu", gate_bias=-2.0, **kwargs):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)
        self.gate_bias = gate_bias
        self.supports_masking = True

    def build(self, input_shape):
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

    def call(self, inputs):
        gate = self.gate(inputs)
        return gate * self.transform(inputs) + (1 - gate) * inputs  # (..., dim)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "activation": keras.activations.serialize(self.activation),
                "gate_bias": self.gate_bias,
            }
        )
        return config
