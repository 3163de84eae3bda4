import inspect

import keras
import numpy as np

from elmo_keras import kernels
from elmo_keras.layers.composite import serialize_part
from elmo_keras.layers.elmo_layer import ElmoLayer
from elmo_keras.models import batches, examples, restoring
from elmo_keras.models.dataset_adapter import adapt_dataset, ids_error


class ElmoTask(keras.Model):
    """Base of the models that put a head on an `ElmoLayer`: text and label names in and out.

    It is a Functional model whose graph starts at tokens, `(batch, time)` string; where strings
    cannot go into a graph (outside of TensorFlow, under a tf.distribute strategy) at the ids of
    the token encoder, made from the same text on the way in.

    `fit`, `evaluate` and `predict` take what `x` and `y` are to people:

    - `x`: a list or array of sentences (str, split by the model's tokenizer) or of token lists, not
      mixed; ids where the graph starts at them; or a batched `tf.data.Dataset` of these.
    - `y`: label names or numbers.
    - `class_weight`: by label name or number. `sample_weight`: one a sentence.

    Subclasses set `labels_per_token` and build their graph before they call `__init__` here.

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
        own = inspect.signature(cls.__init__).parameters
        head = {key: options.pop(key) for key in list(options) if key in own or key == "name"}
        return cls(ElmoLayer.from_preset(source, **options), labels, **head)

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
        _check_labels_given(x, y)
        if validation_split and validation_data is None:
            x, y, sample_weight, validation_data = self._split(
                x, y, sample_weight, validation_split
            )
        if validation_data is not None:
            if not isinstance(validation_data, (list, tuple)):
                validation_data = (validation_data,)
            validation_data = self._batches(
                *validation_data, batch_size=validation_batch_size or batch_size
            )
        data = self._batches(x, y, sample_weight, class_weight, batch_size, shuffle=shuffle)
        return super().fit(
            data,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            shuffle=False,  # done
            **kwargs,
        )

    def evaluate(self, x=None, y=None, batch_size=32, sample_weight=None, **kwargs):
        """The loss and the metrics. As `keras.Model.evaluate`, with text and label names."""
        # `fit` hands its validation data, converted already, back to `evaluate` in this way.
        if "_use_cached_eval_dataset" not in kwargs:
            _check_labels_given(x, y)
            x = self._batches(x, y, sample_weight, batch_size=batch_size)
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
        data = self._batches(x, batch_size=batch_size)
        is_ids = isinstance(data, batches.IdBatches)
        if (len(data) if is_ids else int(data.cardinality())) == 0:
            return np.zeros((0, *[0] * self.labels_per_token, len(self.labels)), dtype="float32")
        if is_ids:
            return self._predict_each(data, verbose, steps, callbacks)
        outputs = super().predict(data, verbose=verbose, steps=steps, callbacks=callbacks)
        # Keras makes a RaggedTensor of outputs whose lengths differ.
        return outputs if isinstance(outputs, np.ndarray) else outputs.to_tensor().numpy()

    def _predict_each(self, data, verbose, steps, callbacks):
        """Keras' predict loop, without its refusal of outputs whose lengths differ."""
        number = len(data) if steps is None else min(steps, len(data))
        if steps is None:
            data.sort()
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
            longest = max(map(len, data.rows[: number * data.batch_size]), default=1)
            longest = max(longest, 1)
            outputs = [batches.fit_time(output, longest) for output in outputs]
        outputs = np.concatenate(outputs)
        return outputs[np.argsort(data.order[: len(outputs)])]

    def _batches(
        self, x, y=None, sample_weight=None, class_weight=None, batch_size=32, shuffle=False
    ):
        """What Keras' own loops take: a tf.data.Dataset, or a PyDataset of ids."""
        if hasattr(x, "element_spec"):
            if y is not None or sample_weight is not None:
                raise ValueError(
                    "A tf.data.Dataset holds x, y and sample weights itself. Received: "
                    "y or sample_weight beside it. Zip them into the dataset."
                )
            return adapt_dataset(x, self, class_weight)
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
            return batches.token_batches(inputs, y, weights, batch_size, shuffle)
        if not is_ids and keras.backend.backend() == "tensorflow":
            dataset = batches.token_batches(inputs, y, weights, batch_size, shuffle)
            return dataset.map(self._text_to_ids)
        return batches.IdBatches(
            inputs,
            y,
            weights,
            batch_size,
            shuffle,
            to_ids=None if is_ids else lambda rows: self.elmo.text_layer(rows).numpy(),
            ids_shape=self.elmo.token_encoder.ids_shape,
            is_compiled=bool(self.jit_compile) or keras.backend.backend() == "jax",
        )

    def _text_to_ids(self, tokens, *rest):
        return (self.elmo.text_layer(tokens), *rest)

    def _split(self, x, y, sample_weight, fraction):
        """The last `fraction` of lists and arrays as validation data, as Keras does it."""
        if hasattr(x, "element_spec") or not hasattr(x, "__len__"):
            raise ValueError(
                "`validation_split` needs lists or arrays. "
                f"Received: {type(x).__name__}. Pass `validation_data`."
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
            format: str. Other formats than `"tf_saved_model"` are Keras' own and start at tokens.
            **kwargs: `verbose`, and for other formats what `keras.Model.export` takes.
        """
        if format != "tf_saved_model":
            return super().export(filepath, format=format, **kwargs)
        # Models stand left of serving in the order of imports; this convenience reaches right.
        from elmo_keras import serving

        return serving.export_saved_model(self, filepath, **kwargs)

    def get_config(self):
        return {
            "elmo": serialize_part(self.elmo),
            "labels": list(self.labels),
            "name": self.name,
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return restoring.from_config(cls, config, custom_objects)


def _check_labels_given(x, y):
    if y is None and not hasattr(x, "element_spec"):
        raise ValueError(
            "`y` must hold the labels of `x`. Received: y=None. Only a tf.data.Dataset has them "
            "inside."
        )


def text_input(elmo):
    """The Keras input of a task, and the check that its ElmoLayer gives one vector a token."""
    if elmo.num_representations > 1 or elmo.output_choice == "all" or elmo.keep_boundaries:
        raise ValueError(
            "`elmo` must give one vector a token. Received: an ElmoLayer with "
            f"output={elmo.output_choice!r}, num_representations={elmo.num_representations}, "
            f"keep_boundaries={elmo.keep_boundaries}. Use output='mix', 'average', 'top' or a "
            "number, or build a Keras model around it."
        )
    is_strings = (
        keras.backend.backend() == "tensorflow"
        and elmo.text_layer is not None
        and not kernels.in_distribution_strategy()
    )
    if is_strings:
        return keras.Input((None,), dtype="string", name="tokens")
    return keras.Input((None, *elmo.token_encoder.ids_shape), dtype="int32", name="ids")


def dense_head(hidden_dim, head_dropout, num_labels, name):
    """The layers from vectors to probabilities, each behind its dropout, the last in float32."""
    head = []
    if hidden_dim:
        head.append(keras.layers.Dropout(head_dropout, name="hidden_dropout"))
        head.append(keras.layers.Dense(hidden_dim, activation="relu", name="hidden"))
    head.append(keras.layers.Dropout(head_dropout, name="output_dropout"))
    softmax = keras.layers.Dense(num_labels, activation="softmax", dtype="float32", name=name)
    return [*head, softmax]


def check_labels(labels):
    """The label names as a list of different str."""
    if isinstance(labels, str) or not all(isinstance(label, str) and label for label in labels):
        raise ValueError(f"`labels` must be a list of names (str). Received: labels={labels!r}")
    labels = list(labels)
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ValueError(
            f"`labels` must be at least two different names. Received: labels={labels!r}"
        )
    return labels
