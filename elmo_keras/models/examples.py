"""The data that users hand to `fit`, `evaluate` and `predict`: lists, arrays and tensors."""

import difflib
import numbers
from collections.abc import Mapping

import numpy as np

from elmo_keras.text.containers import is_missing, refuse_table, to_batch
from elmo_keras.text.strings import check_rows, is_text

_LARGEST = float(np.finfo("float32").max)


def read_inputs(x, task) -> list:
    """One entry a sentence: a list of tokens, or an int array `(time, ...)` of ids.

    Args:
        x: sentences (list, array or tensor of str), token lists (the same, nested) or ids.
        task: the model, for its tokenizer and for the ids that it takes.

    Raises:
        ValueError: if `x` is none of these.
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
                f"token lists. Received: {type(x).__name__}."
            )
    if isinstance(x, np.ndarray) and x.ndim == 0:
        x = x.item()
    if not is_text(x):
        return _read_ids(x, task)
    if isinstance(x, (str, bytes)):
        raise ValueError(
            f"`x` must be a batch: a list of sentences. Received: the bare str {x!r}. Pass [text]."
        )
    rows = check_rows(list(x), allow_spaces=task.elmo.allow_spaces)
    if rows and not isinstance(rows[0], list):
        return task.tokenizer.split(rows)
    return rows


def _read_ids(x, task):
    encoder = task.elmo.token_encoder
    shape = encoder.ids_shape
    rows = []
    for index, row in enumerate(x):
        row = np.asarray(row)
        if row.dtype.kind not in "iu" or row.shape[1:] != shape:
            raise ValueError(
                "`x` must hold sentences (str), lists of tokens (str), or ids of shape "
                f"{('time', *shape)} and an integer dtype for each sentence. Received at position "
                f"{index}: dtype={row.dtype}, shape={row.shape}."
            )
        # A compiled step on JAX could no longer look.
        if not np.all((row >= 0) & (row < encoder.ids_limit)):
            raise ValueError(
                f"{encoder.range_rule} Received: {row.min()} to {row.max()} in sentence {index}. "
                "Make them with the token encoder's `numpy_ids(words)`."
            )
        is_token = row.any(axis=tuple(range(1, row.ndim)))
        length = int(is_token.sum())
        if not is_token[:length].all():
            raise ValueError(
                "Padding must stand at the right end of every sentence. Received: a row of zero "
                f"ids in front of a token in sentence {index}: move it to the right."
            )
        rows.append(row[:length])
    return rows


def check_labels_given(x, y, name=None):
    """Raises a ValueError where labels are needed and neither `y` nor a dataset holds them."""
    if y is None and not hasattr(x, "element_spec"):
        where = "y=None" if name is None else f"no labels in `{name}`"
        raise ValueError(
            f"`y` must hold the labels of `x`. Received: {where}. Pass (x, y); only a "
            "tf.data.Dataset has them inside."
        )


def read_labels(y, labels, tokens=None) -> list:
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
    y = _to_list(y, "y")
    if tokens is None:
        return [_label(item, number_of, f"sentence {i}") for i, item in enumerate(y)]
    if len(y) != len(tokens):
        return y  # The caller compares the numbers of sentences, and names them.
    return [
        np.array(
            [
                _label(item, number_of, f"token {j} of sentence {i}")
                for j, item in enumerate(_of_length(row, sentence, i, "labels", is_padded))
            ],
            dtype="int32",
        )
        for i, (row, sentence) in enumerate(zip(y, tokens))
    ]


def read_weights(sample_weight, class_weight, y, labels, tokens=None) -> list | None:
    """Sample weights and class weights in one: a float a sentence, or a float array for each.

    Args:
        sample_weight: weights of the sentences, or, with `tokens`, of their tokens, or `None`.
        class_weight: dict of a label's name or number to its weight, or `None`. Labels that it
            does not name weigh 1.
        y: what `read_labels` gave.
        labels: the model's label names.
        tokens: as in `read_labels`.
    """
    if sample_weight is None and class_weight is None:
        return None
    of_class = class_weights(class_weight, labels)
    refuse_table(sample_weight, "`sample_weight`")
    is_padded = getattr(sample_weight, "ndim", 0) == 2
    weights = [1.0] * len(y) if sample_weight is None else _to_list(sample_weight, "sample_weight")
    if len(weights) != len(y):
        raise ValueError(
            "`sample_weight` must have one entry a sentence. "
            f"Received: {len(weights)} entries for {len(y)} sentences."
        )
    for i, weight in enumerate(weights):
        if np.ndim(weight) > (0 if tokens is None else 1):
            raise ValueError(
                "A sentence has one weight, of a tagger also one a token. "
                f"Received: sample_weight={weight!r} for sentence {i}."
            )
    if tokens is None:
        return [
            _weight(weight, "`sample_weight`", f"sentence {i}") * of_class[label]
            for i, (weight, label) in enumerate(zip(weights, y))
        ]
    result = []
    for i, (weight, row) in enumerate(zip(weights, y)):
        where = f"sentence {i}"
        if np.ndim(weight):
            row_of_weights = _of_length(weight, tokens[i], i, "weights", is_padded)
            weight = np.array(
                [
                    _weight(item, "`sample_weight`", f"token {j} of {where}")
                    for j, item in enumerate(row_of_weights)
                ],
                "float32",
            )
        else:
            weight = np.float32(_weight(weight, "`sample_weight`", where))
        result.append((weight * of_class[row]).astype("float32"))
    return result


def class_weights(class_weight, labels) -> np.ndarray:
    """The weight of each label, a float32 array `(num_labels,)`."""
    if class_weight is not None and not isinstance(class_weight, Mapping):
        raise ValueError(
            "`class_weight` must be a dict of label names or numbers to weights. "
            f"Received: class_weight={class_weight!r}"
        )
    weights = np.ones(len(labels), dtype="float32")
    number_of = {name: number for number, name in enumerate(labels)}
    for key, weight in (class_weight or {}).items():
        number = _label(key, number_of, "`class_weight`")
        weights[number] = _weight(weight, "`class_weight`", f"label {key!r}")
    return weights


def _weight(weight, name, where):
    """A weight as a float, or a ValueError that names its place."""
    if hasattr(weight, "numpy"):
        weight = weight.numpy()
    if isinstance(weight, np.ndarray) and weight.ndim == 0:
        weight = weight.item()
    if isinstance(weight, (bool, np.bool_)) and name == "`sample_weight`":
        weight = int(weight)  # a mask
    is_number = isinstance(weight, numbers.Real) and not isinstance(weight, (bool, np.bool_))
    if not is_number or not 0 <= weight <= _LARGEST:  # False of NaN
        raise ValueError(
            f"A weight in {name} must be a finite number of at least 0. Received: {weight!r} for "
            f"{where}. Give it a number: 1 changes nothing, 0 leaves it out."
        )
    return float(weight)


def _label(item, number_of, where):
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
    shown = names if len(names) <= 30 else [*names[:30], "..."]
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


def _of_length(row, sentence, index, what, is_padded):
    row = _to_list(row, "y")
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


def _to_list(y, name):
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
