"""Where a source lies: a path, an archive, an address or a published name becomes local files."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

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
# What AllenNLP calls the two files of a model.
_WEIGHTS_ADDRESS, _OPTIONS_ADDRESS = "weights.hdf5", "options.json"


@contextlib.contextmanager
def local(source, sha256=None) -> Iterator[list[pathlib.Path]]:
    """The local files of a source: one directory, one file, or two files.

    Files of an archive are there as long as the context is.

    Args:
        source: see `ElmoLayer.from_preset`.
        sha256: the checksum of what an address gives, or a pair of them; `None` for none.

    Raises:
        ValueError: if it is nothing of the kind, or a checksum is wrong.
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
            # The folder is gone when the error is read: name the archive.
            raise ValueError(str(error).replace(str(folder), str(packed))) from error


def place(path: pathlib.Path) -> pathlib.Path:
    """Where the file is that belongs at a path: there, or where a killed save has left it."""
    places = (files.place(path) for files in FILE_SETS)
    return next((found for found in places if found != path), path)


def _addressed(source, sha256):
    """`(path or address, checksum)` of each file that a source names."""
    names = BUNDLED | PUBLISHED
    if isinstance(source, str) and source in names and not pathlib.Path(source).exists():
        source = names[source]
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
                "Of two files, `sha256` must be a pair of checksums, None for an unknown one. "
                f"Received: sha256={sha256!r}"
            )
        return list(zip(source, sha256))
    if sha256 is not None and not isinstance(sha256, str):
        raise ValueError(f"`sha256` must be a str, or None. Received: sha256={sha256!r}")
    return [(source, sha256)]


def _with_options(sha256):
    """Checksums of (options, weights), where one alone is that of the weights."""
    return (None, sha256) if isinstance(sha256, str) else sha256


def _fetched(source, sha256):
    if isinstance(source, str) and download.is_address(source):
        return download.fetch(source, sha256)
    if sha256 is not None:
        raise ValueError(
            f"`sha256` is for files that are fetched. Received: it with {str(source)!r}."
        )
    if not isinstance(source, (str, os.PathLike)):
        raise ValueError(f"{EXPECTED} Received: {source!r} of type {type(source).__name__}.")
    path = pathlib.Path(source).expanduser()
    is_prefix = path.with_name(path.name + ".index").is_file()  # of a TensorFlow checkpoint
    if not place(path).exists() and not is_prefix:
        raise ValueError(f"{EXPECTED} Received: {str(path)!r}, which does not exist.")
    return path


def _is_archive(path):
    # A torch file is a zip, too.
    return path.is_file() and path.suffix != ".pkl" and archive.is_archive(path)
