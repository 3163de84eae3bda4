"""PyTorch's side of the kernels."""

import contextlib

import keras
import torch

Adagrad = keras.optimizers.Adagrad
Adam = keras.optimizers.Adam


def require(condition, message):
    """Raises `ValueError(message)`, except where `torch.compile` or "meta" have no values."""
    if torch.compiler.is_compiling() or condition.device.type == "meta":
        return
    if not bool(condition):
        raise ValueError(message)


def in_distribution_strategy():
    """Always False: `tf.distribute` is TensorFlow's."""
    return False


def number_of_replicas():
    """Without `tf.distribute` there is one."""
    return 1


def adopt(array):
    """A tensor in the memory of an array that nobody else writes to."""
    return torch.from_numpy(array)


def has_dynamic_shapes(x):
    """Whether shapes may depend on the values of `x`: while nothing is compiled."""
    return not torch.compiler.is_compiling() and not x.is_meta


def is_concrete(x):
    """Whether the values of a tensor are at hand."""
    return isinstance(x, torch.Tensor) and not torch.compiler.is_compiling() and not x.is_meta


def is_long_loop(x):
    """Always False: PyTorch has no graphs here."""
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
    """The layer as a function that keeps nothing for a gradient."""
    return torch.no_grad()(layer)


def distinct(rows):
    """`(distinct rows, place of each row among them)` of `(n, size)` ints."""
    if not has_dynamic_shapes(rows):
        return rows, None
    return torch.unique(rows, dim=0, return_inverse=True)


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
        if mask is None:
            mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        self.mask = mask.transpose(0, 1)[..., None]  # (time, batch, 1)

    def pack(self, x):
        """`(time, batch, dim)` of `(batch, time, dim)`."""
        return x.transpose(0, 1)

    def unpack(self, x):
        """`(batch, time, dim)` of `(time, batch, dim)`, zeros where no step is."""
        return torch.where(self.mask, x, 0).transpose(0, 1)


def projected_lstm(steps, x, states, weights, *, backward, cell_clip, projection_clip, forget_bias):
    """One layer in one direction; see `elmo_keras.backend`."""
    hidden, cell = states
    options = (backward, cell_clip, projection_clip, forget_bias)
    cell = cell.to(torch.promote_types(x.dtype, torch.float32))
    outputs, hidden, cell = _Scan.apply(options, steps.mask, x, hidden, cell, *weights)
    return outputs, (hidden, cell.to(x.dtype))


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, options, mask, x, hidden, cell, *weights):
        backward, cell_clip, projection_clip, forget_bias = options
        kernel, bias, recurrent, *projection = weights
        given = x @ kernel + bias  # (time, batch, 4 * units)
        is_saving = any(ctx.needs_input_grad)
        outputs, saved = x.new_empty((*x.shape[:2], recurrent.shape[0])), []
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
    def backward(ctx, d_outputs, d_hidden, d_cell):
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

        def over_all_steps(a, b):
            return a.flatten(0, 1).T @ b.flatten(0, 1)

        d_weights = [
            over_all_steps(x, d_gates),
            d_gates.sum((0, 1)),
            over_all_steps(before, d_gates),
        ]
        if projection:
            d_weights.append(over_all_steps(inner, d_projected))
        return None, None, d_gates @ kernel.T, d_hidden, d_cell, *d_weights


def _order(time, backward):
    return range(time - 1, -1, -1) if backward else range(time)


def _clip(x, bound):
    return x if bound is None else x.clamp(-bound, bound)


def _clip_gradient(gradient, x, bound):
    """The gradient of `_clip` at `x`, clipped or not."""
    return gradient if bound is None else torch.where(x.abs() < bound, gradient, 0)


def training_step(loss, weights, optimizer, max_norm):
    """See `elmo_keras.backend`."""
    optimizer.build(weights)

    def step(batch, states):
        for weight in weights:
            weight.value.grad = None
        value, sums, states = loss(batch, states)
        value.backward()
        gradients = [
            torch.zeros_like(weight.value) if weight.value.grad is None else weight.value.grad
            for weight in weights
        ]
        with torch.no_grad():
            norm = torch.sqrt(sum(torch.sum(gradient**2) for gradient in gradients))
            scale = max_norm / torch.clamp(norm, min=max_norm)
            optimizer.apply([gradient * scale for gradient in gradients], weights)
        return sums.detach(), norm, [state.detach() for state in states]

    return step
