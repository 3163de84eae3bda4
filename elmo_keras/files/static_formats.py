"""The formats of word vectors, and the rows of each.

Sources: word2vec, `word2vec.c` (the end of TrainModel) and `distance.c`; fastText,
`src/fasttext.cc` (saveVectors); GloVe, `src/glove.c` (save_params).
"""

import contextlib
import dataclasses
import gzip
import io
import itertools
import pathlib
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from elmo_keras.files.static_lines import content, count_numbers, shown, split

MAX_LINE = 10_000_000  # bytes of a line of text
MAX_TOKEN = 10_000  # bytes of a word in a binary file
CHUNK = 1 << 20  # bytes that are read, or parsed, at once

DAMAGED = "The file is damaged or cut short: fetch it again."
_TITLES = "If it holds the names of columns, remove it; else fetch the file again."
# Errors of gzip, bz2 and zipfile on damaged files; a wrong place to seek is an OSError.
DAMAGES = (EOFError, NotImplementedError, OSError, struct.error, zipfile.BadZipFile, zlib.error)


@dataclasses.dataclass(frozen=True)
class Source:
    """A file, or a file in a zip."""

    path: pathlib.Path
    compression: str | None = None  # "gzip", "bz2" or "zip"
    member: zipfile.ZipInfo | None = None

    @property
    def name(self) -> str:
        """What it is called in an error."""
        return f"{self.path} ({self.member.filename})" if self.member else str(self.path)

    @contextlib.contextmanager
    def open(self) -> Iterator[io.BufferedReader]:
        """A stream of its bytes, decompressed; damages of the compression are ValueErrors."""
        try:
            with contextlib.ExitStack() as stack:
                if self.compression == "zip":
                    archive = stack.enter_context(zipfile.ZipFile(self.path))
                    stream = stack.enter_context(archive.open(self.member))
                elif self.compression == "gzip":
                    stream = stack.enter_context(gzip.open(self.path))
                elif self.compression == "bz2":
                    import bz2  # Some builds of Python lack it.

                    stream = stack.enter_context(bz2.open(self.path))
                else:
                    stream = stack.enter_context(open(self.path, "rb", buffering=0))
                yield stack.enter_context(io.BufferedReader(stream, CHUNK))
        except DAMAGES as error:
            if self.compression is None:
                raise
            raise damage(self.name, error) from error


@dataclasses.dataclass(frozen=True)
class Text:
    """Lines of a word and its numbers, with or without a header.

    Attributes:
        name: str. The file in an error.
        dim: int. Numbers of a vector.
        num_words: int or `None`. Words that the header announces; `None` without a header.
    """

    name: str
    dim: int
    num_words: int | None

    def rows(self, stream: io.BufferedReader) -> Iterator[tuple[str, bytes, bytes]]:
        """Yields for each word its place, as in an error, the word and its numbers."""
        words = blanks = 0  # so far; blank lines since the last word
        for number in itertools.count(1):
            line = stream.readline(MAX_LINE + 1)
            if not line:
                return
            if len(line) > MAX_LINE and not line.endswith(b"\n"):
                raise line_too_long(self.name, number)
            is_cut = not line.endswith(b"\n")
            line = content(line, number)
            if number == 1 and self.num_words is not None:
                continue
            words += bool(line)
            if is_cut and words < (self.num_words or 0):
                raise ValueError(
                    f"{self.name} must hold the {self.num_words} words that its header announces. "
                    f"Received: {words}, and no line break at the end of line {number}, the last "
                    f"one. {DAMAGED}"
                )
            if not line:
                blanks += 1
                continue
            token, numbers = split(line, self.dim)
            if blanks:
                # A word that is line breaks is written as blank lines before its numbers.
                if token != b"" or count_numbers(line) != self.dim or blanks > MAX_TOKEN:
                    raise self._error(b"", number - blanks)
                token, blanks = b"\n" * blanks, 0
            if token is None:
                raise self._error(line, number)
            yield f"line {number}", token, numbers

    def _error(self, line, number):
        return ValueError(
            f"A line of {self.name} must hold a word and {self.dim} numbers, separated by spaces "
            f"or tabs. Received: {shown(line)} as line {number}. "
            f"{_TITLES if number == 1 and line else DAMAGED}"
        )

    def parse(self, rows: Sequence[tuple[str, bytes]]) -> np.ndarray:
        """Returns the vectors of pairs (the place of a line, its numbers)."""
        text = b"\n".join(numbers for _, numbers in rows).decode("ascii", "replace")
        # Numpy would take it for the end of a line.
        text = text.replace("\r", "?")
        try:
            return np.loadtxt(
                text.split("\n"), dtype="float32", delimiter=" ", comments=None, ndmin=2
            )
        except ValueError as error:
            if len(rows) == 1:
                place, numbers = rows[0]
                raise ValueError(
                    f"A line of {self.name} must end in {self.dim} numbers. "
                    f"Received: {shown(numbers)} after the word in {place}. "
                    f"{_TITLES if place == 'line 1' else DAMAGED}"
                ) from error
        # One of them is no number; alone it says so.
        return np.concatenate([self.parse([row]) for row in rows])


@dataclasses.dataclass(frozen=True)
class Binary:
    """word2vec's binary format: a header, then each word with the bytes of its numbers."""

    name: str
    dim: int
    num_words: int

    def rows(self, stream: io.BufferedReader) -> Iterator[tuple[str, bytes, bytes]]:
        """What to call a word in an error, the word, its numbers."""
        stream.readline(MAX_LINE)
        size = 4 * self.dim
        data, start = b"", 0
        for number in itertools.count(1):
            while True:
                # Some programs write a line break behind each vector.
                limit = start + data.startswith(b"\n", start) + MAX_TOKEN
                end = data.find(b" ", start, limit + 1)
                if 0 <= end <= len(data) - size - 1:
                    break
                if end < 0 and len(data) > limit:
                    raise self._error(number, f"no space within {MAX_TOKEN:,} bytes behind")
                more = stream.read(CHUNK)
                if not more:
                    rest = data[start:]
                    if rest not in (b"", b"\n") or number <= self.num_words:
                        raise self._error(number, f"the end of the file {len(rest)} bytes behind")
                    return
                data, start = data[start:] + more, 0
            token = data[start:end].removeprefix(b"\n")
            start = end + 1 + size
            yield f"word {number}", token, data[end + 1 : start]

    def parse(self, rows: Sequence[tuple[str, bytes]]) -> np.ndarray:
        """The vectors of pairs (what to call a word, its numbers)."""
        data = b"".join(numbers for _, numbers in rows)
        return np.frombuffer(data, dtype="<f4").reshape(-1, self.dim)

    def _error(self, number, received):
        return ValueError(
            f"{self.name} begins as word2vec's binary format does and says that it has "
            f"{self.num_words} words; each must be followed by a space and {self.dim} float32. "
            f"Received: {received} the beginning of word {number}. {DAMAGED}"
        )


def line_too_long(name: str, number: int) -> ValueError:
    """Makes the error for a line without an end."""
    return ValueError(
        f"Every line of {name} must end in a line break, within {MAX_LINE:,} bytes. Received: more "
        f"than {MAX_LINE:,} bytes in line {number}. {DAMAGED}"
    )


def damage(name: object, error: Exception) -> ValueError:
    """Makes the error for a file that cannot be unpacked."""
    return ValueError(f"{name} must be readable. Received: {error}. {DAMAGED}")
