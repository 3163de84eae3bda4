"""The projected LSTM cell: one time step, in plain `keras.ops`."""

from typing import Any

import keras
from keras import ops

from elmo_keras.layers.composite import Composite


@keras.saving.register_keras_serializable(package="elmo_keras")
class ProjectedLSTMCell(Composite):
    """A step of an LSTM with a projected hidden state; cell state and projection are clipped.

    ```
    i, f, g, o = x W + h U + b
    c' = clip(sigmoid(f + forget_bias) * c + sigmoid(i) * tanh(g))
    h' = clip((sigmoid(o) * tanh(c')) P)
    ```

    This is the readable reference that the scans in `elmo_keras.backend` are tested against. The
    three products are Dense layers, so that `quantize` and LoRA work on them.

    Args:
        units: int. Size of the cell state.
        projection_dim: int or `None`. Size of the hidden state. `None` leaves out the projection:
            the hidden state has `units` entries and is not clipped. Defaults to `None`.
        cell_clip: float or `None`. Bound of the cell state's absolute values. Defaults to `None`.
        projection_clip: float or `None`. Bound of the projected state's absolute values. Defaults
            to `None`.
        forget_bias: float. Added to the forget gate before the sigmoid. It is not stored in `b`,
            because a rounded sum could not be split exactly. Defaults to `1.0`.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Call arguments:
        inputs: `(batch, input_dim)` float.
        states: `[hidden, cell]` of shapes `(batch, projection_dim)` and `(batch, units)`.

    Returns:
        The new hidden state, and the new states `[hidden, cell]`.

    Raises:
        ValueError: if a size is not positive.

    Example:

    >>> import elmo_keras, keras
    >>> cell = elmo_keras.layers.ProjectedLSTMCell(8, projection_dim=4, cell_clip=3.0)
    >>> keras.layers.RNN(cell, return_sequences=True)(keras.ops.ones((2, 5, 3))).shape
    TensorShape([2, 5, 4])

    References:
        - [Sak et al., 2014](https://arxiv.org/abs/1402.1128)
        - TensorFlow's `LSTMCell`, which the published models were trained with
    """

    def __init__(
        self,
        units: int,
        projection_dim: int | None = None,
        cell_clip: float | None = None,
        projection_clip: float | None = None,
        forget_bias: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("units", units), ("projection_dim", projection_dim)):
            if value is not None and value < 1 or name == "units" and value is None:
                raise ValueError(
                    f"`{name}` must be a positive int. Received: {name}={value}. "
                    "Pass the size of the state."
                )
        self.units = units
        self.projection_dim = projection_dim
        self.cell_clip = cell_clip
        self.projection_clip = projection_clip
        self.forget_bias = forget_bias

    @property
    def output_size(self) -> int:
        return self.projection_dim or self.units

    @property
    def state_size(self) -> list[int]:
        return [self.output_size, self.units]

    @property
    def products(self) -> list[keras.layers.Dense]:
        """The Dense layers of `W` (with `b`), of `U` and, with a projection, of `P`."""
        return [self.input_gates, self.recurrent_gates, *filter(None, [self.projection])]

    @property
    def matrices(self) -> list[keras.Variable]:
        """The weights `[W, b, U, P]`, or `[W, b, U]` without a projection."""
        first, *rest = self.products
        return [first.kernel, first.bias, *(part.kernel for part in rest)]

    def build(self, input_shape: Any) -> None:
        def dense(units: int, name: str, use_bias: bool = False) -> keras.layers.Dense:
            return keras.layers.Dense(units, use_bias=use_bias, dtype=self.dtype_policy, name=name)

        self.input_gates = dense(4 * self.units, "input_gates", use_bias=True)  # W, b
        self.recurrent_gates = dense(4 * self.units, "recurrent_gates")  # U
        self.build_part(self.input_gates, input_shape)
        self.build_part(self.recurrent_gates, (None, self.output_size))
        self.projection = None
        if self.projection_dim:
            self.projection = dense(self.projection_dim, "projection")  # P
            self.build_part(self.projection, (None, self.units))
        self.keep_frozen()

    def call(self, inputs: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        hidden, cell = states
        gates = self.input_gates(inputs) + self.recurrent_gates(hidden)  # (batch, 4 * units)
        i, f, g, o = ops.split(gates, 4, axis=-1)
        cell = ops.sigmoid(f + self.forget_bias) * cell + ops.sigmoid(i) * ops.tanh(g)
        cell = _clip(cell, self.cell_clip)  # (batch, units)
        hidden = ops.sigmoid(o) * ops.tanh(cell)
        if self.projection:
            hidden = _clip(self.projection(hidden), self.projection_clip)
        return hidden, [hidden, cell]

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch = input_shape[0]
        hidden = (batch, self.output_size)
        return hidden, [hidden, (batch, self.units)]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        return [ops.zeros((batch_size, size), dtype=self.compute_dtype) for size in self.state_size]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "units": self.units,
                "projection_dim": self.projection_dim,
                "cell_clip": self.cell_clip,
                "projection_clip": self.projection_clip,
                "forget_bias": self.forget_bias,
            }
        )
        return config


def _clip(x: Any, bound: float | None) -> Any:
    return x if bound is None else ops.clip(x, -bound, bound)
