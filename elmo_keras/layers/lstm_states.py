import keras
from keras import ops

from elmo_keras import backend

STATES = ("zeros", "warm", "carry")


@keras.saving.register_keras_serializable(package="elmo_keras")
class LSTMStates(keras.layers.Layer):
    """What the LSTMs of an `ElmoLayer` start from.

    - `"zeros"`: zeros, and no variable.
    - `"warm"`: one saved row per layer and direction, broadcast to every batch.
    - `"carry"`: the states in which the call before left the first rows, as the published
      programs have it; rows that a smaller batch does not reach keep theirs.

    Args:
        mode: str. One of the above.
        num_layers: int. Layers of each direction.
        output_dim: int. Size of a hidden state.
        units: int. Size of a cell state.
        max_rows: int. Rows that `"carry"` has room for.
        **kwargs: Layer keyword arguments, like `name`.
    """

    def __init__(self, mode, num_layers, output_dim, units, max_rows, **kwargs):
        # States are kept in float32 whatever the layers compute in.
        super().__init__(dtype="float32", **kwargs)
        self.mode = mode
        self.num_layers = num_layers
        self.output_dim = output_dim
        self.units = units
        self.max_rows = max_rows

    @property
    def shapes(self):
        """The shapes of the saved states by name; none for `"zeros"`."""
        if self.mode == "zeros":
            return {}
        rows = 1 if self.mode == "warm" else self.max_rows
        sizes = {"hidden": self.output_dim, "cell": self.units}
        return {name: (2, self.num_layers, rows, size) for name, size in sizes.items()}

    def build(self, input_shape=None):
        if self.mode == "zeros":
            return
        self._refuse_a_strategy()
        self.hidden, self.cell = (
            self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)
            for name, shape in self.shapes.items()
        )

    def _refuse_a_strategy(self):
        if self.mode == "carry" and backend.in_distribution_strategy():
            raise ValueError(
                "`state='carry'` is one sequence of calls, and replicas of tf.distribute would "
                "each carry their own. Received: a strategy in scope. Use state='zeros' or 'warm'."
            )

    def initial(self, batch_size):
        """The states to start from, as `BiLSTMStack` takes them, or `None` for zeros."""
        if self.mode == "zeros":
            return None
        states = ops.convert_to_tensor(self.hidden), ops.convert_to_tensor(self.cell)
        if self.mode == "warm":
            return tuple(
                ops.broadcast_to(s, (2, self.num_layers, batch_size, s.shape[-1])) for s in states
            )
        self._refuse_a_strategy()
        backend.require(
            ops.convert_to_tensor(batch_size <= self.max_rows),
            f"`state='carry'` has room for max_rows={self.max_rows} rows. Received a larger batch: "
            "use smaller batches, or build the layer with a larger `max_rows`.",
        )
        return tuple(s[:, :, :batch_size] for s in states)

    def keep(self, final_states, batch_size):
        """Puts the first `batch_size` rows where the next call finds them."""
        if self.mode == "carry":
            for variable, final in zip((self.hidden, self.cell), final_states):
                rest = ops.convert_to_tensor(variable)[:, :, batch_size:]
                final = ops.stop_gradient(ops.cast(final, "float32"))
                variable.assign(ops.concatenate([final, rest], axis=2))

    def set_row(self, states):
        """Saves one row, `(hidden, cell)` for a batch of one, as the warm state."""
        self.hidden.assign(ops.cast(states[0], "float32"))
        self.cell.assign(ops.cast(states[1], "float32"))

    def reset(self):
        """Sets carried states to zeros."""
        if self.mode == "carry" and self.built:
            for variable in (self.hidden, self.cell):
                variable.assign(ops.zeros(variable.shape))

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        # Every way to a SavedModel, `keras.Model.export` too, asks TensorFlow's trackables here.
        if save_type == "savedmodel" and self.mode == "carry":
            raise ValueError(
                "A SavedModel must answer the same whatever it was asked before; `state='carry'` "
                "would not. Received: a model to export with such an ElmoLayer. Export it with "
                "state='warm' (one saved state) or state='zeros', or keep it in the .keras format."
            )
        return super()._trackable_children(save_type, **kwargs)

    def get_config(self):
        config = super().get_config()
        del config["dtype"]
        config.update(
            {
                "mode": self.mode,
                "num_layers": self.num_layers,
                "output_dim": self.output_dim,
                "units": self.units,
                "max_rows": self.max_rows,
            }
        )
        return config
