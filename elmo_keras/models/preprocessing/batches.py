"""Batches that are padded to their longest sentence."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from elmo_keras.text.bucketing import bucket
from elmo_keras.utils.optional_module import tensorflow as tf

# Batches whose sentences are sorted by length together, when they are shuffled.
_GROUP = 16


def padded_length(length: int, is_compiled: bool) -> int:
    """Time steps of a sentence in a batch: its length, or its bucket where shapes are compiled."""
    return bucket(length) if is_compiled else max(length, 1)


def row_lengths(inputs: Sequence[Sequence[Any]]) -> list[int]:
    """The length of each example: the longest of its rows, one from each input."""
    return [max(map(len, rows)) for rows in zip(*inputs)]


def token_batches(
    inputs: Sequence[Sequence[Any]],
    y: Any,
    weights: Any,
    batch_size: int,
    shuffle: bool,
    plan: Any = None,
) -> Any:
    """A tf.data.Dataset of `(x, y, weights)`, as far as they are given.

    Args:
        inputs: for each input of the model a list of rows, lists of tokens or arrays of numbers.
        y: list of ints or of int arrays, or `None`.
        weights: list of floats or of float arrays, or `None`.
        batch_size: int.
        shuffle: bool. Whether each epoch has another order.
        plan: list of lists of ints, the places of the rows of each batch, in place of `batch_size`
            and `shuffle`; or `None`.

    Returns:
        A Dataset of tuples; `x` is a tensor, or a tuple of tensors for several inputs.
    """
    if plan is not None:
        return _planned_batches(inputs, plan)
    columns = [_column(rows) for rows in inputs]
    if y is not None:
        columns.append(_column(y, "int32"))
    if weights is not None:
        columns.append(_column(weights, "float32"))
    dataset = tf.data.Dataset.from_tensor_slices(tuple(columns))
    if shuffle and inputs[0]:
        dataset = dataset.shuffle(len(inputs[0]), reshuffle_each_iteration=True)
    number = len(inputs)

    def element(*columns):
        columns = _pad_columns(columns)
        return (_single(columns[:number]), *columns[number:])

    return dataset.batch(batch_size).map(element).prefetch(2)


def _planned_batches(inputs, plan):
    order = [place for places in plan for place in places]
    columns = [_column([rows[place] for place in order]) for rows in inputs]
    sizes = np.array(list(map(len, plan)), dtype="int64")
    ends = np.cumsum(sizes)
    dataset = tf.data.Dataset.from_tensor_slices((ends - sizes, ends))

    def element(start, end):
        return (_single(_pad_columns([rows[start:end] for rows in columns])),)

    return dataset.map(element).prefetch(2)


def _single(parts):
    """The parts as a tuple, or the part itself if there is only one."""
    return parts[0] if len(parts) == 1 else tuple(parts)


def _column(rows, dtype=None):
    if dtype is None:
        dtype = "int32" if rows and isinstance(rows[0], np.ndarray) else "string"
    if rows and not isinstance(rows[0], (list, np.ndarray)) or not rows and dtype != "string":
        return np.asarray(rows, dtype=dtype)
    lengths = np.array(list(map(len, rows)), "int64")
    if dtype == "string":
        tokens = [token for row in rows for token in row]
        values = tf.constant(tokens, dtype="string", shape=(len(tokens),))
    else:
        values = tf.constant(np.concatenate(rows), dtype=dtype)
    return tf.RaggedTensor.from_row_lengths(values, lengths)


def _pad_columns(columns):
    return [
        pad_ragged(column) if isinstance(column, tf.RaggedTensor) else column for column in columns
    ]


def pad_ragged(x: Any) -> Any:
    """A RaggedTensor as a tensor of the length of its longest row, at least 1.

    Args:
        x: RaggedTensor. Padding is `""` or 0.
    """
    x = x.to_tensor()
    return tf.pad(
        x, [[0, 0], [0, tf.maximum(1 - tf.shape(x)[1], 0)], *[[0, 0]] * (len(x.shape) - 2)]
    )


class IdBatches(keras.utils.PyDataset):
    """Batches of ids, made in numpy, for a model that starts at ids.

    Args:
        inputs: for each input of the model a list of rows: int arrays `(time, ...)`, or lists of
            tokens, which `to_ids` converts.
        y: list of ints or of int arrays, or `None`.
        weights: list of floats or of float arrays, or `None`.
        batch_size: int.
        shuffle: bool. Whether each epoch has another order; batches hold sentences of similar
            length.
        to_ids: function that turns a list of token lists into ids `(batch, time, ...)`.
        is_compiled: bool. Whether each new shape is compiled. Time is then padded to a `bucket`,
            and with `shuffle` the last batch is filled up with sentences from the start of the
            epoch's order: one compilation for each bucket. Defaults to `False`.
        plan: list of lists of ints, the places of the rows of each batch, in place of `batch_size`
            and `shuffle`. Defaults to `None`.
    """

    def __init__(
        self,
        inputs: Sequence[Sequence[Any]],
        y: Any,
        weights: Any,
        batch_size: int,
        shuffle: bool,
        to_ids: Callable[[list[list[str]]], np.ndarray],
        is_compiled: bool = False,
        plan: Any = None,
    ):
        super().__init__()
        self.inputs, self.y, self.weights = inputs, y, weights
        self.batch_size, self.shuffle = batch_size, shuffle
        self.to_ids, self.is_compiled = to_ids, is_compiled
        self.plan = plan
        self.lengths = row_lengths(inputs)
        self.order = np.arange(len(self.lengths))
        self.on_epoch_end()

    def __len__(self):
        if self.plan is not None:
            return len(self.plan)
        return -(-len(self.lengths) // self.batch_size)

    def on_epoch_end(self):
        if self.shuffle:
            self.order = self._group(np.random.permutation(len(self.lengths)))

    def _group(self, order):
        """Sorts groups of batches by length, so that a batch holds sentences of similar length."""
        size = self.batch_size
        number = len(order) // size * size
        whole, rest = order[:number], order[number:]
        parts = np.split(whole, range(_GROUP * size, number, _GROUP * size)) if number else []
        parts = [sorted(part, key=lambda i: bucket(self.lengths[i])) for part in parts]
        whole = np.array(parts and np.concatenate(parts), dtype=order.dtype).reshape(-1, size)
        return np.concatenate([np.random.permutation(whole).ravel(), rest])

    def __getitem__(self, index):
        order = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        if self.plan is not None:
            order = self.plan[index]
        elif self.is_compiled and self.shuffle and len(self.lengths) > self.batch_size:
            order = np.concatenate([order, self.order[: self.batch_size - len(order)]])
        inputs = [self._input([rows[i] for i in order]) for rows in self.inputs]
        return (_single(inputs), *self.columns(order))

    def _input(self, rows):
        """One input of a batch `(batch, time, ...)`."""
        if isinstance(rows[0], list):
            rows = list(self.to_ids(rows))
        return pad_rows(rows, "int32", padded_length(max(map(len, rows)), self.is_compiled))

    def columns(self, order: Any) -> list[np.ndarray]:
        """Labels and weights of the examples at some places, as far as they are given."""
        longest = max((len(self.inputs[0][i]) for i in order), default=1)
        time = padded_length(longest, self.is_compiled)
        columns = []
        for column, dtype in ((self.y, "int32"), (self.weights, "float32")):
            if column is not None:
                picked = [column[i] for i in order]
                if np.ndim(picked[0]):
                    columns.append(pad_rows(picked, dtype, time))
                else:
                    columns.append(np.array(picked, dtype=dtype))
        return columns


def pad_rows(rows: Sequence[Any], dtype: str = "int32", time: int | None = None) -> np.ndarray:
    """Pads arrays with zeros to one length.

    Args:
        rows: arrays `(time, ...)`, at least one.
        dtype: of the result. Defaults to `"int32"`.
        time: length of the result. Defaults to that of the longest row, at least 1.

    Returns:
        Array `(rows, time, ...)`.
    """
    time = max([1, *map(len, rows)]) if time is None else time
    padded = np.zeros((len(rows), time, *np.shape(rows[0])[1:]), dtype=dtype)
    for out, row in zip(padded, rows):
        out[: len(row)] = row
    return padded


def fit_time(output: np.ndarray, time: int) -> np.ndarray:
    """Cuts or pads `(batch, time, labels)` to a number of time steps."""
    return np.pad(output[:, :time], [(0, 0), (0, max(0, time - output.shape[1])), (0, 0)])
