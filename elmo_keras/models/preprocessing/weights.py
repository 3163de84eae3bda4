"""Sample weights and class weights."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from elmo_keras.models.preprocessing.batches import pad_ragged
from elmo_keras.models.preprocessing.labels import label_number, of_length, to_list
from elmo_keras.text.containers import refuse_table
from elmo_keras.utils.optional_module import tensorflow as tf

_LARGEST = float(np.finfo("float32").max)


def read_weights(
    sample_weight: Any,
    class_weight: Mapping[Any, float] | None,
    y: Sequence[Any],
    labels: Sequence[str],
    tokens: Sequence[Any] | None = None,
) -> list[Any] | None:
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
    weights = [1.0] * len(y) if sample_weight is None else to_list(sample_weight, "sample_weight")
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
            row_of_weights = of_length(weight, tokens[i], i, "weights", is_padded)
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


def class_weights(class_weight: Mapping[Any, float] | None, labels: Sequence[str]) -> np.ndarray:
    """The weight of each label, a float32 array `(num_labels,)`."""
    if class_weight is not None and not isinstance(class_weight, Mapping):
        raise ValueError(
            "`class_weight` must be a dict of label names or numbers to weights. "
            f"Received: class_weight={class_weight!r}"
        )
    weights = np.ones(len(labels), dtype="float32")
    number_of = {name: number for number, name in enumerate(labels)}
    for key, weight in (class_weight or {}).items():
        number = label_number(key, number_of, "`class_weight`")
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


# === In a graph ===


def weights_in_graph(weights: Any, of_class: Any, y: Any, per_token: bool) -> Any:
    """Sample weights and class weights of a batch, multiplied.

    Args:
        weights: `(batch, [time])` tensor or RaggedTensor of sample weights, or `None`.
        of_class: `(labels,)` float32, the weight of each label, or `None`.
        y: `(batch, [time])` int32, label numbers.
        per_token: whether each token has a label.

    Returns:
        `(batch, [time])` float32 tensor, or `None` if there are no weights at all.
    """
    if weights is not None:
        if isinstance(weights, tf.RaggedTensor):
            weights = pad_ragged(weights)
        weights = _checked(tf.cast(weights, "float32"))
        if per_token and weights.shape.rank == 1:
            weights = weights[:, tf.newaxis] * tf.ones_like(y, "float32")
    if of_class is not None:
        weights = (1.0 if weights is None else weights) * tf.gather(of_class, y)
    return weights


def check_weight_spec(weights: Any, per_token: bool) -> None:
    """Raises a ValueError unless the spec of a dataset's sample weights has a known shape.

    Args:
        weights: tf.TypeSpec of a batch, or `None`.
        per_token: whether each token has a label, and may have a weight.
    """
    rank = None if weights is None else weights.shape.rank
    if rank not in (None, 1, 1 + per_token):
        raise ValueError(
            "A sentence has one sample weight, a token of a tagger also one of its own. "
            f"Received: sample weights of shape {weights.shape}. Pass them in shape (batch,)."
        )


def _checked(weights):
    is_weight = tf.reduce_all(tf.math.is_finite(weights) & (weights >= 0))
    message = "Sample weights must be finite numbers of at least 0. Received:"
    with tf.control_dependencies([tf.debugging.Assert(is_weight, [message, weights])]):
        return tf.identity(weights)
