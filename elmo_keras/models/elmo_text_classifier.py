import keras
import numpy as np

from elmo_keras.layers.masked_max_pooling import MaskedMaxPooling
from elmo_keras.layers.masked_mean_pooling import MaskedMeanPooling
from elmo_keras.models.elmo_task import ElmoTask
from elmo_keras.models.task_parts import check_labels, dense_head, text_input

POOLINGS = ("mean", "max", "mean_max")


@keras.saving.register_keras_serializable(package="elmo_keras")
class ElmoTextClassifier(ElmoTask):
    """A text classifier: an `ElmoLayer`, pooling over the tokens, a dense head.

    It is compiled when it is made, with Adam, cross-entropy and accuracy, see `ElmoTask.compile`.
    For what `fit`, `evaluate` and `predict` take, see `ElmoTask`: sentences or token
    lists, label names or numbers.

    Args:
        elmo: `ElmoLayer` that gives one vector a token.
        labels: list of str. The names of the classes.
        pooling: `"mean"`, `"max"` or `"mean_max"`, both side by side. Defaults to `"mean"`.
        hidden_dim: int or `None`. Units of a ReLU layer between pooling and the output. Defaults
            to `None`: no such layer.
        head_dropout: float. Dropout rate before each dense layer. Defaults to `0.0`.
        **kwargs: Model keyword arguments, like `name`.

    Example:

    >>> import elmo_keras
    >>> elmo = elmo_keras.ElmoLayer(
    ...     elmo_keras.layers.CharCNN(filters=[(1, 4), (2, 8)], projection_dim=6),
    ...     elmo_keras.layers.BiLSTMStack(units=16, projection_dim=6),
    ... )
    >>> model = elmo_keras.ElmoTextClassifier(elmo, labels=["negative", "positive"])
    >>> history = model.fit(["Lovely.", "Awful!"], ["positive", "negative"], verbose=0)
    >>> len(model.classify(["Lovely, not awful."]))
    1
    """

    def __init__(self, elmo, labels, pooling="mean", hidden_dim=None, head_dropout=0.0, **kwargs):
        if pooling not in POOLINGS:
            raise ValueError(f"`pooling` must be one of {POOLINGS}. Received: pooling={pooling!r}")
        labels = check_labels(labels)

        # === Layers ===
        poolings = []
        if pooling != "max":
            poolings.append(MaskedMeanPooling(name="mean_pooling"))
        if pooling != "mean":
            poolings.append(MaskedMaxPooling(name="max_pooling"))
        head = dense_head(hidden_dim, head_dropout, len(labels), name="probabilities")

        # === Functional Model ===
        inputs = text_input(elmo)
        vectors = elmo(inputs)  # (batch, time, dim)
        x = [pool(vectors) for pool in poolings]
        x = keras.layers.Concatenate(name="poolings")(x) if len(x) > 1 else x[0]  # (batch, dim)
        for layer in head:
            x = layer(x)
        super().__init__(inputs, x, elmo, labels, **kwargs)

        # === Config ===
        self.pooling = pooling
        self.hidden_dim = hidden_dim
        self.head_dropout = head_dropout
        self.compile()

    def auto_metrics(self):
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def classify(self, texts, batch_size=32):
        """The most probable label of each text.

        Args:
            texts: list of sentences (str), or of token lists.
            batch_size: int. Defaults to `32`.

        Returns:
            list of str, label names, in the order of `texts`.
        """
        probabilities = self.predict(texts, batch_size=batch_size, verbose=0)
        return [self.labels[number] for number in np.argmax(probabilities, axis=-1)]

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "pooling": self.pooling,
                "hidden_dim": self.hidden_dim,
                "head_dropout": self.head_dropout,
            }
        )
        return config
