"""What a run of pretraining is resumed from: one file, replaced as a whole."""

import json
import os
import pathlib
from typing import Any, NamedTuple

import h5py
import numpy as np

from elmo_keras.checkpoints.whole_file import written_whole

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
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial, open(partial, "wb+") as raw:
            with h5py.File(raw, "w") as file:
                for name, array in checkpoint.arrays.items():
                    file.create_dataset(name, data=array)
                text = json.dumps(checkpoint.state, ensure_ascii=False)
                file.create_dataset(_STATE, data=np.frombuffer(text.encode(), "uint8"))
            raw.flush()
            os.fsync(raw.fileno())
    # h5py turns what the system says into other kinds of errors.
    except (OSError, RuntimeError, ValueError) as error:
        raise OSError(
            f"The checkpoint {path} could not be written: {error}. "
            + ("The previous one is whole. " if path.exists() else "")
            + "Make room and run the command again: it goes on from there."
        ) from error


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
