"""Finds a data file in a local folder or on the network, and checks what it holds."""

import gzip
import hashlib
import os
import posixpath
import urllib.error
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from elmo_keras.datasets.dataset_unavailable import DatasetUnavailable

FOLDER_VARIABLE = "ELMO_KERAS_DATA"
CACHE_SUBDIR = "elmo_keras"


class Source(NamedTuple):
    """Where a data file is and what it must hold.

    Args:
        relative_path: str. The file inside the folder that `ELMO_KERAS_DATA` names, with `/`
            between its parts. A name that ends in `.gz` is decompressed.
        address: str. The file's public address, used when `ELMO_KERAS_DATA` is not set.
        sha256: str. Checksum of the content that is used: decompressed, and after `prepare`.
        prepare: Callable. Takes the content of the file and gives the part that is used.
            Defaults to `None`: all of it.
    """

    relative_path: str
    address: str
    sha256: str
    prepare: Callable[[bytes], bytes] | None = None


def read_source(source: Source) -> bytes:
    """Reads a data file, from the local folder if there is one and else from the network.

    A file from the network is kept in the Keras cache, and taken from there on the next call. It
    is removed from the cache if its content is wrong, so that the next call starts afresh. A
    file of the local folder is never removed.

    Args:
        source: Source. Where the file is and what it must hold.

    Returns:
        The content that is used, its checksum already verified.

    Raises:
        FileNotFoundError: If `ELMO_KERAS_DATA` is set and the file is not in that folder.
        DatasetUnavailable: If `ELMO_KERAS_DATA` is not set and the file cannot be downloaded.
        ValueError: If the file does not hold what it must.

    Example:

    ```python
    content = read_source(Source("sent_sst/trees/dev.txt", address, sha256))
    ```
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        return _read_checked(source, _find_local(source, folder))
    path = _download(source)
    try:
        return _read_checked(source, path)
    except ValueError as error:
        path.unlink(missing_ok=True)
        raise ValueError(
            f"{error} It is removed from the cache: call again to download it afresh."
        ) from error


def _find_local(source: Source, folder: str) -> Path:
    path = Path(folder).expanduser() / source.relative_path
    if not path.is_file():
        raise FileNotFoundError(
            f"The folder that {FOLDER_VARIABLE} names must hold the file "
            f"`{source.relative_path}`, but there is no file `{path}`. "
            f"Received: {FOLDER_VARIABLE}={folder}. Put the content of {source.address} there, "
            f"or unset {FOLDER_VARIABLE} to download it."
        )
    return path


def _download(source: Source) -> Path:
    # Keras is slow to import and only a download needs it.
    import keras

    # The cache is flat: `train.txt` alone would not say of which data set.
    data_set = source.relative_path.split("/")[0]
    arguments = {
        "fname": f"{data_set}-{posixpath.basename(source.address)}",
        "origin": source.address,
        "cache_subdir": CACHE_SUBDIR,
    }
    # The checksum is that of the raw file only if the raw file is what is used.
    file_hash = source.sha256 if source.prepare is None else None
    try:
        try:
            path = keras.utils.get_file(**arguments, file_hash=file_hash, hash_algorithm="sha256")
        except ValueError:
            # The download is done but its checksum is wrong. Keras leaves such a file in its
            # cache and does not say which checksum it has: take the file as it is, and let
            # `_read_checked` say it.
            path = keras.utils.get_file(**arguments)
    except Exception as error:  # Keras raises a bare `Exception` for a failed download.
        # It comes of urllib's error, which for an answer such as 404 holds the open connection.
        if isinstance(error.__context__, urllib.error.HTTPError):
            error.__context__.close()
        raise DatasetUnavailable(
            f"{source.address} must be reachable, or {FOLDER_VARIABLE} must name a folder with "
            f"the file `{source.relative_path}` in it. Received: {error}. Connect to the network, "
            f"or set the environment variable {FOLDER_VARIABLE} to a folder laid out as "
            f"`<folder>/{source.relative_path}`."
        ) from error
    return Path(path)


def _read_checked(source: Source, path: Path) -> bytes:
    # Keras, which is slow to import, comes with it.
    from elmo_keras.files import first_bytes

    content = path.read_bytes()
    is_gzip = path.suffix == ".gz"
    if is_gzip:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(
                f"`{path}` must be a whole gzip file. Received: {error}. "
                f"Get it from {source.address}."
            ) from error
    first_bytes.check_is_text(content, path, "UTF-8 text", "gzip" if is_gzip else None)
    # Some editors write a byte order mark.
    content = content.removeprefix(first_bytes.UTF8_MARK)
    if source.prepare is not None:
        content = source.prepare(content)
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != source.sha256:
        raise ValueError(
            f"The content used of `{path}` must have the sha256 {source.sha256}. "
            f"Received: sha256={sha256}. The file is damaged or of another version: get it from "
            f"{source.address}."
        )
    return content
