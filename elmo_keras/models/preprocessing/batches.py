"""Batches, padded to their longest sentence."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from elmo_keras.text.bucketing import bucket
from elmo_keras.utils.optional_module import tensorflow as tf

# Number of batches whose sentences are sorted by length together after shuffling.
_GROUP = 16


def padded_length(length: int, is_compiled: bool) -> int:
    """Returns the number of time steps for a sentence, at least 1.

    Args:
        length: int. Number of tokens.
        is_compiled: bool. Whether each new shape is compiled: the length is then rounded up to a
            `bucket`.
    """
    return bucket(length) if is_compiled else max(length, 1)


def row_lengths(inputs: Sequence[Sequence[Any]]) -> list[int]:
    """Returns the length of each example, in tokens: the longest of its rows.

    Args:
        inputs: for each input of the model a list of rows, one for each example.
    """
    return [max(map(len, rows)) for rows in zip(*inputs)]


def token_batches(
    inputs: Sequence[Sequence[Any]],
    y: Any,
    weights: Any,
    batch_size: int,
    shuffle: bool,
    plan: Any = None,
) -> Any:
    """Creates a tf.data.Dataset of padded batches.

    Args:
        inputs: for each input of the model a list of rows: lists of tokens, or int arrays
            `(time, ...)`.
        y: list of ints or of int arrays, or `None`.
        weights: list of floats or of float arrays, or `None`.
        batch_size: int.
        shuffle: bool. Whether each epoch has another order.
        plan: list of lists of ints, the row indices of each batch. They replace `batch_size` and
            `shuffle`. Defaults to `None`.

    Returns:
        A Dataset of tuples `(x, y, weights)` without those that are `None`. `x` is a tensor, or a
        tuple of tensors for several inputs.
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
    num_inputs = len(inputs)

    def element(*columns: Any) -> tuple[Any, ...]:
        padded = _pad_columns(columns)
        return (_single(padded[:num_inputs]), *padded[num_inputs:])

    return dataset.batch(batch_size).map(element).prefetch(2)


def _planned_batches(inputs: Sequence[Sequence[Any]], plan: Sequence[Sequence[int]]) -> Any:
    order = [index for indices in plan for index in indices]
    columns = [_column([rows[index] for index in order]) for rows in inputs]
    sizes = np.array(list(map(len, plan)), dtype="int64")
    ends = np.cumsum(sizes)
    dataset = tf.data.Dataset.from_tensor_slices((ends - sizes, ends))

    def element(start: Any, end: Any) -> tuple[Any, ...]:
        return (_single(_pad_columns([rows[start:end] for rows in columns])),)

    return dataset.map(element).prefetch(2)


def _single(parts: Sequence[Any]) -> Any:
    """Returns a single part itself, and several parts as a tuple."""
    return parts[0] if len(parts) == 1 else tuple(parts)


def _column(rows: Any, dtype: str | None = None) -> Any:
    """Converts a column of examples: scalars to an array, rows to a RaggedTensor."""
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


def _pad_columns(columns: Sequence[Any]) -> list[Any]:
    return [
        pad_ragged(column) if isinstance(column, tf.RaggedTensor) else column for column in columns
    ]


def pad_ragged(x: Any) -> Any:
    """Pads a RaggedTensor to the length of its longest row, at least 1, with `""` or 0.

    Args:
        x: RaggedTensor `(batch, time, ...)`.
    """
    x = x.to_tensor()
    return tf.pad(
        x, [[0, 0], [0, tf.maximum(1 - tf.shape(x)[1], 0)], *[[0, 0]] * (len(x.shape) - 2)]
    )


class IdBatches(keras.utils.PyDataset):
    """Batches of ids in numpy, for a model whose graph starts at ids.

    Args:
        inputs: for each input of the model a list of rows: int arrays `(time, ...)`, or lists of
            tokens, which `to_ids` converts.
        y: list of ints or of int arrays, or `None`.
        weights: list of floats or of float arrays, or `None`.
        batch_size: int.
        shuffle: bool. Whether each epoch has another order. Batches then hold sentences of similar
            length.
        to_ids: function that converts a list of token lists to ids `(batch, time, ...)`.
        is_compiled: bool. Whether each new shape is compiled. To compile once for each bucket,
            lengths are then rounded up to a `bucket`, and with `shuffle` the last batch is filled
            with sentences of the first one. Defaults to `False`.
        plan: list of lists of ints, the row indices of each batch. They replace `batch_size` and
            `shuffle`. Defaults to `None`.
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
    ) -> None:
        super().__init__()
        self.inputs, self.y, self.weights = inputs, y, weights
        self.batch_size, self.shuffle = batch_size, shuffle
        self.to_ids, self.is_compiled = to_ids, is_compiled
        self.plan = plan
        self.lengths = row_lengths(inputs)
        self.order = np.arange(len(self.lengths))
        self.on_epoch_end()

    def __len__(self) -> int:
        if self.plan is not None:
            return len(self.plan)
        return -(-len(self.lengths) // self.batch_size)

    def on_epoch_end(self) -> None:
        if self.shuffle:
            self.order = self._group(np.random.permutation(len(self.lengths)))

    def _group(self, order: np.ndarray) -> np.ndarray:
        """Sorts groups of batches by length, so that a batch holds sentences of similar length."""
        size = self.batch_size
        end = len(order) // size * size
        whole, rest = order[:end], order[end:]
        parts = np.split(whole, range(_GROUP * size, end, _GROUP * size)) if end else []
        by_length = [sorted(part, key=lambda i: bucket(self.lengths[i])) for part in parts]
        batches = np.array(by_length and np.concatenate(by_length), order.dtype).reshape(-1, size)
        return np.concatenate([np.random.permutation(batches).ravel(), rest])

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        order = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        if self.plan is not None:
            order = self.plan[index]
        elif self.is_compiled and self.shuffle and len(self.lengths) > self.batch_size:
            order = np.concatenate([order, self.order[: self.batch_size - len(order)]])
        inputs = [self._input([rows[i] for i in order]) for rows in self.inputs]
        return (_single(inputs), *self.columns(order))

    def _input(self, rows: list[Any]) -> np.ndarray:
        """Converts the rows of a batch to one input `(batch, time, ...)`."""
        if isinstance(rows[0], list):
            rows = list(self.to_ids(rows))
        return pad_rows(rows, "int32", padded_length(max(map(len, rows)), self.is_compiled))

    def columns(self, order: Any) -> list[np.ndarray]:
        """Returns the labels and the weights of some examples, without those that are `None`.

        Args:
            order: indices of the examples.
        """
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
        dtype: str. Dtype of the result. Defaults to `"int32"`.
        time: int. Length of the result. Defaults to `None`: the length of the longest row, at
            least 1.

    Returns:
        Array `(rows, time, ...)`.
    """
    time = max([1, *map(len, rows)]) if time is None else time
    padded = np.zeros((len(rows), time, *np.shape(rows[0])[1:]), dtype=dtype)
    for out, row in zip(padded, rows):
        out[: len(row)] = row
    return padded


def fit_time(output: np.ndarray, time: int) -> np.ndarray:
    """Cuts an array to a number of time steps, or pads it with zeros.

    Args:
        output: array `(batch, time, labels)`.
        time: int. Time steps of the result.
    """
    return np.pad(output[:, :time], [(0, 0), (0, max(0, time - output.shape[1])), (0, 0)])
