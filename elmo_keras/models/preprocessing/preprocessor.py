"""The preprocessor of a task model: text and labels to the model's inputs."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from elmo_keras.encoders.text_encoder import TextEncoder
from elmo_keras.models.preprocessing import batches
from elmo_keras.models.preprocessing.dataset_spec import check_elements, ids_error
from elmo_keras.models.preprocessing.inputs import read_inputs
from elmo_keras.models.preprocessing.labels import labels_in_graph, read_labels
from elmo_keras.models.preprocessing.weights import class_weights, read_weights, weights_in_graph
from elmo_keras.text.conversion import pad_checked
from elmo_keras.utils.optional_module import tensorflow as tf


@dataclasses.dataclass
class Examples:
    """Preprocessed examples.

    Attributes:
        inputs: for each input of the model one row for each example: a list of tokens, or an int
            array `(time, ...)`.
        y: a label index (int) or an int array of them for each example; or `None`.
        weights: a float or a float array for each example; or `None`.
    """

    inputs: tuple[Sequence[Any], ...]
    y: Sequence[Any] | None = None
    weights: Sequence[Any] | None = None

    def __len__(self) -> int:
        return len(self.inputs[0])


@keras.saving.register_keras_serializable(package="elmo_keras")
class Preprocessor:
    """Converts sentences, token lists and label names to the inputs of a task model.

    Every task model has one as `task.preprocessor`. A call preprocesses one batch: Python data or,
    inside `dataset.map`, tensors. `task.preprocessor = None` switches it off: `fit`, `evaluate` and
    `predict` then accept data in the form of the model's inputs, as every Keras model does.

    To change the inputs of a model, subclass it, replace `read` (Python data) and `in_graph`
    (tensors), and assign an instance to `task.preprocessor`. A model with several inputs needs a
    subclass whose `read` and `in_graph` return one part for each input. To save a model with such
    a preprocessor, register the class with Keras.

    Example:

    >>> import elmo_keras
    >>> elmo = elmo_keras.ElmoLayer.from_preset("elmo_mini_en")
    >>> model = elmo_keras.ElmoTextClassifier(elmo, labels=["negative", "positive"])
    >>> tokens, y = model.preprocessor(["Lovely.", "Not so good."], ["positive", "negative"])
    >>> tokens.shape, y.tolist()
    (TensorShape([2, 4]), [1, 0])
    """

    encoder: TextEncoder
    labels: list[str]
    per_token: bool
    starts_at_ids: bool

    def bind(
        self, encoder: TextEncoder, labels: list[str], per_token: bool, starts_at_ids: bool
    ) -> None:
        """Connects the preprocessor to a model. The model calls it.

        Args:
            encoder: the model's encoder.
            labels: the model's label names.
            per_token: whether each token has a label, instead of each sentence.
            starts_at_ids: whether the model's graph starts at ids, instead of tokens.

        Raises:
            ValueError: if the preprocessor belongs to a model with another encoder or other labels.
        """
        known = getattr(self, "encoder", encoder), getattr(self, "labels", labels)
        if known[0] is not encoder or known[1] != labels:
            raise ValueError(
                "A preprocessor must belong to one model, whose encoder and labels it uses. "
                f"Received: a {type(self).__name__} that belongs to a model with the labels "
                f"{known[1]} already. Create a new preprocessor."
            )
        self.encoder = encoder
        self.labels = labels
        self.per_token = per_token
        self.starts_at_ids = starts_at_ids

    # === Steps to replace ===

    def read(self, x: Any) -> tuple[Sequence[Any], ...]:
        """Reads Python data.

        Args:
            x: list, array or Series of sentences (str) or of token lists; or ids.

        Returns:
            For each input of the model, one row for each example: a list of tokens, or an int
            array `(time, ...)`.

        Raises:
            ValueError: for any other `x`.
        """
        return (read_inputs(x, self.encoder),)

    def in_graph(self, x: Any) -> Any:
        """Converts one batch of tensors, in a TensorFlow graph or eagerly.

        Args:
            x: sentences `(batch,)` or tokens `(batch, time)`, string; or ids.

        Returns:
            The input of the model, or a tuple of its inputs.
        """
        if isinstance(x, tf.RaggedTensor):
            x = batches.pad_ragged(x)
        if x.dtype == tf.string and x.shape.rank == 1:
            x = self.encoder.tokenizer(x)
        return self._to_graph(x)

    def _to_graph(self, x: Any) -> Any:
        """Converts tokens to ids if the graph starts at ids."""
        return self.encoder.to_ids(x) if x.dtype == tf.string and self.starts_at_ids else x

    # === One batch ===

    def __call__(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Preprocesses one batch.

        Args:
            x: list, array or Series of sentences or token lists; or tensors of them.
            y: label names or indices, or `None`.
            sample_weight: one weight for each sentence, or `None`.

        Returns:
            `x`, `(x, y)` or `(x, y, sample_weight)` in the form of the model's inputs.
        """
        batch = self.one_batch(x, y, sample_weight)
        return batch[0] if len(batch) == 1 else batch

    def one_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[Any, float] | None = None,
    ) -> tuple[Any, ...]:
        """Preprocesses one batch, with class weights.

        Args:
            x: list, array or Series of sentences or token lists; or tensors of them.
            y: label names or indices, or `None`.
            sample_weight: one weight for each sentence, or `None`.
            class_weight: dict of label names or indices to weights, or `None`.

        Returns:
            `(x,)`, `(x, y)` or `(x, y, sample_weight)` in the form of the model's inputs.

        Raises:
            ValueError: for an empty batch, and as `examples` does.
        """
        if _is_symbolic(x):
            of_class = None if class_weight is None else class_weights(class_weight, self.labels)
            return self._batch_in_graph(of_class, x, y, sample_weight)
        examples = self.examples(x, y, sample_weight, class_weight)
        if not len(examples):
            raise ValueError(
                "A batch must hold at least one sentence. Received: none. Skip empty batches."
            )
        return self._padded(examples)

    def _padded(self, examples: Examples) -> tuple[Any, ...]:
        data = batches.IdBatches(
            examples.inputs,
            examples.y,
            examples.weights,
            len(examples),
            False,
            self.encoder.padded_ids,
        )
        if self.starts_at_ids:
            return data[0]
        tokens = tuple(
            pad_checked(rows) if isinstance(rows[0], list) else batches.pad_rows(rows)
            for rows in examples.inputs
        )
        return (tokens if len(tokens) > 1 else tokens[0], *data.columns(data.order))

    def _batch_in_graph(
        self, of_class: np.ndarray | None, x: Any, y: Any = None, weights: Any = None
    ) -> tuple[Any, ...]:
        x = self.in_graph(x)
        if y is None:
            return (x,)
        first = x[0] if isinstance(x, tuple) else x
        y = y if isinstance(y, tf.RaggedTensor) else tf.convert_to_tensor(y)
        y = labels_in_graph(y, first, self.labels, self.per_token)
        weights = weights_in_graph(weights, of_class, y, first, self.per_token)
        return (x, y) if weights is None else (x, y, weights)

    # === Many batches ===

    def examples(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[Any, float] | None = None,
    ) -> Examples:
        """Reads all examples of a call of `fit`, `evaluate` or `predict`.

        Args:
            x: as in `read`.
            y: label names or indices, or `None`.
            sample_weight: one weight for each sentence, or `None`.
            class_weight: dict of label names or indices to weights, or `None`.

        Returns:
            `Examples`.

        Raises:
            ValueError: if sentences, labels or weights are wrong, or if their numbers differ.
        """
        inputs = self.read(x)
        if not inputs[0] and y is not None:
            raise ValueError(
                "`x` must hold at least one sentence. Received: none. Check where the data come "
                "from."
            )
        if inputs[0] and isinstance(inputs[0][0], np.ndarray) and not self.starts_at_ids:
            raise ids_error()
        if y is None:
            return Examples(inputs)
        tokens = inputs[0] if self.per_token else None
        y = read_labels(y, self.labels, tokens)
        if len(y) != len(inputs[0]):
            raise ValueError(
                "`y` must have one entry for each sentence. Received: "
                f"{len(inputs[0])} sentences and {len(y)} entries. Pass an entry for each sentence."
            )
        weights = read_weights(sample_weight, class_weight, y, self.labels, tokens)
        return Examples(inputs, y, weights)

    def batches(
        self,
        examples: Examples,
        batch_size: int,
        shuffle: bool = False,
        plan: Any = None,
        is_compiled: bool = False,
    ) -> Any:
        """Creates batches in the form that Keras' training loops accept.

        Args:
            examples: `Examples`.
            batch_size: int.
            shuffle: bool. Whether each epoch has another order. Defaults to `False`.
            plan: list of lists of ints, the indices of the examples of each batch. They replace
                `batch_size` and `shuffle`. Defaults to `None`.
            is_compiled: bool. Whether each new shape is compiled. Defaults to `False`.

        Returns:
            A PyDataset of numpy arrays if the model starts at ids, except for text on TensorFlow;
            otherwise a tf.data.Dataset.
        """
        columns = examples.inputs, examples.y, examples.weights
        is_text = not examples.inputs[0] or isinstance(examples.inputs[0][0], list)
        if not self.starts_at_ids or (is_text and keras.backend.backend() == "tensorflow"):
            dataset = batches.token_batches(*columns, batch_size, shuffle, plan)
            if not self.starts_at_ids:
                return dataset

            def to_graph(x: Any, *rest: Any) -> tuple[Any, ...]:
                x = tuple(map(self._to_graph, x)) if isinstance(x, tuple) else self._to_graph(x)
                return x, *rest

            return dataset.map(to_graph)
        to_ids = self.encoder.padded_ids
        return batches.IdBatches(*columns, batch_size, shuffle, to_ids, is_compiled, plan)

    def dataset(
        self,
        dataset: Any,
        class_weight: Mapping[Any, float] | None = None,
        needs_labels: bool = False,
    ) -> Any:
        """Preprocesses a `tf.data.Dataset` of batches.

        Args:
            dataset: batches `x`, `(x, y)` or `(x, y, sample_weight)`. `x` are sentences or tokens
                (string), or ids if the model starts at them; `y` are label names or indices.
            class_weight: dict of label names or indices to weights, or `None`.
            needs_labels: bool. Whether elements must hold `y`. Defaults to `False`.

        Returns:
            A tf.data.Dataset of batches in the form of the model's inputs.

        Raises:
            ValueError: if the dataset has other elements. Wrong values raise an
                InvalidArgumentError when they are read.
        """
        of_class = None
        if class_weight is not None:
            of_class = class_weights(class_weight, self.labels)
        self.check_spec(dataset.element_spec, needs_labels)

        def element(*batch: Any) -> tuple[Any, ...]:
            return self._batch_in_graph(of_class, *batch)

        return dataset.map(element).prefetch(2)

    def check_spec(self, spec: Any, needs_labels: bool) -> None:
        """Raises a ValueError unless the elements of a dataset are batches for this model.

        Args:
            spec: the `element_spec` of the dataset.
            needs_labels: whether elements must hold `y`.
        """
        check_elements(
            spec, self.encoder.ids_shape, self.per_token, self.starts_at_ids, needs_labels
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor arguments, for Keras' serialization."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Preprocessor":
        """Creates a preprocessor from its constructor arguments."""
        return cls(**config)


def _is_symbolic(x: Any) -> bool:
    """Whether a batch consists of TensorFlow tensors, instead of Python data."""
    first = x[0] if isinstance(x, tuple) and x else x
    if isinstance(first, (str, bytes, list, np.ndarray)) or not hasattr(first, "dtype"):
        return False
    return isinstance(first, (tf.Tensor, tf.RaggedTensor))
