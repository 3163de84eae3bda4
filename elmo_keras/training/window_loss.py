"""The pretraining loss."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from elmo_keras.models.bidirectional_language_model import BidirectionalLanguageModel
from elmo_keras.training.windows import Batch

WindowLoss = Callable[[Batch, Any], tuple[Any, Any, Any]]


def window_loss(
    model: BidirectionalLanguageModel, batch_size: int, dropout: float = 0.0
) -> WindowLoss:
    """Creates the loss function of a batch of windows, for `backend.training_step`.

    The loss is the sum over the words of a window, averaged over streams and directions, as in
    bilm-tf. The norm of the gradient, and with it the clipping, grows with the window.

    Args:
        model: `BidirectionalLanguageModel`.
        batch_size: int. Streams of the whole batch; a replica may receive a part of them.
        dropout: float. The dropout rate that `Batch.dropout_mask` was drawn with. Defaults to
            `0.0`.

    Returns:
        Function of a `Batch` and LSTM states `(hidden, cell)`. It returns the loss, the sums `(2,)`
        of the words' losses in each direction, and the new states.
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
        return ops.sum(sums) / (2 * batch_size), sums, new_states

    return loss


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
