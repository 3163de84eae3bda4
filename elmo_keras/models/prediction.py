"""Predictions of task models: rows of similar length share a batch."""

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

# Upper bound of a batch: a long document does not stretch the short ones in its batch.
_TOKENS_PER_SENTENCE = 512


class Predictor:
    """Runs a task model over data of any length.

    Args:
        task: the `ElmoTask`.
        scores: Keras tensor, the outputs of its graph.
        mask: Keras tensor `(batch, time)`, bool, the mask of the tokens, or `None`.
    """

    def __init__(self, task: Any, scores: Any, mask: Any):
        self._task = task
        self._answers = task
        self._from_scores = None
        probabilities = task.head.probabilities(scores, mask)
        if probabilities is not scores:
            self._answers = keras.Model(task.input, probabilities)
            inputs = [scores] if mask is None else [scores, mask]
            self._from_scores = keras.Model(inputs, probabilities)
            self._from_scores.supports_masking = True

    @property
    def is_compiled(self) -> bool:
        """Whether each new shape of a batch is compiled."""
        return bool(self._task.jit_compile) or keras.backend.backend() == "jax"

    def probabilities_of(self, scores: Any, mask: Any) -> Any:
        """The probabilities of a batch of scores, a tensor.

        Args:
            scores: output of the task's graph.
            mask: `(batch, time)` bool, the mask of the tokens; unused if sentences have labels.
        """
        if self._from_scores is None:
            return scores
        inputs = [scores, mask] if self._task.labels_per_token else [scores]
        return self._from_scores(inputs, training=False)

    def probabilities(
        self, x: Any, batch_size: int, verbose: Any = 0, steps: Any = None, callbacks: Any = None
    ) -> np.ndarray:
        """See `ElmoTask.predict`."""
        return self._predict(self._answers, x, batch_size, verbose, steps, callbacks)

    def decoded(self, x: Any, batch_size: int) -> list[Any]:
        """The most probable labels: a number for each example, or an int array for each.

        Args:
            x: sentences, token lists or ids.
            batch_size: int.
        """
        task = self._task
        if task.preprocessor is None:
            raise ValueError(
                "Label names need the preprocessor, which reads the text. Received: a model with "
                "preprocessor=None. Set `model.preprocessor = 'auto'`, or call `predict`."
            )
        if hasattr(x, "element_spec") and not task.labels_per_token:
            scores = self._predict(task, x, batch_size)
            return list(keras.ops.convert_to_numpy(task.head.decode(scores, None)))
        examples = task.preprocessor.examples(x)
        rows = examples.inputs[0]
        scores = self._predict(task, examples, batch_size)
        if not rows:
            return []
        mask = None
        if task.labels_per_token:
            lengths = np.array(list(map(len, rows)))
            mask = np.arange(scores.shape[1]) < lengths[:, np.newaxis]
        numbers = keras.ops.convert_to_numpy(task.head.decode(scores, mask))
        return [row[: len(x)] for x, row in zip(rows, numbers)] if mask is not None else numbers

    def _predict(self, model, x, batch_size, verbose=0, steps=None, callbacks=None):
        task = self._task
        if task.preprocessor is None:
            return _to_array(self._keras_predict(model, x, verbose, steps, callbacks, batch_size))
        if hasattr(x, "element_spec"):
            data, plan = task.preprocessor.dataset(x), None
            number = int(data.cardinality())
        else:
            examples = x if isinstance(x, Examples) else task.preprocessor.examples(x)
            lengths = row_lengths(examples.inputs)
            plan = self._plan(lengths, batch_size, is_in_order=steps is not None)
            data = task.preprocessor.batches(
                examples, batch_size, plan=plan, is_compiled=self.is_compiled
            )
            number = len(plan)
        if number == 0:
            time = (0,) * task.labels_per_token
            return np.zeros((0, *time, len(task.labels)), dtype="float32")
        if isinstance(data, IdBatches):
            outputs = self._predict_each(model, data, verbose, steps, callbacks)
        else:
            outputs = _to_array(self._keras_predict(model, data, verbose, steps, callbacks))
        if plan is None:
            return outputs
        order = np.concatenate(plan[:steps])
        return outputs[np.argsort(order)]

    def _keras_predict(self, model, data, verbose, steps, callbacks, batch_size=None):
        return keras.Model.predict(
            model, data, batch_size=batch_size, verbose=verbose, steps=steps, callbacks=callbacks
        )

    def _plan(self, lengths, batch_size, is_in_order):
        """The places of the examples of each batch; examples of similar length share one."""
        if is_in_order:
            places = np.arange(len(lengths))
            return np.split(places, range(batch_size, len(lengths), batch_size))
        lengths = [padded_length(length, self.is_compiled) for length in lengths]
        return list(places_by_length(lengths, batch_size * _TOKENS_PER_SENTENCE, batch_size))

    def _predict_each(self, model, data, verbose, steps, callbacks):
        """Keras' prediction loop, for outputs whose lengths differ from batch to batch."""
        number = len(data) if steps is None else min(steps, len(data))
        bar = keras.utils.Progbar(number, verbose=1 if verbose == "auto" else verbose)
        callbacks = keras.callbacks.CallbackList(callbacks, model=self._task)
        callbacks.on_predict_begin()
        outputs = []
        for step in range(number):
            callbacks.on_predict_batch_begin(step)
            outputs.append(model.predict_on_batch(data[step][0]))
            callbacks.on_predict_batch_end(step, {"outputs": outputs[-1]})
            bar.update(step + 1)
        callbacks.on_predict_end()
        if self._task.labels_per_token:
            # A bucket may be longer than its sentences.
            longest = max(len(data.inputs[0][i]) for rows in data.plan[:number] for i in rows)
            outputs = [fit_time(output, max(longest, 1)) for output in outputs]
        return np.concatenate(outputs)


def _to_array(outputs):
    """Keras makes a RaggedTensor of outputs whose lengths differ."""
    return outputs if isinstance(outputs, np.ndarray) else outputs.to_tensor().numpy()
