"""Layout of one token's character ids, in numpy and in TensorFlow.

A row holds the id of the begin of the word, the ids of its characters, the id of its end, and
filler. The boundary tokens have rows of their own, and a row of zeros is padding. `CharacterIds`
and `CodePointIds` use these functions, each with its own ids.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from elmo_keras.utils.optional_module import tensorflow as tf


def numpy_rows(
    characters: np.ndarray, lengths: np.ndarray, begin: int, end: int, filler: int
) -> np.ndarray:
    """Puts the ids of the begin and the end of the word around the ids of its characters.

    Args:
        characters: `(words, room)` int. Values after the end of a word are ignored.
        lengths: `(words, 1)` int, at most `room`.
        begin: id of the begin of a word.
        end: id of the end of a word.
        filler: id that fills the row after the end of the word.

    Returns:
        `(words, room + 2)` int32.

    Example:

    >>> import numpy as np
    >>> numpy_rows(np.array([[5, 6, 0]]), np.array([[2]]), begin=1, end=2, filler=9).tolist()
    [[1, 5, 6, 2, 9]]
    """
    words, room = characters.shape
    rows = np.full((words, room + 2), filler, dtype="int32")
    rows[:, 0] = begin
    rows[:, 1:-1] = np.where(np.arange(room) < lengths, characters, filler)
    np.put_along_axis(rows, lengths + 1, end, axis=1)
    return rows


def tensor_rows(characters: Any, lengths: Any, begin: int, end: int, filler: int) -> Any:
    """Does the same as `numpy_rows` with TensorFlow tensors of int32."""
    position = tf.range(tf.shape(characters)[1] + 1)  # (room + 1,)
    characters = tf.pad(characters, [[0, 0], [0, 1]])  # (words, room + 1)
    characters = tf.where(position == lengths, end, characters)
    characters = tf.where(position > lengths, filler, characters)
    return tf.concat([tf.fill(tf.shape(lengths), begin), characters], axis=-1)


def set_special_rows(
    rows: np.ndarray, words: Sequence[str | bytes], boundaries: Mapping[str, np.ndarray]
) -> None:
    """Sets the rows of the boundary tokens, and the rows of empty words to 0, in place.

    Args:
        rows: `(words, ids)` int.
        words: the words of the rows.
        boundaries: the row of each boundary token.
    """
    for index, word in enumerate(words):
        if isinstance(word, str) and word in boundaries:
            rows[index] = boundaries[word]
        elif not word:
            rows[index] = 0


def with_special_rows(rows: Any, tokens: Any, boundaries: Mapping[str, np.ndarray]) -> Any:
    """Does the same as `set_special_rows` with TensorFlow tensors, and returns the new rows.

    Args:
        rows: `(..., ids)` int32.
        tokens: `(...)` string.
        boundaries: the row of each boundary token.
    """
    tokens = tokens[..., tf.newaxis]
    for token, row in boundaries.items():
        rows = tf.where(tf.equal(tokens, token), row, rows)
    return tf.where(tf.equal(tokens, ""), 0, rows)
