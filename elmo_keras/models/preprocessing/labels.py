"""Labels: names or indices, converted to indices.

`read_labels` reads Python data: it needs no TensorFlow, and its errors name the position of a wrong
label. `labels_in_graph` applies the same rules to tensors in tf.data, whose values Python code
cannot read while the graph is built.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from elmo_keras.text.containers import is_missing, refuse_table, to_batch
from elmo_keras.utils.optional_module import tensorflow as tf

_MAX_SHOWN = 30
# Labels of padding.
_PADDING_NAME, _PADDING_INDEX = "", -1


def check_labels(labels: Iterable[str]) -> list[str]:
    """Checks the label names of a model, and returns them as a list of str.

    Args:
        labels: list, array or column of at least two different names.

    Raises:
        ValueError: for a mapping or set, which has no order; if an element is not a name.
    """
    if isinstance(labels, (Mapping, Set)):
        raise ValueError(
            "`labels` must be a list, because the position of a name is its index. Received: a "
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
            f"`labels` must be at least two different names. Received: labels={labels!r}. List "
            "each class once."
        )
    return labels


# === Python data ===


def read_labels(y: Any, labels: Sequence[str], tokens: Sequence[Any] | None = None) -> list[Any]:
    """Converts label names or indices to indices.

    Args:
        y: label names or indices: one for each sentence or, with `tokens`, a sequence for each.
        labels: the model's label names.
        tokens: tokens or ids of each sentence; `None`, the default, if sentences have labels.

    Returns:
        list of ints, or with `tokens` of int32 arrays.

    Raises:
        ValueError: for a label that the model does not know; if a sentence has more or fewer
            labels than tokens.
    """
    index_of = {name: index for index, name in enumerate(labels)}
    refuse_table(y, "`y`")
    is_padded = getattr(y, "ndim", 0) == 2
    y = to_list(y, "y")
    if tokens is None:
        return [label_index(item, index_of, f"sentence {i}") for i, item in enumerate(y)]
    if len(y) != len(tokens):
        return y  # The caller raises the error for different numbers of sentences.
    return [
        np.array(
            [
                label_index(item, index_of, f"token {j} of sentence {i}")
                for j, item in enumerate(row_of_tokens(row, sentence, i, "labels", is_padded))
            ],
            dtype="int32",
        )
        for i, (row, sentence) in enumerate(zip(y, tokens))
    ]


def label_index(label: Any, index_of: Mapping[str, int], where: str) -> int:
    """Returns the index of a label.

    Args:
        label: label name (str or UTF-8 bytes) or index.
        index_of: dict of the model's label names to their indices, in order.
        where: str. Position of the label, for the error.

    Raises:
        ValueError: if the model has no such label.
    """
    if isinstance(label, bytes):
        label = label.decode("utf-8", "replace")
    if isinstance(label, str):
        if label in index_of:
            return index_of[label]
    elif isinstance(label, (int, np.integer)) and not isinstance(label, bool):
        if 0 <= label < len(index_of):
            return int(label)
    elif np.ndim(label):
        raise _nested_label_error(label, index_of, where)
    advice = "The model was built with these labels."
    if is_missing(label):
        advice = "A label is missing: drop such rows."
    elif isinstance(label, (float, np.floating)):
        advice = (
            "A label is a class: convert floats to int. Probabilities of classes are not supported."
        )
    elif close := difflib.get_close_matches(str(label), index_of, n=1):
        advice = f"Did you mean {close[0]!r}?"
    names = list(index_of)
    shown = names if len(names) <= _MAX_SHOWN else [*names[:_MAX_SHOWN], "..."]
    raise ValueError(
        f"A label must be one of {shown} or its index. Received: {label!r} in {where}. {advice}"
    )


def _nested_label_error(label: Any, index_of: Mapping[str, int], where: str) -> ValueError:
    """Returns the error for a list instead of a label: one-hot, or a column of one label."""
    size = np.shape(label)[0]
    if size == 1:
        advice = "Flatten a column of labels: `np.ravel(y)`."
    elif size == len(index_of):
        advice = "Convert one-hot labels to indices: `np.argmax(y, axis=-1)`."
    else:
        advice = "Pass one label for each sentence or, to a tagger, for each token."
    return ValueError(
        f"A label must be a name or an index. Received: {label!r} in {where}. {advice}"
    )


def row_of_tokens(
    row: Any, sentence: Sequence[Any], index: int, what: str, is_padded: bool
) -> list[Any]:
    """Returns the labels or weights of a sentence's tokens as a list, without padding.

    Args:
        row: labels or weights of one sentence.
        sentence: its tokens or ids.
        index: int. Index of the sentence, for the error.
        what: str. Name of the values in the error.
        is_padded: bool. Whether the rows are padded to one length.

    Raises:
        ValueError: if the numbers of values and tokens differ.
    """
    row = to_list(row, "y")
    if is_padded:
        row = row[: len(sentence)]
    if len(row) != len(sentence):
        tokens = f": {' '.join(sentence[:20])}" if isinstance(sentence, list) else ""
        raise ValueError(
            f"Every sentence must have as many {what} as tokens. Received: sentence {index} with "
            f"{len(row)} {what} and {len(sentence)} tokens{tokens}. Pass token lists where the "
            "tokenizer splits differently."
        )
    return row


def to_list(values: Any, name: str) -> list[Any]:
    """Converts a list, array, column or tensor to a list.

    Args:
        values: labels or weights.
        name: str. Name of the argument in the error.

    Raises:
        ValueError: for anything else.
    """
    values = to_batch(values, f"`{name}`")
    if hasattr(values, "to_list"):  # a RaggedTensor
        return values.to_list()
    if hasattr(values, "numpy"):
        values = values.numpy()
    if hasattr(values, "__array__"):
        return np.asarray(values).tolist()
    is_iterable = hasattr(values, "__iter__") and not isinstance(values, str)
    if isinstance(values, (list, tuple)) or is_iterable:
        return list(values)
    raise ValueError(
        f"`{name}` must be a list or an array. Received: {type(values).__name__}. Pass one entry "
        "for each sentence."
    )


# === Tensors in a graph ===


def labels_in_graph(y: Any, x: Any, labels: Sequence[str], per_token: bool) -> Any:
    """Converts a batch of label names or indices to indices.

    Args:
        y: `(batch, [time])` string or int tensor; for tokens also a RaggedTensor.
        x: the model's input, tokens `(batch, time)` string or ids `(batch, time, ...)`.
        labels: the model's label names.
        per_token: whether each token has a label.

    Returns:
        `(batch, [time])` int32 tensor, 0 at padding without a label. Reading it raises an
        InvalidArgumentError if labels are wrong.
    """
    return _label_indices(_pad_token_labels(y, x) if per_token else y, labels, per_token)


def check_label_spec(y: Any, per_token: bool) -> None:
    """Raises a ValueError unless the `y` of a dataset holds labels.

    Args:
        y: tf.TypeSpec of a batch.
        per_token: whether each token has a label.
    """
    shape: Any = getattr(y, "shape", None)
    dtype: Any = getattr(y, "dtype", None)
    if shape is None:
        raise ValueError(
            "A dataset's y must be labels: class names or class indices. Received: a "
            f"{type(y).__name__}. Pick the labels with `dataset.map`."
        )
    rank = 1 + per_token
    is_class = dtype == tf.string or dtype.is_integer
    if shape.rank in (None, rank) and is_class:
        return
    advice = "Pass class indices as integers: `dataset.map(lambda x, y: (x, tf.cast(y, 'int32')))`."
    if shape.rank == rank + 1 and shape[-1] == 1:
        advice = (
            "Drop the last axis: `dataset.map(lambda x, y: (x, tf.cast(tf.squeeze(y, -1), "
            "'int32')))`, or use label_mode='int' in Keras' dataset utilities."
        )
    elif shape.rank == rank + 1:
        advice = (
            "Convert one-hot labels to indices: `dataset.map(lambda x, y: (x, tf.argmax(y, "
            "-1)))`, or use label_mode='int' in Keras' dataset utilities."
        )
    elif shape.rank != rank:
        one = "token" if per_token else "sentence"
        advice = f"Pass one label for each {one}. Call `.batch(32)` on it if it has no batches."
    form = "(batch, time)" if per_token else "(batch,)"
    raise ValueError(
        f"A dataset's y must be labels of shape {form}, class names (string) or class indices "
        f"(int). Received: y of shape {shape}, {dtype.name}. {advice}"
    )


def _pad_token_labels(y: Any, x: Any) -> Any:
    """Pads the labels of tokens to `(batch, time)`, and checks that each token has a label.

    An array may hold labels at padding, and `""` or -1 stands for no label.
    """
    y = pad_token_values(y, x, "labels", _padding_label(y))
    has_label = tf.not_equal(y, _padding_label(y))
    has_labels = tf.reduce_all(tf.logical_or(has_label, tf.logical_not(_is_token(x))))
    with tf.control_dependencies([tf.debugging.Assert(has_labels, [_message("labels"), y])]):
        return tf.identity(y)


def pad_token_values(values: Any, x: Any, what: str, padding: Any) -> Any:
    """Pads the labels or weights of tokens to the length of the model's input.

    Args:
        values: RaggedTensor with a value for each token, or `(batch, time)` tensor.
        x: the model's input, tokens `(batch, time)` string or ids `(batch, time, ...)`.
        what: str. Name of the values in the error.
        padding: value at padding, for a RaggedTensor.

    Returns:
        `(batch, time)` tensor. Reading it raises an InvalidArgumentError if lengths differ.
    """
    is_token = _is_token(x)
    time = tf.shape(is_token)[1]
    if isinstance(values, tf.RaggedTensor):
        length = tf.reduce_sum(tf.cast(is_token, "int32"), axis=1)
        has_length = tf.reduce_all(tf.equal(tf.cast(values.row_lengths(), "int32"), length))
        values = values.to_tensor(default_value=padding)
        missing = tf.maximum(time - tf.shape(values)[1], 0)
        values = tf.pad(values, [[0, 0], [0, missing]], constant_values=padding)
    else:
        has_length = tf.equal(tf.shape(values)[1], time)
    # Operations on these values and tokens together must run after the check of their lengths.
    with tf.control_dependencies([tf.debugging.Assert(has_length, [_message(what), values])]):
        return tf.identity(values)


def _is_token(x: Any) -> Any:
    if x.dtype == tf.string:
        return tf.not_equal(x, "")
    return tf.reduce_any(tf.not_equal(x, 0), axis=list(range(2, x.shape.rank)))


def _message(what: str) -> str:
    return f"Every sentence must have as many {what} as tokens. Received {what}:"


def _label_indices(y: Any, labels: Sequence[str], per_token: bool) -> Any:
    """Converts label names or indices to indices; padding labels of tokens become 0."""
    if y.dtype == tf.string:
        is_label = tf.equal(y[..., tf.newaxis], tf.constant(labels))
        is_known = tf.reduce_any(is_label, axis=-1)
        indices = tf.argmax(is_label, axis=-1, output_type="int32")
    else:
        indices = tf.cast(y, "int32")
        is_known = (indices >= 0) & (indices < len(labels))
    if per_token:  # `_pad_token_labels` has checked that tokens have no padding labels.
        is_padding = tf.equal(y, _padding_label(y))
        is_known |= is_padding
        indices = tf.where(is_padding, 0, indices)
    message = f"Labels must be among {labels[:_MAX_SHOWN]}, the labels of the model. Received:"
    # Class weights are looked up by these indices, so the check must come first.
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(is_known), [message, y])]):
        return tf.identity(indices)


def _padding_label(y: Any) -> str | int:
    return _PADDING_NAME if y.dtype == tf.string else _PADDING_INDEX
