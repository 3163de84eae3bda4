"""Python text -> string tensors, with the checks that a tensor can no longer make."""

import keras
import numpy as np

from elmo_keras._optional import tensorflow as tf

REPLACEMENT = "\ufffd"  # what stands for bytes that are no UTF-8

_FORMS = (
    "Text must be a batch of sentences (a list of str) or a batch of token lists (a list of lists "
    "of str)."
)


def is_text(data):
    """Whether `data` is Python or numpy text: a str, or str (or bytes) in lists and arrays."""
    if isinstance(data, np.ndarray):
        if data.dtype.kind == "O" and data.size:
            return is_text(data.flat[0])
        return data.dtype.kind in "OUS"
    if isinstance(data, (list, tuple)):
        # An empty list is a batch of no sentences; [[], ...] is a batch of empty token lists.
        first = next((item for item in data if not _is_empty(item)), None)
        return first is None or is_text(first)
    return isinstance(data, (str, bytes))


def string_tensor(data):
    """Turns Python or numpy text into a string tensor; tensors pass as they are.

    Args:
        data: list of str (sentences), list of lists of str (tokens), or the same as a numpy array.

    Returns:
        A string tensor, `(batch,)` for sentences or `(batch, time)` for tokens, `""` as padding.

    Raises:
        ValueError: for a bare str, mixed levels, anything that is not text, or an empty token with
            another one behind it.

    Example:

    >>> string_tensor([["a", "b"], ["c"]]).shape
    TensorShape([2, 2])
    """
    if isinstance(data, keras.KerasTensor):
        return data
    if isinstance(data, (str, bytes)):
        raise ValueError(f"{_FORMS} Received: the bare str {_shorten(data)}. Put it into a list.")
    if isinstance(data, (list, tuple, np.ndarray)):
        rows = data.tolist() if isinstance(data, np.ndarray) else list(data)
        if not isinstance(rows, list):
            raise ValueError(f"{_FORMS} Received: an array of shape (). Put the text into a list.")
        if any(_is_list(row) for row in rows):
            return pad(rows)
        return tf.constant([clean(row) for row in rows], dtype="string", shape=(len(rows),))
    if isinstance(data, tf.RaggedTensor):
        return data.to_tensor(default_value="")
    return data


def pad(token_lists):
    """Pads token lists with `""` to the longest one.

    A plain Keras model with a string input refuses lists and 2-D object arrays; the tensor that
    comes out of here is what its `fit`, `evaluate` and `predict` accept.

    Args:
        token_lists: list of lists of str. An empty list is an empty sentence.

    Returns:
        A string tensor of shape `(batch, time)` with at least one time step.

    Raises:
        ValueError: if an element is not a list of str, or if an empty token stands before another
            token of its sentence (`""` is padding, and padding stands on the right).

    Example:

    >>> import elmo_keras
    >>> elmo_keras.text.pad([["The", "cat"], ["Yes"]]).numpy().tolist()
    [[b'The', b'cat'], [b'Yes', b'']]
    """
    if isinstance(token_lists, (str, bytes)):
        raise ValueError(
            "`token_lists` must be a list of lists of str. "
            f"Received: the bare str {_shorten(token_lists)}."
        )
    return pad_checked([check_tokens(row, index) for index, row in enumerate(token_lists)])


def pad_checked(rows):
    """`pad` of what `check_tokens` has seen."""
    longest = max([1, *map(len, rows)])
    padded = np.full((len(rows), longest), "", dtype=object)
    for row, tokens in zip(padded, rows):
        row[: len(tokens)] = tokens
    return tf.constant(padded, dtype="string", shape=padded.shape)


def check_tokens(tokens, index=0):
    """One sentence's tokens as a list of clean str, padding at its end dropped.

    Args:
        tokens: list of str. Trailing `""` are padding.
        index: int. Position of the sentence in its batch, for the error.

    Returns:
        list of str.

    Raises:
        ValueError: if it is not a list of str, or if there is a hole in it.
    """
    if not _is_list(tokens):
        raise ValueError(
            "Every sentence must be a list of tokens, as the first ones are. "
            f"Received: {_shorten(tokens)} at position {index}. Split it into tokens, or pass all "
            "sentences as str."
        )
    tokens = [clean(token) for token in tokens]
    while tokens and not tokens[-1]:
        tokens.pop()
    if not all(tokens):
        raise ValueError(
            "Padding must stand at the right end of a sentence: an empty token is padding. "
            f"Received: an empty token at place {[bool(token) for token in tokens].index(False)} "
            f"of sentence {index}, with other tokens behind it. Drop the empty tokens."
        )
    return tokens


def clean(text):
    """`text` as valid Unicode: surrogate pairs joined, lone surrogates replaced by U+FFFD.

    Args:
        text: str or bytes. Bytes are decoded as UTF-8; what is not UTF-8 stays bytes.

    Returns:
        str, or bytes that are no UTF-8.

    Raises:
        ValueError: if it is neither.
    """
    if isinstance(text, str):
        if text.isascii():
            return text
        try:
            text.encode()
        except UnicodeEncodeError:
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text
    if isinstance(text, bytes):
        try:
            return text.decode()
        except UnicodeDecodeError:
            return text
    raise ValueError(f"{_FORMS} Received: {_shorten(text)} of type {type(text).__name__}.")


def _is_list(item):
    return isinstance(item, (list, tuple, np.ndarray))


def _is_empty(item):
    is_number = isinstance(item, np.ndarray) and item.dtype.kind not in "OUS"
    return _is_list(item) and len(item) == 0 and not is_number


def _shorten(item, length=60):
    text = repr(item)
    return text if len(text) <= length else text[: length - 3] + "..."
