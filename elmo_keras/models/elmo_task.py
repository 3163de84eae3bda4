"""The base of the task models."""

import os
from collections.abc import Mapping
from typing import Any, Self

import keras
import numpy as np

from elmo_keras import backend, serving
from elmo_keras.encoders.text_encoder import TextEncoder
from elmo_keras.layers.composite import serialize_part
from elmo_keras.layers.finite import check_finite
from elmo_keras.models import compile_arguments, quantization, saving, task_preset
from elmo_keras.models.heads import Head
from elmo_keras.models.prediction import Predictor
from elmo_keras.models.preprocessing.fit_data import (
    check_labels_given,
    labelled_batches,
    split_examples,
)
from elmo_keras.models.preprocessing.preprocessor import Preprocessor
from elmo_keras.models.saved_model import SavedModel
from elmo_keras.models.task_inputs import input_mask
from elmo_keras.text.tokenizer import Tokenizer
from elmo_keras.utils.arguments import check_model_arguments
from elmo_keras.utils.optional_module import tensorflow as tf


class ElmoTask(SavedModel):
    """Base of the task models: text and label names in, label names and probabilities out.

    A task model is a preprocessor, a backbone and a head. The backbone is an `ElmoLayer` or another
    `TextEncoder`; the head turns its vectors into answers. The model is a Functional model that
    starts at tokens, `(batch, time)` string. Where strings cannot go into a graph (on JAX and
    torch, and under a tf.distribute strategy) it starts at the backbone's ids, and the preprocessor
    makes them from the same text.

    `fit`, `evaluate` and `predict` accept text and label names:

    - `x`: a list, array or Series of sentences (str, split by the model's tokenizer) or of token
      lists, not mixed; ids if the graph starts at them; or a batched `tf.data.Dataset` of these.
    - `y`: label names or numbers.
    - `class_weight`: by label name or number. `sample_weight`: one for each sentence.

    `keras.models.clone_model` makes a plain Functional model of a task, without its methods; call
    `clone` instead.

    A subclass sets `labels_per_token`, builds its graph with `task_inputs` and its head, calls
    `__init__` here, and returns its own arguments from `get_config`.

    Args:
        inputs: Keras tensor or list of them, see `task_inputs`.
        outputs: Keras tensor, the scores of the head.
        backbone: the text encoder in the graph.
        head: the head in the graph.
        preprocessor: a `Preprocessor`, `"auto"` for the default one, or `None` for data in the form
            of the model's inputs. Defaults to `"auto"`.
        mask: Keras tensor `(batch, time)`, bool, the mask of the tokens; `None`, the default, if
            sentences have labels.
        **kwargs: Model keyword arguments, like `name`.
    """

    labels_per_token = False

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        backbone: TextEncoder,
        head: Head,
        preprocessor: Preprocessor | str | None = "auto",
        mask: Any = None,
        **kwargs: Any,
    ):
        check_model_arguments(type(self), kwargs)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.backbone = backbone
        self.head = head
        self.labels = list(head.labels)
        self.preprocessor = preprocessor
        self._predictor = Predictor(self, outputs, mask)
        self.compile()

    @property
    def elmo(self) -> TextEncoder:
        """The backbone, under the name of the paper."""
        return self.backbone

    @property
    def tokenizer(self) -> Tokenizer:
        """Splits raw sentences; the backbone's own."""
        return self.backbone.tokenizer

    @property
    def starts_at_ids(self) -> bool:
        """Whether the graph starts at ids instead of tokens."""
        return keras.backend.standardize_dtype(self.inputs[0].dtype) != "string"

    @property
    def preprocessor(self) -> Preprocessor | None:
        """Turns text and labels into the model's inputs; `None` if it is switched off."""
        return self._preprocessor

    @preprocessor.setter
    def preprocessor(self, value: Preprocessor | str | None) -> None:
        if isinstance(value, str) and value == "auto":
            value = Preprocessor()
        if value is not None and not isinstance(value, Preprocessor):
            raise ValueError(
                "`preprocessor` must be a Preprocessor, 'auto' or None. Received: "
                f"preprocessor={value!r}. Subclass elmo_keras.models.Preprocessor."
            )
        if value is not None:
            value.bind(self.backbone, self.labels, self.labels_per_token, self.starts_at_ids)
        self._preprocessor = value

    # === Presets ===

    @classmethod
    def from_preset(cls, source: Any, labels: Any = None, **options: Any) -> Self:
        """Loads a trained model, or puts a new head on a pretrained backbone.

        Args:
            source: as in `ElmoLayer.from_preset`.
            labels: list of label names, for a new head. `None`, the default, loads the trained
                model that `save_to_preset` of this class wrote.
            **options: arguments of the model, and of its ElmoLayer: `trainable`, `dropout`,
                `layer_norm`, `tokenizer`, `dtype` and so on. Arguments of the head need `labels`.

        Returns:
            A model of this class.

        Raises:
            ValueError: as `ElmoLayer.from_preset`; or if `labels` is `None` and the source holds
                no trained model of this class.

        Example:

        ```python
        model = elmo_keras.ElmoTextClassifier.from_preset(
            "elmo_mini_en", labels=["negative", "positive"], trainable=False
        )
        model.save_to_preset("reviews/")
        model = elmo_keras.ElmoTextClassifier.from_preset("reviews/")
        ```
        """
        return task_preset.load(cls, source, labels, options)

    def save_to_preset(self, directory: str | os.PathLike, dtype: str = "float32") -> None:
        """Writes the model into a directory that `from_preset` reads on every backend.

        `ElmoLayer.from_preset` reads its backbone there. A preset in the directory is replaced as
        a whole, see `ElmoLayer.save_to_preset`. The optimizer's state is not saved; `save` does.

        Args:
            directory: path of the directory; created if it does not exist.
            dtype: str. `"float32"`, the default, or `"float16"`, half the size, rounded.

        Raises:
            ValueError: if a weight is quantized, not finite, or too large for float16.
            OSError: if a file cannot be written. A preset in the directory is then unchanged.
        """
        task_preset.save(self, directory, dtype)

    # === Training ===

    def auto_metrics(self) -> list[keras.metrics.Metric]:
        """New metrics for `compile(metrics="auto")`."""
        return []

    def compile(
        self, optimizer: Any = "auto", loss: Any = "auto", *, metrics: Any = "auto", **kwargs: Any
    ) -> None:
        """Configures training. A new model is compiled without arguments.

        Call it again after `trainable` of a part has changed.

        Args:
            optimizer: `"auto"` for Adam with a learning rate of 1e-3 and gradients clipped to a
                global norm of 5; or an optimizer of `keras.Model.compile`. Its loss is scaled if
                the model computes in mixed_float16.
            loss: `"auto"` for the head's own (cross-entropy for a softmax head); or a loss of
                `keras.Model.compile` of the scores (probabilities for a softmax head).
            metrics: `"auto"` for accuracy (over tokens in a tagger), unless there are
                `weighted_metrics`; or a list. They are given the scores, zeros at padding.
            **kwargs: Further arguments of `keras.Model.compile`.
        """
        is_scaled = kwargs.get("auto_scale_loss", True)
        optimizer = compile_arguments.optimizer(optimizer, self.backbone.dtype_policy, is_scaled)
        if compile_arguments.is_auto(metrics):
            metrics = None if kwargs.get("weighted_metrics") else self.auto_metrics()
        own = self.head.keras_loss()
        self._has_own_loss = loss is None or compile_arguments.is_same_loss(loss, own)
        super().compile(
            optimizer=optimizer,
            loss=own if self._has_own_loss else loss,
            metrics=metrics,
            **kwargs,
        )

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        mask = input_mask(x, self.starts_at_ids) if self.labels_per_token else None
        if mask is not None and sample_weight is not None:
            if len(sample_weight.shape) == 1:
                sample_weight = sample_weight[:, None]
            # Keras' loss scales the weights in place on torch; the metrics read them afterwards.
            sample_weight = keras.ops.copy(sample_weight)
        if not self._has_own_loss or self.head.keras_loss() is not None:
            y_pred = y_pred if mask is None else self.head.fill_padding(y_pred, mask)
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        loss = self.head.loss(y, y_pred, mask, sample_weight)
        if self.losses:  # regularizers
            loss = loss + sum(self.losses) / backend.number_of_replicas()
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        if self.labels_per_token:
            y_pred = self.head.zero_padding(y_pred, input_mask(x, self.starts_at_ids))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def train_step(self, *args, **kwargs):
        with backend.gradients_of(self):  # Keras' own step registers gradients, too.
            return super().train_step(*args, **kwargs)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = 32,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[Any, float] | None = None,
        sample_weight: Any = None,
        validation_batch_size: int | None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains the model. As `keras.Model.fit`, with text and label names; see the class."""
        options = {"epochs": epochs, "verbose": verbose, "callbacks": callbacks, **kwargs}
        if self.preprocessor is None:
            return super().fit(
                x,
                y,
                batch_size=batch_size,
                validation_split=validation_split,
                validation_data=validation_data,
                shuffle=shuffle,
                class_weight=class_weight,
                sample_weight=sample_weight,
                validation_batch_size=validation_batch_size,
                **options,
            )
        check_labels_given(x, y)
        batch_size = batch_size or 32
        if validation_split and validation_data is None:
            x, y, sample_weight, validation_data = split_examples(
                x, y, sample_weight, validation_split
            )
        if validation_data is not None:
            if not isinstance(validation_data, (list, tuple)):
                validation_data = (validation_data,)
            own_x, own_y, own_weight = (*validation_data, None, None)[:3]
            check_labels_given(own_x, own_y, name="validation_data")
            size = validation_batch_size or batch_size
            validation_data = self._labelled_batches(own_x, own_y, own_weight, batch_size=size)
        data = self._labelled_batches(x, y, sample_weight, class_weight, batch_size, shuffle)
        # The batches are shuffled already.
        return super().fit(data, validation_data=validation_data, shuffle=False, **options)

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = 32,
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Returns the loss and the metrics. As `keras.Model.evaluate`; see the class for `x`."""
        # `fit` passes its validation data, preprocessed already, on to `evaluate` in this way.
        if "_use_cached_eval_dataset" in kwargs or self.preprocessor is None:
            return super().evaluate(
                x, y, batch_size=batch_size, sample_weight=sample_weight, **kwargs
            )
        check_labels_given(x, y)
        data = self._labelled_batches(x, y, sample_weight, batch_size=batch_size or 32)
        return super().evaluate(data, **kwargs)

    def _labelled_batches(
        self, x, y, sample_weight, class_weight=None, batch_size=32, shuffle=False
    ):
        data = x, y, sample_weight, class_weight
        is_compiled = self._predictor.is_compiled
        return labelled_batches(self.preprocessor, data, batch_size, shuffle, is_compiled)

    # === Answers ===

    def predict(
        self,
        x: Any,
        batch_size: int | None = 32,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> np.ndarray:
        """Returns the probabilities of all labels, in one array on every backend.

        Args:
            x: sentences, token lists, ids, or a `tf.data.Dataset` of batches of them.
            batch_size: int. Defaults to `32`.
            verbose: as in `keras.Model.predict`.
            steps: int. Number of batches to predict. Defaults to `None`, all of them.
            callbacks: list of Keras callbacks. Defaults to `None`.

        Returns:
            numpy array `(n, labels)`, or `(n, longest, labels)` with zeros at padding.
        """
        outputs = self._predictor.probabilities(x, batch_size or 32, verbose, steps, callbacks)
        check_finite([outputs], self, "probabilities")
        return outputs

    def serving_inputs(self, tokens: Any) -> Any:
        """The model's inputs for tokens `(batch, time)`, string, in a TensorFlow graph."""
        return self.backbone.to_ids(tokens) if self.starts_at_ids else tokens

    def serving_outputs(self, tokens: Any, outputs: Any) -> dict[str, Any]:
        """The answers of an exported model.

        Args:
            tokens: `(batch, time)` string, `""` as padding.
            outputs: the model's outputs for them.

        Returns:
            dict of `labels`, the most probable names, and `probabilities`; with one label for each
            token also of `tokens`, and labels are `""` at padding.
        """
        mask = tf.not_equal(tokens, "")
        numbers = self.head.decode(outputs, mask if self.labels_per_token else None)
        labels = tf.gather(tf.constant(self.labels), numbers)
        probabilities = self._predictor.probabilities_of(outputs, mask)
        if not self.labels_per_token:
            return {"labels": labels, "probabilities": probabilities}
        labels = tf.where(mask, labels, "")
        return {"tokens": tokens, "labels": labels, "probabilities": probabilities}

    # === Files ===

    def clone(self) -> Self:
        """A new model of the same class and configuration, with new weights, compiled alike.

        Returns:
            A model of this class. `clone.set_weights(model.get_weights())` copies the weights. The
            weights of a quantised model have another order: save and load it instead.
        """
        clone = type(self).from_config(self.get_config())
        if self.compiled:
            clone.compile_from_config(self.get_compile_config())
        return clone

    def export(
        self, filepath: str | os.PathLike, format: str = "tf_saved_model", **kwargs: Any
    ) -> None:
        """Writes a SavedModel that accepts text; see `elmo_keras.serving.export_saved_model`.

        Args:
            filepath: path of the directory to write.
            format: str. `"tf_saved_model"`, the only format whose runtime runs these models.
            **kwargs: `verbose`.

        Raises:
            ValueError: for another format, and as `export_saved_model`.
        """
        saving.check_format(format)
        serving.export_saved_model(self, filepath, **kwargs)

    def get_config(self):
        config = {
            "backbone": serialize_part(self.backbone),
            "labels": list(self.labels),
            "name": self.name,
            "trainable": self.trainable,
        }
        if type(self.preprocessor) is not Preprocessor:
            config["preprocessor"] = keras.saving.serialize_keras_object(self.preprocessor)
        return config | quantization.config_of(self, self.backbone)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return quantization.from_config(
            config, lambda config: saving.from_config(cls, config, custom_objects)
        )
