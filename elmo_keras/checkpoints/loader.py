"""The strict loader of all formats: the layers use every array of a file, or loading fails."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from elmo_keras import backend
from elmo_keras.files.stored_array import StoredArray, aligned_empty, read_finite
from elmo_keras.layers.weight_loading import given_weights

_MAX_SHOWN = 40


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of a format's weight table: an array of the file, and the weights stored in it.

    Attributes:
        name: name of the array in the file.
        shape: shape of the array in the file.
        paths: paths of the weights, see `given_weights`; most arrays store one weight.
        to_ours: function that converts the array of the file to the values of the weights.
        to_theirs: function that converts the values of the weights to the array of the file; the
            exact inverse of `to_ours`.
    """

    name: str
    shape: tuple[int, ...]
    paths: tuple[str, ...]
    to_ours: Callable[[np.ndarray], Sequence[np.ndarray]]
    to_theirs: Callable[..., np.ndarray]


def identity_entry(name: str, shape: Sequence[int], path: str) -> Entry:
    """Returns the entry of an array that equals its weight.

    Args:
        name: name of the array in the file.
        shape: shape of the array and of the weight.
        path: path of the weight.
    """
    return Entry(name, tuple(shape), (path,), lambda x: [x], lambda x: x)


def without_padding(name: str, shape: tuple[int, int], path: str) -> Entry:
    """Returns the entry of an embedding table whose file has no row for padding, id 0.

    The first row of the weight is zeros.

    Args:
        name: name of the array in the file.
        shape: `(rows, dim)` of the array in the file; the weight has one more row.
        path: path of the weight.
    """
    rows, dim = shape

    def to_ours(x: np.ndarray) -> list[np.ndarray]:
        table = aligned_empty((rows + 1, dim))
        table[0], table[1:] = 0, x
        return [table]

    return Entry(name, (rows, dim), (path,), to_ours, lambda x: x[1:])


class MismatchError(ValueError):
    """The arrays of a file are not the weights of the model that the file's options describe."""


class StrictLoader:
    """Gives the arrays of a file to layers as weights, and checks that file and layers agree.

    Args:
        arrays: arrays of the file, by name.
        source: name of the file, for errors.
        table: entries of the format for all weights. Defaults to `None`: the name of each array is
            the path of its weight.
        described_by: name of the file that describes the weights, for errors. Defaults to
            `"options"`.
        advice: last sentence of an error.
    """

    def __init__(
        self,
        arrays: Mapping[str, StoredArray],
        source: str,
        table: Sequence[Entry] | None = None,
        described_by: str = "options",
        advice: str = "Check that options and weights belong to the same model.",
    ) -> None:
        self.arrays = arrays
        self.source = source
        self.table = table
        self.described_by = described_by
        self.advice = advice
        self._entry_of = {path: entry for entry in table or () for path in entry.paths}
        # An array that stores several weights is read once; this keeps the weights not yet used.
        self._converted: dict[str, np.ndarray] = {}
        self._used: set[str] = set()

    def check_table(self) -> None:
        """Compares the file with the table, without reading values.

        Raises:
            MismatchError: names every array that is missing, not used, or of a wrong shape or type.
        """
        expected = {entry.name: entry.shape for entry in self.table or ()}
        problems = [self._problem(name, shape) for name, shape in expected.items()]
        problems += [f"not used: {name}" for name in self.arrays if name not in expected]
        self._raise(filter(None, problems))

    def check_array(self, name: str, shape: Sequence[int]) -> None:
        """Raises a MismatchError unless the file holds an array of floats of this name and shape.

        Args:
            name: name of the array in the file.
            shape: expected shape.
        """
        self._raise(filter(None, [self._problem(name, shape)]))

    def weight(self, path: str, shape: Sequence[int], dtype: str | None = None) -> Any:
        """Returns the value of a weight; the function that `given_weights` needs.

        Args:
            path: path of the weight.
            shape: shape of the weight.
            dtype: dtype of the value. Defaults to `None`: float32.

        Returns:
            A tensor. It takes over the memory of the array if the backend allows it.

        Raises:
            MismatchError: if the file does not hold the weight.
            ValueError: if the array cannot be read or is not finite.
        """
        if path not in self._converted:
            entry = self._entry_of.get(path) or identity_entry(path, shape, path)
            self.check_array(entry.name, entry.shape)
            array = read_finite(self.arrays[entry.name], entry.name, self.source)
            self._converted.update(zip(entry.paths, entry.to_ours(array)))
            self._used.add(entry.name)
        return tensor_of(self._converted.pop(path), dtype)

    def has_loaded(self, name: str) -> bool:
        """Returns whether a weight has used an array.

        Args:
            name: name of the array in the file.
        """
        return name in self._used

    def check_all_used(self, ignored: Sequence[str] = ()) -> None:
        """Raises a MismatchError that names the arrays that no weight has used.

        Args:
            ignored: prefixes of names that need not be used. Defaults to none.
        """
        unused = [name for name in self.arrays if name not in self._used]
        unused = [name for name in unused if not name.startswith(tuple(ignored))]
        self._raise(f"not used: {name}" for name in unused)

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """Context in which layers are built with the weights of the file.

        Each array is read when its weight is created.

        Raises:
            MismatchError: if file and table disagree, before anything is built.
        """
        if self.table is not None:
            self.check_table()
        with given_weights(self.weight):
            yield

    def _problem(self, name: str, shape: Sequence[int]) -> str | None:
        array = self.arrays.get(name)
        if array is None:
            return f"missing: {name}"
        if tuple(array.shape) != tuple(shape):
            return f"wrong shape: {name} must be {tuple(shape)}, is {tuple(array.shape)}"
        if np.dtype(array.dtype).kind != "f":
            return f"wrong type: {name} must hold floats, holds {array.dtype}"
        return None

    def _raise(self, problems: Iterable[str]) -> None:
        problems = sorted(problems)
        if not problems:
            return
        hidden = len(problems) - _MAX_SHOWN
        lines = problems[:_MAX_SHOWN] + ([f"and {hidden} more"] if hidden > 0 else [])
        raise MismatchError(
            f"The weights in {self.source} must match its {self.described_by}. "
            "Received:\n  " + "\n  ".join(lines) + f"\n{self.advice}"
        )


def tensor_of(array: np.ndarray, dtype: str | None = None) -> Any:
    """Converts an array to a tensor that initializes a weight.

    Takes over the array's memory: do not use the array afterwards.

    Args:
        array: float32 array.
        dtype: dtype of the tensor. Defaults to `None`: float32.
    """
    tensor = backend.adopt(array)
    return tensor if dtype in (None, "float32") else keras.ops.cast(tensor, dtype)


def dump(table: Sequence[Entry], weights: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Converts weights to the arrays of a format's file; the inverse of loading.

    Args:
        table: entries of the format.
        weights: Keras variables by path.
    """

    def array(path: str) -> np.ndarray:
        # The formats hold float32, which holds half-precision weights exactly.
        return keras.ops.convert_to_numpy(keras.ops.cast(weights[path], "float32"))

    return {entry.name: entry.to_theirs(*map(array, entry.paths)) for entry in table}
