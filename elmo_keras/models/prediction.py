"""Prediction of task models, in batches of similar length."""

import itertools
from typing import Any

import keras
import numpy as np

from elmo_keras.models.preprocessing.batches import (
    IdBatches,
    fit_time,
    padded_length,
    row_lengths,
)
from elmo_keras.models.preprocessing.preprocessor import Examples
from elmo_keras.text.bucketing import places_by_length

# Limits the tokens of a batch, so that short texts are not padded to the length of a long document.
_TOKENS_PER_SENTENCE = 512


class Predictor:
    """Runs a task model on data of any length.

    Args:
        task: the `ElmoTask`.
        scores: Keras tensor, the outputs of its graph.
        mask: Keras tensor `(batch, time)`, bool, the mask of the tokens, or `None`.
    """

    def __init__(self, task: Any, scores: Any, mask: Any) -> None:
        self._task = task
        self._to_probabilities = task
        self._from_scores = None
        probabilities = task.head.probabilities(scores, mask)
        if probabilities is not scores:
            self._to_probabilities = keras.Model(task.input, probabilities)
            inputs = [scores] if mask is None else [scores, mask]
            self._from_scores = keras.Model(inputs, probabilities)
            self._from_scores.supports_masking = True

    def probabilities_of(self, scores: Any, mask: Any) -> Any:
        """Computes the probabilities of a batch of scores.

        Args:
            scores: tensor, an output of the task's graph.
            mask: `(batch, time)` bool, the mask of the tokens; ignored if sentences have labels.

        Returns:
            Tensor of the shape of the scores.
        """
        if self._from_scores is None:
            return scores
        inputs = [scores, mask] if self._task.labels_per_token else [scores]
        return self._from_scores(inputs, training=False)

    def probabilities(
        self, x: Any, batch_size: int, verbose: Any = 0, steps: Any = None, callbacks: Any = None
    ) -> np.ndarray:
        """See `ElmoTask.predict`."""
        return self._predict(self._to_probabilities, x, batch_size, verbose, steps, callbacks)

    def decoded(self, x: Any, batch_size: int) -> list[Any]:
        """Finds the most probable labels.

        Args:
            x: sentences, token lists or ids.
            batch_size: int.

        Returns:
            A label index for each example or, if tokens have labels, an int array for each.

        Raises:
            ValueError: if the task has no preprocessor, and as `Preprocessor.examples` does.
        """
        task = self._task
        if task.preprocessor is None:
            raise ValueError(
                "Label names need the preprocessor, which reads the text. Received: a model with "
                "preprocessor=None. Set `model.preprocessor = 'auto'`, or call `predict`."
            )
        if hasattr(x, "element_spec"):
            if task.labels_per_token:
                raise ValueError(
                    "Labels of tokens need a list of sentences, whose lengths are known. Received: "
                    "a tf.data.Dataset. Pass a list, or call `predict(dataset)`."
                )
            return self._decode(self._predict(task, x, batch_size), None, batch_size)
        examples = task.preprocessor.examples(x)
        rows = examples.inputs[0]
        scores = self._predict(task, examples, batch_size)
        if not rows:
            return []
        mask = None
        if task.labels_per_token:
            lengths = np.array(list(map(len, rows)))
            mask = np.arange(scores.shape[1]) < lengths[:, np.newaxis]
        indices = self._decode(scores, mask, batch_size)
        return [row[: len(x)] for x, row in zip(rows, indices)] if mask is not None else indices

    def _decode(self, scores: np.ndarray, mask: Any, batch_size: int) -> list[Any]:
        """Decodes scores in batches, which bound the memory of a search over sequences."""
        indices: list[Any] = []
        for start in range(0, len(scores), batch_size):
            part = slice(start, start + batch_size)
            decoded = self._task.head.decode(scores[part], None if mask is None else mask[part])
            indices.extend(keras.ops.convert_to_numpy(decoded))
        return indices

    def _predict(
        self,
        model: Any,
        x: Any,
        batch_size: int,
        verbose: Any = 0,
        steps: Any = None,
        callbacks: Any = None,
    ) -> np.ndarray:
        """Computes the outputs of a model with the task's inputs, in the order of `x`."""
        task = self._task
        if task.preprocessor is None:
            return _to_array(self._keras_predict(model, x, verbose, steps, callbacks, batch_size))
        if hasattr(x, "element_spec"):
            if isinstance(x.element_spec, tuple):  # Labels are not needed, and may be unknown.
                x = x.map(lambda text, *labels: text)
            data, plan = task.preprocessor.dataset(x), None
            num_batches = int(data.cardinality())
        else:
            examples = x if isinstance(x, Examples) else task.preprocessor.examples(x)
            lengths = row_lengths(examples.inputs)
            plan = self._plan(lengths, batch_size, is_in_order=steps is not None)
            data = task.preprocessor.batches(
                examples, batch_size, plan=plan, is_compiled=task.compiles_shapes
            )
            num_batches = len(plan)
        if num_batches == 0:
            time = (0,) * task.labels_per_token
            return np.zeros((0, *time, len(task.labels)), dtype="float32")
        # Off TensorFlow, Keras does not join outputs of different lengths.
        is_joined = keras.backend.backend() == "tensorflow" or not task.labels_per_token
        if isinstance(data, IdBatches) or not is_joined:
            outputs = self._predict_each(model, data, verbose, steps, callbacks)
        else:
            outputs = _to_array(self._keras_predict(model, data, verbose, steps, callbacks))
        if plan is None:
            return outputs
        order = np.concatenate(plan[:steps])
        return outputs[np.argsort(order)]

    def _keras_predict(
        self,
        model: Any,
        data: Any,
        verbose: Any,
        steps: Any,
        callbacks: Any,
        batch_size: int | None = None,
    ) -> Any:
        return keras.Model.predict(
            model, data, batch_size=batch_size, verbose=verbose, steps=steps, callbacks=callbacks
        )

    def _plan(self, lengths: list[int], batch_size: int, is_in_order: bool) -> list[Any]:
        """Returns the indices of the examples of each batch, grouped by length unless in order."""
        if is_in_order:
            indices = np.arange(len(lengths))
            return np.split(indices, range(batch_size, len(lengths), batch_size))
        lengths = [padded_length(length, self._task.compiles_shapes) for length in lengths]
        return list(places_by_length(lengths, batch_size * _TOKENS_PER_SENTENCE, batch_size))

    def _predict_each(
        self, model: Any, data: Any, verbose: Any, steps: Any, callbacks: Any
    ) -> np.ndarray:
        """Runs Keras' prediction loop for outputs whose lengths differ from batch to batch.

        Args:
            model: a model with the task's inputs.
            data: `IdBatches` or a tf.data.Dataset of batches `(x,)`.
            verbose, steps, callbacks: as in `keras.Model.predict`.
        """
        if isinstance(data, IdBatches):
            batches = (data[step] for step in range(len(data)))
            num_batches = len(data) if steps is None else min(steps, len(data))
        else:
            batches, num_batches = data.as_numpy_iterator(), steps
        bar = keras.utils.Progbar(num_batches, verbose=1 if verbose == "auto" else verbose)
        callbacks = keras.callbacks.CallbackList(callbacks, model=self._task)
        callbacks.on_predict_begin()
        outputs = []
        for step, (x, *_) in enumerate(itertools.islice(batches, num_batches)):
            callbacks.on_predict_batch_begin(step)
            outputs.append(keras.Model.predict_on_batch(model, x))
            callbacks.on_predict_batch_end(step, {"outputs": outputs[-1]})
            bar.update(step + 1)
        callbacks.on_predict_end()
        if self._task.labels_per_token:
            longest = max(output.shape[1] for output in outputs)
            if isinstance(data, IdBatches):  # A bucket may be longer than its sentences.
                indices = [index for batch in data.plan[:num_batches] for index in batch]
                longest = max(1, *(len(data.inputs[0][index]) for index in indices))
            outputs = [fit_time(output, longest) for output in outputs]
        return np.concatenate(outputs)


def _to_array(outputs: Any) -> np.ndarray:
    """Pads a RaggedTensor, which Keras returns if the lengths of batches differ."""
    return outputs if isinstance(outputs, np.ndarray) else outputs.to_tensor().numpy()
