"""Lines of word vectors as text: a word and its numbers, separated by spaces and tabs."""

import itertools
import re

from elmo_keras.files.first_bytes import UTF8_MARK

MAX_DIM = 100_000

_BLANKS = b" \t"
_NUMBER = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)", re.IGNORECASE)
# `bytes.rsplit` splits at all ASCII white space, but only spaces and tabs are separators.
_TO_SPACES = bytes.maketrans(b"\t\n\v\f\r", b" ????")


def content(line: bytes, number: int = 0) -> bytes:
    """Removes the line break, spaces and tabs before it, and the byte order mark of line 1.

    Args:
        line: bytes, with or without a line break.
        number: int. Number of the line, starting at 1. Defaults to `0`: not the first line.
    """
    line = line.removesuffix(b"\n").removesuffix(b"\r").rstrip(_BLANKS)
    return line.removeprefix(UTF8_MARK) if number == 1 else line


def split(line: bytes, dim: int) -> tuple[bytes, bytes] | tuple[None, None]:
    """Splits a line into a word and its numbers.

    The numbers are the last `dim` parts of the line, because words of glove.840B contain spaces.
    Spaces and tabs around the word are not part of it.

    Args:
        line: bytes, as returned by `content`.
        dim: int. Number of values in a vector.

    Returns:
        The word and the numbers, which are separated by single spaces. The word is empty if the
        line starts with a space or a tab and has exactly `dim` parts. `(None, None)` if the line
        has too few parts. The numbers are not parsed: they may be any text.

    Example:

    >>> split(b". . .\\t0.5  1", 2)
    (b'. . .', b'0.5 1')
    """
    if line.count(b" ") == dim and b"\t" not in line and b"  " not in line:
        token, _, numbers = line.partition(b" ")
        return token, numbers
    line_of_spaces = line.translate(_TO_SPACES)
    parts = line_of_spaces.rsplit(None, dim)
    if len(parts) > dim:
        return line[: len(parts[0])].lstrip(_BLANKS), b" ".join(parts[1:])
    if len(parts) == dim and line_of_spaces.startswith(b" "):
        return b"", b" ".join(parts)
    return None, None


def count_numbers(line: bytes) -> int:
    """Counts the numbers at the end of a line, up to `MAX_DIM + 1`.

    The first part of the line is a word and is not counted, even if it is a number, unless a space
    or a tab precedes it.
    """
    parts = line.translate(_TO_SPACES).rsplit(None, MAX_DIM + 1)
    if not line.startswith((b" ", b"\t")):
        parts = parts[1:]
    return sum(1 for _ in itertools.takewhile(_NUMBER.fullmatch, reversed(parts)))


def shown(line: bytes) -> str:
    """Returns the beginning of a line, for an error."""
    text = repr(line[:60])
    return text if len(line) <= 60 else f"{text[:-1]}...{text[-1]}"
