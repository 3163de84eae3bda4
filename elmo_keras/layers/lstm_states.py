"""The initial states of ELMo's LSTMs: zeros, a saved state, or the state of the last call."""

from typing import Any

import keras
from keras import ops

from elmo_keras import backend

STATES = ("zeros", "warm", "carry")


@keras.saving.register_keras_serializable(package="elmo_keras")
class LSTMStates(keras.layers.Layer):
    """The initial states of an `ElmoLayer`'s LSTMs.

    - `"zeros"`: zeros; the layer has no variables.
    - `"warm"`: one saved state for each layer and direction, used for every row of every batch.
    - `"carry"`: each row starts from the final state of the same row in the previous call, as in
      bilm-tf and AllenNLP. Rows beyond the end of a smaller batch keep their states.

    Args:
        mode: str. `"zeros"`, `"warm"` or `"carry"`.
        num_layers: int. Number of layers of each direction.
        output_dim: int. Size of a hidden state.
        units: int. Size of a cell state.
        max_rows: int. Largest batch that `"carry"` stores states for.
        **kwargs: Layer keyword arguments, like `name`.
    """

    def __init__(
        self,
        mode: str,
        num_layers: int,
        output_dim: int,
        units: int,
        max_rows: int,
        **kwargs: Any,
    ) -> None:
        # The states are stored in float32, whatever dtype the LSTMs compute in.
        super().__init__(dtype="float32", **kwargs)
        self.mode = mode
        self.num_layers = num_layers
        self.output_dim = output_dim
        self.units = units
        self.max_rows = max_rows

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the stored states by name; empty for `"zeros"`."""
        if self.mode == "zeros":
            return {}
        rows = 1 if self.mode == "warm" else self.max_rows
        sizes = {"hidden": self.output_dim, "cell": self.units}
        return {name: (2, self.num_layers, rows, size) for name, size in sizes.items()}

    def build(self, input_shape: Any = None) -> None:
        if self.mode == "zeros":
            return
        self._refuse_a_strategy()
        self.hidden, self.cell = (
            self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name)
            for name, shape in self.shapes.items()
        )

    def _refuse_a_strategy(self) -> None:
        if self.mode == "carry" and backend.in_distribution_strategy():
            raise ValueError(
                "`state='carry'` must be used without tf.distribute: each replica would carry its "
                "own states. Received: a strategy in scope. Use state='zeros' or 'warm'."
            )

    def load(self, batch_size: Any) -> tuple[Any, Any] | None:
        """Returns the initial states of a batch.

        Args:
            batch_size: int or int tensor.

        Returns:
            `(hidden, cell)` of shapes `(2, num_layers, batch_size, output_dim)` and
            `(2, num_layers, batch_size, units)`, or `None` for zeros.

        Raises:
            ValueError: if `"carry"` gets a batch of more than `max_rows` rows, or if it is used
                inside a `tf.distribute` strategy.
        """
        if self.mode == "zeros":
            return None
        hidden, cell = ops.convert_to_tensor(self.hidden), ops.convert_to_tensor(self.cell)
        if self.mode == "warm":
            shape = 2, self.num_layers, batch_size
            return (
                ops.broadcast_to(hidden, (*shape, self.output_dim)),
                ops.broadcast_to(cell, (*shape, self.units)),
            )
        self._refuse_a_strategy()
        backend.require(
            ops.convert_to_tensor(batch_size <= self.max_rows),
            f"`state='carry'` has room for max_rows={self.max_rows} rows. Received a larger batch: "
            "use smaller batches, or build the layer with a larger `max_rows`.",
        )
        return hidden[:, :, :batch_size], cell[:, :, :batch_size]

    def store(self, final_states: tuple[Any, Any], batch_size: Any) -> None:
        """Stores the final states of a batch for the next call if the mode is `"carry"`.

        Args:
            final_states: `(hidden, cell)` in the form of `load`.
            batch_size: int or int tensor. Only the first `batch_size` stored rows change.
        """
        if self.mode == "carry":
            for variable, final in zip((self.hidden, self.cell), final_states):
                rest = ops.convert_to_tensor(variable)[:, :, batch_size:]
                final = ops.stop_gradient(ops.cast(final, "float32"))
                variable.assign(ops.concatenate([final, rest], axis=2))

    def set_warm_state(self, states: tuple[Any, Any]) -> None:
        """Sets the state that every row starts from if the mode is `"warm"`.

        Args:
            states: `(hidden, cell)` in the form of `load`, of a batch of one row.
        """
        self.hidden.assign(ops.cast(states[0], "float32"))
        self.cell.assign(ops.cast(states[1], "float32"))

    def reset(self) -> None:
        """Sets the stored states to zeros if the mode is `"carry"`."""
        if self.mode == "carry" and self.built:
            for variable in (self.hidden, self.cell):
                variable.assign(ops.zeros(variable.shape))

    def _trackable_children(self, save_type: Any = "checkpoint", **kwargs: Any) -> Any:
        # A private hook of TensorFlow, the only method of a nested layer that both
        # `keras.Model.export` and `tf.saved_model.save` call. Tried in vain: the public
        # `get_config`, `get_build_config`, `save_own_variables` and `export` of the layer.
        if save_type == "savedmodel" and self.mode == "carry":
            raise ValueError(
                "The outputs of a SavedModel must not depend on earlier calls; with "
                "`state='carry'` they would. Received: a model to export with such an ElmoLayer. "
                "Export it with state='warm' (one saved state) or state='zeros', or save it in the "
                ".keras format."
            )
        return super()._trackable_children(save_type, **kwargs)

    def get_config(self) -> dict[str, Any]:
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
