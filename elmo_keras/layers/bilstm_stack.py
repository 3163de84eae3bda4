"""The two LSTM stacks of ELMo's bidirectional language model."""

import functools
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from elmo_keras import backend
from elmo_keras.backend.layouts import SequenceLayout
from elmo_keras.layers.composite import Composite
from elmo_keras.layers.projected_lstm_cell import ProjectedLSTMCell


@keras.saving.register_keras_serializable(package="elmo_keras")
class BiLSTMStack(Composite):
    """Two independent stacks of projected LSTMs, one forward in time, one backward.

    Unlike in a stack of `keras.layers.Bidirectional`, the two directions do not see each other:
    each is a language model. From the second layer on, a layer's input is added to its output
    (`residual`); the recurrent state is the output before that sum.

    Note on masking: masked steps do not change the states, and their outputs are zeros. Padding is
    on the right; the backward direction starts at the last real step of each row.

    Args:
        num_layers: int. Number of layers of each direction. Defaults to `2`.
        units: int. Size of the cell states. Defaults to `1024`.
        projection_dim: int or `None`. Size of the hidden states. `None` leaves out the projection,
            and hidden states have `units` entries. Defaults to `128`.
        cell_clip: float or `None`. Bound of the cell states' absolute values. Defaults to `3.0`.
        projection_clip: float or `None`. Bound of the projected states' absolute values. Defaults
            to `3.0`.
        residual: bool. Whether layers after the first add their input to their output. Defaults to
            `True`.
        forget_bias: float. Added to the forget gates before the sigmoid. Defaults to `1.0`.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Call arguments:
        inputs: `(batch, time, input_dim)` float.
        mask: `(batch, time)` bool, `True` at real steps, or `None` if all steps are real.
        initial_state: `(hidden, cell)` in the form of `final_states`, or `None` for zeros.

    Returns:
        `(layers, final_states)`. `layers` is the list of the layers' outputs, first layer first,
        each `(batch, time, 2 * output_dim)` with the forward direction first. `final_states` is
        `(hidden, cell)` of shapes `(2, num_layers, batch, output_dim)` and
        `(2, num_layers, batch, units)`; direction 0 is forward. `output_dim` is `projection_dim`,
        or `units` without a projection.

    Raises:
        ValueError: if an argument has a wrong type or value.

    Example:

    >>> import elmo_keras, keras
    >>> stack = elmo_keras.layers.BiLSTMStack(num_layers=2, units=8, projection_dim=4)
    >>> layers, (hidden, cell) = stack(keras.ops.ones((1, 5, 4)))
    >>> len(layers), layers[-1].shape, cell.shape
    (2, TensorShape([1, 5, 8]), TensorShape([2, 2, 1, 8]))

    References:
        - [Peters et al., 2018](https://arxiv.org/abs/1802.05365)
        - bilm-tf, `bilm/model.py`, `_build`
    """

    def __init__(
        self,
        num_layers: int = 2,
        units: int = 1024,
        projection_dim: int | None = 128,
        cell_clip: float | None = 3.0,
        projection_clip: float | None = 3.0,
        residual: bool = True,
        forget_bias: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(num_layers, int) or num_layers < 1:
            raise ValueError(
                "`num_layers` must be a positive int. "
                f"Received: num_layers={num_layers}. ELMo has 2 layers."
            )
        for name, value in (("cell_clip", cell_clip), ("projection_clip", projection_clip)):
            if value is not None and not (_is_number(value) and value > 0):
                raise ValueError(
                    f"`{name}` must be a positive number or None. Received: {value!r}. "
                    "Pass None for no clipping."
                )
        if not isinstance(residual, bool) or not _is_number(forget_bias):
            raise ValueError(
                "`residual` must be a bool and `forget_bias` a number. "
                f"Received: residual={residual!r}, forget_bias={forget_bias!r}. "
                "ELMo has residual=True and forget_bias=1.0."
            )
        self.num_layers = num_layers
        self.units = units
        self.projection_dim = projection_dim
        self.cell_clip = cell_clip
        self.projection_clip = projection_clip
        self.residual = residual
        self.forget_bias = forget_bias
        self.supports_masking = True
        self._graph = _Graph()

    @property
    def output_dim(self) -> int:
        """Size of the output of one direction."""
        return self.projection_dim or self.units

    def build(self, input_shape: Any) -> None:
        self.forward_layers = [self._rnn("forward", i) for i in range(self.num_layers)]
        self.backward_layers = [self._rnn("backward", i) for i in range(self.num_layers)]
        for layers in (self.forward_layers, self.backward_layers):
            self.build_part(layers[0], input_shape)
            for layer in layers[1:]:
                self.build_part(layer, (*input_shape[:2], self.output_dim))
        self.keep_frozen()

    def _rnn(self, direction: str, index: int) -> keras.layers.RNN:
        cell = ProjectedLSTMCell(
            self.units,
            projection_dim=self.projection_dim,
            cell_clip=self.cell_clip,
            projection_clip=self.projection_clip,
            forget_bias=self.forget_bias,
            dtype=self.dtype_policy,
            name="cell",
        )
        return keras.layers.RNN(
            cell,
            return_sequences=True,
            return_state=True,
            zero_output_for_mask=True,
            go_backwards=direction == "backward",
            dtype=self.dtype_policy,
            name=f"{direction}_{index}",
        )

    def call(
        self, inputs: Any, mask: Any = None, initial_state: Any = None
    ) -> tuple[list[Any], tuple[Any, Any]]:
        if backend.is_long_loop(inputs):
            return self._graph.of(self)(inputs, mask, initial_state)
        return self._call_both_directions(inputs, mask, initial_state)

    def _call_both_directions(
        self, inputs: Any, mask: Any, initial_state: Any
    ) -> tuple[list[Any], tuple[Any, Any]]:
        if initial_state is None:
            batch = ops.shape(inputs)[0]
            initial_state = [
                ops.zeros((2, self.num_layers, batch, size), dtype=self.compute_dtype)
                for size in (self.output_dim, self.units)
            ]
        layout = self._layout(inputs, mask)
        directions = [
            self._call_direction(layers, inputs, [s[i] for s in initial_state], layout, mask)
            for i, layers in enumerate((self.forward_layers, self.backward_layers))
        ]
        (forward, forward_states), (backward, backward_states) = directions
        layers = [ops.concatenate(pair, axis=-1) for pair in zip(forward, backward)]
        if layout is not None:
            layers = [layout.unpack(layer) for layer in layers]
        # (2, num_layers, batch, output_dim), (2, num_layers, batch, units)
        hidden, cell = (ops.stack(pair) for pair in zip(forward_states, backward_states))
        return layers, (hidden, cell)

    def call_streams(
        self, streams: Any, initial_state: Any, dropout_masks: Any = None
    ) -> tuple[Any, tuple[Any, Any]]:
        """Computes the last layer's output for two streams, one for each direction.

        Language models are trained in this form: the directions read windows of two different
        streams. In a call of the layer, both directions read the same sequence.

        Args:
            streams: `(2, batch, time, input_dim)` float, direction 0 forward. Each stream is in
                the order in which its direction reads it; all steps are real.
            initial_state: `(hidden, cell)`, as in the call.
            dropout_masks: `(2, num_layers + 1, batch, time, dim)` float or `None`. Factors for the
                input of each layer and for the output of the last layer.

        Returns:
            `(output, final_states)`: `(2, batch, time, output_dim)`, and the states as in the call.

        Example:

        >>> import elmo_keras, keras
        >>> stack = elmo_keras.layers.BiLSTMStack(num_layers=2, units=8, projection_dim=4)
        >>> stack.build((None, None, 4))
        >>> states = keras.ops.zeros((2, 2, 1, 4)), keras.ops.zeros((2, 2, 1, 8))
        >>> output, states = stack.call_streams(keras.ops.ones((2, 1, 5, 4)), states)
        >>> output.shape
        TensorShape([2, 1, 5, 4])
        """
        # Unstacked, because the gradient of `streams[i]` would be padded with zeros and summed.
        streams = ops.unstack(ops.convert_to_tensor(streams), 2)
        dropout_masks = None if dropout_masks is None else ops.convert_to_tensor(dropout_masks)
        outputs, final_states = [], []
        for i, layers in enumerate((self.forward_layers, self.backward_layers)):
            layout = self._layout(streams[i], None)
            states = [ops.cast(s[i], self.compute_dtype) for s in initial_state]
            masks = None if dropout_masks is None else dropout_masks[i]
            (*_, x), states = self._call_direction(
                layers, streams[i], states, layout, dropout_masks=masks, in_order=True
            )
            x = x if layout is None else layout.unpack(x)
            outputs.append(x if masks is None else x * masks[-1])
            final_states.append(states)
        hidden, cell = (ops.stack(pair) for pair in zip(*final_states))
        return ops.stack(outputs), (hidden, cell)

    def _layout(self, inputs: Any, mask: Any) -> SequenceLayout | None:
        """The layout for the scan, or `None` if Keras must loop over the cells.

        XLA on TensorFlow needs the loop, and so do quantized products and products with LoRA.
        """
        return None if self._is_adapted() else backend.sequence_layout(inputs, mask)

    def _is_adapted(self) -> bool:
        """Whether a product is quantized or has LoRA."""
        return any(
            part.quantization_mode or part.lora_enabled
            for layer in (*self.forward_layers, *self.backward_layers)
            for part in layer.cell.products
        )

    def _call_direction(
        self,
        layers: list[keras.layers.RNN],
        inputs: Any,
        initial_state: list[Any],
        layout: SequenceLayout | None,
        mask: Any = None,
        dropout_masks: Any = None,
        in_order: bool = False,
    ) -> tuple[list[Any], list[Any]]:
        """Calls the layers of one direction.

        Args:
            layers: the RNN layers of the direction.
            inputs: `(batch, time, input_dim)`.
            initial_state: `[hidden, cell]`, each `(num_layers, batch, size)`.
            layout: from `_layout`.
            mask: as in the call.
            dropout_masks: `(num_layers + 1, batch, time, dim)`, or `None`.
            in_order: whether `inputs` are in the order in which the direction reads them.

        Returns:
            The outputs of all layers, packed if there is a layout, and their final `[hidden, cell]`
            in the form of `initial_state`.
        """
        call_layer: Callable[..., Any]
        if layout is None:
            x = inputs
            call_layer = functools.partial(self._loop_over_cell, mask=mask, in_order=in_order)
        else:
            x = layout.pack(inputs)
            call_layer = functools.partial(self._scan, layout=layout, in_order=in_order)
            if dropout_masks is not None:
                dropout_masks = [layout.pack(dropout_masks[i]) for i in range(len(layers))]
        outputs, states = [], []
        for i, layer in enumerate(layers):
            x = x if dropout_masks is None else x * dropout_masks[i]
            y, state = call_layer(layer, x, [s[i] for s in initial_state])
            x = x + y if self.residual and i > 0 else y
            outputs.append(x)
            states.append(state)
        return outputs, [ops.stack(state) for state in zip(*states)]

    def _scan(
        self,
        layer: keras.layers.RNN,
        x: Any,
        states: list[Any],
        layout: Any,  # the backend's own kind of layout
        in_order: bool,
    ) -> tuple[Any, tuple[Any, Any]]:
        """Calls one layer through the scan of the backend; `x` and the output are packed."""
        cell = layer.cell
        weights = [ops.cast(weight, self.compute_dtype) for weight in cell.matrices]
        with backend.gradients_of(self):
            return backend.projected_lstm(
                layout,
                x,
                states,
                weights,
                backward=layer.go_backwards and not in_order,
                cell_clip=cell.cell_clip,
                projection_clip=cell.projection_clip,
                forget_bias=cell.forget_bias,
            )

    def _loop_over_cell(
        self, layer: keras.layers.RNN, x: Any, states: list[Any], mask: Any, in_order: bool
    ) -> tuple[Any, list[Any]]:
        """Calls one layer through Keras' loop over its cell."""
        # A backward RNN of Keras reverses its input, but does not reverse its output back.
        x = ops.flip(x, axis=1) if layer.go_backwards and in_order else x
        y, *states = layer(x, mask=mask, initial_state=states)  # (batch, time, output_dim)
        return (ops.flip(y, axis=1) if layer.go_backwards and not in_order else y), states

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None  # The output is a nest of tensors; callers have the mask.

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, time = input_shape[:2]
        states = (2, self.num_layers, batch)
        layers = [(batch, time, 2 * self.output_dim) for _ in range(self.num_layers)]
        return layers, ((*states, self.output_dim), (*states, self.units))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "num_layers": self.num_layers,
                "units": self.units,
                "projection_dim": self.projection_dim,
                "cell_clip": self.cell_clip,
                "projection_clip": self.projection_clip,
                "residual": self.residual,
                "forget_bias": self.forget_bias,
            }
        )
        return config


class _Graph:
    """The graph of a stack's call, traced at the first eager call with a long text.

    It is a separate object, because Keras would save a graph that is an attribute of a layer.
    """

    def __init__(self) -> None:
        self._weights: list[int] | None = None
        self._function: Callable[..., Any] | None = None

    def of(self, stack: BiLSTMStack) -> Callable[..., Any]:
        """Returns the graph; traces it again if quantization or LoRA changed the weights."""
        weights = [id(weight) for weight in stack.weights]
        if self._function is None or weights != self._weights:
            self._weights, self._function = weights, backend.graph(stack._call_both_directions)
        return self._function


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
