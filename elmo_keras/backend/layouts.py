"""Sequence layouts: the order in which the time steps of a padded batch lie in memory."""

from typing import Any, Protocol

from keras import ops


class SequenceLayout(Protocol):
    """Converts between the padded layout of a batch and the layout that a scan works on."""

    def pack(self, x: Any) -> Any:
        """Converts `(batch, time, dim)` to the layout of the scan, without a change of dtype."""

    def unpack(self, x: Any) -> Any:
        """Converts packed values back to `(batch, time, dim)`, with zeros at masked steps."""


class PaddedLayout(SequenceLayout):
    """Time-major layout with padding, whose shape does not depend on the mask.

    The scan computes masked steps too, but they neither change the state nor reach the output.

    Args:
        x: `(batch, time, dim)` float; only its shape is used.
        mask: `(batch, time)` bool, `True` at real steps, or `None` if all steps are real.

    Attributes:
        mask: `(time, batch, 1)` bool.

    Example:

    >>> import keras
    >>> x = keras.ops.ones((2, 5, 3))
    >>> layout = PaddedLayout(x, mask=keras.ops.ones((2, 5), "bool"))
    >>> layout.pack(x).shape, layout.unpack(layout.pack(x)).shape
    (TensorShape([5, 2, 3]), TensorShape([2, 5, 3]))
    """

    def __init__(self, x: Any, mask: Any = None) -> None:
        if mask is None:
            mask = ops.ones_like(x[..., 0], dtype="bool")
        self.mask = ops.swapaxes(mask, 0, 1)[..., None]

    def pack(self, x: Any) -> Any:
        """Converts `(batch, time, dim)` to `(time, batch, dim)`."""
        return ops.swapaxes(x, 0, 1)

    def unpack(self, x: Any) -> Any:
        """Converts `(time, batch, dim)` to `(batch, time, dim)`, with zeros at masked steps."""
        return ops.swapaxes(ops.where(self.mask, x, 0), 0, 1)
