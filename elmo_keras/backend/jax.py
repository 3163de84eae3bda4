"""JAX's side of the kernels."""

import contextlib
import functools

import jax
import jax.numpy as jnp
import keras

Adagrad = keras.optimizers.Adagrad
Adam = keras.optimizers.Adam


def require(condition, message):
    """Raises `ValueError(message)` on concrete values; traced values cannot be looked at."""
    if not isinstance(condition, jax.core.Tracer) and not bool(condition):
        raise ValueError(message)


def in_distribution_strategy():
    """Always False: `tf.distribute` is TensorFlow's."""
    return False


def number_of_replicas():
    """Without `tf.distribute` there is one."""
    return 1


def adopt(array):
    """An array of JAX's own."""
    return jnp.asarray(array)


def has_dynamic_shapes(x):
    """Always False: under jit, shapes are fixed."""
    return False


def is_concrete(x):
    """Whether the values of an array are at hand."""
    return isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer)


def is_long_loop(x):
    """Always False: JAX compiles loops over time steps in any case."""
    return False


def graph(function):
    """See `elmo_keras.backend`."""
    return function


def gradients_of(owner):
    """Nothing is kept here in any case."""
    return contextlib.nullcontext()


def take_rows(variable, rows):
    """See `elmo_keras.backend`."""
    return keras.ops.take(variable, rows, axis=0)


def inference(layer, *inputs):
    """The layer as a function that is compiled once for each size."""
    call = jax.jit(lambda *arguments: layer.stateless_call(*arguments)[0])

    def function(x):
        variables = layer.trainable_variables, layer.non_trainable_variables
        return call(*([variable.value for variable in part] for part in variables), x)

    return function


def distinct(rows):
    """The rows as they are: how many distinct ones there are is no fixed shape."""
    return rows, None


def steps(x, mask=None):
    """See `PaddedSteps`."""
    return PaddedSteps(x, mask)


class PaddedSteps:
    """All steps of a batch, time first; the mask says which ones count.

    Args:
        x: `(batch, time, dim)` float, whose shape counts.
        mask: `(batch, time)` bool, or `None` where all steps are real.
    """

    def __init__(self, x, mask=None):
        mask = jnp.ones(x.shape[:2], bool) if mask is None else mask
        self.mask = jnp.swapaxes(mask, 0, 1)[..., None]  # (time, batch, 1)

    def pack(self, x):
        """`(time, batch, dim)` of `(batch, time, dim)`."""
        return jnp.swapaxes(x, 0, 1)

    def unpack(self, x):
        """`(batch, time, dim)` of `(time, batch, dim)`, zeros where no step is."""
        return jnp.swapaxes(jnp.where(self.mask, x, 0), 0, 1)


def projected_lstm(steps, x, states, weights, *, backward, cell_clip, projection_clip, forget_bias):
    """One layer in one direction; see `elmo_keras.backend`."""
    hidden, cell = states
    options = (backward, cell_clip, projection_clip, forget_bias)
    cell = cell.astype(_cell_dtype(x))
    outputs, hidden, cell = _scan(options, steps.mask, x, hidden, cell, tuple(weights))
    return outputs, (hidden, cell.astype(x.dtype))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scan(options, mask, x, hidden, cell, weights):
    return _forward(options, mask, x, hidden, cell, weights)[0]


def _forward(options, mask, x, hidden, cell, weights):
    backward, cell_clip, projection_clip, forget_bias = options
    kernel, bias, recurrent, *projection = weights
    given = x @ kernel + bias  # (time, batch, 4 * units)

    def step(states, inputs):
        hidden, cell = states
        given, is_real = inputs
        gates = given.astype(cell.dtype) + (hidden @ recurrent).astype(cell.dtype)
        i, f, g, o = jnp.split(gates, 4, axis=-1)  # (batch, units)
        i, f = jax.nn.sigmoid(i), jax.nn.sigmoid(f + forget_bias)
        g, o = jnp.tanh(g), jax.nn.sigmoid(o)
        c = _clip(f * cell + i * g, cell_clip)
        h = (o * jnp.tanh(c)).astype(x.dtype)
        if projection:
            h = _clip(h @ projection[0], projection_clip)
        saved = (i, f, g, o, hidden, cell, h)
        return (jnp.where(is_real, h, hidden), jnp.where(is_real, c, cell)), saved

    (hidden, cell), saved = jax.lax.scan(step, (hidden, cell), (given, mask), reverse=backward)
    return (saved[-1], hidden, cell), (mask, x, weights, saved)


def _backward(options, residuals, gradients):
    backward, cell_clip, projection_clip, _ = options
    mask, x, (kernel, _, recurrent, *projection), saved = residuals
    d_outputs, d_hidden, d_cell = gradients

    def step(states, inputs):
        d_hidden, d_cell = states
        (i, f, g, o, _, cell, h), is_real, d_output = inputs
        unclipped = f * cell + i * g
        tanh = jnp.tanh(_clip(unclipped, cell_clip))
        d_h = jnp.where(is_real, d_output + d_hidden, 0)
        d_projected = inner = None
        if projection:
            d_h = d_projected = _clip_gradient(d_h, h, projection_clip)
            inner = (o * tanh).astype(x.dtype)
            d_h = d_h @ projection[0].T  # (batch, units)
        d_h = d_h.astype(cell.dtype)
        d_c = jnp.where(is_real, d_cell, 0) + d_h * o * (1 - tanh * tanh)
        d_c = _clip_gradient(d_c, unclipped, cell_clip)
        d_gates = [
            d_c * g * i * (1 - i),
            d_c * cell * f * (1 - f),
            d_c * i * (1 - g * g),
            d_h * tanh * o * (1 - o),
        ]
        d_gates = jnp.concatenate(d_gates, axis=-1).astype(x.dtype)  # (batch, 4 * units)
        d_hidden = jnp.where(is_real, d_gates @ recurrent.T, d_hidden)
        d_cell = jnp.where(is_real, d_c * f, d_cell)
        return (d_hidden, d_cell), (d_gates, d_projected, inner)

    (d_hidden, d_cell), (d_gates, d_projected, inner) = jax.lax.scan(
        step, (d_hidden, d_cell), (saved, mask, d_outputs), reverse=not backward
    )

    def over_all_steps(a, b):
        return jnp.einsum("tbi,tbj->ij", a, b)

    d_weights = (
        over_all_steps(x, d_gates),
        d_gates.sum((0, 1)),
        over_all_steps(saved[4], d_gates),
        *[over_all_steps(inner, d_projected) for _ in projection],
    )
    return None, d_gates @ kernel.T, d_hidden, d_cell, d_weights


_scan.defvjp(_forward, _backward)


def _cell_dtype(x):
    return jnp.promote_types(x.dtype, jnp.float32)


def _clip(x, bound):
    return x if bound is None else jnp.clip(x, -bound, bound)


def _clip_gradient(gradient, x, bound):
    """The gradient of `_clip` at `x`, clipped or not."""
    return gradient if bound is None else jnp.where(jnp.abs(x) < bound, gradient, 0)


def training_step(loss, weights, optimizer, max_norm):
    """See `elmo_keras.backend`."""
    optimizer.build(weights)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(values, slots, batch, states):
        def with_weights(values):
            with keras.StatelessScope(state_mapping=list(zip(weights, values))):
                value, sums, new_states = loss(batch, states)
            return value, (sums, new_states)

        (_, (sums, new_states)), gradients = jax.value_and_grad(with_weights, has_aux=True)(values)
        norm = jnp.sqrt(sum(jnp.sum(jnp.square(gradient)) for gradient in gradients))
        scale = max_norm / jnp.maximum(norm, max_norm)
        gradients = [gradient * scale for gradient in gradients]
        values, slots = optimizer.stateless_apply(slots, gradients, values)
        return values, slots, sums, norm, new_states

    def function(batch, states):
        variables = [*weights], [*optimizer.variables]
        values, slots, sums, norm, states = step(
            *([variable.value for variable in part] for part in variables), batch, states
        )
        for part, new in zip(variables, (values, slots)):
            for variable, value in zip(part, new):
                variable.assign(value)
        return sums, norm, states

    return function
