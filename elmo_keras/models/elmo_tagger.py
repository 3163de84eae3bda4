"""The tagger: a model that labels each token."""

from typing import Any

import keras

from elmo_keras.encoders.text_encoder import TextEncoder
from elmo_keras.layers.masking import MaskOf
from elmo_keras.metrics.token_accuracy import TokenAccuracy
from elmo_keras.models.elmo_task import ElmoTask
from elmo_keras.models.heads import Head, build_head, head_config
from elmo_keras.models.preprocessing.labels import check_labels
from elmo_keras.models.preprocessing.preprocessor import Preprocessor
from elmo_keras.models.task_inputs import task_inputs


@keras.saving.register_keras_serializable(package="elmo_keras")
class ElmoTagger(ElmoTask):
    """A tagger: a text encoder and a head that labels each token.

    A new model is compiled with Adam, the head's loss and `TokenAccuracy`, see `ElmoTask.compile`.
    See `ElmoTask` for the data that `fit`, `evaluate` and `predict` accept. `y` holds a list of
    labels for each sentence, one for each token.

    Probabilities are 0 at padding. Loss and accuracy are means over tokens, without padding.

    Args:
        backbone: `ElmoLayer`, or another `TextEncoder` with one vector for each token.
        labels: list of str. The names of the tags.
        hidden_dim: int or `None`. Units of a ReLU layer before the output. Defaults to `None`: no
            such layer.
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
    >>> model = elmo_keras.ElmoTagger(elmo, labels=["DET", "NOUN", "VERB"])
    >>> history = model.fit([["A", "cat", "sat"]], [["DET", "NOUN", "VERB"]], epochs=1, verbose=0)
    >>> [len(tags) for tags in model.tag([["Cats", "sat"], ["A", "cat", "sat"]])]
    [2, 3]
    """

    labels_per_token = True

    def __init__(
        self,
        backbone: TextEncoder,
        labels: list[str],
        hidden_dim: int | None = None,
        head_dropout: float | None = None,
        head: Head | str = "softmax",
        preprocessor: Preprocessor | str | None = "auto",
        **kwargs: Any,
    ) -> None:
        labels = check_labels(labels)

        # === Layers ===
        head = build_head(head, hidden_dim, head_dropout, labels, per_token=True)

        # === Functional Model ===
        inputs = task_inputs(backbone)
        vectors = backbone(inputs)  # (batch, time, dim)
        scores = head.scores(vectors)  # (batch, time, labels)
        mask = MaskOf(name="mask")(vectors)  # (batch, time)
        super().__init__(inputs, scores, backbone, head, preprocessor, mask, **kwargs)

    def auto_metrics(self) -> list[keras.metrics.Metric]:
        return [TokenAccuracy()]

    def tag(self, sentences: Any, batch_size: int = 32) -> list[list[str]]:
        """Returns the most probable label of each token.

        Args:
            sentences: list of token lists, or of sentences (str), which the tokenizer splits.
            batch_size: int. Defaults to `32`.

        Returns:
            list of lists of str, one label name for each token.
        """
        indices = self._predictor.decoded(sentences, batch_size)
        return [[self.labels[index] for index in row] for row in indices]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | head_config(self.head)
