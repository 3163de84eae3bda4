"""Safe unpacking of untrusted zip and tar archives: complete, within bounds, or an error."""

import contextlib
import gzip
import lzma
import pathlib
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO, cast

from elmo_keras.files import first_bytes

_MOST_MEMBERS = 10_000
_MOST_PARTS = 50  # of a name: removing deeper folders exceeds Python's recursion limit
_RATIO = 200  # largest ratio of unpacked to packed size
_GRACE = 16 << 20  # bytes added to that bound, because small files may hold mostly zeros
_RESERVE = 1 << 30  # bytes that stay free on the disk
_CHUNK = 1 << 17
_LONGEST_HEADER = 1 << 20  # bytes, of one tar member
_BLOCK = 512  # bytes, the unit of a tar archive

_ZIP, _TAR, _TAR_GZ = "zip", "tar", "tar.gz"

# Exceptions that the parsers of the standard library raise for damaged archives.
_DAMAGED = (
    ArithmeticError,  # of offsets that are too large
    EOFError,
    LookupError,
    OSError,
    RuntimeError,  # with its subclass NotImplementedError
    ValueError,  # with its subclass UnicodeDecodeError
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
)


class _UnsafeError(Exception):
    """An archive has a member that must not be unpacked.

    Args:
        must: the violated condition, as in "`path` must MUST".
        received: description of the member.
    """

    def __init__(self, must: str, received: str) -> None:
        super().__init__(must, received)
        self.must = must
        self.received = received


def is_archive(path: pathlib.Path) -> bool:
    """Returns whether a file is a zip, tar or tar.gz archive, judged by its content.

    Some other formats are zip archives inside, such as the files of `torch.save`: check for those
    formats first.

    Args:
        path: path of a file; `False` for anything else.

    Returns:
        `True` also for a truncated archive, for which `unpacked` raises an error.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _format_of(file) is not None


@contextlib.contextmanager
def unpacked(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Unpacks an archive into a temporary folder, which is removed on leaving the context.

    Untrusted archives are safe: only plain files and folders are created, all of them inside the
    temporary folder, and their total size is bounded by the sizes of the archive and of the disk.
    Files that macOS adds to archives (`__MACOSX`, `.DS_Store`, `._name`) are skipped.

    Args:
        path: path of a zip, tar or tar.gz file.

    Yields:
        The path of the temporary folder, with the files of the archive under their own names.

    Raises:
        ValueError: if the file is not an archive, is damaged, or has a member that is not safe to
            unpack.
        OSError: if the file cannot be opened.

    Example:

    ```python
    with unpacked(pathlib.Path("model.zip")) as folder:
        names = [path.name for path in folder.iterdir()]
    ```
    """
    with tempfile.TemporaryDirectory(prefix="elmo_keras-") as name:
        with path.open("rb") as file:
            _unpack(file, path, pathlib.Path(name))
        yield pathlib.Path(name)


def _unpack(file: BinaryIO, path: pathlib.Path, root: pathlib.Path) -> None:
    size = path.stat().st_size
    folder = _Folder(root)
    try:
        format = _format_of(file)
        file.seek(0)
        if format == _ZIP:
            _unpack_zip(file, size, folder)
        elif format == _TAR:
            _unpack_tar(_Tar(file, size), folder)
        elif format == _TAR_GZ:
            with gzip.GzipFile(fileobj=file) as stream:
                _unpack_tar(_Tar(stream, _RATIO * size + _GRACE), folder)
        else:
            raise _UnsafeError("be a zip, tar or tar.gz archive", "a file in another format")
        if not folder.has_files:
            raise _UnsafeError("hold files", "an archive without files")
    except _UnsafeError as error:
        raise ValueError(
            f"`{path}` must {error.must}. Received: {error.received}. If you trust it, unpack it "
            "yourself and pass the path of the folder."
        ) from error
    except _DAMAGED as error:
        raise ValueError(
            f"`{path}` must be a whole zip, tar or tar.gz archive. Received: damaged content "
            f"({type(error).__name__}: {error}). Fetch it again, or unpack it with another program "
            "and pass the path of the folder."
        ) from error


def _format_of(file: BinaryIO) -> str | None:
    # Not `tarfile.is_tarfile`: it reads a member's whole name, which may take gigabytes.
    block = file.read(_BLOCK)
    if block[:4] in (b"PK\3\4", b"PK\5\6"):
        return _ZIP
    if first_bytes.is_gzip(block):
        file.seek(0)
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                return _TAR_GZ if _is_tar_header(stream.read(_BLOCK)) else None
        except (OSError, EOFError, zlib.error):
            return _TAR_GZ
    if _is_tar_header(block):
        return _TAR
    # Other content may precede a zip archive, for example a program that unpacks it.
    return _ZIP if zipfile.is_zipfile(file) else None


def _is_tar_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


class _Folder:
    """The target folder: tracks the names in use and the free space.

    Args:
        root: path of the folder.
    """

    def __init__(self, root: pathlib.Path) -> None:
        self.has_files = False
        self._root = root
        self._room = shutil.disk_usage(root).free - _RESERVE
        self._count = 0
        # Path -> (whether it is a file, whether it is a member or only the parent of one).
        self._taken: dict[tuple[str, ...], tuple[bool, bool]] = {}

    def claim(self, name: str, is_folder: bool, size: int) -> pathlib.Path | None:
        """Checks a member, and reserves its name and its size.

        Args:
            name: name of the member in the archive.
            is_folder: whether it is a folder.
            size: unpacked size in bytes.

        Returns:
            The path to write the member to, or `None` to skip it.

        Raises:
            _UnsafeError: if the member must not be unpacked.
        """
        self._count += 1
        if self._count > _MOST_MEMBERS:
            raise _UnsafeError(f"have at most {_MOST_MEMBERS:,} members", "more members")
        parts = _parts(name)
        if not parts and not is_folder:
            raise _UnsafeError("have a name for every file", f"{name!r}")
        # The archive's top folder exists already.
        if not parts or _is_of_macos(parts):
            return None
        self._take(parts, is_folder)
        if size > self._room:
            raise _UnsafeError(
                f"fit on the disk of the temporary folder `{self._root.parent}` and leave "
                f"{_RESERVE >> 20:,} MiB free",
                f"a member {name!r} of {size:,} bytes with {max(self._room, 0):,} bytes available",
            )
        self._room -= size
        return self._root.joinpath(*parts)

    def _take(self, parts: tuple[str, ...], is_folder: bool) -> None:
        name = "/".join(parts)
        for end in range(1, len(parts)):
            is_file, _ = self._taken.setdefault(parts[:end], (False, False))
            if is_file:
                raise _UnsafeError("have no files inside files", f"{name!r}")
        _, is_member = self._taken.get(parts, (False, False))
        if is_member or (parts in self._taken and not is_folder):
            raise _UnsafeError("have each name once", f"two members {name!r}")
        self._taken[parts] = (not is_folder, True)

    def write(self, place: pathlib.Path, read: Callable[[int], bytes], size: int) -> None:
        """Writes a file of exactly `size` bytes.

        Args:
            place: path of the file.
            read: function that returns at most a given number of the next bytes.
            size: size of the file in bytes.
        """
        place.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        # "x": the file system may treat two names as equal, for example if they differ in case.
        with place.open("xb") as file:
            while written < size:
                chunk = read(min(_CHUNK, size - written))
                if not chunk:
                    raise EOFError(f"{place.name!r} ends after {written} of {size} bytes")
                file.write(chunk)
                written += len(chunk)
        self.has_files = True


def _parts(name: str) -> tuple[str, ...]:
    """Splits a member's name into its parts; raises unless they stay inside the folder."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    problems = {
        "absolute": name.startswith("/"),
        "with `..`": ".." in parts,
        "with a backslash": "\\" in name,
        "with a NUL": "\0" in name,
        "with a drive letter": any(re.match("[A-Za-z]:", part) for part in parts),
        f"of more than {_MOST_PARTS} parts": len(parts) > _MOST_PARTS,
    }
    for problem, is_so in problems.items():
        if is_so:
            raise _UnsafeError(
                "have only members that stay inside its folder",
                f"a name {problem}: {name[:200]!r}",
            )
    return parts


def _is_of_macos(parts: tuple[str, ...]) -> bool:
    # `._weights.hdf5` is not an HDF5 file: it holds macOS metadata of `weights.hdf5`.
    return parts[0] == "__MACOSX" or parts[-1] == ".DS_Store" or parts[-1].startswith("._")


def _require_plain(is_plain: bool, name: str) -> None:
    if not is_plain:
        raise _UnsafeError(
            "have only plain files and folders as members",
            f"{name!r}, a link, a device or another special file",
        )


def _unpack_zip(file: BinaryIO, size: int, folder: _Folder) -> None:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        # Members that share bytes can expand to many times the size of the archive.
        if sum(member.compress_size for member in members) > size:
            raise _UnsafeError("have members that do not overlap", "overlapping members")
        # All members are checked before the first one is written.
        places = [_claim_zip_member(member, folder) for member in members]
        for member, place in zip(members, places):
            if place is None:
                continue
            if _is_folder(member):
                place.mkdir(parents=True, exist_ok=True)
                continue
            with archive.open(member) as source:
                folder.write(place, source.read, member.file_size)
                # Reads past the end, where zipfile compares the checksum.
                if source.read(1):
                    raise EOFError(f"{member.orig_filename!r} is longer than its header says")


def _is_folder(member: zipfile.ZipInfo) -> bool:
    return member.orig_filename.endswith("/")


def _claim_zip_member(member: zipfile.ZipInfo, folder: _Folder) -> pathlib.Path | None:
    # zipfile's own `filename` is cut, for example at a NUL.
    name = member.orig_filename
    is_folder = _is_folder(member)
    # 0 if the archive was not created on Unix; a folder's name then ends in a slash.
    file_type = stat.S_IFMT(member.external_attr >> 16)
    is_plain = file_type in (0, stat.S_IFREG) or (file_type == stat.S_IFDIR and is_folder)
    _require_plain(is_plain, name)
    if member.flag_bits & 0x41:
        raise _UnsafeError("not be encrypted", f"an encrypted member {name!r}")
    # zipfile's other compression methods take unbounded memory.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _UnsafeError(
            "have only stored or deflated members",
            f"{name!r} with compression method {member.compress_type}",
        )
    if member.file_size > _RATIO * member.compress_size + _GRACE:
        raise _UnsafeError(
            f"expand to no more than {_RATIO} times its size",
            f"{name!r}, which expands from {member.compress_size:,} to {member.file_size:,} bytes",
        )
    return folder.claim(name, is_folder, 0 if is_folder else member.file_size)


class _Tar:
    """A forward-only stream for tarfile that bounds the size of headers.

    tarfile trusts the size in a header, which may exceed the memory. Headers are read with `read`;
    the content of members is read with `take`, without tarfile.

    Args:
        stream: the uncompressed archive.
        limit: largest number of bytes to read.
    """

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, limit: int) -> None:
        self.last_header = b""
        self._stream = stream
        self._limit = limit
        self._position = 0
        self._header_left = _LONGEST_HEADER

    def next_member(self) -> None:
        """Allows the headers of one more member to be read."""
        self._header_left = _LONGEST_HEADER

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        if position < self._position:
            raise _UnsafeError("have its members in sequence", "a member of negative size")
        while self._position < position and self.take(min(_CHUNK, position - self._position)):
            pass

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._header_left:
            raise _UnsafeError(
                f"have members with headers of at most {_LONGEST_HEADER:,} bytes", "a longer header"
            )
        self._header_left -= size
        self.last_header = self.take(size)
        return self.last_header

    def take(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._position += len(data)
        if self._position > self._limit:
            raise _UnsafeError(f"expand to no more than {_RATIO} times its size", "more bytes")
        return data


def _unpack_tar(stream: _Tar, folder: _Folder) -> None:
    with tarfile.open(fileobj=cast(BinaryIO, stream), mode="r:") as archive:
        for member in archive:
            is_plain = member.isdir() or (member.isfile() and not member.issparse())
            _require_plain(is_plain and member.size >= 0, member.name)
            place = folder.claim(member.name, member.isdir(), 0 if member.isdir() else member.size)
            if place is not None and member.isdir():
                place.mkdir(parents=True, exist_ok=True)
            elif place is not None:
                stream.seek(member.offset_data)
                folder.write(place, stream.take, member.size)
            stream.next_member()
    # tarfile also stops at a damaged header or at the end of the file; a whole archive ends in a
    # block of zeros.
    if stream.last_header != bytes(_BLOCK):
        raise EOFError("the archive has no end marker")
    # Reads to the end, where gzip compares its checksum.
    while stream.take(_CHUNK):
        pass
