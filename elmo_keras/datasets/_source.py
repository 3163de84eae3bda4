"""Reads a data file from a local folder or from the network, and checks its content."""

import gzip
import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from elmo_keras.datasets.dataset_unavailable import DatasetUnavailable
from elmo_keras.files import download, first_bytes

FOLDER_VARIABLE = "ELMO_KERAS_DATA"
CACHE = "datasets"  # folder inside the cache of downloads
_LARGEST_MEMBER = 64 << 20  # bytes of a file in a zip archive


class Source(NamedTuple):
    """The location of a data file, and the checksum of its content.

    Attributes:
        relative_path: str. Path inside the folder that `ELMO_KERAS_DATA` names, with `/` between
            its parts. A gzip file is decompressed.
        address: str. Public address of the file, used if `ELMO_KERAS_DATA` is not set.
        sha256: str. Checksum of the content after decompression and `prepare`.
        prepare: Callable. Maps the decompressed content of the file to the part that is used.
            Defaults to `None`: all of it.
        member: str. Name of the file, without folders, if `address` is a zip archive. The file in
            the folder that `ELMO_KERAS_DATA` names may be that archive or the file itself.
            Defaults to `None`: not an archive.
    """

    relative_path: str
    address: str
    sha256: str
    prepare: Callable[[bytes], bytes] | None = None
    member: str | None = None


def read_source(source: Source) -> bytes:
    """Reads a data file from the folder that `ELMO_KERAS_DATA` names, or else from the network.

    A downloaded file is kept in the Keras cache for later calls. A cached file with wrong content
    is removed and downloaded once more. Files in the local folder are never removed.

    Args:
        source: Source. The file and its checksum.

    Returns:
        The content that is used, with a verified checksum.

    Raises:
        FileNotFoundError: if `ELMO_KERAS_DATA` is set and the file is not in that folder.
        DatasetUnavailable: if `ELMO_KERAS_DATA` is not set and the file cannot be downloaded.
        ValueError: if the file has other content.

    Example:

    ```python
    content = read_source(Source("sent_sst/trees/dev.txt", address, sha256))
    ```
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        return _read_checked(source, _find_local(source, folder))
    try:
        return _read_download(source)
    except ValueError:  # A cached file may be damaged: download it once more.
        pass
    try:
        return _read_download(source)
    except ValueError as error:
        raise ValueError(
            f"{error} The copy is removed from the cache: call again to download the file."
        ) from error


def _read_download(source: Source) -> bytes:
    """Reads the cached copy of a file, and removes it if its content is wrong."""
    path = _download(source)
    try:
        return _read_checked(source, path)
    except ValueError:
        path.unlink(missing_ok=True)
        raise


def _find_local(source: Source, folder: str) -> Path:
    path = Path(folder).expanduser() / source.relative_path
    if not path.is_file():
        raise FileNotFoundError(
            f"The folder that {FOLDER_VARIABLE} names must hold the file "
            f"`{source.relative_path}`. Received: {FOLDER_VARIABLE}={folder}, without the file "
            f"`{path}`. Put the content of {source.address} there, or unset {FOLDER_VARIABLE} to "
            "download it."
        )
    return path


def _download(source: Source) -> Path:
    try:
        return download.fetch(source.address, cache=CACHE)
    except (OSError, ValueError) as error:
        raise DatasetUnavailable(
            f"{source.address} must be reachable, or {FOLDER_VARIABLE} must name a folder with "
            f"the file `{source.relative_path}` in it. Received: "
            f"{getattr(error, 'received', error)}. Connect to the network, or set the environment "
            f"variable {FOLDER_VARIABLE} to a folder laid out as `<folder>/{source.relative_path}`."
        ) from error


def _read_checked(source: Source, path: Path) -> bytes:
    content = path.read_bytes()
    if source.member is not None and zipfile.is_zipfile(io.BytesIO(content)):
        content = _read_member(source, path, source.member)
    is_gzip = first_bytes.is_gzip(content)
    if is_gzip:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(
                f"`{path}` must be a whole gzip file. Received: {error}. "
                f"Fetch it again from {source.address}."
            ) from error
    first_bytes.check_is_text(content, path, "UTF-8 text", "gzip" if is_gzip else None)
    # Some editors add a byte order mark.
    content = content.removeprefix(first_bytes.UTF8_MARK)
    if source.prepare is not None:
        content = source.prepare(content)
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != source.sha256:
        raise ValueError(
            f"The content of `{path}` must have the sha256 {source.sha256}. "
            f"Received: sha256={sha256}. The file is damaged or has another version: fetch it from "
            f"{source.address}."
        )
    return content


def _read_member(source: Source, path: Path, member: str) -> bytes:
    """Reads the file called `member` from a zip archive, from any folder in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = [info for info in archive.infolist() if _base_name(info) == member]
            if len(found) == 1 and found[0].file_size <= _LARGEST_MEMBER:
                return archive.read(found[0])
            received = ", ".join(f"{info.filename} ({info.file_size} bytes)" for info in found)
    except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        received = str(error)
    raise ValueError(
        f"`{path}` must be a whole zip archive with one file `{member}` of at most "
        f"{_LARGEST_MEMBER} bytes. Received: {received or 'an archive without that file'}. "
        f"Fetch it again from {source.address}."
    )


def _base_name(info: zipfile.ZipInfo) -> str:
    return info.filename.rpartition("/")[2]
