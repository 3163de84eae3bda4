"""Checks of the elements of a `tf.data.Dataset` for a task model."""

from collections.abc import Mapping
from typing import Any

from elmo_keras.models.preprocessing.labels import check_label_spec
from elmo_keras.models.preprocessing.weights import check_weight_spec
from elmo_keras.utils.optional_module import tensorflow as tf


def check_elements(
    spec: Any,
    ids_shape: tuple[int, ...],
    per_token: bool,
    starts_at_ids: bool,
    needs_labels: bool,
) -> None:
    """Raises a ValueError unless the elements of a dataset are batches for a task model.

    Args:
        spec: the `element_spec` of the dataset.
        ids_shape: shape of one token's ids.
        per_token: whether each token has a label.
        starts_at_ids: whether the model's graph starts at ids.
        needs_labels: whether elements must hold labels.
    """
    x, y, weights = (*spec, None, None)[:3] if isinstance(spec, tuple) else (spec, None, None)
    _check_x(x, ids_shape, starts_at_ids)
    if y is None:
        if needs_labels:
            raise ValueError(
                "The dataset must hold labels for training and evaluation: batches (x, y). "
                f"Received: elements of {spec}. Zip the labels into it: "
                "tf.data.Dataset.zip((texts, labels))."
            )
        return
    check_label_spec(y, per_token)
    check_weight_spec(weights, per_token)


def _check_x(x: Any, ids_shape: tuple[int, ...], starts_at_ids: bool) -> None:
    if isinstance(x, Mapping):
        raise ValueError(
            "The dataset's elements must be batches (x, y), where x is text. Received: a "
            f"{type(x).__name__} of the features {', '.join(map(repr, x))}. Pick the text: "
            "`dataset.map(lambda row, y: (row['text'], y))`."
        )
    shape: Any = getattr(x, "shape", None)
    dtype: Any = getattr(x, "dtype", None)
    ids_rank = 2 + len(ids_shape)
    is_known = shape is not None and shape.rank in ((1, 2) if dtype == tf.string else (ids_rank,))
    if not is_known:
        received = type(x).__name__ if shape is None else f"x of shape {shape}, {dtype}"
        raise ValueError(
            "A dataset's elements must be batches (x, y), where x is a string tensor of shape "
            f"(batch,) or (batch, time). Received: {received}. Call `.batch(32)` on it."
        )
    if dtype == tf.string and shape.rank == 2 and shape[1] == 1:
        raise ValueError(
            "A dataset's x must be sentences of shape (batch,) or tokens of shape (batch, time). "
            f"Received: x of shape {shape}, sentences of a single token. Drop the last axis: "
            "`dataset.map(lambda x, y: (tf.squeeze(x, -1), y))`."
        )
    if dtype != tf.string and not starts_at_ids:
        raise ids_error()


def ids_error() -> ValueError:
    """Returns the error for ids passed to a model whose graph starts at text."""
    return ValueError(
        "On TensorFlow this model starts at text. Received: ids. Pass sentences or token "
        "lists, or build a Keras model around its encoder for ids."
    )
