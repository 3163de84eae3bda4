"""Turns a source (a path, archive, address or name) into local files."""

import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from elmo_keras.checkpoints import bilm_hdf5, softmax
from elmo_keras.files import archive, download
from elmo_keras.presets import native_format
from elmo_keras.presets.catalog import BUNDLED, PUBLISHED

EXPECTED = (
    "`source` must be a directory or an archive (zip, tar) with a model, the path of HDF5 weights "
    "with the options beside them, a pair (options, weights), an http(s) address of any of these, "
    f"or one of the names {', '.join(map(repr, (*BUNDLED, *PUBLISHED)))}."
)
FILE_SETS = (native_format.FILES, bilm_hdf5.FILES, softmax.FILES)
# Ends of the addresses of the two files of an AllenNLP model.
_WEIGHTS_ADDRESS, _OPTIONS_ADDRESS = "weights.hdf5", "options.json"


@contextlib.contextmanager
def local(source: Any, sha256: Any = None) -> Iterator[list[pathlib.Path]]:
    """Yields the local paths of a source: one directory, one file, or two files.

    Downloads an address and unpacks an archive; unpacked files exist inside the `with` statement.

    Args:
        source: see `ElmoLayer.from_preset`.
        sha256: checksum of the file at an address, or a pair of them. Defaults to `None`: the
            checksum of the catalogue for a name, no check for an address.

    Raises:
        ValueError: if the source has no known format, or if a checksum differs.
        OSError: if an address cannot be reached.
    """
    with contextlib.ExitStack() as stack:
        paths = [_fetched(*pair) for pair in _addressed(source, sha256)]
        if len(paths) != 1 or not _is_archive(paths[0]):
            yield paths
            return
        (packed,) = paths
        folder = stack.enter_context(archive.unpacked(packed))
        try:
            yield [folder]
        except ValueError as error:
            # The folder no longer exists when the error is read: name the archive instead.
            raise ValueError(str(error).replace(str(folder), str(packed))) from error


def place(path: pathlib.Path) -> pathlib.Path:
    """Returns the current path of a file: its own, or its path in the folder of a killed save.

    Args:
        path: path at which the file belongs.
    """
    places = (files.place(path) for files in FILE_SETS)
    return next((found for found in places if found != path), path)


def _addressed(source: Any, sha256: Any) -> list[tuple[Any, str | None]]:
    """Returns the path or address, and the checksum, of each file that a source names."""
    names = (*BUNDLED, *PUBLISHED)
    if isinstance(source, str) and source in names and not pathlib.Path(source).exists():
        source, sha256 = _named(source, sha256)
    elif isinstance(source, str) and download.is_address(source):
        # The options of HDF5 weights are published beside them.
        if source.endswith(_WEIGHTS_ADDRESS):
            options = source.removesuffix(_WEIGHTS_ADDRESS) + _OPTIONS_ADDRESS
            source, sha256 = (options, source), _with_options(sha256)
    if isinstance(source, (list, tuple)):
        if len(source) != 2:
            raise ValueError(f"{EXPECTED} Received: {len(source)} paths.")
        sha256 = (None, None) if sha256 is None else sha256
        if isinstance(sha256, str) or len(sha256) != 2:
            raise ValueError(
                "For two files, `sha256` must be a pair of checksums. Received: "
                f"sha256={sha256!r}. Pass None for an unknown checksum."
            )
        return list(zip(source, sha256))
    if sha256 is not None and not isinstance(sha256, str):
        raise ValueError(
            f"`sha256` must be a str, or None. Received: sha256={sha256!r}. Pass the checksum of "
            "the file as 64 hexadecimal digits."
        )
    return [(source, sha256)]


def _named(name: str, sha256: Any) -> tuple[Any, Any]:
    """Returns the source that a name of the catalogue stands for, and its checksums."""
    if name in BUNDLED:
        return BUNDLED[name], sha256
    published = PUBLISHED[name]
    return published.address, published.sha256 if sha256 is None else sha256


def _with_options(sha256: Any) -> Any:
    """Returns the checksums of (options, weights), given the checksum of the weights or a pair."""
    return (None, sha256) if isinstance(sha256, str) else sha256


def _fetched(source: Any, sha256: str | None) -> pathlib.Path:
    if isinstance(source, str) and download.is_address(source):
        return download.fetch(source, sha256)
    if sha256 is not None:
        raise ValueError(
            f"`sha256` is for files that are downloaded. Received: `sha256` with {str(source)!r}. "
            "Leave it out."
        )
    if not isinstance(source, (str, os.PathLike)):
        raise ValueError(f"{EXPECTED} Received: {source!r} of type {type(source).__name__}.")
    path = pathlib.Path(source).expanduser()
    is_prefix = path.with_name(path.name + ".index").is_file()  # of a TensorFlow checkpoint
    if not place(path).exists() and not is_prefix:
        raise ValueError(f"{EXPECTED} Received: {str(path)!r}, which does not exist.")
    return path


def _is_archive(path: pathlib.Path) -> bool:
    # A torch file is a zip archive too.
    return path.is_file() and path.suffix != ".pkl" and archive.is_archive(path)
