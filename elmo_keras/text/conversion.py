"""Conversion of Python text to string tensors, with the checks that need Python objects."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from elmo_keras.text.containers import is_missing, refuse_table, to_batch
from elmo_keras.utils.optional_module import tensorflow as tf

REPLACEMENT = "\ufffd"  # replaces bytes that are not UTF-8

_FORMS = (
    "Text must be a batch of sentences (a list of str) or a batch of token lists (a list of lists "
    "of str)."
)
SPACE_RULE = (
    "A token must not contain white space: the whole token is read as one word and truncated to "
    "the maximum number of characters."
)
SPACE_ADVICE = (
    "Pass sentences as (batch,), a flat list of str; a model's input of sentences is "
    "keras.Input((), dtype='string'). Where tokens really hold spaces, build the layer with "
    "`allow_spaces=True`."
)
_SPACE = re.compile("[ \t\n\v\f\r]")
_SPACE_IN_GRAPH = r"\C*[ \t\n\v\f\r]\C*"  # \C matches any byte, UTF-8 or not


def is_text(data: Any) -> bool:
    """Returns whether `data` is Python or numpy text: a str, or str (or bytes) in lists and arrays.

    Missing values are ignored; a batch that holds only missing values is text.

    Args:
        data: any object.
    """
    if isinstance(data, np.ndarray):
        if data.dtype.kind == "O" and data.size:
            return is_text(data.ravel().tolist())
        if data.dtype.kind == "f":  # a column of missing texts
            return data.ndim == 1 and data.size > 0 and bool(np.isnan(data).all())
        return data.dtype.kind in "OUST"
    if isinstance(data, (list, tuple)):
        # An empty list is a batch of no sentences; [[], ...] is a batch of empty token lists.
        items = (item for item in data if not _is_empty(item))
        first = next((item for item in items if not is_missing(item)), None)
        if first is None:
            return True
        if hasattr(first, "to_list"):
            first = first.to_list()
        return is_text(first)
    return isinstance(data, (str, bytes))


def string_tensor(data: Any) -> Any:
    """Converts Python or numpy text to a string tensor; returns tensors unchanged.

    Args:
        data: list of str (sentences), list of lists of str (tokens), or the same as a numpy array
            or a pandas Series.

    Returns:
        A string tensor, `(batch,)` for sentences or `(batch, time)` for tokens, `""` as padding.

    Raises:
        ValueError: for a bare str, a table, a mixture of sentences and token lists, a missing text,
            an item that is not text, or an empty token before another token.

    Example:

    >>> string_tensor([["a", "b"], ["c"]]).shape
    TensorShape([2, 2])
    """
    data = to_batch(data)
    if isinstance(data, keras.KerasTensor):
        return data
    if isinstance(data, (str, bytes)):
        raise ValueError(f"{_FORMS} Received: the bare str {_shorten(data)}. Put it into a list.")
    if isinstance(data, (list, tuple, np.ndarray)):
        rows = data.tolist() if isinstance(data, np.ndarray) else list(data)
        if not isinstance(rows, list):
            raise ValueError(f"{_FORMS} Received: an array of shape (). Put the text into a list.")
        rows = check_rows(rows)
        if any(isinstance(row, list) for row in rows):
            return pad_checked(rows)
        return tf.constant(rows, dtype="string", shape=(len(rows),))
    if isinstance(data, tf.RaggedTensor):
        return data.to_tensor(default_value="")
    return data


def to_tensor(sentences: Any) -> Any:
    """Converts sentences to a string tensor, the input of a Keras model with shape `()`.

    Keras itself accepts neither lists of str nor a pandas Series as `x`. Use `elmo_keras.text.pad`
    for token lists, and a model whose input has shape `(None,)`.

    Args:
        sentences: list, tuple, iterator, numpy array or pandas Series of str.

    Returns:
        A string tensor of shape `(batch,)`.

    Raises:
        ValueError: if `sentences` is a bare str or a table, or if one of them is missing (`None`,
            NaN) or is not a str.

    Example:

    >>> import elmo_keras
    >>> elmo_keras.text.to_tensor(["A cat.", "Yes"]).numpy().tolist()
    [b'A cat.', b'Yes']
    """
    tensor = string_tensor(list(sentences) if isinstance(sentences, Iterator) else sentences)
    if not isinstance(tensor, keras.KerasTensor) and len(tensor.shape) != 1:
        raise ValueError(
            "`sentences` must be a flat list of str. Received: token lists, or an array of shape "
            f"{tuple(tensor.shape)}. For token lists use elmo_keras.text.pad; flatten an array "
            "with `.ravel()`."
        )
    return tensor


def pad(token_lists: Any) -> Any:
    """Pads token lists with `""` to the length of the longest one.

    `fit`, `evaluate` and `predict` of a plain Keras model with a string input of shape `(None,)`
    refuse lists and 2-D object arrays, but accept this tensor. Use `elmo_keras.text.to_tensor` for
    sentences, and an input of shape `()`.

    Args:
        token_lists: list of lists of str. An empty list is an empty sentence.

    Returns:
        A string tensor of shape `(batch, time)` with at least one time step.

    Raises:
        ValueError: if an element is not a list of str, or if an empty token stands before another
            token of its sentence (`""` is padding, which must be on the right).

    Example:

    >>> import elmo_keras
    >>> elmo_keras.text.pad([["The", "cat"], ["Yes"]]).numpy().tolist()
    [[b'The', b'cat'], [b'Yes', b'']]
    """
    token_lists = to_batch(token_lists, "`token_lists`")
    if isinstance(token_lists, (str, bytes)):
        raise ValueError(
            "`token_lists` must be a list of lists of str. "
            f"Received: the bare str {_shorten(token_lists)}. Put its tokens into a list, and "
            "that list into a list."
        )
    if hasattr(token_lists, "numpy") or hasattr(token_lists, "ragged_rank"):
        tensor = string_tensor(token_lists)
        if len(tensor.shape) == 2:
            return tensor
    return pad_checked([check_tokens(row, index) for index, row in enumerate(token_lists)])


def pad_checked(rows: Sequence[Any]) -> Any:
    """Pads token lists that `check_tokens` has returned; does the rest of the work of `pad`.

    Args:
        rows: list of lists of str.

    Returns:
        A string tensor of shape `(batch, time)` with at least one time step.
    """
    longest = max([1, *map(len, rows)])
    padded = np.full((len(rows), longest), "", dtype=object)
    for row, tokens in zip(padded, rows):
        row[: len(tokens)] = tokens
    return tf.constant(padded, dtype="string", shape=padded.shape)


def check_rows(rows: Sequence[Any], start: int = 0, allow_spaces: bool = True) -> list[Any]:
    """Checks the rows of a batch, all sentences or all token lists, and converts them to valid str.

    Args:
        rows: list of str, or list of lists of str.
        start: int. Position of the first row in its corpus, for errors. Defaults to `0`.
        allow_spaces: bool. Whether tokens may hold white space. Defaults to `True`.

    Returns:
        list of str (sentences), or list of lists of str (tokens).

    Raises:
        ValueError: if a row is missing or is not text, or if sentences and token lists are mixed.
            The error names the row.
    """
    if all(isinstance(row, (str, bytes)) for row in rows):
        return [clean(row) for row in rows]
    refuse_missing(rows, start)
    is_tokens = [is_list(row) for row in rows]
    if not any(is_tokens):
        position = [isinstance(row, (str, bytes)) for row in rows].index(False)
        row = rows[position]
        advice = "Pass the texts alone." if isinstance(row, Mapping) else "Pass it as str."
        raise ValueError(
            f"{_FORMS} Received: {_shorten(row)} of type {type(row).__name__} as sentence "
            f"{start + position}. {advice}"
        )
    if not all(is_tokens):
        text, tokens = is_tokens.index(False), is_tokens.index(True)
        raise ValueError(
            "A batch must hold sentences (str) or token lists, not both. "
            f"Received: {_shorten(rows[text])} as sentence {start + text} and "
            f"{_shorten(rows[tokens])} as sentence {start + tokens}. Split all sentences into "
            "tokens, or none."
        )
    return [check_tokens(row, start + i, allow_spaces) for i, row in enumerate(rows)]


def refuse_missing(rows: Sequence[Any], start: int = 0) -> None:
    """Raises a ValueError that names the rows without a text: `None`, NaN, pandas' NA.

    Args:
        rows: the rows of a batch.
        start: int. Position of the first row in its corpus, for the error. Defaults to `0`.
    """
    missing = [start + i for i, row in enumerate(rows) if is_missing(row)]
    if missing:
        item = rows[missing[0] - start]
        more = f" ({len(missing)} are missing: {str(missing[:10])[1:-1]}" if missing[1:] else ""
        more += (", ...)" if len(missing) > 10 else ")") if more else ""
        raise ValueError(
            f"Every sentence must have a text. Received: {item!r}, a missing text, as sentence "
            f"{missing[0]}{more}. Drop such rows, or fill them with an empty str; in pandas, "
            "`table.dropna(subset=[column])` or `column.fillna('')`."
        )


def check_tokens(tokens: Any, index: int = 0, allow_spaces: bool = True) -> list[Any]:
    """Checks the tokens of one sentence, converts them to valid str and drops trailing padding.

    Args:
        tokens: list of str. Trailing `""` are padding.
        index: int. Position of the sentence in its batch, for errors. Defaults to `0`.
        allow_spaces: bool. Whether a token may hold white space. Defaults to `True`.

    Returns:
        list of str.

    Raises:
        ValueError: if it is not a list of str, or if an empty token stands before another token.
    """
    refuse_missing([tokens], index)
    refuse_table(tokens, "A sentence's tokens")
    if not is_list(tokens):
        raise ValueError(
            "Every sentence must be a list of tokens, like the first one. "
            f"Received: {_shorten(tokens)} at position {index}. Split it into tokens, or pass all "
            "sentences as str."
        )
    if not isinstance(tokens, (list, tuple, np.ndarray)):
        tokens = tokens.to_list()
    try:
        tokens = [clean(token) for token in tokens]
    except ValueError as error:
        place, token = next(
            (i, token) for i, token in enumerate(tokens) if not isinstance(token, (str, bytes))
        )
        kind = ", a missing text," if is_missing(token) else f" of type {type(token).__name__}"
        raise ValueError(
            f"Every token must be a str. Received: {_shorten(token)}{kind} as token {place} of "
            f"sentence {index}. Leave it out, or write it as str."
        ) from error
    while tokens and not tokens[-1]:
        tokens.pop()
    if not all(tokens):
        raise ValueError(
            "Padding must stand at the right end of a sentence: an empty token is padding. "
            f"Received: an empty token at place {[bool(token) for token in tokens].index(False)} "
            f"of sentence {index}, with other tokens after it. Drop the empty tokens."
        )
    if not allow_spaces:
        for place, token in enumerate(tokens):
            if _SPACE.search(token if isinstance(token, str) else token.decode("latin-1")):
                raise ValueError(
                    f"{SPACE_RULE} Received: {_shorten(token)} as token {place} of sentence "
                    f"{index}. {SPACE_ADVICE}"
                )
    return tokens


def refuse_spaces(tokens: Any, is_known: Any = None) -> Any:
    """Returns a string tensor of tokens, with an error if one of them holds white space.

    Args:
        tokens: `(batch, time)` string tensor.
        is_known: `(batch, time)` bool tensor, `True` for tokens that may hold white space because
            they are in a vocabulary. Defaults to `None`: no token may.

    Returns:
        The same tensor. In a graph, it depends on the check.

    Raises:
        ValueError: in eager mode. A graph raises an InvalidArgumentError with the same message
            when it runs.
    """
    has_space = tf.strings.regex_full_match(tokens, _SPACE_IN_GRAPH)
    if is_known is not None:
        has_space = tf.logical_and(has_space, tf.logical_not(is_known))
    is_free = tf.logical_not(tf.reduce_any(has_space))
    if not tf.executing_eagerly():
        message = [f"{SPACE_RULE} {SPACE_ADVICE} Received:", tf.boolean_mask(tokens, has_space)]
        with tf.control_dependencies([tf.debugging.Assert(is_free, message, summarize=3)]):
            return tf.identity(tokens)
    if not bool(is_free):
        row, place = (int(i) for i in tf.where(has_space)[0])
        token = tokens[row, place].numpy().decode("utf-8", "replace")
        raise ValueError(
            f"{SPACE_RULE} Received: {_shorten(token)} as token {place} of sentence {row}. "
            f"{SPACE_ADVICE}"
        )
    return tokens


def clean(text: Any) -> str | bytes:
    """Converts text to valid Unicode: joins surrogate pairs, replaces lone surrogates by U+FFFD.

    Args:
        text: str or bytes. Bytes are decoded as UTF-8; bytes that are not UTF-8 stay bytes.

    Returns:
        str, or bytes that are not UTF-8.

    Raises:
        ValueError: if `text` is neither str nor bytes.
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


def is_list(item: Any) -> bool:
    """Returns whether an item is a list, tuple, array or column.

    Args:
        item: any object.
    """
    is_column = hasattr(item, "to_list") and hasattr(item, "dtype")  # pandas, polars
    return isinstance(item, (list, tuple, np.ndarray)) or is_column


def _is_empty(item: Any) -> bool:
    is_numeric = isinstance(item, np.ndarray) and item.dtype.kind not in "OUST"
    return is_list(item) and len(item) == 0 and not is_numeric


def _shorten(item: Any, length: int = 60) -> str:
    text = repr(str(item) if isinstance(item, str) else item)  # not np.str_('...')
    return text if len(text) <= length else text[: length - 3] + "..."
