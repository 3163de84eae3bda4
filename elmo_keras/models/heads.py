"""Heads of task models: from vectors to answers."""

from typing import Any

import keras
from keras import ops

from elmo_keras import backend
from elmo_keras.layers.masking import FillPadding

# Default dropout rate of the heads that task models create. It lowers the probabilities of errors.
DROPOUT = 0.3


class Head:
    """Base of heads: the output layers of a task model, their loss, probabilities and decoding.

    A subclass defines `scores`, either `loss` or `keras_loss`, and, unless its scores are
    probabilities, `probabilities`. Every layer with weights must be called in `scores`, also one
    that only `loss` or `decode` needs: the weights of the model's graph are trained and saved. To
    be saved, the subclass is registered with Keras and returns its arguments from `get_config`.

    A head belongs to one model, which calls `build(labels, per_token)` before the other methods.
    Shapes below have a `time` axis in models with one label for each token.
    """

    labels: list[str]
    per_token: bool

    def build(self, labels: list[str], per_token: bool) -> None:
        """Creates the layers.

        Args:
            labels: the label names.
            per_token: whether each token has a label, instead of each sentence.
        """
        if hasattr(self, "labels"):
            raise ValueError(
                f"A head must belong to one model. Received: a {type(self).__name__} that belongs "
                f"to a model with the labels {self.labels} already. Create a new head."
            )
        self.labels = labels
        self.per_token = per_token
        self._zero_padding = FillPadding(dtype="float32", name="zero_padding")

    def scores(self, vectors: Any) -> Any:
        """Computes the model's output from the encoder's.

        Args:
            vectors: Keras tensor `(batch, [time,] dim)`. Vectors of tokens have a Keras mask.

        Returns:
            Keras tensor `(batch, [time,] labels)`.
        """
        raise self._missing("scores")

    def probabilities(self, scores: Any, mask: Any) -> Any:
        """Computes probabilities from scores. Returns the scores unless it is overridden.

        Args:
            scores: Keras tensor `(batch, [time,] labels)`.
            mask: Keras tensor `(batch, time)`, bool, `True` for tokens; `None` if sentences have
                labels.

        Returns:
            Keras tensor of the shape of the scores, zeros at padding.
        """
        return scores

    def loss(self, y: Any, scores: Any, mask: Any, sample_weight: Any = None) -> Any:
        """Computes the loss of a batch. Calls `keras_loss` unless it is overridden.

        Args:
            y: `(batch, [time])` int, label indices; any values at padding.
            scores: `(batch, [time,] labels)`, the model's output.
            mask: `(batch, time)` bool, `True` for tokens; `None` if sentences have labels.
            sample_weight: `(batch, [time])` float, or `None`.

        Returns:
            Scalar tensor, usually the mean over the labels. In a `tf.distribute` strategy, it is
            the loss of one replica's part of the batch, not divided by the number of replicas. A
            `keras.losses` object divides by it, a function like
            `keras.losses.sparse_categorical_crossentropy` does not.
        """
        loss = self.keras_loss()
        if loss is None:
            raise self._missing("loss")
        scores = scores if mask is None else self.fill_padding(scores, mask)
        return loss(y, scores, sample_weight) * backend.number_of_replicas()

    def decode(self, scores: Any, mask: Any) -> Any:
        """Finds the most probable labels. Takes the argmax of the scores unless it is overridden.

        Args:
            scores: `(batch, [time,] labels)`, the model's output.
            mask: as in `loss`.

        Returns:
            `(batch, [time])` int, label indices; any values at padding.
        """
        return ops.argmax(scores, axis=-1)

    def keras_loss(self) -> keras.losses.Loss | None:
        """Returns the Keras loss that Keras computes from the scores instead of calling `loss`.

        Returns:
            Keras loss, or `None`, the default: `loss` is called.
        """
        return None

    def fill_padding(self, scores: Any, mask: Any) -> Any:
        """Sets the scores at padding for a Keras loss, and attaches the Keras mask.

        Override it if the Keras loss is not finite for scores of 0.

        Args:
            scores: `(batch, time, labels)`.
            mask: `(batch, time)` bool, `True` for tokens.
        """
        return self.zero_padding(scores, mask)

    def zero_padding(self, scores: Any, mask: Any) -> Any:
        """Sets the scores at padding to 0 for metrics, and attaches the Keras mask.

        Args:
            scores: `(batch, time, labels)`.
            mask: `(batch, time)` bool, `True` for tokens.
        """
        return self._zero_padding(scores, mask=mask)

    def check_layers(self, model: keras.Model) -> None:
        """Raises a ValueError if a weight of the head is not a weight of the model's graph.

        Args:
            model: the task model.
        """
        known = {id(weight) for weight in model.weights}
        for name, value in vars(self).items():
            for part in keras.tree.flatten(value):
                is_layer = isinstance(part, keras.layers.Layer)
                weights = part.weights if is_layer else [part] * isinstance(part, keras.Variable)
                if any(id(weight) not in known for weight in weights):
                    raise ValueError(
                        "Every weight of a head must belong to a layer that `scores` calls, to be "
                        f"trained and saved. Received: `{name}` of {type(self).__name__}, which is "
                        "not in the model's graph. Call the layer in `scores`; it may return its "
                        "input unchanged."
                    )

    def _missing(self, member: str) -> TypeError:
        return TypeError(f"A Head must define `{member}`; {type(self).__name__} does not.")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments, for Keras' serialization."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Head":
        """Creates a head from its constructor arguments."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="elmo_keras")
class DenseHead(Head):
    """Dense layers with a softmax, trained with cross-entropy.

    Dropout precedes each dense layer. The output layer computes in float32.

    Args:
        hidden_dim: int or `None`. Units of a ReLU layer before the output. Defaults to `None`: no
            such layer.
        dropout: float. Dropout rate before each dense layer. Defaults to `0.0`.
    """

    def __init__(self, hidden_dim: int | None = None, dropout: float = 0.0) -> None:
        self.hidden_dim = hidden_dim
        self.dropout = dropout

    def build(self, labels: list[str], per_token: bool) -> None:
        super().build(labels, per_token)
        layers: list[keras.layers.Layer] = []
        if self.hidden_dim:
            layers.append(keras.layers.Dropout(self.dropout, name="hidden_dropout"))
            layers.append(keras.layers.Dense(self.hidden_dim, activation="relu", name="hidden"))
        layers.append(keras.layers.Dropout(self.dropout, name="output_dropout"))
        name = "softmax" if per_token else "probabilities"
        layers.append(
            keras.layers.Dense(len(labels), activation="softmax", dtype="float32", name=name)
        )
        if per_token:
            layers.append(FillPadding(dtype="float32", name="probabilities"))
        self.layers = layers
        self._fill_for_loss = FillPadding(1 / len(labels), dtype="float32", name="fill_for_loss")

    def scores(self, vectors: Any) -> Any:
        for layer in self.layers:
            vectors = layer(vectors)
        return vectors

    def fill_padding(self, probabilities: Any, mask: Any) -> Any:
        """Sets equal probabilities at padding, and attaches the Keras mask.

        Keras' cross-entropy divides by the sum of the probabilities, which must not be 0.

        Args:
            probabilities: `(batch, time, labels)`.
            mask: `(batch, time)` bool, `True` for tokens.
        """
        return self._fill_for_loss(probabilities, mask=mask)

    def keras_loss(self) -> keras.losses.Loss:
        return keras.losses.SparseCategoricalCrossentropy()

    def get_config(self) -> dict[str, Any]:
        return {"hidden_dim": self.hidden_dim, "dropout": self.dropout}


def build_head(
    head: Head | str,
    hidden_dim: int | None,
    dropout: float | None,
    labels: list[str],
    per_token: bool,
) -> Head:
    """Creates and builds the head of a model.

    Args:
        head: `"softmax"` for a `DenseHead`, or a `Head`.
        hidden_dim: argument of the `DenseHead`.
        dropout: argument of the `DenseHead`; `None` for `DROPOUT`.
        labels: the label names.
        per_token: whether each token has a label.

    Raises:
        ValueError: for another `head`, or if a `Head` comes with arguments of a `DenseHead`.
    """
    if isinstance(head, str) and head == "softmax":
        head = DenseHead(hidden_dim, DROPOUT if dropout is None else dropout)
    elif not isinstance(head, Head):
        raise ValueError(
            f"`head` must be 'softmax' or a Head. Received: head={head!r}. Subclass "
            "elmo_keras.models.Head for another kind of head."
        )
    elif hidden_dim is not None or dropout is not None:
        raise ValueError(
            "`hidden_dim` and `head_dropout` belong to head='softmax'. Received: "
            f"hidden_dim={hidden_dim!r}, head_dropout={dropout!r} and a {type(head).__name__}. "
            "Pass them to the constructor of the head."
        )
    head.build(labels, per_token)
    return head


def head_config(head: Head) -> dict[str, Any]:
    """Returns the arguments of a model that describe its head, for the model's config."""
    if type(head) is DenseHead:
        return {"hidden_dim": head.hidden_dim, "head_dropout": head.dropout}
    return {"head": keras.saving.serialize_keras_object(head)}
