"""One strict loader for all formats: a format is a table, this fills a layer from it."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np

from elmo_keras import kernels
from elmo_keras.layers.composite import given_weights

# Tensors of TensorFlow begin at multiples of it; so an array that does can become one as it is.
ALIGNMENT = 64


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of a format's table: a dataset of theirs, and what it is of ours.

    Attributes:
        name: their name.
        shape: their shape.
        paths: paths of our weights that hold it, see `given_weights`; most often one.
        to_ours: their array -> the list of our arrays.
        to_theirs: our arrays -> their array. Its exact inverse, to the last bit.
    """

    name: str
    shape: tuple[int, ...]
    paths: tuple[str, ...]
    to_ours: Callable[[np.ndarray], Sequence[np.ndarray]]
    to_theirs: Callable[..., np.ndarray]


def same(name: str, shape: tuple[int, ...], path: str) -> Entry:
    """An entry whose dataset is the weight as it is."""
    return Entry(name, tuple(shape), (path,), lambda x: [x], lambda x: x)


def without_padding(name: str, shape: tuple[int, int], path: str) -> Entry:
    """An entry for a table of vectors that has no row for id 0, padding; ours is zeros."""
    rows, dim = shape

    def to_ours(x):
        table = empty((rows + 1, dim))
        table[0], table[1:] = 0, x
        return [table]

    return Entry(name, (rows, dim), (path,), to_ours, lambda x: x[1:])


@dataclasses.dataclass(frozen=True)
class Dataset:
    """An array in a file: what it is can be asked before memory is taken for it.

    Attributes:
        shape: its shape.
        dtype: what numpy calls its type.
        read: gives the array, a new one at each call.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]


def empty(shape: Sequence[int]) -> np.ndarray:
    """Room for a float32 array, aligned: TensorFlow takes such memory over without a copy."""
    size = 4 * math.prod(shape)
    room = np.empty(size + ALIGNMENT, dtype="uint8")
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size].view("float32").reshape(shape)


def check(table: Sequence[Entry], datasets: Mapping[str, Dataset], source: str) -> None:
    """Compares a file with a format's table; nothing of it is read.

    Args:
        table: the format's rows.
        datasets: what the file holds.
        source: what the file is called in an error.

    Raises:
        ValueError: if datasets are missing, left over, or of a wrong shape or type; they are named.
    """
    expected = {entry.name: entry for entry in table}
    problems = [f"missing: {name}" for name in expected if name not in datasets]
    problems += [f"not used: {name}" for name in datasets if name not in expected]
    for name in expected.keys() & datasets.keys():
        dataset = datasets[name]
        if tuple(dataset.shape) != expected[name].shape:
            problems.append(
                f"wrong shape: {name} must be {expected[name].shape}, is {tuple(dataset.shape)}"
            )
        elif np.dtype(dataset.dtype).kind != "f":
            problems.append(f"wrong type: {name} must hold floats, holds {dataset.dtype}")
    if problems:
        shown = sorted(problems)[:40]
        more = [f"and {len(problems) - len(shown)} more"] if len(problems) > len(shown) else []
        raise ValueError(
            f"The weights in {source} must be those that its options describe. Received:\n  "
            + "\n  ".join([*shown, *more])
            + "\nCheck that options and weights belong to the same model."
        )


@contextlib.contextmanager
def filling(table: Sequence[Entry], datasets: Mapping[str, Dataset], source: str) -> Iterator[None]:
    """Inside, layers are built with the weights of a file, each read when its turn comes.

    Args:
        table: the format's rows, one for every weight that is built.
        datasets: what the file holds.
        source: what the file is called in an error.

    Raises:
        ValueError: if file and table disagree, before anything is built; if the file cannot be
            read or holds numbers that are none.
    """
    check(table, datasets, source)
    entry_of = {path: entry for entry in table for path in entry.paths}
    arrays = {}  # of entries that several weights share, those that are still to be fetched

    def find(path, shape, dtype=None):
        if path not in arrays:
            entry = entry_of[path]
            array = read(datasets[entry.name], entry.name, source)
            arrays.update(zip(entry.paths, entry.to_ours(array)))
        return value(arrays.pop(path), dtype)

    with given_weights(find):
        yield


def value(array: np.ndarray, dtype: str | None = None):
    """A tensor that a weight can start as; the array is not to be used any more."""
    tensor = kernels.adopt(array)
    return tensor if dtype in (None, "float32") else keras.ops.cast(tensor, dtype)


def dump(table: Sequence[Entry], weights: Mapping) -> dict[str, np.ndarray]:
    """The datasets of a table, from weights by their paths; inverse of `filling`."""

    def array(path):
        # Half-precision weights are exact in float32, which the formats hold.
        return keras.ops.convert_to_numpy(keras.ops.cast(weights[path], "float32"))

    return {entry.name: entry.to_theirs(*map(array, entry.paths)) for entry in table}


def read(dataset: Dataset, name: str, source: str) -> np.ndarray:
    """A dataset as float32, or a ValueError that names it."""
    try:
        with np.errstate(over="ignore"):  # What is too large for float32 is found below.
            array = np.asarray(dataset.read(), dtype="float32")
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise ValueError(
            f"The weights in {source} must be readable. Received: an error at {name} ({error}). "
            "The file is damaged or cut short: fetch it again."
        ) from error
    # The sum is finite if all numbers are, unless they are huge: only then look at each.
    with np.errstate(over="ignore", invalid="ignore"):
        is_finite = np.isfinite(array.sum()) or np.isfinite(array).all()
    if not is_finite:
        raise ValueError(
            f"The weights in {source} must be finite. Received: {name} holds NaN or infinity. "
            "The file is damaged: fetch it again."
        )
    return array


def in_dtype(arrays: Mapping[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    """Finite arrays in the dtype that a file holds them in.

    Args:
        arrays: float32 by name.
        dtype: `"float32"` or `"float16"`.

    Raises:
        ValueError: if float16 cannot hold them.
    """
    if dtype == "float16":
        largest = max((float(np.abs(a).max()) for a in arrays.values() if a.size), default=0.0)
        if largest > float(np.finfo("float16").max):
            raise ValueError(
                "Weights must be below 65504 to be saved in float16. "
                f"Received: a weight of {largest:g}. Save them in float32."
            )
    return {name: array.astype(dtype, copy=False) for name, array in arrays.items()}
