"""Unpacks a zip or tar archive that a stranger made: all of it and nothing else, or an error."""

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
from typing import BinaryIO

_MOST_MEMBERS = 10_000
_MOST_PARTS = 50  # of a name: removing deeper folders exceeds Python's recursion limit
_RATIO = 200  # of the unpacked to the packed size
_GRACE = 16 << 20  # bytes, so that small files may hold little but zeros
_RESERVE = 1 << 30  # bytes, to be left free on the disk
_CHUNK = 1 << 17
_LONGEST_HEADER = 1 << 20  # bytes, of one tar member
_BLOCK = 512  # bytes, of which a tar archive is made

_ZIP, _TAR, _TAR_GZ = "zip", "tar", "tar.gz"

# What the parsers of the standard library raise when they are given damaged bytes.
_DAMAGED = (
    ArithmeticError,  # too large a position
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


class _Unsafe(Exception):
    """The archive has something that is not unpacked.

    Args:
        must: what must hold, to be said after "`path` must ".
        received: what was found instead.
    """

    def __init__(self, must: str, received: str) -> None:
        super().__init__(must, received)
        self.must = must
        self.received = received


def is_archive(path: pathlib.Path) -> bool:
    """Whether a file is a zip, tar or tar.gz archive, going by its content and not its name.

    Files of other kinds are archives inside: what `torch.save` writes is a zip file, whatever it
    is called. Ask for those kinds first.

    Args:
        path: the path of a file. Anything else is no archive.

    Returns:
        True for an archive, and for what is left of one: `unpacked` says what is wrong with it.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _kind(file) is not None


@contextlib.contextmanager
def unpacked(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Unpacks an archive into a temporary folder, which lasts as long as the `with` statement.

    The archive need not be trusted. Nothing is written outside of the folder, only plain files
    and folders are made, and their size is bounded by that of the archive and of the disk. What
    macOS adds to archives (`__MACOSX`, `.DS_Store`, `._name`) is left out.

    Args:
        path: the path of a zip, tar or tar.gz file.

    Yields:
        The path of the temporary folder. It holds all files of the archive under their own names.

    Raises:
        ValueError: if the file is of another kind or damaged, or if it has a member that is not
            safe to unpack.
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
        kind = _kind(file)
        file.seek(0)
        if kind == _ZIP:
            _unpack_zip(file, size, folder)
        elif kind == _TAR:
            _unpack_tar(_Tar(file, size), folder)
        elif kind == _TAR_GZ:
            with gzip.GzipFile(fileobj=file) as stream:
                _unpack_tar(_Tar(stream, _RATIO * size + _GRACE), folder)
        else:
            raise _Unsafe("be a zip, tar or tar.gz archive", "a file of another kind")
        if not folder.has_files:
            raise _Unsafe("hold files", "an archive without any")
    except _Unsafe as error:
        raise ValueError(
            f"`{path}` must {error.must}. Received: {error.received}. If you trust it, unpack it "
            "yourself and pass the path of the folder."
        ) from error
    except _DAMAGED as error:
        raise ValueError(
            f"`{path}` must be a whole zip, tar or tar.gz archive. Received: damaged content "
            f"({type(error).__name__}: {error}). Get it afresh, or unpack it with another program "
            "and pass the path of the folder."
        ) from error


def _kind(file: BinaryIO) -> str | None:
    # Not `tarfile.is_tarfile`: it reads the whole of a member's name, which may take gigabytes.
    block = file.read(_BLOCK)
    if block[:4] in (b"PK\3\4", b"PK\5\6"):
        return _ZIP
    if block[:2] == b"\x1f\x8b":
        file.seek(0)
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                return _TAR_GZ if _is_tar_header(stream.read(_BLOCK)) else None
        except (OSError, EOFError, zlib.error):
            return _TAR_GZ
    if _is_tar_header(block):
        return _TAR
    # A zip archive may follow something else, like the program that unpacks it.
    return _ZIP if zipfile.is_zipfile(file) else None


def _is_tar_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


class _Folder:
    """The folder that is filled: which names are taken, and how much room there is.

    Args:
        root: its path.
    """

    def __init__(self, root: pathlib.Path) -> None:
        self.has_files = False
        self._root = root
        self._room = shutil.disk_usage(root).free - _RESERVE
        self._count = 0
        # Path -> whether it is a file, and whether it is a member or only the folder of one.
        self._taken: dict[tuple[str, ...], tuple[bool, bool]] = {}

    def claim(self, name: str, is_folder: bool, size: int) -> pathlib.Path | None:
        """Checks that a member can be had, and takes its name and the room for it.

        Args:
            name: its name in the archive.
            is_folder: whether it is a folder.
            size: its unpacked size.

        Returns:
            The path that it gets, or None if it is to be left out.
        """
        self._count += 1
        if self._count > _MOST_MEMBERS:
            raise _Unsafe(f"have at most {_MOST_MEMBERS:,} members", "more of them")
        parts = _parts(name)
        if not parts and not is_folder:
            raise _Unsafe("have a name for every file", f"{name!r}")
        # The archive's own top folder is there already.
        if not parts or _is_of_macos(parts):
            return None
        self._take(parts, is_folder)
        if size > self._room:
            raise _Unsafe(
                f"be small enough for the disk with the temporary folder `{self._root.parent}` "
                f"and leave {_RESERVE >> 20:,} MiB of it free",
                f"a member {name!r} of {size:,} bytes, for which there are "
                f"{max(self._room, 0):,} bytes",
            )
        self._room -= size
        return self._root.joinpath(*parts)

    def _take(self, parts: tuple[str, ...], is_folder: bool) -> None:
        name = "/".join(parts)
        for end in range(1, len(parts)):
            is_file, _ = self._taken.setdefault(parts[:end], (False, False))
            if is_file:
                raise _Unsafe("have no files inside of files", f"{name!r}")
        _, is_member = self._taken.get(parts, (False, False))
        if is_member or (parts in self._taken and not is_folder):
            raise _Unsafe("have every name once", f"two members {name!r}")
        self._taken[parts] = (not is_folder, True)

    def write(self, place: pathlib.Path, read: Callable[[int], bytes], size: int) -> None:
        """Writes a file of exactly `size` bytes, whatever there is to read."""
        place.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        # "x": two names may be one to the file system, as those that differ in case.
        with place.open("xb") as file:
            while written < size:
                chunk = read(min(_CHUNK, size - written))
                if not chunk:
                    raise EOFError(f"{place.name!r} ends after {written} of {size} bytes")
                file.write(chunk)
                written += len(chunk)
        self.has_files = True


def _parts(name: str) -> tuple[str, ...]:
    """The parts of a member's name, if it is a path that stays inside of a folder."""
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
            raise _Unsafe(
                "have only members that stay inside of its folder",
                f"a name {problem}: {name[:200]!r}",
            )
    return parts


def _is_of_macos(parts: tuple[str, ...]) -> bool:
    # `._weights.hdf5` is no HDF5 file: it holds what macOS knows of `weights.hdf5`.
    return parts[0] == "__MACOSX" or parts[-1] == ".DS_Store" or parts[-1].startswith("._")


def _require_plain(is_plain: bool, name: str) -> None:
    if not is_plain:
        raise _Unsafe(
            "have only plain files and folders as members",
            f"{name!r}, a link, a device or something else",
        )


def _unpack_zip(file: BinaryIO, size: int, folder: _Folder) -> None:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        # Members that share their bytes can be many times what the archive is.
        if sum(member.compress_size for member in members) > size:
            raise _Unsafe("be as large as its members together", "members that overlap")
        # All is checked before any is written.
        places = [_claim_zip_member(member, folder) for member in members]
        for member, place in zip(members, places):
            if place is None:
                continue
            if _is_folder(member):
                place.mkdir(parents=True, exist_ok=True)
                continue
            with archive.open(member) as source:
                folder.write(place, source.read, member.file_size)
                # The checksum is compared at the end of the member, which this makes sure of.
                if source.read(1):
                    raise EOFError(f"{member.orig_filename!r} goes on after its end")


def _is_folder(member: zipfile.ZipInfo) -> bool:
    return member.orig_filename.endswith("/")


def _claim_zip_member(member: zipfile.ZipInfo, folder: _Folder) -> pathlib.Path | None:
    # `filename` is what zipfile made of it: it ends at a NUL, for example.
    name = member.orig_filename
    is_folder = _is_folder(member)
    # 0 where the archive was not made on Unix. There a folder is what ends in a slash.
    kind = stat.S_IFMT(member.external_attr >> 16)
    _require_plain(kind in (0, stat.S_IFREG) or (kind == stat.S_IFDIR and is_folder), name)
    if member.flag_bits & 0x41:
        raise _Unsafe("be without a password", f"{name!r}, which is encrypted")
    # zipfile unpacks the other methods without a bound on the memory that it takes.
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _Unsafe(
            "have members that are stored or deflated",
            f"{name!r} with compression method {member.compress_type}",
        )
    if member.file_size > _RATIO * member.compress_size + _GRACE:
        raise _Unsafe(
            f"expand to no more than {_RATIO} times its size",
            f"{name!r}, which expands from {member.compress_size:,} to {member.file_size:,} bytes",
        )
    return folder.claim(name, is_folder, 0 if is_folder else member.file_size)


class _Tar:
    """What tarfile reads from: headers by `read`, and never backwards.

    tarfile believes what headers say of their size, which may be more than there is memory for.
    The content of members is read by `take`, past tarfile.

    Args:
        stream: the bytes of the archive.
        limit: how many there may be.
    """

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self.last_header = b""
        self._stream = stream
        self._limit = limit
        self._position = 0
        self._header_left = _LONGEST_HEADER

    def next_member(self) -> None:
        """Lets the headers of one more member be read."""
        self._header_left = _LONGEST_HEADER

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        if position < self._position:
            raise _Unsafe("have its members one after the other", "a member of negative size")
        while self._position < position and self.take(min(_CHUNK, position - self._position)):
            pass

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._header_left:
            raise _Unsafe(
                f"have members with headers of at most {_LONGEST_HEADER:,} bytes", "a longer one"
            )
        self._header_left -= size
        self.last_header = self.take(size)
        return self.last_header

    def take(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._position += len(data)
        if self._position > self._limit:
            raise _Unsafe(f"expand to no more than {_RATIO} times its size", "more than that")
        return data


def _unpack_tar(stream: _Tar, folder: _Folder) -> None:
    with tarfile.open(fileobj=stream, mode="r:") as archive:
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
    # tarfile takes a damaged header, and the end of the file, for the end of the archive. That is
    # a block of zeros.
    if stream.last_header != bytes(_BLOCK):
        raise EOFError("there is no end of the archive")
    # gzip compares its checksum at the end of the stream.
    while stream.take(_CHUNK):
        pass
