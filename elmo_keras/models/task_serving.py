"""Inputs and outputs of exported task models, in a TensorFlow graph."""

from typing import Any

from elmo_keras.models.preprocessing.preprocessor import Preprocessor
from elmo_keras.utils.optional_module import tensorflow as tf


def inputs(task: Any, text: Any) -> tuple[Any, Any]:
    """See `ElmoTask.serving_inputs`.

    Args:
        task: the `ElmoTask`.
        text: sentences or tokens, or a tuple of them.
    """
    first = text[0] if isinstance(text, tuple) else text
    if task.preprocessor is not None:
        x = task.preprocessor.in_graph(text)
    else:
        standard = Preprocessor()
        standard.bind(task.backbone, task.labels, task.labels_per_token, task.starts_at_ids)
        is_single = not isinstance(text, tuple)
        x = standard.in_graph(text) if is_single else tuple(map(standard.in_graph, text))
    if not task.starts_at_ids:
        return x[0] if isinstance(x, tuple) else x, x
    return task.tokenizer(first) if first.shape.rank == 1 else first, x


def outputs(task: Any, tokens: Any, scores: Any) -> dict[str, Any]:
    """See `ElmoTask.serving_outputs`.

    Args:
        task: the `ElmoTask`.
        tokens: `(batch, time)` string, `""` as padding.
        scores: the model's outputs for `tokens`.
    """
    mask = tf.not_equal(tokens, "")
    indices = task.head.decode(scores, mask if task.labels_per_token else None)
    if task.labels_per_token:  # A head may return any values at padding.
        indices = tf.where(mask, indices, tf.zeros_like(indices))
    labels = tf.gather(tf.constant(task.labels), indices)
    probabilities = task._predictor.probabilities_of(scores, mask)
    if not task.labels_per_token:
        return {"labels": labels, "probabilities": probabilities}
    labels = tf.where(mask, labels, "")
    return {"tokens": tokens, "labels": labels, "probabilities": probabilities}
