"""The scan of a projected LSTM on JAX, with a hand-written gradient."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from elmo_keras.backend.defaults import sequence_layout as sequence_layout
from elmo_keras.backend.layouts import PaddedLayout


def projected_lstm(
    layout: PaddedLayout,
    x: Any,
    states: tuple[Any, Any] | list[Any],
    weights: list[Any],
    *,
    backward: bool,
    cell_clip: float | None,
    projection_clip: float | None,
    forget_bias: float,
) -> tuple[Any, tuple[Any, Any]]:
    """Runs one LSTM layer with `jax.lax.scan`; masked steps are computed and discarded.

    For the contract see `elmo_keras.backend.tensorflow.lstm.projected_lstm`. `x` and the returned
    hidden states are `(time, batch, dim)`.
    """
    hidden, cell = states
    options = (backward, cell_clip, projection_clip, forget_bias)
    cell = cell.astype(_cell_dtype(x))
    outputs, hidden, cell = _scan(options, layout.mask, x, hidden, cell, tuple(weights))
    return outputs, (hidden, cell.astype(x.dtype))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scan(
    options: Any, mask: Any, x: Any, hidden: Any, cell: Any, weights: tuple[Any, ...]
) -> tuple[Any, Any, Any]:
    """Returns `(outputs, hidden, cell)`.

    Args:
        options: `(backward, cell_clip, projection_clip, forget_bias)`.
        mask: `(time, batch, 1)` bool.
        x: `(time, batch, input_dim)`.
        hidden, cell: `(batch, dim)` and `(batch, units)`, the initial states.
        weights: `(W, b, U, P)` or `(W, b, U)`.
    """
    return _forward(options, mask, x, hidden, cell, weights)[0]


def _forward(
    options: Any, mask: Any, x: Any, hidden: Any, cell: Any, weights: tuple[Any, ...]
) -> tuple[tuple[Any, Any, Any], tuple[Any, ...]]:
    """Returns the results of `_scan` and the residuals for `_backward`."""
    backward, cell_clip, projection_clip, forget_bias = options
    kernel, bias, recurrent, *projection = weights
    given = x @ kernel + bias  # (time, batch, 4 * units)

    def step(states: Any, inputs: Any) -> tuple[Any, Any]:
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


def _backward(options: Any, residuals: tuple[Any, ...], gradients: Any) -> tuple[Any, ...]:
    """Returns the gradients of mask, x, hidden, cell and weights."""
    backward, cell_clip, projection_clip, _ = options
    mask, x, (kernel, _, recurrent, *projection), saved = residuals
    d_outputs, d_hidden, d_cell = gradients

    def step(states: Any, inputs: Any) -> tuple[Any, Any]:
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

    def over_all_steps(a: Any, b: Any) -> Any:
        return jnp.einsum("tbi,tbj->ij", a, b)

    d_weights = (
        over_all_steps(x, d_gates),
        d_gates.sum((0, 1)),
        over_all_steps(saved[4], d_gates),
        *[over_all_steps(inner, d_projected) for _ in projection],
    )
    return None, d_gates @ kernel.T, d_hidden, d_cell, d_weights


_scan.defvjp(_forward, _backward)


def _cell_dtype(x: Any) -> Any:
    return jnp.promote_types(x.dtype, jnp.float32)


def _clip(x: Any, bound: float | None) -> Any:
    return x if bound is None else jnp.clip(x, -bound, bound)


def _clip_gradient(gradient: Any, x: Any, bound: float | None) -> Any:
    """The gradient of `_clip` at `x`; `x` may be clipped already."""
    return gradient if bound is None else jnp.where(jnp.abs(x) < bound, gradient, 0)
