"""What a run of pretraining is resumed from: one file, replaced as a whole."""

import json
import os
import pathlib
from typing import Any, NamedTuple

import h5py
import numpy as np

from elmo_keras.files.atomic_write import write_atomically
from elmo_keras.files.safe_hdf5 import write_arrays

FILE = "checkpoint.h5"
_STATE = "state"


class Checkpoint(NamedTuple):
    """All that a run depends on.

    Attributes:
        arrays: by name: the weights, the optimizer's variables, the LSTM states.
        state: what else there is, ready for JSON: the step, the place in the corpus, the options.
    """

    arrays: dict[str, np.ndarray]
    state: dict[str, Any]


def save(checkpoint: Checkpoint, directory: pathlib.Path) -> None:
    """Writes a checkpoint beside the previous one, and then puts it in its place.

    Raises:
        OSError: if it cannot be written, on a full disk say. The previous one is then still there.
    """
    path = directory / FILE
    text = json.dumps(checkpoint.state, ensure_ascii=False)
    arrays = {**checkpoint.arrays, _STATE: np.frombuffer(text.encode(), "uint8")}
    previous = "The previous one is whole." if os.path.exists(path) else "There is none before it."
    advice = "Make room and run the command again: it goes on from there."
    write_atomically(path, lambda file: write_arrays(file, arrays), previous, advice)


def load(directory: pathlib.Path) -> Checkpoint | None:
    """The checkpoint in a directory, or `None` if there is none.

    Raises:
        ValueError: if it is damaged.
    """
    path = directory / FILE
    if not path.is_file():
        return None
    arrays = {}
    try:
        with h5py.File(path, "r") as file:
            state = json.loads(bytes(file[_STATE][()]).decode())

            def visit(name, item):
                if isinstance(item, h5py.Dataset) and name != _STATE:
                    arrays[name] = item[()]

            file.visititems(visit)
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{path} must be a checkpoint of pretraining. Received: {error}. Remove it to start "
            "anew."
        ) from error
    return Checkpoint(arrays, state)
