"""Label names and label numbers: read from Python data, and converted in a graph."""

import difflib
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from elmo_keras.text.containers import is_missing, refuse_table, to_batch
from elmo_keras.utils.optional_module import tensorflow as tf

_MAX_SHOWN = 30
_NO_NAME, _NO_NUMBER = "", -1  # stand for the label of padding


def check_labels(labels: Iterable[str]) -> list[str]:
    """Checks the label names of a model, and returns them as a list of str.

    Args:
        labels: list, array or column of at least two different names.

    Raises:
        ValueError: for a mapping or set, which have no order; for anything else than names.
    """
    if isinstance(labels, (Mapping, Set)):
        raise ValueError(
            "`labels` must be a list: the place of a name in it is its number. Received: a "
            f"{type(labels).__name__}, {labels!r}. Sort the names into a list."
        )
    labels = to_batch(labels, "`labels`")
    is_list = hasattr(labels, "__iter__") and not isinstance(labels, (str, bytes))
    if not is_list or not all(isinstance(label, str) and label for label in labels):
        raise ValueError(
            f"`labels` must be a list of names (str). Received: labels={labels!r}. Name the "
            "classes, like labels=['negative', 'positive']."
        )
    labels = [str(label) for label in labels]
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ValueError(
            f"`labels` must be at least two different names. Received: labels={labels!r}"
        )
    return labels


def read_labels(y: Any, labels: Sequence[str], tokens: Sequence[Any] | None = None) -> list[Any]:
    """Label numbers, one a sentence, or with `tokens` an int array for each sentence.

    Args:
        y: label names or numbers; for each sentence, or a sequence of them for each.
        labels: the model's label names.
        tokens: each sentence's tokens or ids, or `None` for one label a sentence.

    Raises:
        ValueError: for a label that the model does not know, or numbers of labels and tokens that
            differ.
    """
    number_of = {name: number for number, name in enumerate(labels)}
    refuse_table(y, "`y`")
    is_padded = getattr(y, "ndim", 0) == 2
    y = to_list(y, "y")
    if tokens is None:
        return [label_number(item, number_of, f"sentence {i}") for i, item in enumerate(y)]
    if len(y) != len(tokens):
        return y  # The caller compares the numbers of sentences, and names them.
    return [
        np.array(
            [
                label_number(item, number_of, f"token {j} of sentence {i}")
                for j, item in enumerate(of_length(row, sentence, i, "labels", is_padded))
            ],
            dtype="int32",
        )
        for i, (row, sentence) in enumerate(zip(y, tokens))
    ]


def label_number(item, number_of, where):
    if isinstance(item, bytes):
        item = item.decode("utf-8", "replace")
    if isinstance(item, str):
        if item in number_of:
            return number_of[item]
    elif isinstance(item, (int, np.integer)) and not isinstance(item, bool):
        if 0 <= item < len(number_of):
            return int(item)
    elif np.ndim(item):
        raise _nested_label_error(item, number_of, where)
    advice = "The labels are what the model was built with."
    if is_missing(item):
        advice = "A label is missing: drop such rows."
    elif isinstance(item, (float, np.floating)):
        advice = "A label is a class: convert numbers to int. Shares of classes are no labels."
    elif close := difflib.get_close_matches(str(item), number_of, n=1):
        advice = f"Is {close[0]!r} meant?"
    names = list(number_of)
    shown = names if len(names) <= _MAX_SHOWN else [*names[:_MAX_SHOWN], "..."]
    raise ValueError(
        f"A label must be one of {shown} or its number. Received: {item!r} in {where}. {advice}"
    )


def _nested_label_error(item, number_of, where):
    """The ValueError for a list in place of a label: one-hot, or a column of one."""
    size = np.shape(item)[0]
    if size == 1:
        advice = "Flatten a column of labels: `np.ravel(y)`."
    elif size == len(number_of):
        advice = "Of one-hot labels pass the classes: `np.argmax(y, axis=-1)`."
    else:
        advice = "Pass one label for each sentence; of a tagger, one for each token."
    return ValueError(
        f"A label must be a name or a number. Received: {item!r} in {where}. {advice}"
    )


def of_length(row, sentence, index, what, is_padded):
    row = to_list(row, "y")
    if is_padded:  # The rows of an array have one length; what is behind the tokens is padding.
        row = row[: len(sentence)]
    if len(row) != len(sentence):
        tokens = f": {' '.join(sentence[:20])}" if isinstance(sentence, list) else ""
        raise ValueError(
            f"Every sentence must have as many {what} as tokens. Received: sentence {index} with "
            f"{len(row)} {what} and {len(sentence)} tokens{tokens}. Pass token lists where the "
            "tokenizer splits differently."
        )
    return row


def to_list(y, name):
    y = to_batch(y, f"`{name}`")
    if hasattr(y, "to_list"):  # a RaggedTensor
        return y.to_list()
    if hasattr(y, "numpy"):
        y = y.numpy()
    if hasattr(y, "__array__"):
        return np.asarray(y).tolist()
    if isinstance(y, (list, tuple)) or (hasattr(y, "__iter__") and not isinstance(y, str)):
        return list(y)
    raise ValueError(f"`{name}` must be a list or an array. Received: {type(y).__name__}.")


# === In a graph ===


def labels_in_graph(y: Any, x: Any, labels: Sequence[str], per_token: bool) -> Any:
    """Label names or numbers of a batch as numbers, 0 at padding.

    Args:
        y: `(batch, [time])` string or int tensor; of tokens also a RaggedTensor.
        x: the model's input, tokens `(batch, time)` string or ids `(batch, time, ...)`.
        labels: the model's label names.
        per_token: whether each token has a label.

    Returns:
        `(batch, [time])` int32 tensor. Wrong labels raise an InvalidArgumentError when it is read.
    """
    return _numbers(_pad_token_labels(y, x) if per_token else y, labels, per_token)


def check_label_spec(y: Any, per_token: bool) -> None:
    """Raises a ValueError unless the spec of a dataset's y is that of labels.

    Args:
        y: tf.TypeSpec of a batch.
        per_token: whether each token has a label.
    """
    shape: Any = getattr(y, "shape", None)
    dtype: Any = getattr(y, "dtype", None)
    if shape is None:
        raise ValueError(
            "A dataset's y must be labels, the names or numbers of classes. Received: a "
            f"{type(y).__name__}. Pick the labels with `dataset.map`."
        )
    rank = 1 + per_token
    is_class = dtype == tf.string or dtype.is_integer
    if shape.rank in (None, rank) and is_class:
        return
    advice = "Pass class numbers as integers: `dataset.map(lambda x, y: (x, tf.cast(y, 'int32')))`."
    if shape.rank == rank + 1 and shape[-1] == 1:
        advice = (
            "Drop the last axis: `dataset.map(lambda x, y: (x, tf.cast(tf.squeeze(y, -1), "
            "'int32')))`; of Keras' dataset utilities ask for label_mode='int'."
        )
    elif shape.rank == rank + 1:
        advice = (
            "Of one-hot labels pass the classes: `dataset.map(lambda x, y: (x, tf.argmax(y, "
            "-1)))`; of Keras' dataset utilities ask for label_mode='int'."
        )
    elif shape.rank != rank:
        one = "token" if per_token else "sentence"
        advice = f"Pass one label for each {one}. Call `.batch(32)` on it if it has no batches."
    form = "(batch, time)" if per_token else "(batch,)"
    raise ValueError(
        f"A dataset's y must be labels of shape {form}, names (string) or numbers (int) of "
        f"classes. Received: y of shape {shape}, {dtype.name}. {advice}"
    )


def _pad_token_labels(y, x):
    """A batch of labels `(batch, time)` in a graph, checked to be as many as there are tokens.

    A ragged batch says itself how many labels each sentence has. In an array, labels may stand
    at padding, whatever they are, and none may lack elsewhere: none is `""` or -1.
    """
    message = "Every sentence must have as many labels as tokens. Received labels:"
    is_token = (
        tf.not_equal(x, "")
        if x.dtype == tf.string
        else tf.reduce_any(tf.not_equal(x, 0), axis=list(range(2, x.shape.rank)))
    )
    time = tf.shape(is_token)[1]
    if isinstance(y, tf.RaggedTensor):
        length = tf.reduce_sum(tf.cast(is_token, "int32"), axis=1)
        is_whole = tf.reduce_all(tf.equal(tf.cast(y.row_lengths(), "int32"), length))
        y = y.to_tensor(default_value=_no_label(y))
        missing = tf.maximum(time - tf.shape(y)[1], 0)
        y = tf.pad(y, [[0, 0], [0, missing]], constant_values=_no_label(y))
    else:
        is_whole = tf.equal(tf.shape(y)[1], time)
    # Whatever reads labels and tokens together must wait until their shapes are known to fit.
    with tf.control_dependencies([tf.debugging.Assert(is_whole, [message, y])]):
        has_label = tf.not_equal(y, _no_label(y))
    has_labels = tf.reduce_all(tf.logical_or(has_label, tf.logical_not(is_token)))
    with tf.control_dependencies([tf.debugging.Assert(has_labels, [message, y])]):
        return tf.identity(y)


def _numbers(y, labels, per_token):
    """Label names or numbers in a graph as numbers, 0 where there is none."""
    if y.dtype == tf.string:
        is_label = tf.equal(y[..., tf.newaxis], tf.constant(labels))
        is_known = tf.reduce_any(is_label, axis=-1)
        numbers = tf.argmax(is_label, axis=-1, output_type="int32")
    else:
        numbers = tf.cast(y, "int32")
        is_known = (numbers >= 0) & (numbers < len(labels))
    if per_token:  # The tokens have been found to have theirs.
        is_none = tf.equal(y, _no_label(y))
        is_known |= is_none
        numbers = tf.where(is_none, 0, numbers)
    tf.debugging.Assert(
        tf.reduce_all(is_known),
        [f"Labels must be among {labels[:_MAX_SHOWN]}, those of the model. Received:", y],
    )
    return numbers


def _no_label(y):
    return _NO_NAME if y.dtype == tf.string else _NO_NUMBER
