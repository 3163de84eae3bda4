import inspect

import keras
import numpy as np

from elmo_keras import kernels
from elmo_keras.layers.arguments import arguments_of, check_arguments
from elmo_keras.layers.composite import serialize_part
from elmo_keras.layers.elmo_layer import ElmoLayer
from elmo_keras.layers.finite import check_finite
from elmo_keras.models import batches, examples, quantization, restoring, saving
from elmo_keras.models.dataset_adapter import adapt_dataset, ids_error
from elmo_keras.models.task_parts import check_labels
from elmo_keras.text.containers import to_batch
from elmo_keras.text.lengths import places_by_length

# Bound of a batch of `predict`: a long document does not stretch the short ones beside it.
_TOKENS_PER_SENTENCE = 512
# Options of `ElmoLayer.from_preset` alone, and arguments that a preset or the caller gives.
_PRESET_OPTIONS = ("sha256", "vocabulary", "token_embeddings")
_GIVEN = {"self", "kwargs", "elmo", "labels", "token_encoder", "bilstm"}


class ElmoTask(keras.Model):
    """Base of the models that put a head on an `ElmoLayer`: text and label names in and out.

    It is a Functional model whose graph starts at tokens, `(batch, time)` string; where strings
    cannot go into a graph (outside of TensorFlow, under a tf.distribute strategy) at the ids of
    the token encoder, made from the same text on the way in.

    `fit`, `evaluate` and `predict` take what `x` and `y` are to people:

    - `x`: a list, array or Series of sentences (str, split by the model's tokenizer) or of token
      lists, not mixed; ids where the graph starts at them; or a batched `tf.data.Dataset` of these.
    - `y`: label names or numbers.
    - `class_weight`: by label name or number. `sample_weight`: one a sentence.

    `keras.models.clone_model` makes a plain Functional model of a task, without its methods; call
    `clone` instead.

    Subclasses set `labels_per_token` and `auto_metrics`, and build their graph before they call
    `__init__` here.

    Args:
        inputs: Keras tensor of tokens or ids, see `text_input`.
        outputs: Keras tensor of probabilities.
        elmo: the `ElmoLayer` in the graph.
        labels: list of str. The label names, in the order of the probabilities.
        **kwargs: Model keyword arguments, like `name`.
    """

    labels_per_token = False

    def __init__(self, inputs, outputs, elmo, labels, **kwargs):
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.elmo = elmo
        self.labels = labels

    @property
    def tokenizer(self):
        """What splits raw sentences: the ElmoLayer's own."""
        return self.elmo.tokenizer

    @property
    def starts_at_ids(self):
        """Whether the graph starts at ids instead of tokens."""
        return keras.backend.standardize_dtype(self.inputs[0].dtype) != "string"

    @classmethod
    def from_preset(cls, source, labels, **options):
        """The model with an `ElmoLayer.from_preset(source)` and a new head.

        Args:
            source: as in `ElmoLayer.from_preset`.
            labels: list of label names.
            **options: arguments of the model itself, and of its ElmoLayer: `trainable`, `dropout`,
                `layer_norm`, `tokenizer`, `dtype` and so on.

        Example:

        ```python
        model = elmo_keras.ElmoTextClassifier.from_preset(
            "elmo_original/", labels=["negative", "positive"], trainable=False
        )
        ```
        """
        labels = check_labels(labels)
        own = inspect.signature(cls.__init__).parameters
        known = {*own, *arguments_of(ElmoLayer), *_PRESET_OPTIONS} - _GIVEN
        check_arguments(options, known, f"{cls.__name__}.from_preset")
        head = {key: options.pop(key) for key in list(options) if key in own or key == "name"}
        return cls(ElmoLayer.from_preset(source, **options), labels, **head)

    def auto_metrics(self):
        """The metrics of `compile(metrics="auto")`, new ones at each call."""
        return []

    def compile(self, optimizer="auto", loss="auto", *, metrics="auto", **kwargs):
        """Configures training. Without arguments as it was when the model was made.

        Call it again after `trainable` of a part has been changed.

        Args:
            optimizer: `"auto"` for Adam with a rate of 1e-3 and gradients clipped to a global norm
                of 5, or what `keras.Model.compile` takes. Of a model in mixed_float16 its loss is
                scaled.
            loss: `"auto"` for cross-entropy, or what `keras.Model.compile` takes.
            metrics: `"auto"` for accuracy (of a tagger, over tokens), unless there are
                `weighted_metrics`; or a list.
            **kwargs: Further arguments of `keras.Model.compile`.
        """
        if _is_auto(optimizer):
            optimizer = keras.optimizers.Adam(1e-3, global_clipnorm=5.0)
        optimizer = keras.optimizers.get(optimizer)
        # Keras looks at the policy of the model, which is not the policy of its layers.
        is_scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        is_half = self.elmo.dtype_policy.name == "mixed_float16"
        if is_half and kwargs.get("auto_scale_loss", True) and optimizer and not is_scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale_optimizer")
        if _is_auto(metrics):
            metrics = None if kwargs.get("weighted_metrics") else self.auto_metrics()
        super().compile(
            optimizer=optimizer,
            loss=keras.losses.SparseCategoricalCrossentropy() if _is_auto(loss) else loss,
            metrics=metrics,
            **kwargs,
        )

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def clone(self):
        """A new model of the same class and configuration, with new weights, compiled alike.

        Returns:
            A model of this class. `clone.set_weights(model.get_weights())` copies the weights; of
            a quantised model, whose weights have another order, save and load the model instead.
        """
        clone = type(self).from_config(self.get_config())
        if self.compiled:
            clone.compile_from_config(self.get_compile_config())
        return clone

    def save(self, filepath, overwrite=True, zipped=None, **kwargs):
        """Saves the model as `.keras`: a file that is there stays until the new one is whole.

        Args:
            filepath: path that ends in `.keras`.
            overwrite: bool. Whether a file that is there may be replaced. Defaults to `True`.
            zipped: as in `keras.Model.save`.
            **kwargs: Further arguments of `keras.Model.save`.

        Raises:
            ValueError: for another format, an existing file with `overwrite=False`, or a weight
                that is not finite. OSError: if the file cannot be written. Nothing is lost.
        """
        saving.save(self, super().save, filepath, overwrite, zipped, **kwargs)

    def save_weights(self, filepath, *args, **kwargs):
        saving.check_model(self)  # before an older file is opened
        super().save_weights(filepath, *args, **kwargs)

    def save_own_variables(self, store):
        saving.check_model(self)  # Every file of Keras comes by here, one of weights too.
        super().save_own_variables(store)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=32,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        validation_batch_size=None,
        **kwargs,
    ):
        """Trains the model. As `keras.Model.fit`, with `x`, `y` and weights as described above."""
        examples.check_labels_given(x, y)
        if validation_split and validation_data is None:
            x, y, sample_weight, validation_data = self._split(
                x, y, sample_weight, validation_split
            )
        if validation_data is not None:
            if not isinstance(validation_data, (list, tuple)):
                validation_data = (validation_data,)
            examples.check_labels_given(*(*validation_data, None)[:2], name="validation_data")
            validation_data = self._batches(
                *validation_data,
                batch_size=validation_batch_size or batch_size,
                needs_labels=True,
            )
        data = self._batches(
            x, y, sample_weight, class_weight, batch_size, shuffle=shuffle, needs_labels=True
        )
        return super().fit(
            data,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            shuffle=False,  # done
            **kwargs,
        )

    def train_step(self, *args, **kwargs):
        with kernels.gradients_of(self):  # Keras' step registers some of its own.
            return super().train_step(*args, **kwargs)

    def evaluate(self, x=None, y=None, batch_size=32, sample_weight=None, **kwargs):
        """The loss and the metrics. As `keras.Model.evaluate`, with text and label names."""
        # `fit` hands its validation data, converted already, back to `evaluate` in this way.
        if "_use_cached_eval_dataset" not in kwargs:
            examples.check_labels_given(x, y)
            x = self._batches(x, y, sample_weight, batch_size=batch_size, needs_labels=True)
        return super().evaluate(x, **kwargs)

    def predict(self, x, batch_size=32, verbose="auto", steps=None, callbacks=None):
        """The probabilities, in one array on every backend.

        Args:
            x: sentences, token lists, ids, or a `tf.data.Dataset` of batches of them.
            batch_size: int. Defaults to `32`.
            verbose: as in `keras.Model.predict`.
            steps: int or `None`. Batches to predict. Defaults to all.
            callbacks: list of Keras callbacks.

        Returns:
            numpy array `(n, labels)`, or `(n, longest, labels)` with zeros at padding.
        """
        plan = None
        if not hasattr(x, "element_spec"):
            x = examples.read_inputs(x, self)
            plan = self._plan(x, batch_size, is_in_order=steps is not None)
        data = self._batches(x, batch_size=batch_size, plan=plan)
        is_ids = isinstance(data, batches.IdBatches)
        if (len(data) if is_ids else int(data.cardinality())) == 0:
            return np.zeros((0, *[0] * self.labels_per_token, len(self.labels)), dtype="float32")
        if is_ids:
            outputs = self._predict_each(data, verbose, steps, callbacks)
        else:
            outputs = super().predict(data, verbose=verbose, steps=steps, callbacks=callbacks)
            # Keras makes a RaggedTensor of outputs whose lengths differ.
            is_array = isinstance(outputs, np.ndarray)
            outputs = outputs if is_array else outputs.to_tensor().numpy()
        check_finite([outputs], self, "probabilities")
        if plan is None:
            return outputs
        order = np.concatenate(plan[:steps])
        return outputs[np.argsort(order)]

    def _plan(self, rows, batch_size, is_in_order):
        """Which rows make up each batch of `predict`: the places of rows of similar length."""
        if is_in_order:
            return np.split(np.arange(len(rows)), range(batch_size, len(rows), batch_size))
        lengths = [batches.padded_length(len(row), self._is_compiled) for row in rows]
        return list(places_by_length(lengths, batch_size * _TOKENS_PER_SENTENCE, batch_size))

    @property
    def _is_compiled(self):
        """Whether a batch of another shape means a compilation."""
        return bool(self.jit_compile) or keras.backend.backend() == "jax"

    def _predict_each(self, data, verbose, steps, callbacks):
        """Keras' predict loop, without its refusal of outputs whose lengths differ."""
        number = len(data) if steps is None else min(steps, len(data))
        bar = keras.utils.Progbar(number, verbose=1 if verbose == "auto" else verbose)
        callbacks = keras.callbacks.CallbackList(callbacks, model=self)
        callbacks.on_predict_begin()
        outputs = []
        for step in range(number):
            callbacks.on_predict_batch_begin(step)
            outputs.append(self.predict_on_batch(data[step][0]))
            callbacks.on_predict_batch_end(step, {"outputs": outputs[-1]})
            bar.update(step + 1)
        callbacks.on_predict_end()
        if self.labels_per_token:
            # A bucket may be longer than any of its sentences.
            longest = max(len(data.rows[i]) for rows in data.plan[:number] for i in rows)
            outputs = [batches.fit_time(output, max(longest, 1)) for output in outputs]
        return np.concatenate(outputs)

    def _batches(
        self,
        x,
        y=None,
        sample_weight=None,
        class_weight=None,
        batch_size=32,
        shuffle=False,
        plan=None,
        needs_labels=False,
    ):
        """The data as Keras' own loops take it: a tf.data.Dataset, or a PyDataset of ids."""
        if hasattr(x, "element_spec"):
            if y is not None or sample_weight is not None:
                raise ValueError(
                    "A tf.data.Dataset holds x, y and sample weights itself. Received: "
                    "y or sample_weight beside it. Zip them into the dataset."
                )
            return adapt_dataset(x, self, class_weight, needs_labels)
        inputs = examples.read_inputs(x, self)
        if not inputs and y is not None:
            raise ValueError("`x` must hold at least one sentence. Received: none.")
        is_ids = bool(inputs) and isinstance(inputs[0], np.ndarray)
        if is_ids and not self.starts_at_ids:
            raise ids_error()
        weights = None
        if y is not None:
            tokens = inputs if self.labels_per_token else None
            y = examples.read_labels(y, self.labels, tokens)
            if len(y) != len(inputs):
                raise ValueError(
                    "`y` must have one entry a sentence. "
                    f"Received: {len(inputs)} sentences and {len(y)} entries."
                )
            weights = examples.read_weights(sample_weight, class_weight, y, self.labels, tokens)
        if not self.starts_at_ids:
            return batches.token_batches(inputs, y, weights, batch_size, shuffle, plan)
        if not is_ids and keras.backend.backend() == "tensorflow":
            dataset = batches.token_batches(inputs, y, weights, batch_size, shuffle, plan)
            return dataset.map(self._text_to_ids)
        return batches.IdBatches(
            inputs,
            y,
            weights,
            batch_size,
            shuffle,
            to_ids=None if is_ids else lambda rows: self.elmo.text_layer(rows).numpy(),
            ids_shape=self.elmo.token_encoder.ids_shape,
            is_compiled=self._is_compiled,
            plan=plan,
        )

    def _text_to_ids(self, tokens, *rest):
        return (self.elmo.to_ids(tokens), *rest)

    def _split(self, x, y, sample_weight, fraction):
        """The last `fraction` of lists and arrays as validation data, as Keras does it."""
        if hasattr(x, "element_spec") or not hasattr(x, "__len__"):
            raise ValueError(
                "`validation_split` needs lists or arrays. "
                f"Received: {type(x).__name__}. Pass `validation_data`."
            )
        x, y, sample_weight = map(
            to_batch, (x, y, sample_weight), ("`x`", "`y`", "`sample_weight`")
        )
        start = int(len(x) * (1 - fraction))
        if not 0 < start < len(x):
            raise ValueError(
                "`validation_split` must leave sentences on both sides. Received: "
                f"validation_split={fraction} of {len(x)} sentences."
            )
        first, last = (
            [c if c is None else c[part] for c in (x, y, sample_weight)]
            for part in (slice(0, start), slice(start, None))
        )
        return *first, tuple(last)

    def export(self, filepath, format="tf_saved_model", **kwargs):
        """Writes a SavedModel that takes text; see `elmo_keras.serving.export_saved_model`.

        Args:
            filepath: directory to write.
            format: str. `"tf_saved_model"`, the only format whose runtime runs these models.
            **kwargs: `verbose`.

        Raises:
            ValueError: for another format, and as `export_saved_model` does.
        """
        saving.check_format(format)
        # Models stand left of serving in the order of imports; this convenience reaches right.
        from elmo_keras import serving

        return serving.export_saved_model(self, filepath, **kwargs)

    def get_config(self):
        return {
            "elmo": serialize_part(self.elmo),
            "labels": list(self.labels),
            "name": self.name,
            "trainable": self.trainable,
        } | quantization.config_of(self, self.elmo)

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return quantization.from_config(
            config, lambda config: restoring.from_config(cls, config, custom_objects)
        )


def _is_auto(argument):
    return isinstance(argument, str) and argument == "auto"
