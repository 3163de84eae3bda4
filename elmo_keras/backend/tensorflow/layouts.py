"""Sequence layouts on TensorFlow, both without padding."""

from collections.abc import Callable
from typing import Any, Protocol

import tensorflow as tf

from elmo_keras.backend.layouts import SequenceLayout


class LoopLayout(SequenceLayout, Protocol):
    """A sequence layout that also runs the loop of a scan over its time steps.

    Packed values have shape `(steps, dim)`, where `steps` counts the real steps of all rows, in
    time-major order. `rows` below is the number of rows that have a real step at a time step.
    """

    def pack_state(self, state: Any) -> Any:
        """Reorders the rows of a state `(batch, dim)` as the loop needs them."""

    def unpack_state(self, state: Any) -> Any:
        """Inverts `pack_state`."""

    def has_rows(self, num_rows: int) -> bool:
        """Whether every time step is known to have at least `num_rows` rows."""

    def loop(self, backward: bool, body: Callable[..., Any], *state: Any) -> Any:
        """Runs `body(step, *state)` for every time step, and returns the last state.

        Args:
            backward: whether to begin at the last time step.
            body: function of an int or int tensor and of the state; returns the new state.
            *state: tensors, and arrays from `arrays`.
        """

    def arrays(self, *sizes: int, dtype: Any) -> list[Any]:
        """Creates an array for each size, to hold a `(rows, size)` value of every time step."""

    def write(self, arrays: list[Any], step: Any, values: Any) -> list[Any]:
        """Writes one value of a time step to each array, and returns the new arrays."""

    def join(self, array: Any) -> Any:
        """Converts an array to a packed tensor `(steps, size)`."""

    def hold(self, array: Any) -> Any:
        """Converts an array to a form that a gradient can keep and that `at` accepts."""

    def at(self, packed: Any, step: Any) -> Any:
        """Returns the `(rows, size)` part of packed values at a time step."""

    def running(self, state: Any, step: Any) -> Any:
        """Returns the `(rows, dim)` part of a packed state that a time step updates."""

    def renew(self, state: Any, new: Any, step: Any) -> Any:
        """Returns the packed state with its `running` part replaced by `new`."""


class UnrolledLayout(LoopLayout):
    """Time-major layout of a short, unpadded batch whose length is known; its loop is unrolled.

    The graph holds the operations of every step: values pass from step to step without being
    concatenated and sliced again.

    Args:
        x: `(batch, time, dim)` float with a known `time`; only its shape is used.
    """

    def __init__(self, x: Any) -> None:
        self.shape = x.shape[:2]
        self.batch, self.num_steps = x.shape[0] or tf.shape(x)[0], x.shape[1]

    def pack(self, x: Any) -> Any:
        return tf.reshape(tf.transpose(x, (1, 0, 2)), (-1, x.shape[-1]))

    def unpack(self, x: Any) -> Any:
        dim = x.shape[-1]
        x = tf.transpose(tf.reshape(x, (self.num_steps, self.batch, dim)), (1, 0, 2))
        return tf.ensure_shape(x, (*self.shape, dim))

    def pack_state(self, state: Any) -> Any:
        return state

    def unpack_state(self, state: Any) -> Any:
        return state

    def has_rows(self, num_rows: int) -> bool:
        return isinstance(self.batch, int) and self.batch >= num_rows

    def loop(self, backward: bool, body: Callable[..., Any], *state: Any) -> Any:
        for step in reversed(range(self.num_steps)) if backward else range(self.num_steps):
            state = body(step, *state)
        return state

    def arrays(self, *sizes: int, dtype: Any) -> list[Any]:
        return [[None] * self.num_steps for _ in sizes]

    def write(self, arrays: list[Any], step: Any, values: Any) -> list[Any]:
        for array, value in zip(arrays, values):
            array[step] = value
        return arrays

    def join(self, array: Any) -> Any:
        return tf.concat(array, axis=0)

    def hold(self, array: Any) -> Any:
        return array

    def at(self, packed: Any, step: Any) -> Any:
        if isinstance(packed, list):
            return packed[step]
        return tf.slice(packed, [step * self.batch, 0], [self.batch, -1])

    def running(self, state: Any, step: Any) -> Any:
        return state

    def renew(self, state: Any, new: Any, step: Any) -> Any:
        return new


class PackedLayout(LoopLayout):
    """Time-major layout of the real steps of a padded batch, without the padding.

    Rows are sorted by length, longest first. The rows that are still running at a time step are
    thus the first ones, and the loop works on `state[:rows[step]]`.

    Args:
        x: `(batch, time, dim)` float; only its shape is used.
        mask: `(batch, time)` bool, or `None` if all steps are real. A masked step may stand
            anywhere: the real steps of its row are moved together.
    """

    def __init__(self, x: Any, mask: Any = None) -> None:
        self.shape = x.shape[:2]
        self.batch, self.time = tf.shape(x)[0], tf.shape(x)[1]
        if mask is None:
            mask = tf.ones((self.batch, self.time), "bool")
        length = tf.reduce_sum(tf.cast(mask, "int32"), axis=1)  # (batch,)
        order = tf.argsort(length, direction="DESCENDING", stable=True)
        length = tf.gather(length, order)
        place = tf.range(self.time)
        # Sorts the real steps of each row to the front.
        closed = tf.argsort(tf.where(mask, place, place + self.time), axis=1)  # (batch, time)
        closed = tf.gather(closed + self.time * tf.range(self.batch)[:, tf.newaxis], order)
        is_running = place[:, tf.newaxis] < length  # (time, batch)
        rows = tf.reduce_sum(tf.cast(is_running, "int32"), axis=1)
        self.rows = tf.pad(rows, [[0, 1]])  # running rows at each time step
        self.starts = tf.cumsum(self.rows, exclusive=True)
        # Length of the longest row. At least 1, because an empty TensorArray cannot be
        # concatenated: if all rows are empty, the loop has one step of zero rows.
        self.num_steps = tf.maximum(tf.math.count_nonzero(rows, dtype="int32"), 1)
        # Index of each packed step in the padded batch, flattened to (batch * time,).
        self.places = tf.boolean_mask(tf.transpose(closed), is_running)  # (steps,)
        self.order = order

    def pack(self, x: Any) -> Any:
        return tf.gather(tf.reshape(x, (-1, x.shape[-1])), self.places)

    def unpack(self, x: Any) -> Any:
        dim = x.shape[-1]
        flat = tf.scatter_nd(self.places[:, tf.newaxis], x, (self.batch * self.time, dim))
        return tf.ensure_shape(tf.reshape(flat, (self.batch, self.time, dim)), (*self.shape, dim))

    def pack_state(self, state: Any) -> Any:
        return tf.gather(state, self.order)

    def unpack_state(self, state: Any) -> Any:
        return tf.gather(state, tf.argsort(self.order))

    def has_rows(self, num_rows: int) -> bool:
        return False

    def loop(self, backward: bool, body: Callable[..., Any], *state: Any) -> Any:

        def turn(count: Any, *state: Any) -> tuple[Any, ...]:
            return count + 1, *body(self.num_steps - 1 - count if backward else count, *state)

        state = tf.while_loop(
            lambda count, *_: count < self.num_steps, turn, (0, *state), parallel_iterations=1
        )
        return state[1:]

    def arrays(self, *sizes: int, dtype: Any) -> list[Any]:
        return [
            tf.TensorArray(dtype, self.num_steps, element_shape=(None, size), infer_shape=False)
            for size in sizes
        ]

    def write(self, arrays: list[Any], step: Any, values: Any) -> list[Any]:
        return [array.write(step, value) for array, value in zip(arrays, values)]

    def join(self, array: Any) -> Any:
        return array.concat()

    def hold(self, array: Any) -> Any:
        # The gradient in a SavedModel can hold tensors, but no TensorArray.
        return array.concat()

    def at(self, packed: Any, step: Any) -> Any:
        return tf.slice(packed, [self.starts[step], 0], [self.rows[step], -1])  # without a copy

    def running(self, state: Any, step: Any) -> Any:
        return state[: self.rows[step]]

    def renew(self, state: Any, new: Any, step: Any) -> Any:
        renewed = tf.concat([new, state[self.rows[step] :]], axis=0)
        renewed.set_shape(state.shape)
        return renewed
