"""Sample weights and class weights, multiplied.

`read_weights` reads Python data: it needs no TensorFlow, and its errors name the position of a
wrong weight. `weights_in_graph` applies the same rules to tensors in tf.data, whose values Python
code cannot read while the graph is built.
"""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from elmo_keras.models.preprocessing.labels import (
    label_index,
    pad_token_values,
    row_of_tokens,
    to_list,
)
from elmo_keras.text.containers import refuse_table
from elmo_keras.utils.optional_module import tensorflow as tf

_LARGEST = float(np.finfo("float32").max)


# === Python data ===


def read_weights(
    sample_weight: Any,
    class_weight: Mapping[Any, float] | None,
    y: Sequence[Any],
    labels: Sequence[str],
    tokens: Sequence[Any] | None = None,
) -> list[Any] | None:
    """Multiplies sample weights and class weights.

    Args:
        sample_weight: one weight for each sentence or, with `tokens`, also a sequence of weights
            for its tokens; or `None`.
        class_weight: dict of label names or indices to weights, or `None`. Other labels have a
            weight of 1.
        y: return value of `read_labels`.
        labels: the model's label names.
        tokens: as in `read_labels`. Defaults to `None`.

    Returns:
        list of floats, or with `tokens` of float32 arrays; `None` without any weights.

    Raises:
        ValueError: if a weight is not a finite number of at least 0; if the numbers of weights and
            labels differ.
    """
    if sample_weight is None and class_weight is None:
        return None
    of_class = class_weights(class_weight, labels)
    refuse_table(sample_weight, "`sample_weight`")
    is_padded = getattr(sample_weight, "ndim", 0) == 2
    weights = [1.0] * len(y) if sample_weight is None else to_list(sample_weight, "sample_weight")
    if len(weights) != len(y):
        raise ValueError(
            "`sample_weight` must have one entry for each sentence. "
            f"Received: {len(weights)} entries for {len(y)} sentences. "
            "Pass a weight for each."
        )
    for i, weight in enumerate(weights):
        if np.ndim(weight) > (0 if tokens is None else 1):
            raise ValueError(
                "`sample_weight` must be one weight for each sentence; a tagger also accepts one "
                f"for each token. Received: sample_weight={weight!r} for sentence {i}. Pass "
                "one number for each sentence."
            )
    if tokens is None:
        return [
            _check_weight(weight, "`sample_weight`", f"sentence {i}") * of_class[label]
            for i, (weight, label) in enumerate(zip(weights, y))
        ]
    result = []
    for i, (weight, row) in enumerate(zip(weights, y)):
        where = f"sentence {i}"
        if np.ndim(weight):
            row_of_weights = row_of_tokens(weight, tokens[i], i, "weights", is_padded)
            weight = np.array(
                [
                    _check_weight(item, "`sample_weight`", f"token {j} of {where}")
                    for j, item in enumerate(row_of_weights)
                ],
                "float32",
            )
        else:
            weight = np.float32(_check_weight(weight, "`sample_weight`", where))
        result.append((weight * of_class[row]).astype("float32"))
    return result


def class_weights(class_weight: Mapping[Any, float] | None, labels: Sequence[str]) -> np.ndarray:
    """Returns the weight of each label, a float32 array `(num_labels,)`.

    Args:
        class_weight: dict of label names or indices to weights, or `None`. Other labels have a
            weight of 1.
        labels: the model's label names.

    Raises:
        ValueError: for another type, an unknown label, or a weight that is not a finite number of
            at least 0.
    """
    if class_weight is not None and not isinstance(class_weight, Mapping):
        raise ValueError(
            "`class_weight` must be a dict of label names or indices to weights. "
            f"Received: class_weight={class_weight!r}. Pass {{'negative': 2.0}}, for example."
        )
    weights = np.ones(len(labels), dtype="float32")
    index_of = {name: index for index, name in enumerate(labels)}
    for key, weight in (class_weight or {}).items():
        index = label_index(key, index_of, "`class_weight`")
        weights[index] = _check_weight(weight, "`class_weight`", f"label {key!r}")
    return weights


def _check_weight(weight: Any, name: str, where: str) -> float:
    """Returns a weight as a float, or raises a ValueError that names its position."""
    if hasattr(weight, "numpy"):
        weight = weight.numpy()
    if isinstance(weight, np.ndarray) and weight.ndim == 0:
        weight = weight.item()
    if isinstance(weight, (bool, np.bool_)) and name == "`sample_weight`":
        weight = int(weight)  # a mask
    is_number = isinstance(weight, numbers.Real) and not isinstance(weight, (bool, np.bool_))
    if not is_number or not 0 <= weight <= _LARGEST:  # False for NaN
        raise ValueError(
            f"A weight in {name} must be a finite number of at least 0. Received: {weight!r} for "
            f"{where}. Use 1 for the usual weight, or 0 to leave it out of the loss."
        )
    return float(weight)


# === Tensors in a graph ===


def weights_in_graph(weights: Any, of_class: Any, y: Any, x: Any, per_token: bool) -> Any:
    """Multiplies the sample weights and class weights of a batch.

    Args:
        weights: `(batch, [time])` tensor or RaggedTensor of sample weights, or `None`.
        of_class: `(num_labels,)` float32, the weight of each label, or `None`.
        y: `(batch, [time])` int32, label indices.
        x: the model's input, tokens `(batch, time)` string or ids `(batch, time, ...)`.
        per_token: whether each token has a label.

    Returns:
        `(batch, [time])` float32 tensor; `None` without any weights. Reading it raises an
        InvalidArgumentError if a sample weight is not a finite number of at least 0, or if the
        numbers of weights and tokens differ.
    """
    if weights is not None:
        weights = tf.cast(weights, "float32")
        if per_token and weights.shape.rank == 1:
            weights = weights[:, tf.newaxis] * tf.ones_like(y, "float32")
        elif per_token:
            weights = pad_token_values(weights, x, "weights", 0.0)
        weights = _check_finite_weights(weights)
    if of_class is not None:
        weights = (1.0 if weights is None else weights) * tf.gather(of_class, y)
    return weights


def check_weight_spec(weights: Any, per_token: bool) -> None:
    """Raises a ValueError if the sample weights of a dataset have a wrong rank.

    Args:
        weights: tf.TypeSpec of a batch, or `None`.
        per_token: whether each token has a label, and may have a weight.
    """
    rank = None if weights is None else weights.shape.rank
    if rank not in (None, 1, 1 + per_token):
        raise ValueError(
            "A dataset's sample weights must be one for each sentence; a tagger also accepts one "
            f"for each token. Received: sample weights of shape {weights.shape}. Pass them in "
            "shape (batch,)."
        )


def _check_finite_weights(weights: Any) -> Any:
    is_weight = tf.reduce_all(tf.math.is_finite(weights) & (weights >= 0))
    message = "Sample weights must be finite numbers of at least 0. Received:"
    with tf.control_dependencies([tf.debugging.Assert(is_weight, [message, weights])]):
        return tf.identity(weights)
