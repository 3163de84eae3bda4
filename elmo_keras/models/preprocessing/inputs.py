"""Input of task models: sentences, token lists or ids, converted to one row for each sentence."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elmo_keras.encoders.text_encoder import TextEncoder
from elmo_keras.text.containers import to_batch
from elmo_keras.text.conversion import check_rows, is_text

Row = list[str] | np.ndarray


def read_inputs(x: Any, encoder: TextEncoder) -> Sequence[Row]:
    """Reads sentences, token lists or ids.

    Args:
        x: sentences (list, array or tensor of str), token lists (the same, nested) or ids.
        encoder: the `TextEncoder` whose tokenizer splits sentences, and whose ids are accepted.

    Returns:
        list of token lists, or of int arrays `(time, *ids_shape)` without padding.

    Raises:
        ValueError: for any other `x`.
    """
    x = to_batch(x, "`x`")
    if not isinstance(x, (list, tuple, np.ndarray)):
        if hasattr(x, "to_list"):  # a RaggedTensor
            x = x.to_list()
        elif hasattr(x, "numpy"):
            x = x.numpy()
        elif hasattr(x, "__array__"):
            x = np.asarray(x)
        elif not isinstance(x, str):
            raise ValueError(
                "`x` must be a list, an array, a tensor or a tf.data.Dataset of sentences or of "
                f"token lists. Received: {type(x).__name__}. Pass a list of str."
            )
    if isinstance(x, np.ndarray) and x.ndim == 0:
        x = x.item()
    if not is_text(x):
        return _read_ids(x, encoder)
    if isinstance(x, (str, bytes)):
        raise ValueError(
            f"`x` must be a batch: a list of sentences. Received: the bare str {x!r}. Pass [text]."
        )
    rows = check_rows(list(x), allow_spaces=encoder.allow_spaces)
    if rows and not isinstance(rows[0], list):
        return encoder.tokenizer.split(rows)
    return rows


def _read_ids(x: Any, encoder: TextEncoder) -> list[Row]:
    shape = encoder.ids_shape
    rows: list[Row] = []
    for index, row in enumerate(x):
        row = np.asarray(row)
        if row.dtype.kind not in "iu" or row.shape[1:] != shape:
            raise ValueError(
                "`x` must hold sentences (str), lists of tokens (str), or ids of shape "
                f"{('time', *shape)} and an integer dtype for each sentence. Received at position "
                f"{index}: dtype={row.dtype}, shape={row.shape}. Make ids with the encoder's "
                "`numpy_ids(words)`."
            )
        # Compiled code on JAX cannot check values.
        if not np.all((row >= 0) & (row < encoder.ids_limit)):
            raise ValueError(
                f"{encoder.range_rule} Received: {row.min()} to {row.max()} in sentence {index}. "
                "Make ids with the encoder's `numpy_ids(words)`."
            )
        is_token = np.asarray(row.any(axis=tuple(range(1, row.ndim))))
        length = int(is_token.sum())
        if not is_token[:length].all():
            raise ValueError(
                "Padding must stand at the right end of every sentence. Received: a row of zero "
                f"ids in front of a token in sentence {index}: move it to the right."
            )
        rows.append(row[:length])
    return rows
