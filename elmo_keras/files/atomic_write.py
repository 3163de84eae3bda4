"""Files that are there as a whole or not at all."""

import contextlib
import errno
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, NamedTuple

# Errors of systems that cannot sync a folder; renames there are as safe as the system makes them.
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}


class Content(NamedTuple):
    """The content of a file to be written.

    Attributes:
        digest: sha256 of the content, 64 hexadecimal digits.
        write: writes the content into a file that is open for reading and writing bytes.
    """

    digest: str
    write: Callable[[BinaryIO], None]


def text_content(text: str) -> Content:
    """A text as the content of a file, in UTF-8. Line ends stay as they are."""
    data = text.encode("utf-8")

    def write(file):
        file.write(data)

    return Content(hashlib.sha256(data).hexdigest(), write)


def one_a_line(words: Iterable[str]) -> str:
    """The text of a vocabulary file: a word a line, in the order of their ids."""
    return "".join(f"{word}\n" for word in words)


@contextlib.contextmanager
def written_whole(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A path beside `path` to write to, whose file is put in its place at the end.

    Where the writing fails, on a full disk say, or the program is killed, or the machine loses
    power, what was at `path` before is still there.

    Args:
        path: of the file to be.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
        sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_synced(path: pathlib.Path, content: Content) -> None:
    """Writes a file, and returns when the disk has it."""
    with open(path, "wb+") as file:
        content.write(file)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path, write: Callable[[BinaryIO], None], *told: str) -> None:
    """Writes a file into a folder that is made if absent; it replaces the previous one as a whole.

    Args:
        path: of the file.
        write: writes the content into a file that is open for reading and writing bytes.
        *told: state and advice of the error, see `writing`.

    Raises:
        OSError: if it cannot be written, on a full disk say. The previous file is then unchanged.
    """
    with _replacing(path, *told) as partial, open(partial, "wb+") as file:
        write(file)


def write_words(words: Iterable[str], path) -> None:
    """Writes a vocabulary file, a word a line, as `write_whole` does.

    Args:
        words: in the order of their ids.
        path: of the file.

    Raises:
        OSError: if it cannot be written. The previous file is then unchanged.
    """
    with _replacing(path) as partial:
        partial.write_text(one_a_line(words), encoding="utf-8", newline="\n")


@contextlib.contextmanager
def _replacing(path, *told):
    path = pathlib.Path(path)
    with writing(path, *told):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            yield partial


@contextlib.contextmanager
def writing(
    path: pathlib.Path,
    state: str = "What was there before is unchanged.",
    advice: str = "Make room, or name another place.",
) -> Iterator[None]:
    """Inside, an error of the system becomes one that says what happened to `path`.

    Args:
        path: the file or folder that is written.
        state: the state that it is in after an error.
        advice: what to do then.

    Raises:
        OSError: with the `errno` of the system's own error.
    """
    try:
        yield
    except OSError as error:
        told = OSError(f"{path} must be written as a whole. Received: {error}. {state} {advice}")
        told.errno = error.errno
        raise told from error


def sync_folder(folder: pathlib.Path) -> None:
    """Returns when the disk has the names of a folder's files, where the system can tell."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows does not open folders.
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)
