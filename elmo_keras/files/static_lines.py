"""Lines of word vectors as text: a word and its numbers, separated by spaces and tabs."""

import itertools
import re

from elmo_keras.files.first_bytes import UTF8_MARK

MAX_DIM = 100_000

_BLANKS = b" \t"
_NUMBER = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)", re.IGNORECASE)
# `bytes.rsplit` without a separator splits at all white space of ASCII: let blanks alone be that.
_TO_SPACES = bytes.maketrans(b"\t\n\v\f\r", b" ????")


def content(line: bytes, number: int = 0) -> bytes:
    """Removes a line's end, white space before it, and from line 1 a UTF-8 byte order mark.

    Args:
        line: bytes, with or without a line break.
        number: int. The line's number, from 1. Defaults to `0`, for any line but the first.
    """
    line = line.removesuffix(b"\n").removesuffix(b"\r").rstrip(_BLANKS)
    return line.removeprefix(UTF8_MARK) if number == 1 else line


def split(line: bytes, dim: int) -> tuple[bytes, bytes] | tuple[None, None]:
    """Splits a line into a word and its numbers.

    The numbers are counted from the end, because words of glove.840B hold spaces of their own.
    White space around the word belongs to no word.

    Args:
        line: bytes, as `content` returns it.
        dim: int. Numbers of a vector.

    Returns:
        The word and the numbers, these with single spaces between them; the word is empty if the
        line begins with white space and holds `dim` numbers. `(None, None)` if there are fewer
        parts. Whether the last parts are numbers is not checked.

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
    """Counts the numbers that a line ends in, up to `MAX_DIM + 1`.

    The first part of a line is a word, also where it is a number, unless white space precedes it.
    """
    parts = line.translate(_TO_SPACES).rsplit(None, MAX_DIM + 1)
    if not line.startswith((b" ", b"\t")):
        parts = parts[1:]
    return sum(1 for _ in itertools.takewhile(_NUMBER.fullmatch, reversed(parts)))


def shown(line: bytes) -> str:
    """Returns the beginning of a line, for an error."""
    text = repr(line[:60])
    return text if len(line) <= 60 else f"{text[:-1]}...{text[-1]}"
