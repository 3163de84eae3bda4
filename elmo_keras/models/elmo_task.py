"""The base of the task models."""

import os
from typing import Any, Self

import keras
import numpy as np

from elmo_keras import backend, serving
from elmo_keras.encoders.text_encoder import TextEncoder
from elmo_keras.layers.composite import serialize_part
from elmo_keras.layers.finite import check_finite
from elmo_keras.models import compile_arguments, quantization, saving, task_preset, task_serving
from elmo_keras.models.heads import Head
from elmo_keras.models.prediction import Predictor
from elmo_keras.models.preprocessed_model import PreprocessedModel
from elmo_keras.models.preprocessing.preprocessor import Preprocessor
from elmo_keras.models.task_inputs import input_mask
from elmo_keras.text.tokenizer import Tokenizer
from elmo_keras.utils.arguments import check_model_arguments


class ElmoTask(PreprocessedModel):
    """Base of the task models, which convert text to label names and probabilities.

    A task model consists of a preprocessor, a backbone and a head. The backbone is an `ElmoLayer`
    or another `TextEncoder`; the head computes the answer from its vectors. The model is a
    Functional model that starts at tokens, `(batch, time)` string. If strings cannot go into a
    graph (on JAX and torch, and under a tf.distribute strategy), it starts at the backbone's ids,
    and the preprocessor converts text to ids.

    `fit`, `evaluate` and `predict` accept text and label names:

    - `x`: a list, array or Series of sentences (str, split by the model's tokenizer) or of token
      lists, not mixed; ids if the graph starts at them; or a batched `tf.data.Dataset` of these.
    - `y`: label names or indices.
    - `class_weight`: dict of label names or indices to weights.
    - `sample_weight`: one weight for each sentence.

    To copy a model, call `clone`: `keras.models.clone_model` returns a plain Functional model
    without the methods of a task.

    A subclass sets `labels_per_token`, builds its graph with `task_inputs` and its head, calls
    this `__init__`, and returns its arguments from `get_config`.

    Args:
        inputs: Keras tensor or list of them, see `task_inputs`.
        outputs: Keras tensor, the scores of the head.
        backbone: the text encoder in the graph.
        head: the head in the graph.
        preprocessor: a `Preprocessor`; `"auto"` for the standard one; or `None`, for data in the
            form of the model's inputs. Defaults to `"auto"`.
        mask: Keras tensor `(batch, time)`, bool, the mask of the tokens; `None`, the default, if
            sentences have labels.
        **kwargs: Model keyword arguments, like `name`.
    """

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        backbone: TextEncoder,
        head: Head,
        preprocessor: Preprocessor | str | None = "auto",
        mask: Any = None,
        **kwargs: Any,
    ) -> None:
        check_model_arguments(type(self), kwargs)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.backbone = backbone
        self.head = head
        self.labels = list(head.labels)
        head.check_layers(self)
        self.preprocessor = preprocessor
        self._predictor = Predictor(self, outputs, mask)
        self.compile()

    @property
    def elmo(self) -> TextEncoder:
        """Alias of `backbone`."""
        return self.backbone

    @property
    def tokenizer(self) -> Tokenizer:
        """The backbone's tokenizer, which splits raw sentences."""
        return self.backbone.tokenizer

    # === Presets ===

    @classmethod
    def from_preset(cls, source: Any, labels: Any = None, **options: Any) -> Self:
        """Loads a trained model, or creates one with a pretrained backbone and a new head.

        Args:
            source: as in `ElmoLayer.from_preset`.
            labels: list of label names, for a new head. `None`, the default, loads a trained model,
                written by `save_to_preset`.
            **options: arguments of the model and of its ElmoLayer, such as `trainable`, `dropout`,
                `layer_norm`, `tokenizer` and `dtype`. Arguments of the head require `labels`.

        Returns:
            A model of this class.

        Raises:
            ValueError: as `ElmoLayer.from_preset` does; if `labels` is `None` and the source holds
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

        `ElmoLayer.from_preset` reads the backbone from the same directory. A preset in the
        directory is replaced as a whole, see `ElmoLayer.save_to_preset`. The optimizer's state is
        not saved; `save` includes it.

        Args:
            directory: path of the directory; created if it does not exist.
            dtype: str. `"float32"`, the default, or `"float16"`, which rounds the weights and
                halves the size.

        Raises:
            ValueError: if a weight is quantized, not finite, or too large for float16.
            OSError: if a file cannot be written. A preset in the directory is then unchanged.
        """
        task_preset.save(self, directory, dtype)

    # === Training ===

    def auto_metrics(self) -> list[keras.metrics.Metric]:
        """Creates the metrics for `compile(metrics="auto")`."""
        return []

    def compile(
        self, optimizer: Any = "auto", loss: Any = "auto", *, metrics: Any = "auto", **kwargs: Any
    ) -> None:
        """Configures training. A new model is compiled without arguments.

        Call it again after you change `trainable` of a part.

        Args:
            optimizer: `"auto"` for Adam with a learning rate of 3e-4, for a pretrained backbone,
                and gradients clipped to a global norm of 5; or an optimizer as
                `keras.Model.compile` accepts it. Backbones with random weights need a rate of 1e-3
                to 5e-3. The loss is scaled if the model computes in mixed_float16.
            loss: `"auto"` for the head's loss (cross-entropy for a softmax head); or a loss as
                `keras.Model.compile` accepts it. The loss receives the head's scores
                (probabilities for a softmax head).
            metrics: `"auto"` for accuracy (over tokens in a tagger), or no metrics if
                `weighted_metrics` are given; or a list. Metrics receive the head's scores, zeros at
                padding.
            **kwargs: Further arguments of `keras.Model.compile`.
        """
        is_scaled = kwargs.get("auto_scale_loss", True)
        optimizer = compile_arguments.optimizer(optimizer, self.backbone.dtype_policy, is_scaled)
        if compile_arguments.is_auto(metrics):
            metrics = None if kwargs.get("weighted_metrics") else self.auto_metrics()
        own = self.head.keras_loss()
        self._has_own_loss = loss is None or compile_arguments.is_same_loss(loss, own)
        loss = own if self._has_own_loss else loss
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        mask = input_mask(x, self.starts_at_ids) if self.labels_per_token else None
        if mask is not None and sample_weight is not None:
            if len(sample_weight.shape) == 1:
                sample_weight = sample_weight[:, None]
            # On torch, Keras' loss changes the weights in place before the metrics read them.
            sample_weight = keras.ops.copy(sample_weight)
        if not self._has_own_loss or self.head.keras_loss() is not None:
            y_pred = y_pred if mask is None else self.head.fill_padding(y_pred, mask)
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        loss = self.head.loss(y, y_pred, mask, sample_weight) + sum(self.losses)  # regularizers
        return loss / backend.number_of_replicas()  # Keras adds up the gradients of all replicas.

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if self.labels_per_token:
            y_pred = self.head.zero_padding(y_pred, input_mask(x, self.starts_at_ids))
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def train_step(self, *args: Any, **kwargs: Any) -> Any:
        with backend.gradients_of(self):  # Keras' training step also registers gradients.
            return super().train_step(*args, **kwargs)

    # === Prediction ===

    def predict(
        self,
        x: Any,
        batch_size: int | None = 32,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> np.ndarray:
        """Computes the probabilities of all labels.

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

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """Computes the probabilities of all labels for one batch, see `predict`."""
        return self._predictor.probabilities(x, max(1, len(x)))

    def serving_inputs(self, text: Any) -> tuple[Any, Any]:
        """Preprocesses the text that an exported model receives, in a TensorFlow graph.

        Args:
            text: sentences `(batch,)` or tokens `(batch, time)`, string, `""` as padding; a tuple
                of them for a model with several inputs.

        Returns:
            Tokens `(batch, time)` of the (first) text, with at least one time step; and the model's
            inputs. The tokens are those that the preprocessor returns or, if the model starts at
            ids, those of `text`.
        """
        return task_serving.inputs(self, text)

    def serving_outputs(self, tokens: Any, outputs: Any) -> dict[str, Any]:
        """Computes the answers of an exported model.

        Args:
            tokens: `(batch, time)` string, `""` as padding.
            outputs: the model's outputs for `tokens`.

        Returns:
            dict of `labels`, the most probable names, and `probabilities`. If tokens have labels,
            it also holds `tokens`, and labels are `""` at padding.
        """
        return task_serving.outputs(self, tokens, outputs)

    # === Files ===

    def clone(self) -> Self:
        """Creates a model of the same configuration, compiled in the same way, with new weights.

        Returns:
            A model of this class. `clone.set_weights(model.get_weights())` copies the weights,
            unless the model is quantized, because its weights have another order. Save and load
            such a model instead.
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
            format: str. `"tf_saved_model"`; no other runtime can run these models.
            **kwargs: `verbose`.

        Raises:
            ValueError: for another format, and as `export_saved_model` does.
        """
        saving.check_format(format)
        serving.export_saved_model(self, filepath, **kwargs)

    def get_config(self) -> dict[str, Any]:
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
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        return quantization.from_config(
            config, lambda config: saving.from_config(cls, config, custom_objects)
        )
