"""The text classifier: a model that labels each text."""

from typing import Any

import keras

from elmo_keras.encoders.text_encoder import TextEncoder
from elmo_keras.layers.masked_max_pooling import MaskedMaxPooling
from elmo_keras.layers.masked_mean_pooling import MaskedMeanPooling
from elmo_keras.models.elmo_task import ElmoTask
from elmo_keras.models.heads import Head, build_head, head_config
from elmo_keras.models.preprocessing.labels import check_labels
from elmo_keras.models.preprocessing.preprocessor import Preprocessor
from elmo_keras.models.task_inputs import task_inputs

POOLINGS = ("mean_max", "mean", "max")  # The first one is the default.


@keras.saving.register_keras_serializable(package="elmo_keras")
class ElmoTextClassifier(ElmoTask):
    """A text classifier: a text encoder, pooling over the tokens, and a head.

    A new model is compiled with Adam, the head's loss and accuracy, see `ElmoTask.compile`. See
    `ElmoTask` for the data that `fit`, `evaluate` and `predict` accept. `y` holds one label for
    each text.

    Args:
        backbone: `ElmoLayer`, or another `TextEncoder` with one vector for each token.
        labels: list of str. The names of the classes.
        pooling: `"mean_max"`, `"mean"` or `"max"`; the first one concatenates the other two.
            Defaults to `"mean_max"`.
        hidden_dim: int or `None`. Units of a ReLU layer between pooling and the output. Defaults
            to `None`: no such layer.
        head_dropout: float or `None`. Dropout rate before each dense layer. Defaults to `None`, for
            `0.3`.
        head: `"softmax"` for a `DenseHead` with the two arguments above, or a `Head`. Defaults to
            `"softmax"`.
        preprocessor: a `Preprocessor`, `"auto"` or `None`, see `ElmoTask`. Defaults to `"auto"`.
        **kwargs: Model keyword arguments, like `name`.

    Example:

    >>> import elmo_keras
    >>> elmo = elmo_keras.ElmoLayer(
    ...     elmo_keras.layers.CharCNN(filters=[(1, 4), (2, 8)], projection_dim=6),
    ...     elmo_keras.layers.BiLSTMStack(units=16, projection_dim=6),
    ... )
    >>> model = elmo_keras.ElmoTextClassifier(elmo, labels=["negative", "positive"])
    >>> history = model.fit(["Lovely.", "Awful!"], ["positive", "negative"], epochs=1, verbose=0)
    >>> len(model.classify(["Lovely, not awful."]))
    1
    """

    def __init__(
        self,
        backbone: TextEncoder,
        labels: list[str],
        pooling: str = "mean_max",
        hidden_dim: int | None = None,
        head_dropout: float | None = None,
        head: Head | str = "softmax",
        preprocessor: Preprocessor | str | None = "auto",
        **kwargs: Any,
    ) -> None:
        if pooling not in POOLINGS:
            raise ValueError(
                f"`pooling` must be one of {POOLINGS}. Received: pooling={pooling!r}. Choose one "
                "of them."
            )
        labels = check_labels(labels)

        # === Layers ===
        poolings = []
        if pooling != "max":
            poolings.append(MaskedMeanPooling(name="mean_pooling"))
        if pooling != "mean":
            poolings.append(MaskedMaxPooling(name="max_pooling"))
        head = build_head(head, hidden_dim, head_dropout, labels, per_token=False)

        # === Functional Model ===
        inputs = task_inputs(backbone)
        vectors = backbone(inputs)  # (batch, time, dim)
        x = [pool(vectors) for pool in poolings]
        x = keras.layers.Concatenate(name="poolings")(x) if len(x) > 1 else x[0]  # (batch, dim)
        scores = head.scores(x)  # (batch, labels)
        super().__init__(inputs, scores, backbone, head, preprocessor, **kwargs)

        # === Config ===
        self.pooling = pooling

    def auto_metrics(self) -> list[keras.metrics.Metric]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def classify(self, texts: Any, batch_size: int = 32) -> list[str]:
        """Returns the most probable label of each text.

        Args:
            texts: list of sentences (str), or of token lists.
            batch_size: int. Defaults to `32`.

        Returns:
            list of str, label names, in the order of `texts`.
        """
        return [self.labels[index] for index in self._predictor.decoded(texts, batch_size)]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"pooling": self.pooling} | head_config(self.head)
