"""The mask of ids, and the ids of the begin and the end of a sentence."""

from typing import Any

from keras import ops


def token_mask(ids: Any) -> Any:
    """Computes the mask of ids: a token whose ids are all 0 is padding.

    Args:
        ids: `(batch, time, ...)` int.

    Returns:
        `(batch, time)` bool, `True` for tokens.
    """
    is_set = ops.not_equal(ids, 0)
    return ops.any(is_set, axis=tuple(range(2, len(ids.shape)))) if len(ids.shape) > 2 else is_set


def add_boundaries(ids: Any, mask: Any, begin: Any, end: Any) -> tuple[Any, Any]:
    """Adds the ids of the begin and the end of a sentence to each row.

    Args:
        ids: `(batch, time, ...)` int32, padding on the right.
        mask: `(batch, time)` bool, see `token_mask`.
        begin: `(...)` int. Ids of the begin of a sentence, added before the first token.
        end: `(...)` int. Ids of the end of a sentence, added after the last token.

    Returns:
        The new ids `(batch, time + 2, ...)` int32, and their mask `(batch, time + 2)`.
    """
    length = ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)  # (batch, 1)
    padding = ops.zeros((ops.shape(ids)[0], 1, *ids.shape[2:]), dtype="int32")
    begin, end = (ops.convert_to_tensor(row, dtype="int32") for row in (begin, end))
    ids = ops.concatenate([padding + begin, ids, padding], axis=1)  # (batch, time + 2, ...)
    place = ops.arange(ops.shape(ids)[1], dtype="int32")[None]  # (1, time + 2)
    is_end = ops.equal(place, length + 1)
    is_end = ops.reshape(is_end, (*ops.shape(is_end), *[1] * (len(ids.shape) - 2)))
    return ops.where(is_end, end, ids), place <= length + 1
