"""Finds out what a source is, and reads it."""

import os
import pathlib

from elmo_keras.checkpoints import hdf5
from elmo_keras.layers.elmo_layer import ElmoLayer

_EXPECTED = (
    "`source` must be a directory with the options (JSON) and the weights (HDF5) of one bilm-tf or "
    "AllenNLP model, the path of such weights with the options beside them, or a pair (options, "
    "weights) of paths."
)


def load_elmo_layer(source, cls=ElmoLayer, **options) -> ElmoLayer:
    """See `ElmoLayer.from_preset`."""
    options_path, weights_path = find_files(source)
    return hdf5.load_hdf5(options_path, weights_path, cls=cls, **options)


def find_files(source) -> tuple[pathlib.Path, pathlib.Path]:
    """The paths of the options and of the weights that a source stands for.

    Args:
        source: str, path, or a pair of them.

    Returns:
        `(options, weights)`.

    Raises:
        ValueError: if there is nothing, or more than one thing, that it could be.
    """
    if isinstance(source, (list, tuple)):
        if len(source) != 2:
            raise ValueError(f"{_EXPECTED} Received: {len(source)} paths.")
        paths = tuple(map(_existing, source))
        return paths if paths[1].suffix != ".json" else paths[::-1]
    if not isinstance(source, (str, os.PathLike)):
        raise ValueError(f"{_EXPECTED} Received: {source!r} of type {type(source).__name__}.")
    path = _existing(source)
    directory = path if path.is_dir() else path.parent
    # A directory may hold other HDF5 files, vectors for example: look inside.
    weights = [path] if path.is_file() else _find(directory, "*.hdf5", "*.h5")
    if len(weights) > 1:
        weights = [candidate for candidate in weights if hdf5.is_weights(candidate)] or weights
    options = _find(directory, "options.json") or _find(directory, "*options*.json")
    return _only(options, "options", directory), _only(weights, "weights", directory)


def _existing(path):
    path = pathlib.Path(path).expanduser()
    if not path.exists():
        raise ValueError(f"{_EXPECTED} Received: {str(path)!r}, which does not exist.")
    return path


def _find(directory, *patterns):
    return sorted(path for pattern in patterns for path in directory.glob(pattern))


def _only(paths, what, directory):
    if len(paths) == 1:
        return paths[0]
    found = ", ".join(path.name for path in paths) or "none"
    content = ", ".join(sorted(path.name for path in directory.iterdir())[:20]) or "nothing"
    raise ValueError(
        f"{_EXPECTED} Received: {str(directory)!r} with {what}: {found} (it holds: {content}). "
        "Name the two files as a pair (options, weights)."
    )
