"""The accuracy of a tagger, per token."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="elmo_keras")
class TokenAccuracy(keras.metrics.Metric):
    """The fraction of tokens whose most probable label is correct.

    Each token counts once. `keras.metrics.SparseCategoricalAccuracy` would first average over each
    sentence, including its padding, and then over the sentences.

    Note on masking: a token is padding if its probabilities are all 0, as `ElmoTagger` returns
    them, or if its label is negative. Padding does not count.

    Args:
        name: str. Name of the metric. Defaults to `"accuracy"`.
        dtype: dtype of the computation. Defaults to `None`, `keras.config.floatx()`.

    Call arguments:
        y_true: `(batch, time)` int labels.
        y_pred: `(batch, time, num_labels)` probabilities or other scores; all 0 at padding.
        sample_weight: `(batch,)` or `(batch, time)` weights, or `None`.

    Example:

    >>> import elmo_keras, numpy as np
    >>> accuracy = elmo_keras.metrics.TokenAccuracy()
    >>> accuracy.update_state(np.array([[0, 1, 0]]), np.array([[[0.9, 0.1], [0.8, 0.2], [0, 0]]]))
    >>> float(accuracy.result())
    0.5
    """

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.correct = self.add_weight(name="correct", initializer="zeros")
        self.total = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y_true = ops.cast(y_true, "int32")  # (batch, time)
        y_pred = ops.convert_to_tensor(y_pred)
        is_token = ops.logical_and(y_true >= 0, ops.any(ops.not_equal(y_pred, 0), axis=-1))
        weight = ops.cast(is_token, self.dtype)
        if sample_weight is not None:
            sample_weight = ops.cast(sample_weight, self.dtype)
            if len(sample_weight.shape) == 1:
                sample_weight = sample_weight[:, None]
            weight = weight * sample_weight
        is_correct = ops.cast(ops.equal(ops.argmax(y_pred, axis=-1), y_true), self.dtype)
        self.correct.assign_add(ops.sum(weight * is_correct))
        self.total.assign_add(ops.sum(weight))

    def result(self) -> Any:
        return ops.divide_no_nan(self.correct, self.total)
