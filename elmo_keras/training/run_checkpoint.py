"""The checkpoint of a pretraining run: one HDF5 file, from which the run is resumed.

A checkpoint belongs to the user's own run and is trusted: it is read without the limits that
`elmo_keras.files.safe_hdf5` sets for files of unknown origin.
"""

import json
import pathlib
from typing import Any, NamedTuple

import h5py
import numpy as np

from elmo_keras.files.atomic_write import write_atomically
from elmo_keras.files.safe_hdf5 import write_arrays

CHECKPOINT_FILE = "checkpoint.h5"
_STATE = "state"


class RunCheckpoint(NamedTuple):
    """The complete state of a run.

    Attributes:
        arrays: dict of names to arrays: the weights, the optimizer's variables, the LSTM states.
        state: dict of JSON-compatible values: the step, the position in the corpus, the options.
    """

    arrays: dict[str, np.ndarray]
    state: dict[str, Any]


def save(checkpoint: RunCheckpoint, directory: pathlib.Path) -> None:
    """Writes a checkpoint, and replaces the previous one when the new one is complete.

    Args:
        checkpoint: `RunCheckpoint`.
        directory: path of the run.

    Raises:
        OSError: if the file cannot be written, for example because the disk is full. The previous
            checkpoint is then unchanged.
    """
    path = directory / CHECKPOINT_FILE
    text = json.dumps(checkpoint.state, ensure_ascii=False)
    arrays = {**checkpoint.arrays, _STATE: np.frombuffer(text.encode(), "uint8")}
    previous = "The previous one is whole." if path.exists() else "No previous checkpoint exists."
    advice = "Free disk space and run the command again: it resumes from there."
    write_atomically(path, lambda file: write_arrays(file, arrays), previous, advice)


def load(directory: pathlib.Path) -> RunCheckpoint | None:
    """Reads the checkpoint of a run.

    Args:
        directory: path of the run.

    Returns:
        `RunCheckpoint`, or `None` if the directory has none.

    Raises:
        ValueError: if the file is damaged.
    """
    path = directory / CHECKPOINT_FILE
    if not path.is_file():
        return None
    arrays: dict[str, np.ndarray] = {}
    try:
        with h5py.File(path, "r") as file:
            state = json.loads(bytes(file[_STATE][()]).decode())

            def visit(name: str, item: Any) -> None:
                if isinstance(item, h5py.Dataset) and name != _STATE:
                    arrays[name] = item[()]

            file.visititems(visit)
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{path} must be a checkpoint of pretraining. Received: {error}. Remove it to start "
            "the run from the beginning."
        ) from error
    return RunCheckpoint(arrays, state)
