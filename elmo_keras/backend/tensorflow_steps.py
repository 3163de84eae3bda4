"""The steps of a batch as the recurrent layers of TensorFlow's side work on them."""

import tensorflow as tf


class FullSteps:
    """The steps of a batch of short rows that are all real, one time step behind the other.

    The number of steps being known, a loop over them is a graph of all of its turns: what they
    leave is handed on as it is, without being joined and cut again.

    Args:
        x: `(batch, time, dim)` float, whose shape counts.
    """

    def __init__(self, x):
        self.shape = x.shape[:2]
        self.batch, self.number = x.shape[0] or tf.shape(x)[0], x.shape[1]

    def pack(self, x):
        """`(steps, dim)` of `(batch, time, dim)`."""
        return tf.reshape(tf.transpose(x, (1, 0, 2)), (-1, x.shape[-1]))

    def unpack(self, x):
        """`(batch, time, dim)` of `(steps, dim)`."""
        dim = x.shape[-1]
        x = tf.transpose(tf.reshape(x, (self.number, self.batch, dim)), (1, 0, 2))
        return tf.ensure_shape(x, (*self.shape, dim))

    def pack_state(self, state):
        return state

    def unpack_state(self, state):
        return state

    def has_rows(self, number):
        """Whether each step is known to have so many rows."""
        return isinstance(self.batch, int) and self.batch >= number

    def loop(self, backward, body, *state):
        """Calls `body(step, *state)`, which returns the new state, for each step."""
        for step in reversed(range(self.number)) if backward else range(self.number):
            state = body(step, *state)
        return state

    def arrays(self, *sizes, dtype):
        """For each size an array to write the `(rows, size)` of every step to."""
        return [[None] * self.number for _ in sizes]

    def write(self, arrays, step, values):
        for array, value in zip(arrays, values):
            array[step] = value
        return arrays

    def join(self, array):
        """`(steps, size)` of an array."""
        return tf.concat(array, axis=0)

    def hold(self, array):
        """An array as its gradient needs it: `at` finds the rows of a step in it."""
        return array

    def at(self, packed, step):
        """The rows of a step."""
        if isinstance(packed, list):
            return packed[step]
        return tf.slice(packed, [step * self.batch, 0], [self.batch, -1])

    def running(self, state, step):
        """The rows of a state that are running at a step."""
        return state

    def renew(self, state, new, step):
        """The state with those rows replaced."""
        return new


class PackedSteps:
    """The real steps of a padded batch, one time step behind the other, without the padding.

    Rows are sorted by length, so that the rows still running at a step are the first ones, and a
    recurrent layer works on `state[:rows[step]]`. What is packed has one row a real step.

    Args:
        x: `(batch, time, dim)` float, whose shape counts.
        mask: `(batch, time)` bool, or `None` where all steps are real. Holes are closed up: a
            step that the mask leaves out is skipped wherever it stands.
    """

    def __init__(self, x, mask=None):
        self.shape = x.shape[:2]
        self.batch, self.time = tf.shape(x)[0], tf.shape(x)[1]
        if mask is None:
            mask = tf.ones((self.batch, self.time), "bool")
        length = tf.reduce_sum(tf.cast(mask, "int32"), axis=1)  # (batch,)
        order = tf.argsort(length, direction="DESCENDING", stable=True)
        length = tf.gather(length, order)
        place = tf.range(self.time)
        # The places of a row's real steps first.
        closed = tf.argsort(tf.where(mask, place, place + self.time), axis=1)  # (batch, time)
        closed = tf.gather(closed + self.time * tf.range(self.batch)[:, tf.newaxis], order)
        is_running = place[:, tf.newaxis] < length  # (time, batch)
        rows = tf.reduce_sum(tf.cast(is_running, "int32"), axis=1)
        self.rows = tf.pad(rows, [[0, 1]])  # running at each step
        self.starts = tf.cumsum(self.rows, exclusive=True)
        # Steps of the longest row. Where all are empty one step of no rows is left: an array of
        # no parts cannot be joined.
        self.number = tf.maximum(tf.math.count_nonzero(rows, dtype="int32"), 1)
        # Where in the padded batch, seen as one long row, each packed step stands.
        self.places = tf.boolean_mask(tf.transpose(closed), is_running)  # (steps,)
        self.order = order

    def pack(self, x):
        """`(steps, dim)` of `(batch, time, dim)`."""
        return tf.gather(tf.reshape(x, (-1, x.shape[-1])), self.places)

    def unpack(self, x):
        """`(batch, time, dim)` of `(steps, dim)`, zeros where no step is."""
        dim = x.shape[-1]
        flat = tf.scatter_nd(self.places[:, tf.newaxis], x, (self.batch * self.time, dim))
        return tf.ensure_shape(tf.reshape(flat, (self.batch, self.time, dim)), (*self.shape, dim))

    def pack_state(self, state):
        """The rows of `(batch, dim)` in the order of the packed steps."""
        return tf.gather(state, self.order)

    def unpack_state(self, state):
        """The inverse of `pack_state`."""
        return tf.gather(state, tf.argsort(self.order))

    def has_rows(self, number):
        """See `FullSteps`, as what comes below."""
        return False

    def loop(self, backward, body, *state):

        def turn(count, *state):
            return count + 1, *body(self.number - 1 - count if backward else count, *state)

        state = tf.while_loop(
            lambda count, *_: count < self.number, turn, (0, *state), parallel_iterations=1
        )
        return state[1:]

    def arrays(self, *sizes, dtype):
        return [
            tf.TensorArray(dtype, self.number, element_shape=(None, size), infer_shape=False)
            for size in sizes
        ]

    def write(self, arrays, step, values):
        return [array.write(step, value) for array, value in zip(arrays, values)]

    def join(self, array):
        return array.concat()

    def hold(self, array):
        # A SavedModel's gradient cannot hold a TensorArray, but it can hold tensors.
        return array.concat()

    def at(self, packed, step):
        return tf.slice(packed, [self.starts[step], 0], [self.rows[step], -1])  # without a copy

    def running(self, state, step):
        return state[: self.rows[step]]

    def renew(self, state, new, step):
        renewed = tf.concat([new, state[self.rows[step] :]], axis=0)
        renewed.set_shape(state.shape)
        return renewed
