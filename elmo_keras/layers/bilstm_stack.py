import keras
from keras import ops

from elmo_keras import backend
from elmo_keras.layers.composite import Composite
from elmo_keras.layers.projected_lstm_cell import ProjectedLSTMCell


@keras.saving.register_keras_serializable(package="elmo_keras")
class BiLSTMStack(Composite):
    """Two independent stacks of projected LSTMs, one forward in time, one backward.

    Unlike in a stack of `keras.layers.Bidirectional`, no layer of one direction sees the other:
    each is a language model of its own. From the second layer on, a layer's input is added to its
    output (`residual`); the recurrent state is what it was before that sum.

    Note on masking: steps that the mask leaves out change no state and give zeros. Padding stands
    on the right; the backward direction starts at the last real step of each row.

    Args:
        num_layers: int. Layers of each direction. Defaults to `2`.
        units: int. Size of the cell states. Defaults to `1024`.
        projection_dim: int or `None`. Size of the hidden states, see `ProjectedLSTMCell`. Defaults
            to `128`.
        cell_clip: float or `None`. Bound of the cell states. Defaults to `3.0`.
        projection_clip: float or `None`. Bound of the projected states. Defaults to `3.0`.
        residual: bool. Whether layers after the first add their input. Defaults to `True`.
        forget_bias: float. Added to the forget gates. Defaults to `1.0`.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Call arguments:
        inputs: `(batch, time, input_dim)` float.
        mask: `(batch, time)` bool, `True` at real steps, or `None` where all are.
        initial_state: `(hidden, cell)` as the call returns them, or `None` for zeros.

    Returns:
        `(layers, final_states)`: the list of the layers' outputs, first layer first, each
        `(batch, time, 2 * output_dim)`, forward direction in front; and `(hidden, cell)` of shapes
        `(2, num_layers, batch, output_dim)` and `(2, num_layers, batch, units)`, direction 0
        forward. `output_dim` is `projection_dim`, or `units` without one.

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
        num_layers=2,
        units=1024,
        projection_dim=128,
        cell_clip=3.0,
        projection_clip=3.0,
        residual=True,
        forget_bias=1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(num_layers, int) or num_layers < 1:
            raise ValueError(
                f"`num_layers` must be a positive int. Received: num_layers={num_layers}"
            )
        for name, value in (("cell_clip", cell_clip), ("projection_clip", projection_clip)):
            if value is not None and not (_is_number(value) and value > 0):
                raise ValueError(f"`{name}` must be a positive number or None. Received: {value!r}")
        if not isinstance(residual, bool) or not _is_number(forget_bias):
            raise ValueError(
                "`residual` must be a bool and `forget_bias` a number. "
                f"Received: residual={residual!r}, forget_bias={forget_bias!r}"
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
    def output_dim(self):
        """Size of one direction's output."""
        return self.projection_dim or self.units

    def build(self, input_shape):
        self.forward_layers = [self._rnn("forward", i) for i in range(self.num_layers)]
        self.backward_layers = [self._rnn("backward", i) for i in range(self.num_layers)]
        for layers in (self.forward_layers, self.backward_layers):
            self.build_part(layers[0], input_shape)
            for layer in layers[1:]:
                self.build_part(layer, (*input_shape[:2], self.output_dim))
        self.keep_frozen()

    def _rnn(self, direction, index):
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

    def call(self, inputs, mask=None, initial_state=None):
        if backend.is_long_loop(inputs):
            return self._graph.of(self)(inputs, mask, initial_state)
        return self._read_both(inputs, mask, initial_state)

    def _read_both(self, inputs, mask, initial_state):
        if initial_state is None:
            batch = ops.shape(inputs)[0]
            initial_state = [
                ops.zeros((2, self.num_layers, batch, size), dtype=self.compute_dtype)
                for size in (self.output_dim, self.units)
            ]
        # What adapts or replaces the kernels, and XLA on TensorFlow, want the cells themselves.
        steps = None if self._is_adapted() else backend.steps(inputs, mask)
        run = self._run_cells if steps is None else self._run_kernel
        directions = [
            run(layers, inputs, mask, [s[i] for s in initial_state], steps)
            for i, layers in enumerate((self.forward_layers, self.backward_layers))
        ]
        (forward, forward_states), (backward, backward_states) = directions
        layers = [ops.concatenate(pair, axis=-1) for pair in zip(forward, backward)]
        if steps is not None:
            layers = [steps.unpack(layer) for layer in layers]
        final_states = tuple(
            ops.stack(pair) for pair in zip(forward_states, backward_states)
        )  # (2, num_layers, batch, output_dim), (2, num_layers, batch, units)
        return layers, final_states

    def read(self, sequences, initial_state, keep=None):
        """Two sequences, each in the order in which its direction reads it, to its last layer.

        What a language model is trained on: its two directions read windows of two streams, while
        the call has one sequence that both of them read.

        Args:
            sequences: `(2, batch, time, input_dim)` float, direction 0 forward; all steps real.
            initial_state: `(hidden, cell)`, as in the call.
            keep: `(2, num_layers + 1, batch, time, dim)` float or `None`. Dropout: what the inputs
                of each layer, and the output of the last one, are multiplied with.

        Returns:
            `(output, final_states)`: `(2, batch, time, output_dim)`, and as the call returns them.
        """
        # Not `sequences[i]`, whose gradient is padded with zeros and summed up.
        sequences = ops.unstack(ops.convert_to_tensor(sequences), 2)
        keep = None if keep is None else ops.convert_to_tensor(keep)
        outputs, final_states = [], []
        for i, layers in enumerate((self.forward_layers, self.backward_layers)):
            steps = None if self._is_adapted() else backend.steps(sequences[i], None)
            run = self._run_cells if steps is None else self._run_kernel
            states = [ops.cast(s[i], self.compute_dtype) for s in initial_state]
            masks = None if keep is None else keep[i]
            (*_, x), states = run(layers, sequences[i], None, states, steps, masks, in_order=True)
            x = x if steps is None else steps.unpack(x)
            outputs.append(x if keep is None else x * masks[-1])
            final_states.append(states)
        return ops.stack(outputs), tuple(ops.stack(pair) for pair in zip(*final_states))

    def _is_adapted(self):
        """Whether a product is more than its kernel: quantised, or with LoRA."""
        return any(
            part.quantization_mode or part.lora_enabled
            for layer in (*self.forward_layers, *self.backward_layers)
            for part in layer.cell.products
        )

    def _run_kernel(self, layers, inputs, mask, initial_state, steps, keep=None, in_order=False):
        x = steps.pack(inputs)
        keep = None if keep is None else [steps.pack(keep[i]) for i in range(len(layers))]

        def run(layer, x, states):
            cell = layer.cell
            weights = [ops.cast(weight, self.compute_dtype) for weight in cell.matrices]
            with backend.gradients_of(self):
                return backend.projected_lstm(
                    steps,
                    x,
                    states,
                    weights,
                    backward=layer.go_backwards and not in_order,
                    cell_clip=cell.cell_clip,
                    projection_clip=cell.projection_clip,
                    forget_bias=cell.forget_bias,
                )

        return self._run_layers(layers, run, x, initial_state, keep)

    def _run_cells(self, layers, inputs, mask, initial_state, steps, keep=None, in_order=False):
        def run(layer, x, states):
            # Keras' layer turns what it reads backward, and does not turn back what it gives.
            x = ops.flip(x, axis=1) if layer.go_backwards and in_order else x
            y, *states = layer(x, mask=mask, initial_state=states)  # (batch, time, output_dim)
            return (ops.flip(y, axis=1) if layer.go_backwards and not in_order else y), states

        return self._run_layers(layers, run, inputs, initial_state, keep)

    def _run_layers(self, layers, run, x, initial_state, keep):
        outputs, states = [], []
        for i, layer in enumerate(layers):
            x = x if keep is None else x * keep[i]
            y, state = run(layer, x, [s[i] for s in initial_state])
            x = x + y if self.residual and i > 0 else y
            outputs.append(x)
            states.append(state)
        return outputs, [ops.stack(state) for state in zip(*states)]

    def compute_mask(self, inputs, previous_mask=None):
        return None  # The outputs are no single sequence; who asks for them has the mask.

    def compute_output_shape(self, input_shape):
        batch, time = input_shape[:2]
        states = (2, self.num_layers, batch)
        layers = [(batch, time, 2 * self.output_dim) for _ in range(self.num_layers)]
        return layers, ((*states, self.output_dim), (*states, self.units))

    def get_config(self):
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
    """The graph of a stack's call, traced when a long text is first read eagerly.

    An object of its own: Keras would save a graph that is an attribute of a layer.
    """

    def __init__(self):
        self._weights, self._function = None, None

    def of(self, stack):
        weights = [id(weight) for weight in stack.weights]
        if weights != self._weights:  # at first, and where they were quantised or adapted
            self._weights, self._function = weights, backend.graph(stack._read_both)
        return self._function


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
