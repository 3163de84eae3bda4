"""Which tokens are there, and the marks of the sentence around them."""

from keras import ops


def token_mask(ids):
    """`(batch, time)` bool of `(batch, time, ...)` ids: a token is padding where all are 0."""
    is_set = ops.not_equal(ids, 0)
    return ops.any(is_set, axis=tuple(range(2, len(ids.shape)))) if len(ids.shape) > 2 else is_set


def add_boundaries(ids, begin, end):
    """Puts the ids of the sentence boundaries around the tokens of each row.

    Args:
        ids: `(batch, time, ...)` int32, padding on the right.
        begin: `(...)` int. Ids of the begin of a sentence.
        end: `(...)` int. Ids of its end, which come right behind the last token.

    Returns:
        Ids of shape `(batch, time + 2, ...)`, and their mask `(batch, time + 2)`.
    """
    length = ops.sum(ops.cast(token_mask(ids), "int32"), axis=1, keepdims=True)  # (batch, 1)
    padding = ops.zeros((ops.shape(ids)[0], 1, *ids.shape[2:]), dtype="int32")
    begin, end = (ops.convert_to_tensor(row, dtype="int32") for row in (begin, end))
    ids = ops.concatenate([padding + begin, ids, padding], axis=1)  # (batch, time + 2, ...)
    place = ops.arange(ops.shape(ids)[1], dtype="int32")[None]  # (1, time + 2)
    is_end = ops.equal(place, length + 1)
    is_end = ops.reshape(is_end, (*ops.shape(is_end), *[1] * (len(ids.shape) - 2)))
    return ops.where(is_end, end, ids), place <= length + 1
