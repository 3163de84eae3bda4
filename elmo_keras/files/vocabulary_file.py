"""Vocabulary files: one token per line, in the order of the ids."""

import gzip
import os
import pathlib
import zlib
from collections.abc import Iterable

from elmo_keras.files import first_bytes
from elmo_keras.files.atomic_write import Content, text_content, write_atomically

# bilm-tf's trainer gives this line no id.
_SKIPPED = "!!!MAXTERMID"
MAX_BYTES, MAX_WORDS = 2**26, 5_000_000


def read(path: str | os.PathLike) -> list[str]:
    """Reads a vocabulary file, plain or gzip.

    Only a line feed ends a line: other characters that Unicode counts as line breaks may be part
    of a token. A UTF-8 byte order mark and an empty last line are ignored.

    Args:
        path: path of the file.

    Returns:
        The tokens in the order of their ids.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if the file is damaged, is not UTF-8 text, or exceeds 64 MiB or 5,000,000 lines.

    Example:

    >>> write(["the", "cat"], "vocabulary.txt")
    >>> read("vocabulary.txt")
    ['the', 'cat']
    """
    path = pathlib.Path(path)
    must_be = "a vocabulary: UTF-8 text, one word per line"
    try:
        with open(path, "rb") as file:
            is_gzip = first_bytes.is_gzip(file.read(2))
        with (gzip.open if is_gzip else open)(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES // 2**20} MiB of text")
        if content.count(b"\n") > MAX_WORDS:
            raise ValueError(f"more than {MAX_WORDS:,} lines")
    except FileNotFoundError:
        raise
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ValueError(
            f"{path} must be {must_be}. Received: {error}. Fetch the file again."
        ) from error
    first_bytes.check_is_text(content, path, must_be, "gzip" if is_gzip else None)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} must be {must_be}. Received: {error}. Save it as UTF-8, or fetch it again."
        ) from error
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    if lines and not lines[-1]:
        lines.pop()
    return [line for line in lines if line != _SKIPPED]


def content_of(words: Iterable[str]) -> Content:
    """Returns tokens as the content of a vocabulary file.

    Args:
        words: tokens in the order of their ids.
    """
    return text_content("".join(f"{word}\n" for word in words))


def write(words: Iterable[str], path: str | os.PathLike) -> None:
    """Writes a vocabulary file atomically; creates its directory if it does not exist.

    Args:
        words: tokens in the order of their ids.
        path: path of the file.

    Raises:
        OSError: if the file cannot be written; a previous file is then unchanged.
    """
    write_atomically(path, content_of(words).write)
