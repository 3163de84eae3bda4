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
) -> WindowLoss:
    """Creates the loss function of a batch of windows, for `backend.training_step`.

    The loss is the sum over the words of a window, averaged over streams and directions, as in
    bilm-tf. The norm of the gradient, and with it the clipping, grows with the window.

    With a teacher, `teacher_weight` times the window length times `teacher_error` is added.

    Args:
        model: `BidirectionalLanguageModel`.
        batch_size: int. Streams of the whole batch; a replica may receive a part of them.
        dropout: float. The dropout rate that `Batch.dropout_mask` was drawn with. Defaults to
            `0.0`.
        teacher_map: Dense layer from the layers of the biLM to the teacher's components, or `None`,
            the default, without a teacher.
        teacher_weight: float. Weight of the teacher's error, in nats per word. Defaults to `0.0`.

    Returns:
        Function of a `Batch` and LSTM states `(hidden, cell)`. It returns the loss, the sums and
        the new states. The sums are the words' losses in each direction and, with a teacher, the
        teacher's error: `(2,)` or `(3,)`.
    """
    encoder, bilstm = model.elmo.token_encoder, model.elmo.bilstm
    softmax = model.head.softmax

    def word_losses(y: Any, batch: Batch, direction: int) -> Any:
        y = ops.reshape(y, (-1, bilstm.output_dim))  # (batch_size * window, dim)
        targets = ops.reshape(batch.targets[direction], (-1,))
        if batch.log_expected is None:
            return softmax.full_loss(y, targets)
        return softmax.sampled_loss(
            y,
            targets,
            ops.reshape(batch.log_expected[direction], (-1,)),
            batch.negatives,
            batch.negatives_log_expected,
        )

    def loss(batch: Batch, states: Any) -> tuple[Any, Any, Any]:
        tokens = encoder.encode(ops.convert_to_tensor(batch.ids))  # (words, dim)
        x = ops.take(tokens, batch.inputs, axis=0)  # (2, batch_size, window, dim)
        mask = batch.dropout_mask
        if mask is not None:
            mask = ops.cast(mask, x.dtype) * (1 / (1 - dropout))
        carry = batch.carry[:, None]  # (batch_size, 1)
        initial = [ops.where(carry, state, ops.zeros_like(state)) for state in states]
        y, new_states = bilstm.call_streams(x, initial, mask)
        # One product per direction: the two run in parallel on two cores.
        sums = [ops.sum(word_losses(part, batch, i)) for i, part in enumerate(ops.unstack(y, 2))]
        sums = ops.stack(sums)
        # The states keep their dtype from step to step, also if the LSTMs compute in another one.
        new_states = [ops.cast(new, old.dtype) for new, old in zip(new_states, states)]
        value = ops.sum(sums) / (2 * batch_size)
        if teacher_map is None:
            return value, sums, new_states
        error = teacher_error(model, teacher_map, tokens, batch)
        value += teacher_weight * batch.inputs.shape[2] * ops.cast(error, value.dtype)
        return value, ops.append(sums, ops.cast(error, sums.dtype)), new_states

    return loss


def teacher_error(
    model: BidirectionalLanguageModel,
    teacher_map: keras.layers.Dense,
    tokens: Any,
    batch: Batch,
) -> Any:
    """Computes the squared distance of the student's vectors from the teacher's.

    Both directions read whole sentences from zero states, as `ElmoLayer` does. A linear map of all
    layers, the token layer included, predicts the teacher's components. Predicting
    the mean of the teacher's vectors gives an error of 1.

    Args:
        model: `BidirectionalLanguageModel`.
        teacher_map: Dense layer.
        tokens: `(words, dim)` float, the token vectors of `batch.ids`.
        batch: `Batch` with a teacher's sentences. It may be a replica's part of a batch.

    Returns:
        float32 scalar, the sum over the tokens, weighted with `batch.teacher_weights`.

    References:
        - [Tang et al., 2019](https://arxiv.org/abs/1903.12136), distillation into a biLSTM
        - [Mukherjee and Awadallah, 2020](https://arxiv.org/abs/2004.05686), XtremeDistil
    """
    inputs = ops.transpose(ops.convert_to_tensor(batch.teacher_inputs))  # (batch_size, time)
    mask = inputs >= 0
    x = ops.take(tokens, ops.maximum(inputs, 0), axis=0)  # (batch_size, time, dim)
    layers, _ = model.elmo.bilstm(x, mask=mask)
    predicted = teacher_map(ops.concatenate([x, *layers], axis=-1))
    targets = ops.transpose(ops.convert_to_tensor(batch.teacher_targets), (1, 0, 2))
    difference = ops.cast(predicted, "float32") - targets
    distances = ops.sum(difference * difference, axis=-1)  # (batch_size, time)
    return ops.sum(distances * ops.transpose(ops.convert_to_tensor(batch.teacher_weights)))


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
