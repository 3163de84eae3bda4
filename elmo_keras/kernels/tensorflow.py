"""TensorFlow's side of the kernels."""

import tensorflow as tf


def require(condition, message):
    """Raises `ValueError(message)` eagerly, asserts with the same message in a graph."""
    if tf.executing_eagerly():
        if not bool(condition):
            raise ValueError(message)
    else:
        tf.debugging.Assert(condition, [message])


def in_distribution_strategy():
    """Whether a `tf.distribute` strategy is in scope."""
    return tf.distribute.has_strategy()


def adopt(array):
    """A tensor of an array that nobody else writes to, without a copy if it is aligned."""
    if array.ctypes.data % 64 or not array.flags.c_contiguous or not array.flags.writeable:
        return tf.convert_to_tensor(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def has_dynamic_shapes(x):
    """Whether shapes may depend on the values of `x`: everywhere but under XLA."""
    if tf.executing_eagerly():
        return True
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        context = graph._get_control_flow_context()
        if context is not None and context.IsXLAContext():
            return False
        graph = getattr(graph, "outer_graph", None)
    return True


def inference(layer, *inputs):
    """The layer as a function that is traced once for all sizes."""
    specifications = [tf.TensorSpec((None, *shape), dtype) for shape, dtype in inputs]
    first = specifications if len(specifications) > 1 else specifications[0]
    return tf.function(layer.__call__, input_signature=[first], autograph=False)


def distinct(rows):
    """`(distinct rows, place of each row among them)` of `(n, size)` ints."""
    if not has_dynamic_shapes(rows):
        return rows, None
    found, places = tf.raw_ops.UniqueV2(x=rows, axis=[0])
    return tf.ensure_shape(found, (None, rows.shape[1])), places


def steps(x, mask=None):
    """See `PackedSteps`; `None` under XLA, whose shapes must not depend on the mask."""
    return PackedSteps(x, mask) if has_dynamic_shapes(x) else None


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


def projected_lstm(steps, x, states, weights, *, backward, cell_clip, projection_clip, forget_bias):
    """One layer in one direction; see `elmo_keras.kernels`."""
    hidden, cell = states
    kernel, bias, recurrent, *projection = weights
    dtype = x.dtype
    cell_dtype = "float64" if dtype == tf.float64 else "float32"
    units, dim = recurrent.shape[1] // 4, recurrent.shape[0]

    def at(packed, step):
        """The rows of a step, without a copy."""
        return tf.slice(packed, [steps.starts[step], 0], [steps.rows[step], -1])

    def arrays(*sizes, dtype=cell_dtype):
        return [
            tf.TensorArray(dtype, steps.number, element_shape=(None, size), infer_shape=False)
            for size in sizes
        ]

    def write(arrays, step, values):
        return [array.write(step, value) for array, value in zip(arrays, values)]

    def loop(backward, body, *start):
        def turn(count, *state):
            return count + 1, *body(steps.number - 1 - count if backward else count, *state)

        state = tf.while_loop(
            lambda count, *_: count < steps.number,
            turn,
            (0, *start),
            parallel_iterations=1,
        )
        return state[1:]

    def forward(x, hidden, cell, kernel, bias, recurrent, *projection):
        given = tf.matmul(x, kernel)  # (steps, 4 * units)

        def body(step, hidden, cell, outputs, saved):
            rows = steps.rows[step]
            h, c = hidden[:rows], cell[:rows]
            gates = tf.nn.bias_add(tf.matmul(h, recurrent), bias)
            gates = tf.cast(at(given, step), cell_dtype) + tf.cast(gates, cell_dtype)
            i, f, g, o = tf.split(gates, 4, axis=-1)  # (rows, units)
            i, f, g, o = tf.sigmoid(i), tf.sigmoid(f + forget_bias), tf.tanh(g), tf.sigmoid(o)
            saved = write(saved, step, (h, c, i, f, g, o))
            c = _clip(f * c + i * g, cell_clip)
            h = tf.cast(o * tf.tanh(c), dtype)
            if projection:
                h = _clip(tf.matmul(h, projection[0]), projection_clip)
            outputs = write(outputs, step, (h,))
            hidden = _renew(hidden, h, rows)
            cell = _renew(cell, c, rows)
            return hidden, cell, outputs, saved

        hidden, cell, (outputs,), saved = loop(
            backward,
            body,
            hidden,
            cell,
            arrays(dim, dtype=dtype),
            arrays(dim, dtype=dtype) + arrays(*[units] * 5),
        )
        outputs = outputs.concat()  # (steps, dim)
        # Where no gradient is asked for, nobody reads these, and TensorFlow drops them from a
        # graph. A SavedModel's gradient cannot hold a TensorArray, but it can hold tensors.
        before, *saved = (array.concat() for array in saved)

        def gradient(*gradients):
            d_outputs, d_hidden, d_cell = map(tf.convert_to_tensor, gradients)
            recurrent_t = tf.transpose(recurrent)
            projection_t = [tf.transpose(p) for p in projection]

            def body(step, d_hidden, d_cell, d_gates, d_projected, inner):
                rows = steps.rows[step]
                c, i, f, g, o = (at(packed, step) for packed in saved)  # (rows, units)
                unclipped = f * c + i * g
                tanh = tf.tanh(_clip(unclipped, cell_clip))
                d_h = at(d_outputs, step) + d_hidden[:rows]
                if projection:
                    d_h = _clip_gradient(d_h, at(outputs, step), projection_clip)
                    d_projected = write(d_projected, step, (d_h,))
                    inner = write(inner, step, (tf.cast(o * tanh, dtype),))
                    d_h = tf.matmul(d_h, projection_t[0])  # (rows, units)
                d_h = tf.cast(d_h, cell_dtype)
                d_c = d_cell[:rows] + d_h * o * (1 - tanh * tanh)
                d_c = _clip_gradient(d_c, unclipped, cell_clip)
                d_all = tf.concat(
                    [
                        d_c * g * i * (1 - i),
                        d_c * c * f * (1 - f),
                        d_c * i * (1 - g * g),
                        d_h * tanh * o * (1 - o),
                    ],
                    axis=-1,
                )
                d_all = tf.cast(d_all, dtype)  # (rows, 4 * units)
                d_gates = write(d_gates, step, (d_all,))
                d_h = tf.matmul(d_all, recurrent_t)  # (rows, dim)
                d_hidden = _renew(d_hidden, d_h, rows)
                d_cell = _renew(d_cell, d_c * f, rows)
                return d_hidden, d_cell, d_gates, d_projected, inner

            d_hidden, d_cell, (d_gates,), d_projected, inner = loop(
                not backward,
                body,
                d_hidden,
                d_cell,
                arrays(4 * units, dtype=dtype),
                arrays(*[dim] * len(projection), dtype=dtype),
                arrays(*[units] * len(projection), dtype=dtype),
            )
            d_gates = d_gates.concat()  # (steps, 4 * units)
            return (
                tf.matmul(d_gates, kernel, transpose_b=True),
                d_hidden,
                d_cell,
                tf.matmul(x, d_gates, transpose_a=True),
                tf.reduce_sum(d_gates, axis=0),
                tf.matmul(before, d_gates, transpose_a=True),
                *[
                    tf.matmul(m.concat(), d.concat(), transpose_a=True)
                    for m, d in zip(inner, d_projected)
                ],
            )

        return (outputs, hidden, cell), gradient

    outputs, hidden, cell = tf.custom_gradient(forward)(
        x,
        steps.pack_state(hidden),
        steps.pack_state(tf.cast(cell, cell_dtype)),
        kernel,
        bias,
        recurrent,
        *projection,
    )
    return outputs, (steps.unpack_state(hidden), tf.cast(steps.unpack_state(cell), dtype))


def _renew(state, new, rows):
    """The state with its first rows replaced."""
    renewed = tf.concat([new, state[rows:]], axis=0)
    renewed.set_shape(state.shape)
    return renewed


def _clip(x, bound):
    return x if bound is None else tf.clip_by_value(x, -bound, bound)


def _clip_gradient(gradient, x, bound):
    """The gradient of `_clip` at `x`, clipped or not."""
    if bound is None:
        return gradient
    return tf.where(tf.abs(x) < tf.cast(bound, x.dtype), gradient, tf.zeros((), gradient.dtype))


def training_step(loss, weights, optimizer, max_norm):
    """See `elmo_keras.kernels`. Under a strategy, batch and states are values of each replica."""
    strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    optimizer.build(weights)

    def replica(batch, states):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([weight.value for weight in weights])
            value, sums, states = loss(batch, states)
        gradients = tape.gradient(
            value,
            [weight.value for weight in weights],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        if replicas > 1:
            context = tf.distribute.get_replica_context()
            gradients, sums = context.all_reduce(tf.distribute.ReduceOp.SUM, [gradients, sums])
        norm = tf.linalg.global_norm(gradients)
        scale = max_norm / tf.maximum(norm, max_norm)
        # Keras sums over the replicas once more; a division by a power of two is exact.
        optimizer.apply([gradient * (scale / replicas) for gradient in gradients], weights)
        return sums, norm, states

    if replicas > 1:
        return tf.function(
            lambda batch, states: strategy.run(replica, (batch, states)), autograph=False
        )
    return _traced_once(replica)


def _traced_once(function):
    """A function of a batch, whose arrays may differ in their first dimension, and of states."""
    traced = []

    def call(batch, states):
        # A signature holds no None.
        arrays = [x for x in tf.nest.flatten(batch) if x is not None]
        states = list(states)
        if not traced:
            is_there = [x is not None for x in tf.nest.flatten(batch)]

            def whole(arrays, states):
                left = iter(arrays)
                leaves = [next(left) if there else None for there in is_there]
                return function(tf.nest.pack_sequence_as(batch, leaves), states)

            signature = [
                [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in arrays],
                [tf.TensorSpec(x.shape, x.dtype) for x in states],
            ]
            traced.append(tf.function(whole, input_signature=signature, autograph=False))
        return traced[0](arrays, states)

    return call
