"""The pretraining loss: of a language model's windows, and of a teacher's sentences."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from elmo_keras.models.bidirectional_language_model import BidirectionalLanguageModel
from elmo_keras.training.windows import Batch

WindowLoss = Callable[[Batch, Any], tuple[Any, Any, Any]]


def window_loss(
    model: BidirectionalLanguageModel,
    batch_size: int,
    dropout: float = 0.0,
    teacher_map: keras.layers.Dense | None = None,
    teacher_weight: float = 0.0,
    teacher_sentence_weight: float = 0.0,
) -> WindowLoss:
    """Creates the loss function of a batch of windows, for `backend.training_step`.

    The loss is the mean loss of a word times the window length, as in bilm-tf. The norm of the
    gradient, and with it the clipping, grows with the window.

    With a teacher, the mean is taken over the words of the windows and of the teacher's sentences,
    and `teacher_weight` times the teacher's error is added to it: the error of the tokens plus
    `teacher_sentence_weight` times the error of the sentences, see `sentence_losses`.

    Args:
        model: `BidirectionalLanguageModel`.
        batch_size: int. Streams of the whole batch; a replica may receive a part of them.
        dropout: float. The dropout rate that `Batch.dropout_mask` was drawn with. Defaults to
            `0.0`.
        teacher_map: Dense layer from the layers of the biLM to the teacher's components, or `None`,
            the default, without a teacher.
        teacher_weight: float. Weight of the teacher's error, in nats per word. Defaults to `0.0`.
        teacher_sentence_weight: float. Weight of the error of the sentences within it. Defaults to
            `0.0`.

    Returns:
        Function of a `Batch` and LSTM states `(hidden, cell)`. It returns the loss, the sums and
        the new states. The sums are the losses of the windows' words in each direction and, with a
        teacher, the three values of `sentence_losses`: `(2,)` or `(5,)`.
    """
    encoder, bilstm = model.elmo.token_encoder, model.elmo.bilstm

    def loss(batch: Batch, states: Any) -> tuple[Any, Any, Any]:
        tokens = encoder.encode(ops.convert_to_tensor(batch.ids))  # (words, dim)
        x = ops.take(tokens, batch.inputs, axis=0)  # (2, batch_size, window, dim)
        mask = batch.dropout_mask
        if mask is not None:
            mask = ops.cast(mask, x.dtype) * (1 / (1 - dropout))
        carry = batch.carry[:, None]  # (batch_size, 1)
        initial = [ops.where(carry, state, ops.zeros_like(state)) for state in states]
        y, new_states = bilstm.call_streams(x, initial, mask)
        expected = [None, None] if batch.log_expected is None else batch.log_expected
        # One product per direction: the two run in parallel on two cores.
        sums = [
            ops.sum(_word_losses(model, part, batch.targets[i], expected[i], batch))
            for i, part in enumerate(ops.unstack(y, 2))
        ]
        sums = ops.stack(sums)
        # The states keep their dtype from step to step, also if the LSTMs compute in another one.
        new_states = [ops.cast(new, old.dtype) for new, old in zip(new_states, states)]
        value = ops.sum(sums) / (2 * batch_size)
        if teacher_map is None:
            return value, sums, new_states
        others = sentence_losses(model, teacher_map, tokens, batch)
        word_loss, error, sentence_error = ops.unstack(ops.cast(others, value.dtype), 3)
        window = batch.inputs.shape[2]
        count = ops.cast(batch.sentence_count[0], value.dtype)
        share = count / (count + batch_size * window)
        error += teacher_sentence_weight * sentence_error
        value = value * (1 - share) + window * (word_loss * share + teacher_weight * error)
        return value, ops.concatenate([sums, ops.cast(others, sums.dtype)]), new_states

    return loss


def _word_losses(
    model: BidirectionalLanguageModel, y: Any, targets: Any, log_expected: Any, batch: Batch
) -> Any:
    """Computes the loss of each word of one direction, in any order of axes.

    Args:
        model: `BidirectionalLanguageModel`.
        y: `(..., dim)` float, output of the last LSTM layer.
        targets: `(...)` int, indices into the vocabulary.
        log_expected: `(...)` float, or `None` for the full softmax.
        batch: `Batch` with the sampled words.

    Returns:
        `(words,)` float.
    """
    softmax = model.head.softmax
    y = ops.reshape(y, (-1, model.elmo.bilstm.output_dim))
    targets = ops.reshape(targets, (-1,))
    if log_expected is None:
        return softmax.full_loss(y, targets)
    return softmax.sampled_loss(
        y,
        targets,
        ops.reshape(log_expected, (-1,)),
        batch.negatives,
        batch.negatives_log_expected,
    )


def sentence_losses(
    model: BidirectionalLanguageModel,
    teacher_map: keras.layers.Dense,
    tokens: Any,
    batch: Batch,
) -> Any:
    """Computes the losses of a teacher's sentences: the words, the tokens and the sentences.

    Both directions read whole sentences from zero states, as `ElmoLayer` does, and predict their
    words. Otherwise the model would learn from the windows to predict words, and from the teacher
    not to do so from zero states. A linear map of all layers, the token layer included, predicts
    the teacher's components.

    - The loss of a word is its negative log-probability, as in the windows.
    - The error of the tokens is the squared distance of the predicted components from the
      teacher's. Predicting the mean of the teacher's vectors gives an error of 1.
    - The error of the sentences is the part of the tokens' error that the mean vectors of the
      sentences have: the squared distance of these means, weighted by the numbers of tokens.

    Args:
        model: `BidirectionalLanguageModel`.
        teacher_map: Dense layer.
        tokens: `(words, dim)` float, the token vectors of `batch.ids`.
        batch: `Batch` with a teacher's sentences. It may be a replica's part of a batch.

    Returns:
        `(3,)` float32: the mean loss of a word over both directions and the two errors, as means
        over the whole batch. A replica computes its part of these sums.

    References:
        - [Tang et al., 2019](https://arxiv.org/abs/1903.12136), distillation into a biLSTM
        - [Mukherjee and Awadallah, 2020](https://arxiv.org/abs/2004.05686), XtremeDistil
    """
    inputs = ops.transpose(ops.convert_to_tensor(batch.teacher_inputs))  # (sentences, time)
    mask = inputs >= 0
    x = ops.take(tokens, ops.maximum(inputs, 0), axis=0)  # (sentences, time, dim)
    layers, _ = model.elmo.bilstm(x, mask=mask)
    predicted = teacher_map(ops.concatenate([x, *layers], axis=-1))
    targets = ops.transpose(ops.convert_to_tensor(batch.teacher_targets), (1, 0, 2))
    weights = ops.transpose(ops.convert_to_tensor(batch.teacher_weights))
    difference = ops.cast(predicted, "float32") - targets
    error = ops.sum(ops.sum(difference * difference, axis=-1) * weights)
    of_sentence = ops.sum(weights, axis=1)
    means = ops.sum(difference * weights[:, :, None], axis=1)  # times the weight of the sentence
    distances = ops.sum(means * means, axis=-1) / ops.maximum(of_sentence, 1e-12)
    words = _sentence_word_loss(model, layers[-1], mask, batch)
    return ops.stack([words, error, ops.sum(distances)])


def _sentence_word_loss(model: BidirectionalLanguageModel, y: Any, mask: Any, batch: Batch) -> Any:
    """Computes the mean loss of the words of a teacher's sentences, float32 scalar.

    Args:
        model: `BidirectionalLanguageModel`.
        y: `(sentences, time, 2 * dim)` float, output of the last LSTM layer.
        mask: `(sentences, time)` bool.
        batch: `Batch`.
    """
    forward, backward = ops.split(y, 2, axis=-1)
    words = ops.transpose(ops.convert_to_tensor(batch.sentence_words))
    expected = batch.sentence_log_expected
    if expected is not None:
        expected = ops.transpose(ops.convert_to_tensor(expected))
    total = 0.0
    # Forward, each step predicts the next word; backward, the one before.
    for part, predicted in ((forward[:, :-1], slice(1, None)), (backward[:, 1:], slice(None, -1))):
        log_expected = None if expected is None else expected[:, predicted]
        losses = _word_losses(model, part, words[:, predicted], log_expected, batch)
        # A pair of neighbors counts where its second word is one of the sentence.
        is_predicted = ops.reshape(mask[:, 1:], (-1,))
        total += ops.sum(ops.where(is_predicted, ops.cast(losses, "float32"), 0.0))
    return total / (2 * ops.cast(batch.sentence_count[0], "float32"))


def build_teacher_map(model: BidirectionalLanguageModel, num_components: int) -> keras.layers.Dense:
    """Creates the linear map from the layers of a biLM to a teacher's components, all zeros.

    Args:
        model: `BidirectionalLanguageModel`.
        num_components: int.

    Returns:
        Dense layer. The error starts at 1 whatever the weights of the model are.
    """
    bilstm = model.elmo.bilstm
    dense = keras.layers.Dense(
        num_components,
        kernel_initializer="zeros",
        dtype=model.elmo.dtype_policy,
        name="teacher_map",
    )
    dense.build((None, None, bilstm.output_dim * (1 + 2 * bilstm.num_layers)))
    return dense


def zero_states(
    model: BidirectionalLanguageModel, batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Creates the LSTM states before the first batch.

    Args:
        model: `BidirectionalLanguageModel`.
        batch_size: int. Number of streams.

    Returns:
        Hidden states `(2, num_layers, batch_size, output_dim)` and cell states `(2, num_layers,
        batch_size, units)`, float32 zeros.
    """
    bilstm = model.elmo.bilstm
    shape = 2, bilstm.num_layers, batch_size
    hidden, cell = (
        np.zeros((*shape, size), "float32") for size in (bilstm.output_dim, bilstm.units)
    )
    return hidden, cell
