import keras
import numpy as np
from keras import ops

from elmo_keras.layers.masking import FillPadding
from elmo_keras.metrics.token_accuracy import TokenAccuracy
from elmo_keras.models import examples
from elmo_keras.models.elmo_task import ElmoTask
from elmo_keras.models.task_parts import check_labels, dense_head, text_input


@keras.saving.register_keras_serializable(package="elmo_keras")
class ElmoTagger(ElmoTask):
    """A tagger: an `ElmoLayer` and a dense head on every token.

    It is compiled when it is made, with Adam, cross-entropy and `TokenAccuracy`, see
    `ElmoTask.compile`. For what `fit`, `evaluate` and `predict` take, see `ElmoTask`: `y` is a list
    of labels for each sentence, as many as it has tokens.

    Note on masking: probabilities are 0 at padding; loss and accuracy are means over tokens.

    Args:
        elmo: `ElmoLayer` that gives one vector a token.
        labels: list of str. The names of the tags.
        hidden_dim: int or `None`. Units of a ReLU layer before the output. Defaults to `None`: no
            such layer.
        head_dropout: float. Dropout rate before each dense layer. Defaults to `0.0`.
        **kwargs: Model keyword arguments, like `name`.

    Example:

    >>> import elmo_keras
    >>> elmo = elmo_keras.ElmoLayer(
    ...     elmo_keras.layers.CharCNN(filters=[(1, 4), (2, 8)], projection_dim=6),
    ...     elmo_keras.layers.BiLSTMStack(units=16, projection_dim=6),
    ... )
    >>> model = elmo_keras.ElmoTagger(elmo, labels=["DET", "NOUN", "VERB"])
    >>> history = model.fit([["A", "cat", "sat"]], [["DET", "NOUN", "VERB"]], verbose=0)
    >>> [len(tags) for tags in model.tag([["Cats", "sat"], ["A", "cat", "sat"]])]
    [2, 3]
    """

    labels_per_token = True

    def __init__(self, elmo, labels, hidden_dim=None, head_dropout=0.0, **kwargs):
        labels = check_labels(labels)

        # === Layers ===
        head = dense_head(hidden_dim, head_dropout, len(labels), name="softmax")
        head.append(FillPadding(dtype="float32", name="probabilities"))

        # === Functional Model ===
        inputs = text_input(elmo)
        x = elmo(inputs)  # (batch, time, dim)
        for layer in head:
            x = layer(x)
        super().__init__(inputs, x, elmo, labels, **kwargs)

        # === Config ===
        self._fill_for_loss = FillPadding(1 / len(labels), dtype="float32", name="fill_for_loss")
        self.hidden_dim = hidden_dim
        self.head_dropout = head_dropout
        self.compile()

    def auto_metrics(self):
        return [TokenAccuracy()]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        # Probabilities are 0 at padding, where Keras' cross-entropy on JAX and torch would divide
        # by their sum. The filling has no gradient, and the mask keeps it out of the loss.
        is_token = ops.any(y_pred > 0, axis=-1)  # (batch, time)
        y_pred = self._fill_for_loss(y_pred, mask=is_token)
        if sample_weight is not None:
            if len(sample_weight.shape) == 1:
                sample_weight = sample_weight[:, None]
            # On torch Keras' loss scales the weights in place, and the metrics read them behind it.
            sample_weight = ops.copy(sample_weight)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def tag(self, sentences, batch_size=32):
        """The most probable label of each token.

        Args:
            sentences: list of token lists, or of sentences (str), which the tokenizer splits.
            batch_size: int. Defaults to `32`.

        Returns:
            list of lists of str, one label name a token, padding gone.
        """
        inputs = examples.read_inputs(sentences, self)
        numbers = np.argmax(self.predict(inputs, batch_size=batch_size, verbose=0), axis=-1)
        return [[self.labels[n] for n in row[: len(x)]] for x, row in zip(inputs, numbers)]

    def get_config(self):
        config = super().get_config()
        config.update({"hidden_dim": self.hidden_dim, "head_dropout": self.head_dropout})
        return config
