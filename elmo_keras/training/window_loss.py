"""The pretraining loss: of a language model's windows, and of a teacher's sentences."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from elmo_keras.models.bidirectional_language_model import BidirectionalLanguageModel
from elmo_keras.training.pretraining_options import PretrainingOptions
from elmo_keras.training.teacher_sentences import TeacherSentences
from elmo_keras.training.windows import Batch

WindowLoss = Callable[[Batch, Any], tuple[Any, Any, Any]]


class TeacherTerm(NamedTuple):
    """The part of a teacher in the loss.

    Attributes:
        map: Dense layer from the layers of the biLM to the teacher's components.
        weight: float. Weight of the teacher's error, in nats per word.
        sentence_weight: float. Weight of the error of the sentences within it.
        sentences: int. Number of the teacher's sentences in a batch, over all replicas.
        mean_tokens: float. Mean number of tokens of a sentence in the whole text. Batches of short
            sentences weigh less than those of long ones, because every token weighs the same.
    """

    map: keras.layers.Dense
    weight: float
    sentence_weight: float
    sentences: int
    mean_tokens: float


def window_loss(
    model: BidirectionalLanguageModel,
    batch_size: int,
    dropout: float = 0.0,
    teacher: TeacherTerm | None = None,
) -> WindowLoss:
    """Creates the loss function of a batch of windows, for `backend.training_step`.

    The loss is the mean loss of a word times the window length, as in bilm-tf. The norm of the
    gradient, and with it the clipping, grows with the window.

    With a teacher, the mean is taken over the words of the windows and of the teacher's sentences,
    and this is added to it: `weight * (error + sentence_weight * sentence_error)`, see
    `sentence_sums`.

    Args:
        model: `BidirectionalLanguageModel`.
        batch_size: int. Streams of the whole batch; a replica may receive a part of them.
        dropout: float. The dropout rate that `Batch.dropout_mask` was drawn with. Defaults to
            `0.0`.
        teacher: `TeacherTerm`, or `None`, the default, without a teacher.

    Returns:
        Function of a `Batch` and LSTM states `(hidden, cell)`. It returns the loss, the sums and
        the new states. The sums are the losses of the windows' words in each direction and, with a
        teacher, the five values of `sentence_sums`: `(2,)` or `(7,)`.
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
        if teacher is None:
            return value, sums, new_states
        others = sentence_sums(model, teacher.map, tokens, batch)
        word_loss, error, sentence_error, _, _ = ops.unstack(ops.cast(others, value.dtype), 5)
        window, targets = batch.inputs.shape[2], teacher.sentences * teacher.mean_tokens
        # Each direction also predicts one boundary of a sentence.
        words = targets + teacher.sentences
        share = words / (words + batch_size * window)
        error = (error + teacher.sentence_weight * sentence_error) / targets
        word_loss = word_loss / (2 * words)
        value = value * (1 - share) + window * (share * word_loss + teacher.weight * error)
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


def sentence_sums(
    model: BidirectionalLanguageModel,
    teacher_map: keras.layers.Dense,
    tokens: Any,
    batch: Batch,
) -> Any:
    """Computes the losses of a teacher's sentences: the words, the tokens and the sentences.

    Both directions read whole sentences from zero states, as `ElmoLayer` does, and predict their
    words. A model that predicts words only in windows forgets to predict them from zero states.
    A linear map of all layers, the token layer included, predicts the teacher's components.

    - The loss of a word is its negative log-probability, as in the windows.
    - The error of a token is the squared distance of the predicted components from the teacher's.
      Predicting the mean of the teacher's vectors gives a mean error of 1.
    - The error of a sentence is the part of its tokens' error that its mean vector has: the squared
      distance of the two means, times the number of tokens. It is never larger than the error of
      the tokens.

    Args:
        model: `BidirectionalLanguageModel`.
        teacher_map: Dense layer.
        tokens: `(words, dim)` float, the token vectors of `batch.ids`.
        batch: `Batch` with a teacher's sentences. It may be a replica's part of a batch.

    Returns:
        `(5,)` float32: the sum of the words' losses over both directions, the sums of the errors of
        tokens and sentences, the number of words that each direction predicts, and the number of
        targets.

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
    has_target = ops.transpose(ops.cast(batch.teacher_mask, "float32"))  # (sentences, time)
    difference = (ops.cast(predicted, "float32") - targets) * has_target[:, :, None]
    totals = ops.sum(difference, axis=1)  # (sentences, components)
    counts = ops.sum(has_target, axis=1)
    return ops.stack(
        [
            _sentence_word_loss(model, layers[-1], mask, batch),
            ops.sum(difference * difference),
            ops.sum(ops.sum(totals * totals, axis=-1) / ops.maximum(counts, 1.0)),
            ops.sum(ops.cast(mask[:, 1:], "float32")),
            ops.sum(counts),
        ]
    )


def _sentence_word_loss(model: BidirectionalLanguageModel, y: Any, mask: Any, batch: Batch) -> Any:
    """Computes the sum of the losses of the words of a teacher's sentences, float32 scalar.

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
    # Two neighbors are predicted from each other if the second one belongs to the sentence.
    is_predicted = ops.reshape(mask[:, 1:], (-1,))
    sums = []
    # Forward, each step predicts the next word; backward, the one before.
    for part, predicted in ((forward[:, :-1], slice(1, None)), (backward[:, 1:], slice(None, -1))):
        log_expected = None if expected is None else expected[:, predicted]
        losses = _word_losses(model, part, words[:, predicted], log_expected, batch)
        sums.append(ops.sum(ops.where(is_predicted, ops.cast(losses, "float32"), 0.0)))
    return sums[0] + sums[1]


def build_teacher_map(model: BidirectionalLanguageModel, num_components: int) -> keras.layers.Dense:
    """Creates the linear map from the layers of a biLM to a teacher's components, all zeros.

    Args:
        model: `BidirectionalLanguageModel`.
        num_components: int.

    Returns:
        Dense layer. Whatever the weights of the model are, the error of the tokens starts at 1.
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


def build_teacher_term(
    model: BidirectionalLanguageModel, sentences: TeacherSentences, options: PretrainingOptions
) -> TeacherTerm:
    """Creates the part of a teacher in the loss, with a new linear map.

    Args:
        model: `BidirectionalLanguageModel`.
        sentences: `TeacherSentences`.
        options: `PretrainingOptions`.
    """
    return TeacherTerm(
        build_teacher_map(model, sentences.num_components),
        options.teacher_weight,
        options.teacher_sentence_weight,
        sentences.batch_size,
        sentences.mean_tokens,
    )


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
