"""The scan of a projected LSTM on PyTorch, with a hand-written gradient."""

from typing import Any

import torch

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
    """Runs one LSTM layer step by step; masked steps are computed and discarded.

    For the contract see `elmo_keras.backend.tensorflow.lstm.projected_lstm`. `x` and the returned
    hidden states are `(time, batch, dim)`.
    """
    hidden, cell = states
    options = (backward, cell_clip, projection_clip, forget_bias)
    cell = cell.to(torch.promote_types(x.dtype, torch.float32))
    outputs, hidden, cell = _Scan.apply(options, layout.mask, x, hidden, cell, *weights)
    return outputs, (hidden, cell.to(x.dtype))


class _Scan(torch.autograd.Function):
    """The forward pass of an LSTM layer in one direction, and its gradient.

    Inputs: `(backward, cell_clip, projection_clip, forget_bias)`; the mask `(time, batch, 1)`; `x`
    `(time, batch, input_dim)`; the initial hidden and cell states; the weights. Outputs: the hidden
    states of all steps, and the final hidden and cell states.
    """

    @staticmethod
    def forward(
        ctx: Any, options: Any, mask: Any, x: Any, hidden: Any, cell: Any, *weights: Any
    ) -> tuple[Any, Any, Any]:
        backward, cell_clip, projection_clip, forget_bias = options
        kernel, bias, recurrent, *projection = weights
        given = x @ kernel + bias  # (time, batch, 4 * units)
        is_saving = any(ctx.needs_input_grad)
        outputs = x.new_empty((*x.shape[:2], recurrent.shape[0]))
        saved: list[Any] = []
        for t in _order(len(x), backward):
            gates = given[t].to(cell.dtype) + (hidden @ recurrent).to(cell.dtype)
            i, f, g, o = gates.chunk(4, dim=-1)  # (batch, units)
            i, f, g, o = i.sigmoid(), (f + forget_bias).sigmoid(), g.tanh(), o.sigmoid()
            if is_saving:
                saved += (i, f, g, o, hidden, cell)
            c = _clip(f * cell + i * g, cell_clip)
            h = (o * c.tanh()).to(x.dtype)
            if projection:
                h = _clip(h @ projection[0], projection_clip)
            outputs[t] = h
            hidden, cell = torch.where(mask[t], h, hidden), torch.where(mask[t], c, cell)
        if is_saving:
            ctx.options = options
            ctx.save_for_backward(mask, x, outputs, *weights, *saved)
        return outputs, hidden, cell

    @staticmethod
    def backward(ctx: Any, d_outputs: Any, d_hidden: Any, d_cell: Any) -> tuple[Any, ...]:
        backward, cell_clip, projection_clip, _ = ctx.options
        mask, x, outputs, *rest = ctx.saved_tensors
        number = len(ctx.needs_input_grad) - 5
        (kernel, _, recurrent, *projection), saved = rest[:number], rest[number:]
        d_gates = x.new_empty((*x.shape[:2], kernel.shape[1]))
        before = torch.empty_like(outputs)
        d_projected = torch.empty_like(outputs)
        inner = x.new_empty((*x.shape[:2], kernel.shape[1] // 4))
        for count, t in reversed(list(enumerate(_order(len(x), backward)))):
            i, f, g, o, before[t], cell = saved[6 * count : 6 * count + 6]
            is_real = mask[t]
            unclipped = f * cell + i * g
            tanh = _clip(unclipped, cell_clip).tanh()
            d_h = torch.where(is_real, d_outputs[t] + d_hidden, 0)
            if projection:
                d_h = _clip_gradient(d_h, outputs[t], projection_clip)
                d_projected[t], inner[t] = d_h, (o * tanh).to(x.dtype)
                d_h = d_h @ projection[0].T  # (batch, units)
            d_h = d_h.to(cell.dtype)
            d_c = torch.where(is_real, d_cell, 0) + d_h * o * (1 - tanh * tanh)
            d_c = _clip_gradient(d_c, unclipped, cell_clip)
            d_all = (
                d_c * g * i * (1 - i),
                d_c * cell * f * (1 - f),
                d_c * i * (1 - g * g),
                d_h * tanh * o * (1 - o),
            )
            d_gates[t] = torch.cat(d_all, dim=-1).to(x.dtype)
            d_hidden = torch.where(is_real, d_gates[t] @ recurrent.T, d_hidden)
            d_cell = torch.where(is_real, d_c * f, d_cell)

        def over_all_steps(a: Any, b: Any) -> Any:
            return a.flatten(0, 1).T @ b.flatten(0, 1)

        d_weights = [
            over_all_steps(x, d_gates),
            d_gates.sum((0, 1)),
            over_all_steps(before, d_gates),
        ]
        if projection:
            d_weights.append(over_all_steps(inner, d_projected))
        return None, None, d_gates @ kernel.T, d_hidden, d_cell, *d_weights


def _order(time: int, backward: bool) -> range:
    """The time steps in the order in which the scan visits them."""
    return range(time - 1, -1, -1) if backward else range(time)


def _clip(x: Any, bound: float | None) -> Any:
    return x if bound is None else x.clamp(-bound, bound)


def _clip_gradient(gradient: Any, x: Any, bound: float | None) -> Any:
    """The gradient of `_clip` at `x`; `x` may be clipped already."""
    return gradient if bound is None else torch.where(x.abs() < bound, gradient, 0)
