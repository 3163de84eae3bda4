"""Atomic writes: after a crash at any moment a file has its old content or its new content."""

import contextlib
import errno
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

# `errno` of file systems that cannot sync a directory.
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
_UNCHANGED = "The previous content is unchanged."
_ADVICE = "Make room, or name another place."


class Content(NamedTuple):
    """The content of a file that is to be written.

    Attributes:
        digest: sha256 of the content, 64 hexadecimal digits.
        write: function that writes the content to a binary file open for reading and writing.
    """

    digest: str
    write: Callable[[BinaryIO], None]


def text_content(text: str) -> Content:
    """Returns a text as the content of a UTF-8 file, with its line breaks unchanged."""
    data = text.encode("utf-8")

    def write(file: BinaryIO) -> None:
        file.write(data)

    return Content(hashlib.sha256(data).hexdigest(), write)


@contextlib.contextmanager
def atomic_write(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Replaces a file on leaving the context.

    The caller writes the new content to the yielded path, in the same directory. If writing fails,
    the process is killed or the machine loses power, the previous file is still in place.

    Args:
        path: path of the file.

    Yields:
        The path to write to.

    Example:

    >>> import pathlib
    >>> with atomic_write(pathlib.Path("notes.txt")) as partial:
    ...     size = partial.write_text("new content")
    >>> pathlib.Path("notes.txt").read_text()
    'new content'
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
        sync_directory(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_atomically(
    path: str | os.PathLike,
    write: Callable[[BinaryIO], None],
    state: str = _UNCHANGED,
    advice: str = _ADVICE,
) -> None:
    """Writes a file with `atomic_write`; creates its directory if it does not exist.

    Args:
        path: path of the file.
        write: function that writes the content to a binary file open for reading and writing.
        state: sentence of the error about the previous file.
        advice: sentence of the error about the next step.

    Raises:
        OSError: if the file cannot be written; the previous file is then unchanged.
    """
    path = pathlib.Path(path)
    with describing_errors(path, state, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial, open(partial, "wb+") as file:
            write(file)


def write_synced(path: pathlib.Path, content: Content) -> None:
    """Writes a file in place and waits until it is on the disk.

    Args:
        path: path of the file.
        content: the new content.
    """
    with open(path, "wb+") as file:
        content.write(file)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def describing_errors(
    path: pathlib.Path, state: str = _UNCHANGED, advice: str = _ADVICE
) -> Iterator[None]:
    """Adds the path, its state and advice to any OSError raised in the context.

    Args:
        path: the file or directory that is written.
        state: sentence about the content of `path` after the error.
        advice: sentence about the next step.

    Raises:
        OSError: with the `errno` of the original error.
    """
    try:
        yield
    except OSError as error:
        described = OSError(
            f"{path} must be written as a whole. Received: {error}. {state} {advice}"
        )
        described.errno = error.errno
        raise described from error


def sync_directory(directory: pathlib.Path) -> None:
    """Waits until a directory's file names are on the disk, if the system can sync directories."""
    try:
        handle = os.open(directory, os.O_RDONLY)
    except OSError:  # Windows does not open directories.
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)
