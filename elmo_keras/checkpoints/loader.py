"""The strict loader of every format: a layer takes all arrays of a file, or none."""

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
    """One row of a format's weight table: an array of the file and the weights that it holds.

    Attributes:
        name: name of the array in the file.
        shape: shape of the array in the file.
        paths: paths of the weights, see `given_weights`; most often one.
        to_ours: function from the file's array to the list of the weights' arrays.
        to_theirs: function from the weights' arrays to the file's array; the exact inverse.
    """

    name: str
    shape: tuple[int, ...]
    paths: tuple[str, ...]
    to_ours: Callable[[np.ndarray], Sequence[np.ndarray]]
    to_theirs: Callable[..., np.ndarray]


def identity_entry(name: str, shape: Sequence[int], path: str) -> Entry:
    """An entry for an array that is stored as the weight holds it.

    Args:
        name: name of the array in the file.
        shape: shape of both.
        path: path of the weight.
    """
    return Entry(name, tuple(shape), (path,), lambda x: [x], lambda x: x)


def without_padding(name: str, shape: tuple[int, int], path: str) -> Entry:
    """An entry for a table of vectors whose file has no row for id 0; the layer's row is zeros.

    Args:
        name: name of the array in the file.
        shape: `(rows, dim)` of the array in the file; the weight has one row more.
        path: path of the weight.
    """
    rows, dim = shape

    def to_ours(x):
        table = aligned_empty((rows + 1, dim))
        table[0], table[1:] = 0, x
        return [table]

    return Entry(name, (rows, dim), (path,), to_ours, lambda x: x[1:])


class MismatchError(ValueError):
    """The arrays of a file are not the weights that its description names."""


class StrictLoader:
    """Gives layers the arrays of a file as weights, and checks that both agree.

    Args:
        arrays: the arrays of the file, by name.
        source: name of the file, for errors.
        table: entries of the format, one for each weight; `None` if the names in the file are the
            paths of the weights.
        described_by: the file that describes the weights, for errors.
        advice: last sentence of an error.
    """

    def __init__(
        self,
        arrays: Mapping[str, StoredArray],
        source: str,
        table: Sequence[Entry] | None = None,
        described_by: str = "options",
        advice: str = "Check that options and weights belong to the same model.",
    ):
        self.arrays = arrays
        self.source = source
        self.table = table
        self.described_by = described_by
        self.advice = advice
        self._entry_of = {path: entry for entry in table or () for path in entry.paths}
        self._converted: dict[str, np.ndarray] = {}  # weights of an entry read for another one
        self._used: set[str] = set()

    def check_table(self) -> None:
        """Compares the file with the table, without reading values.

        Raises:
            MismatchError: names every array that is missing, left over, or of a wrong shape or
                type.
        """
        expected = {entry.name: entry.shape for entry in self.table or ()}
        problems = [self._problem(name, shape) for name, shape in expected.items()]
        problems += [f"not used: {name}" for name in self.arrays if name not in expected]
        self._raise(filter(None, problems))

    def check_array(self, name: str, shape: Sequence[int]) -> None:
        """Raises a MismatchError unless the file holds floats of a shape under a name."""
        self._raise(filter(None, [self._problem(name, shape)]))

    def weight(self, path: str, shape: Sequence[int], dtype: str | None = None) -> Any:
        """The value of a weight, as `given_weights` asks for it.

        Args:
            path: path of the weight.
            shape: shape of the weight.
            dtype: of the value; `None` for float32.

        Returns:
            A tensor that owns the array's memory where the backend allows it.

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
        """Whether some weight took the array of a name."""
        return name in self._used

    def check_all_used(self, ignored: Sequence[str] = ()) -> None:
        """Raises a MismatchError if no weight took some array of the file.

        Args:
            ignored: beginnings of the names that may be left.
        """
        left = [name for name in self.arrays if name not in self._used]
        left = [name for name in left if not name.startswith(tuple(ignored))]
        self._raise(f"not used: {name}" for name in left)

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """Inside, layers are built with the weights of the file; each is read when it is needed.

        Raises:
            MismatchError: if file and table disagree, before anything is built.
        """
        if self.table is not None:
            self.check_table()
        with given_weights(self.weight):
            yield

    def _problem(self, name, shape):
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
            f"The weights in {self.source} must be those that its {self.described_by} describes. "
            "Received:\n  " + "\n  ".join(lines) + f"\n{self.advice}"
        )


def tensor_of(array: np.ndarray, dtype: str | None = None) -> Any:
    """Converts an array to a tensor that initialises a weight.

    Takes over the array's memory: do not use the array afterwards.

    Args:
        array: float32 array.
        dtype: of the tensor; `None` for float32.
    """
    tensor = backend.adopt(array)
    return tensor if dtype in (None, "float32") else keras.ops.cast(tensor, dtype)


def dump(table: Sequence[Entry], weights: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Converts weights to the arrays of a format's file; the inverse of loading.

    Args:
        table: entries of the format.
        weights: Keras variables by path.
    """

    def array(path):
        # Half-precision weights are exact in float32, which the formats hold.
        return keras.ops.convert_to_numpy(keras.ops.cast(weights[path], "float32"))

    return {entry.name: entry.to_theirs(*map(array, entry.paths)) for entry in table}
