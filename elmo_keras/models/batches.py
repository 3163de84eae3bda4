"""Batches that are no longer than their longest sentence."""

import keras
import numpy as np

from elmo_keras._optional import tensorflow as tf
from elmo_keras.text.lengths import bucket

# Batches whose sentences are sorted by length together, when they are shuffled.
_GROUP = 16


def padded_length(length, is_compiled):
    """Time steps that a sentence takes up in a batch: where shapes are compiled, its bucket."""
    return bucket(length) if is_compiled else max(length, 1)


def token_batches(tokens, y, weights, batch_size, shuffle, plan=None):
    """A tf.data.Dataset of `(tokens, y, weights)` as far as they are given.

    Args:
        tokens: list of lists of str.
        y: list of ints or of int arrays, or `None`.
        weights: list of floats or of float arrays, or `None`.
        batch_size: int.
        shuffle: bool. Anew in every epoch.
        plan: list of lists of ints, the places of the rows of each batch, in place of `batch_size`
            and `shuffle`; or `None`.
    """
    if plan is not None:
        return _planned_batches(tokens, plan)
    columns = [_column(tokens, "string")]
    if y is not None:
        columns.append(_column(y, "int32"))
    if weights is not None:
        columns.append(_column(weights, "float32"))
    dataset = tf.data.Dataset.from_tensor_slices(tuple(columns))
    if shuffle and tokens:
        dataset = dataset.shuffle(len(tokens), reshuffle_each_iteration=True)
    return dataset.batch(batch_size).map(_pad_columns).prefetch(2)


def _planned_batches(tokens, plan):
    order = [place for places in plan for place in places]
    rows = _column([tokens[place] for place in order], "string")
    sizes = np.array(list(map(len, plan)), dtype="int64")
    ends = np.cumsum(sizes)
    starts = ends - sizes
    dataset = tf.data.Dataset.from_tensor_slices((starts, ends))
    return dataset.map(lambda start, end: _pad_columns(rows[start:end])).prefetch(2)


def _column(rows, dtype):
    if rows and not isinstance(rows[0], (list, np.ndarray)) or not rows and dtype != "string":
        return np.asarray(rows, dtype=dtype)
    flat = [item for row in rows for item in row]
    return tf.RaggedTensor.from_row_lengths(
        tf.constant(flat, dtype=dtype, shape=(len(flat),)), np.array(list(map(len, rows)), "int64")
    )


def _pad_columns(*columns):
    return tuple(
        pad_ragged(column) if isinstance(column, tf.RaggedTensor) else column for column in columns
    )


def pad_ragged(x):
    """A RaggedTensor as a tensor of its longest row, of one step at least; `""` or 0 behind."""
    x = x.to_tensor()
    return tf.pad(
        x, [[0, 0], [0, tf.maximum(1 - tf.shape(x)[1], 0)], *[[0, 0]] * (len(x.shape) - 2)]
    )


class IdBatches(keras.utils.PyDataset):
    """Batches of character ids, made in numpy: what a model that starts at ids is fed.

    Args:
        rows: list of int arrays `(time, ...)`, or of what `to_ids` makes them from.
        y: list of ints or of int arrays, or `None`.
        weights: list of floats or of float arrays, or `None`.
        batch_size: int.
        shuffle: bool. Anew in every epoch, sentences of like length into one batch.
        to_ids: callable that turns a list of rows into ids `(batch, time, ...)`, or `None` where
            the rows are ids.
        ids_shape: tuple. Shape of one token's ids.
        is_compiled: bool. Whether a new shape means a new compilation. Time is then padded to a
            `bucket`, and with `shuffle` the last batch is filled up with sentences from the
            beginning of the epoch's order: one compilation a bucket.
        plan: list of lists of ints, the places of the rows of each batch, in place of `batch_size`
            and `shuffle`; or `None`.
    """

    def __init__(
        self,
        rows,
        y,
        weights,
        batch_size,
        shuffle,
        to_ids,
        ids_shape,
        is_compiled=False,
        plan=None,
    ):
        super().__init__()
        self.rows, self.y, self.weights = rows, y, weights
        self.batch_size, self.shuffle = batch_size, shuffle
        self.to_ids, self.ids_shape, self.is_compiled = to_ids, ids_shape, is_compiled
        self.plan = plan
        self.order = np.arange(len(rows))
        self.on_epoch_end()

    def __len__(self):
        if self.plan is not None:
            return len(self.plan)
        return -(-len(self.rows) // self.batch_size)

    def on_epoch_end(self):
        if self.shuffle:
            self.order = self._group(np.random.permutation(len(self.rows)))

    def _group(self, order):
        """Like lengths into one batch, among the sentences of some batches that follow another."""
        size = self.batch_size
        number = len(order) // size * size
        whole, rest = order[:number], order[number:]
        parts = np.split(whole, range(_GROUP * size, number, _GROUP * size)) if number else []
        parts = [sorted(part, key=lambda i: bucket(len(self.rows[i]))) for part in parts]
        whole = np.array(parts and np.concatenate(parts), dtype=order.dtype).reshape(-1, size)
        return np.concatenate([np.random.permutation(whole).ravel(), rest])

    def __getitem__(self, index):
        order = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        if self.plan is not None:
            order = self.plan[index]
        elif self.is_compiled and self.shuffle and len(self.rows) > self.batch_size:
            order = np.concatenate([order, self.order[: self.batch_size - len(order)]])
        rows = [self.rows[i] for i in order]
        if self.to_ids:
            rows = list(self.to_ids(rows))
        time = max([1, *map(len, rows)])
        time = padded_length(time, self.is_compiled)
        batch = [_pad_rows(rows, time, self.ids_shape, "int32")]
        for column, dtype in ((self.y, "int32"), (self.weights, "float32")):
            if column is not None:
                picked = [column[i] for i in order]
                if np.ndim(picked[0]):
                    batch.append(_pad_rows(picked, time, (), dtype))
                else:
                    batch.append(np.array(picked, dtype=dtype))
        return tuple(batch)


def _pad_rows(rows, time, shape, dtype):
    padded = np.zeros((len(rows), time, *shape), dtype=dtype)
    for out, row in zip(padded, rows):
        out[: len(row)] = row
    return padded


def fit_time(output, time):
    """Cuts or pads `(batch, time, labels)` to a number of time steps."""
    return np.pad(output[:, :time], [(0, 0), (0, max(0, time - output.shape[1])), (0, 0)])
