"""One strict loader for all formats: a format is a table, this fills a layer from it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of a format's table: a dataset of theirs, and what it is of ours.

    Attributes:
        name: their name.
        variables: our variables that hold it; most often one.
        shape: their shape.
        to_ours: their array -> the list of our arrays.
        to_theirs: our arrays -> their array. Its exact inverse, to the last bit.
    """

    name: str
    variables: Sequence[keras.Variable]
    shape: tuple[int, ...]
    to_ours: Callable[[np.ndarray], list[np.ndarray]]
    to_theirs: Callable[..., np.ndarray]


def same(name: str, variable: keras.Variable) -> Entry:
    """An entry whose dataset is the variable as it is."""
    return Entry(name, [variable], tuple(variable.shape), lambda x: [x], lambda x: x)


def load(table: Sequence[Entry], datasets: Mapping, source: str) -> None:
    """Fills the variables of a table from a file's datasets.

    Everything is checked before anything is read, and everything is read before anything is
    assigned: a variable changes only if all can.

    Args:
        table: the format's rows.
        datasets: their name -> something with `shape` and `dtype` that `np.asarray` reads.
        source: what the file is called in an error.

    Raises:
        ValueError: if datasets are missing, left over, or of a wrong shape or type; all of them
            are named.
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
        raise ValueError(
            f"The weights in {source} must be those that its options describe. Received:\n  "
            + "\n  ".join(sorted(problems))
            + "\nCheck that options and weights belong to the same model."
        )
    arrays = [entry.to_ours(_read(datasets[entry.name], entry.name, source)) for entry in table]
    for entry, ours in zip(table, arrays):
        for variable, array in zip(entry.variables, ours):
            variable.assign(array)


def dump(table: Sequence[Entry]) -> dict[str, np.ndarray]:
    """The datasets of a table, from its variables; inverse of `load`."""

    def array(variable):
        # Half-precision weights are exact in float32, which the formats hold.
        return keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))

    return {entry.name: entry.to_theirs(*map(array, entry.variables)) for entry in table}


def _read(dataset, name, source):
    try:
        array = np.asarray(dataset[...], dtype="float32")
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"The weights in {source} must be readable. Received: an error at {name} ({error}). "
            "The file is damaged or cut short: fetch it again."
        ) from error
    if not np.isfinite(array).all():
        raise ValueError(
            f"The weights in {source} must be finite. Received: {name} holds NaN or infinity. "
            "The file is damaged: fetch it again."
        )
    return array
