"""TensorFlow's side of the kernels."""

import contextlib
import weakref

import tensorflow as tf
from tensorflow.python.framework import ops as _ops  # private, see `gradients_of`

from elmo_keras.backend.tensorflow_steps import FullSteps, PackedSteps
from elmo_keras.backend.tensorflow_training import Adagrad as Adagrad
from elmo_keras.backend.tensorflow_training import Adam as Adam
from elmo_keras.backend.tensorflow_training import training_step as training_step

# Steps up to which a loop over full rows is written out.
_MAX_UNROLLED = 32
# Steps up to which a loop runs eagerly where no graph is being made.
_MAX_EAGER = 64
# Names of the gradients that go with their owners, see `gradients_of`.
_OWNED = set()
# Rows from which on a product costs its arithmetic, and no longer the reading of its weights.
_MANY_ROWS = 32


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


def number_of_replicas():
    """Replicas of the `tf.distribute` strategy in scope, 1 without one."""
    return tf.distribute.get_strategy().num_replicas_in_sync


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


def is_concrete(x):
    """Whether the values of a tensor are at hand."""
    return tf.executing_eagerly() and isinstance(x, tf.Tensor)


def is_long_loop(x):
    """Whether a loop over the time steps of `x` would start each small operation from Python.

    A graph then costs less, although it has to be traced once.
    """
    return is_concrete(x) and x.shape[1] > _MAX_EAGER


def graph(function):
    """See `elmo_keras.backend`."""
    return tf.function(function, autograph=False, reduce_retracing=True)


@contextlib.contextmanager
def gradients_of(owner):
    """Inside, gradients that `tf.custom_gradient` registers are forgotten when `owner` is gone.

    TensorFlow keeps them by name for the life of the process, and each holds the graph that it was
    traced in: 80 MB for each training of a small model. Without the owner, whose variables the
    graph reads, nothing can ask for them. Of nested owners the inner one counts.

    The registry has no public way to forget. `tf.RegisterGradient` with
    `Graph.gradient_override_map`, one name for all, was tried: a GradientTape inside of a graph
    does not see it.
    """
    registered = _ops.gradient_registry._registry
    before = set(registered)
    try:
        yield
    finally:
        names = registered.keys() - before - _OWNED
        if names:
            _OWNED.update(names)
            weakref.finalize(owner, _forget, names).atexit = False


def _forget(names):
    _OWNED.difference_update(names)
    for name in names:
        _ops.gradient_registry._registry.pop(name, None)


def take_rows(variable, rows):
    """See `elmo_keras.backend`."""
    return tf.gather(variable.value, rows)


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
    """`FullSteps` or `PackedSteps`; `None` under XLA, whose shapes must not depend on the mask."""
    if not has_dynamic_shapes(x):
        return None
    if mask is None and x.shape[1] in range(1, _MAX_UNROLLED + 1):
        return FullSteps(x)
    return PackedSteps(x, mask)


def projected_lstm(steps, x, states, weights, *, backward, cell_clip, projection_clip, forget_bias):
    """One layer in one direction; see `elmo_keras.backend`."""
    hidden, cell = states
    kernel, bias, recurrent, *projection = weights
    dtype = x.dtype
    cell_dtype = "float64" if dtype == tf.float64 else "float32"
    units, dim = recurrent.shape[1] // 4, recurrent.shape[0]

    def forward(x, hidden, cell, kernel, bias, recurrent, *projection):
        gates = _gates(steps, x, kernel, bias, recurrent, cell_dtype)

        def body(step, hidden, cell, outputs, saved):
            h, c = steps.running(hidden, step), steps.running(cell, step)
            i, f, g, o = gates(step, h)  # (rows, units)
            i, f, g, o = tf.sigmoid(i), tf.sigmoid(f + forget_bias), tf.tanh(g), tf.sigmoid(o)
            saved = steps.write(saved, step, (h, c, i, f, g, o))
            c = _clip(f * c + i * g, cell_clip)
            h = tf.cast(o * tf.tanh(c), dtype)
            if projection:
                h = _clip(tf.matmul(h, projection[0]), projection_clip)
            outputs = steps.write(outputs, step, (h,))
            hidden, cell = steps.renew(hidden, h, step), steps.renew(cell, c, step)
            return hidden, cell, outputs, saved

        hidden, cell, (outputs,), (before, *saved) = steps.loop(
            backward,
            body,
            hidden,
            cell,
            steps.arrays(dim, dtype=dtype),
            steps.arrays(dim, dtype=dtype) + steps.arrays(*[units] * 5, dtype=cell_dtype),
        )
        outputs = steps.join(outputs)  # (steps, dim)
        # Where no gradient is asked for, nobody reads these, and TensorFlow drops them from a
        # graph.
        before, saved = steps.join(before), [steps.hold(array) for array in saved]

        def gradient(*gradients):
            d_outputs, d_hidden, d_cell = map(tf.convert_to_tensor, gradients)
            # The gates stay apart: putting their gradients together in each step costs more than
            # four products in place of one.
            recurrent_t = [tf.transpose(part) for part in tf.split(recurrent, 4, axis=1)]
            projection_t = [tf.transpose(p) for p in projection]

            def tanh_grad(y, dy):
                return tf.raw_ops.TanhGrad(y=y, dy=dy)

            def sigmoid_grad(y, dy):
                return tf.raw_ops.SigmoidGrad(y=y, dy=dy)

            def body(step, d_hidden, d_cell, d_gates, d_projected, inner):
                c, i, f, g, o = (steps.at(packed, step) for packed in saved)  # (rows, units)
                unclipped = f * c + i * g
                tanh = tf.tanh(_clip(unclipped, cell_clip))
                d_h = steps.at(d_outputs, step) + steps.running(d_hidden, step)
                if projection:
                    d_h = _clip_gradient(d_h, steps.at(outputs, step), projection_clip)
                    d_projected = steps.write(d_projected, step, (d_h,))
                    inner = steps.write(inner, step, (tf.cast(o * tanh, dtype),))
                    d_h = tf.matmul(d_h, projection_t[0])  # (rows, units)
                d_h = tf.cast(d_h, cell_dtype)
                d_c = steps.running(d_cell, step) + tanh_grad(tanh, d_h * o)
                d_c = _clip_gradient(d_c, unclipped, cell_clip)
                d_all = (
                    sigmoid_grad(i, d_c * g),
                    sigmoid_grad(f, d_c * c),
                    tanh_grad(g, d_c * i),
                    sigmoid_grad(o, d_h * tanh),
                )
                d_all = [tf.cast(part, dtype) for part in d_all]  # (rows, units)
                d_gates = steps.write(d_gates, step, d_all)
                d_h = tf.add_n([tf.matmul(*pair) for pair in zip(d_all, recurrent_t)])
                d_hidden = steps.renew(d_hidden, d_h, step)
                d_cell = steps.renew(d_cell, d_c * f, step)
                return d_hidden, d_cell, d_gates, d_projected, inner

            d_hidden, d_cell, d_gates, d_projected, inner = steps.loop(
                not backward,
                body,
                d_hidden,
                d_cell,
                steps.arrays(*[units] * 4, dtype=dtype),
                steps.arrays(*[dim] * len(projection), dtype=dtype),
                steps.arrays(*[units] * len(projection), dtype=dtype),
            )
            d_gates = [steps.join(part) for part in d_gates]  # (steps, units)
            # One product is faster than two.
            read = tf.concat([x, before], axis=1)
            d_products = [tf.matmul(read, part, transpose_a=True) for part in d_gates]
            d_products = tf.concat(d_products, axis=1)
            kernels = tf.split(kernel, 4, axis=1)
            return (
                tf.add_n([tf.matmul(*pair, transpose_b=True) for pair in zip(d_gates, kernels)]),
                d_hidden,
                d_cell,
                d_products[:-dim],
                tf.concat([tf.raw_ops.BiasAddGrad(out_backprop=part) for part in d_gates], axis=0),
                d_products[-dim:],
                *[
                    tf.matmul(steps.join(m), steps.join(d), transpose_a=True)
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


def _gates(steps, x, kernel, bias, recurrent, dtype):
    """A function of a step and its hidden states: the four gates before their activations."""
    if steps.has_rows(_MANY_ROWS):
        # Each gate by itself, of input and state at once: nothing to add up, nothing to split.
        kernels = tf.split(tf.concat([kernel, recurrent], axis=0), 4, axis=1)
        biases = tf.split(bias, 4)

        def gates(step, h):
            read = tf.concat([steps.at(x, step), h], axis=1)
            parts = [tf.nn.bias_add(tf.matmul(read, k), b) for k, b in zip(kernels, biases)]
            return [tf.cast(part, dtype) for part in parts]

        return gates

    given = tf.matmul(x, kernel)  # (steps, 4 * units), the weights read but once

    def gates(step, h):
        own = tf.nn.bias_add(tf.matmul(h, recurrent), bias)
        both = tf.cast(steps.at(given, step), dtype) + tf.cast(own, dtype)
        return tf.split(both, 4, axis=-1)

    return gates


def _clip(x, bound):
    if bound is None:
        return x
    bound = tf.cast(bound, x.dtype)
    return tf.raw_ops.ClipByValue(t=x, clip_value_min=-bound, clip_value_max=bound)


def _clip_gradient(gradient, x, bound):
    """The gradient of `_clip` at `x`, clipped or not."""
    if bound is None:
        return gradient
    return tf.where(tf.abs(x) < tf.cast(bound, x.dtype), gradient, tf.zeros((), gradient.dtype))
