"""The pretraining loss."""

import numpy as np
from keras import ops

from elmo_keras.models.bidirectional_language_model import BidirectionalLanguageModel
from elmo_keras.training.windows import Batch


def window_loss(model: BidirectionalLanguageModel, rows: int, dropout: float = 0.0):
    """The loss of a batch of windows, as a function for `kernels.training_step`.

    As in bilm-tf it is the mean over rows and directions of the sum over a window's words: the
    gradient's norm, and so its clipping, grows with the window.

    Args:
        model: the language model.
        rows: int. Rows of the whole batch, of which a replica may have a part.
        dropout: float, the share that `Batch.keep` leaves out.

    Returns:
        A function of a `Batch` and of states `(hidden, cell)` that gives the loss, the sums
        `(2,)` of the words' losses in each direction, and the new states.
    """
    encoder, bilstm = model.elmo.token_encoder, model.elmo.bilstm
    softmax = model.head.softmax

    def losses(y, batch, direction):
        y = ops.reshape(y, (-1, bilstm.output_dim))  # (rows * steps, dim)
        targets = ops.reshape(batch.targets[direction], (-1,))
        if batch.negatives is None:
            return softmax.full_loss(y, targets)
        return softmax.sampled_loss(
            y,
            targets,
            ops.reshape(batch.log_expected[direction], (-1,)),
            batch.negatives,
            batch.negatives_log_expected,
        )

    def loss(batch: Batch, states):
        tokens = encoder.encode(ops.convert_to_tensor(batch.ids))  # (words, dim)
        x = ops.take(tokens, batch.inputs, axis=0)  # (2, rows, steps, dim)
        keep = batch.keep
        if keep is not None:
            keep = ops.cast(keep, x.dtype) * (1 / (1 - dropout))
        carry = batch.carry[:, None]  # (rows, 1)
        begin = [ops.where(carry, state, ops.zeros_like(state)) for state in states]
        y, new_states = bilstm.read(x, begin, keep)
        # Each direction by itself: on two cores they are computed side by side.
        sums = [ops.sum(losses(part, batch, i)) for i, part in enumerate(ops.unstack(y, 2))]
        sums = ops.stack(sums)
        # Between the steps they are of one type, whatever the LSTMs compute in.
        new_states = [ops.cast(new, old.dtype) for new, old in zip(new_states, states)]
        return ops.sum(sums) / (2 * rows), sums, new_states

    return loss


def zero_states(model: BidirectionalLanguageModel, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The states `(hidden, cell)` that the first batch starts from."""
    bilstm = model.elmo.bilstm
    return tuple(
        np.zeros((2, bilstm.num_layers, rows, size), "float32")
        for size in (bilstm.output_dim, bilstm.units)
    )
