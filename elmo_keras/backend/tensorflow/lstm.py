"""The scan of a projected LSTM on TensorFlow, with a hand-written gradient."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from elmo_keras.backend.tensorflow.core import has_dynamic_shapes
from elmo_keras.backend.tensorflow.layouts import LoopLayout, PackedLayout, UnrolledLayout

# Time steps up to which the loop over an unpadded batch is unrolled.
_MAX_UNROLLED = 32
# Batch size above which a matrix product is bound by arithmetic instead of by reading the weights.
_MANY_ROWS = 32


def sequence_layout(x: Any, mask: Any = None) -> LoopLayout | None:
    """Chooses the layout in which `projected_lstm` works on a padded batch.

    TensorFlow drops the padding; JAX and PyTorch keep it, see `PaddedLayout`.

    Args:
        x: `(batch, time, dim)` float; only its shape is used.
        mask: `(batch, time)` bool, `True` at real steps, or `None` if all steps are real.

    Returns:
        A layout with `pack` and `unpack`. `None` if TensorFlow compiles with XLA, whose shapes must
        not depend on the mask: only Keras' loop over an LSTM cell works there.

    Example:

    >>> import keras
    >>> mask = keras.ops.convert_to_tensor([[True, False], [True, True]])
    >>> layout = sequence_layout(keras.ops.ones((2, 2, 3)), mask)
    >>> layout.pack(keras.ops.ones((2, 2, 3))).shape
    TensorShape([3, 3])
    """
    if not has_dynamic_shapes(x):
        return None
    if mask is None and x.shape[1] in range(1, _MAX_UNROLLED + 1):
        return UnrolledLayout(x)
    return PackedLayout(x, mask)


def projected_lstm(
    layout: LoopLayout,
    x: Any,
    states: tuple[Any, Any] | list[Any],
    weights: list[Any],
    *,
    backward: bool,
    cell_clip: float | None,
    projection_clip: float | None,
    forget_bias: float,
) -> tuple[Any, tuple[Any, Any]]:
    """Runs one LSTM layer over a batch in one direction.

    Computes the equations of `layers.ProjectedLSTMCell`. The input product covers all steps at
    once, and in the hand-written gradient each weight has one product over all steps. The cell
    state is computed in float32 at least, whatever the dtype of the products.

    Args:
        layout: from `sequence_layout`.
        x: inputs, packed by the layout.
        states: initial `(hidden, cell)`, `(batch, dim)` and `(batch, units)`.
        weights: tensors `[W, b, U, P]`, or `[W, b, U]` without a projection. Shapes:
            `(input_dim, 4 * units)`, `(4 * units,)`, `(dim, 4 * units)`, `(units, dim)`; the gates
            are in the order input, forget, candidate, output.
        backward: whether to begin at the last real step of each row.
        cell_clip: bound of the cell state's absolute values, or `None`.
        projection_clip: bound of the projected state's absolute values, or `None`.
        forget_bias: added to the forget gate before its sigmoid.

    Returns:
        The hidden states of all steps, packed, and the final `(hidden, cell)`, both of the dtype
        of `x`.
    """
    hidden, cell = states
    scan = _Scan(layout, x.dtype, backward, cell_clip, projection_clip, forget_bias)

    def forward(x: Any, hidden: Any, cell: Any, *weights: Any) -> tuple[Any, Any]:
        results, saved = scan.forward(x, hidden, cell, weights)
        return results, lambda *gradients: scan.backward(saved, gradients)

    outputs, hidden, cell = tf.custom_gradient(forward)(
        x,
        layout.pack_state(hidden),
        layout.pack_state(tf.cast(cell, scan.cell_dtype)),
        *weights,
    )
    return outputs, (layout.unpack_state(hidden), tf.cast(layout.unpack_state(cell), x.dtype))


class _Saved(NamedTuple):
    """Values of the forward pass that the gradient needs.

    Attributes:
        weights: `[W, b, U, P]` or `[W, b, U]`.
        x: `(steps, input_dim)`.
        outputs: `(steps, dim)`, the hidden states.
        before: `(steps, dim)`, the hidden states before each step.
        cells: the cell states before each step, and the activated gates i, f, g, o; each
            `(steps, units)` in the form of `LoopLayout.hold`.
    """

    weights: Any
    x: Any
    outputs: Any
    before: Any
    cells: list[Any]


class _Scan:
    """The forward pass of an LSTM layer in one direction, and its gradient."""

    def __init__(
        self,
        layout: LoopLayout,
        dtype: Any,
        backward: bool,
        cell_clip: float | None,
        projection_clip: float | None,
        forget_bias: float,
    ) -> None:
        self.layout = layout
        self.dtype, self.cell_dtype = dtype, "float64" if dtype == tf.float64 else "float32"
        self.is_backward = backward
        self.cell_clip, self.projection_clip = cell_clip, projection_clip
        self.forget_bias = forget_bias

    def forward(
        self, x: Any, hidden: Any, cell: Any, weights: Any
    ) -> tuple[tuple[Any, Any, Any], _Saved]:
        """Returns `(outputs, hidden, cell)` and the values that `backward` needs."""
        layout, dtype = self.layout, self.dtype
        kernel, bias, recurrent, *projection = weights
        units, dim = recurrent.shape[1] // 4, recurrent.shape[0]
        gates = _gates(layout, x, kernel, bias, recurrent, self.cell_dtype)

        def body(step: Any, hidden: Any, cell: Any, outputs: Any, saved: Any) -> tuple[Any, ...]:
            h, c = layout.running(hidden, step), layout.running(cell, step)
            i, f, g, o = gates(step, h)  # (rows, units)
            i, f, g, o = tf.sigmoid(i), tf.sigmoid(f + self.forget_bias), tf.tanh(g), tf.sigmoid(o)
            saved = layout.write(saved, step, (h, c, i, f, g, o))
            c = _clip(f * c + i * g, self.cell_clip)
            h = tf.cast(o * tf.tanh(c), dtype)
            if projection:
                h = _clip(tf.matmul(h, projection[0]), self.projection_clip)
            outputs = layout.write(outputs, step, (h,))
            hidden, cell = layout.renew(hidden, h, step), layout.renew(cell, c, step)
            return hidden, cell, outputs, saved

        hidden, cell, (outputs,), (before, *cells) = layout.loop(
            self.is_backward,
            body,
            hidden,
            cell,
            layout.arrays(dim, dtype=dtype),
            layout.arrays(dim, dtype=dtype) + layout.arrays(*[units] * 5, dtype=self.cell_dtype),
        )
        outputs = layout.join(outputs)  # (steps, dim)
        # TensorFlow drops these from a graph that computes no gradient.
        before, cells = layout.join(before), [layout.hold(array) for array in cells]
        return (outputs, hidden, cell), _Saved(weights, x, outputs, before, cells)

    def backward(self, saved: _Saved, gradients: Any) -> tuple[Any, ...]:
        """Returns the gradients of x, hidden, cell and the weights."""
        d_outputs, d_hidden, d_cell = map(tf.convert_to_tensor, gradients)
        d_hidden, d_cell, d_gates, d_projected, inner = self._scan_gradients(
            saved, d_outputs, d_hidden, d_cell
        )
        layout = self.layout
        kernel, _, recurrent, *_ = saved.weights
        dim = recurrent.shape[0]
        d_gates = [layout.join(part) for part in d_gates]  # (steps, units)
        # One product is faster than two.
        read = tf.concat([saved.x, saved.before], axis=1)
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
                tf.matmul(layout.join(m), layout.join(d), transpose_a=True)
                for m, d in zip(inner, d_projected)
            ],
        )

    def _scan_gradients(
        self, saved: _Saved, d_outputs: Any, d_hidden: Any, d_cell: Any
    ) -> tuple[Any, ...]:
        """Scans the time steps in reverse order.

        Returns the gradients of the initial states, and, as arrays of all steps, the gradients of
        the four gates, the gradients of the projections, and the inputs of the projections.
        """
        layout, dtype = self.layout, self.dtype
        _, _, recurrent, *projection = saved.weights
        units, dim = recurrent.shape[1] // 4, recurrent.shape[0]
        # The gates stay apart: concatenating their gradients in each step costs more than four
        # products instead of one.
        recurrent_t = [tf.transpose(part) for part in tf.split(recurrent, 4, axis=1)]
        projection_t = [tf.transpose(p) for p in projection]

        def body(
            step: Any, d_hidden: Any, d_cell: Any, d_gates: Any, d_projected: Any, inner: Any
        ) -> tuple[Any, ...]:
            c, i, f, g, o = (layout.at(packed, step) for packed in saved.cells)  # (rows, units)
            unclipped = f * c + i * g
            tanh = tf.tanh(_clip(unclipped, self.cell_clip))
            d_h = layout.at(d_outputs, step) + layout.running(d_hidden, step)
            if projection:
                d_h = _clip_gradient(d_h, layout.at(saved.outputs, step), self.projection_clip)
                d_projected = layout.write(d_projected, step, (d_h,))
                inner = layout.write(inner, step, (tf.cast(o * tanh, dtype),))
                d_h = tf.matmul(d_h, projection_t[0])  # (rows, units)
            d_h = tf.cast(d_h, self.cell_dtype)
            d_c = layout.running(d_cell, step) + _tanh_gradient(tanh, d_h * o)
            d_c = _clip_gradient(d_c, unclipped, self.cell_clip)
            d_all = (
                _sigmoid_gradient(i, d_c * g),
                _sigmoid_gradient(f, d_c * c),
                _tanh_gradient(g, d_c * i),
                _sigmoid_gradient(o, d_h * tanh),
            )
            d_all = [tf.cast(part, dtype) for part in d_all]  # (rows, units)
            d_gates = layout.write(d_gates, step, d_all)
            d_h = tf.add_n([tf.matmul(*pair) for pair in zip(d_all, recurrent_t)])
            d_hidden = layout.renew(d_hidden, d_h, step)
            d_cell = layout.renew(d_cell, d_c * f, step)
            return d_hidden, d_cell, d_gates, d_projected, inner

        return layout.loop(
            not self.is_backward,
            body,
            d_hidden,
            d_cell,
            layout.arrays(*[units] * 4, dtype=dtype),
            layout.arrays(*[dim] * len(projection), dtype=dtype),
            layout.arrays(*[units] * len(projection), dtype=dtype),
        )


def _gates(
    layout: LoopLayout, x: Any, kernel: Any, bias: Any, recurrent: Any, dtype: str
) -> Callable[[Any, Any], list[Any]]:
    """Returns a function of a time step and its hidden states: the four gates, not activated."""
    if layout.has_rows(_MANY_ROWS):
        # One product per gate, over input and state, needs neither a sum nor a split.
        kernels = tf.split(tf.concat([kernel, recurrent], axis=0), 4, axis=1)
        biases = tf.split(bias, 4)

        def gates_of_many_rows(step: Any, h: Any) -> list[Any]:
            read = tf.concat([layout.at(x, step), h], axis=1)
            parts = [tf.nn.bias_add(tf.matmul(read, k), b) for k, b in zip(kernels, biases)]
            return [tf.cast(part, dtype) for part in parts]

        return gates_of_many_rows

    given = tf.matmul(x, kernel)  # (steps, 4 * units); reads the weights once

    def gates_of_few_rows(step: Any, h: Any) -> list[Any]:
        own = tf.nn.bias_add(tf.matmul(h, recurrent), bias)
        both = tf.cast(layout.at(given, step), dtype) + tf.cast(own, dtype)
        return tf.split(both, 4, axis=-1)

    return gates_of_few_rows


def _clip(x: Any, bound: float | None) -> Any:
    if bound is None:
        return x
    bound = tf.cast(bound, x.dtype)
    return tf.raw_ops.ClipByValue(t=x, clip_value_min=-bound, clip_value_max=bound)


def _clip_gradient(gradient: Any, x: Any, bound: float | None) -> Any:
    """The gradient of `_clip` at `x`; `x` may be clipped already."""
    if bound is None:
        return gradient
    return tf.where(tf.abs(x) < tf.cast(bound, x.dtype), gradient, tf.zeros((), gradient.dtype))


def _tanh_gradient(y: Any, dy: Any) -> Any:
    return tf.raw_ops.TanhGrad(y=y, dy=dy)


def _sigmoid_gradient(y: Any, dy: Any) -> Any:
    return tf.raw_ops.SigmoidGrad(y=y, dy=dy)
