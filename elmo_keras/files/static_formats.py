"""Parsers of word vector files: lines of text, and word2vec's binary format.

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
from typing import Any

import numpy as np

from elmo_keras.files.static_lines import content, count_numbers, shown, split

MAX_LINE = 10_000_000  # bytes, of a line of text
MAX_TOKEN = 10_000  # bytes, of a word in a binary file
CHUNK = 1 << 20  # bytes to read or parse at once

DAMAGED = "The file is damaged or cut short: fetch it again."
_COLUMN_NAMES = "If it holds the names of columns, remove it; otherwise fetch the file again."
# Exceptions of gzip, bz2 and zipfile for damaged files; OSError also for an invalid offset.
DAMAGES = (EOFError, NotImplementedError, OSError, struct.error, zipfile.BadZipFile, zlib.error)


@dataclasses.dataclass(frozen=True)
class Source:
    """A file of word vectors, which may be compressed.

    Attributes:
        path: path of the file.
        compression: `"gzip"`, `"bz2"` or `"zip"`. Defaults to `None`: not compressed.
        member: the file inside a zip archive. Defaults to `None`.
    """

    path: pathlib.Path
    compression: str | None = None
    member: zipfile.ZipInfo | None = None

    @property
    def name(self) -> str:
        """Name of the file, for errors."""
        return f"{self.path} ({self.member.filename})" if self.member else str(self.path)

    @contextlib.contextmanager
    def open(self) -> Iterator[io.BufferedReader]:
        """Opens a stream of the decompressed bytes.

        Raises:
            ValueError: if the compressed data is damaged, also while the stream is read.
        """
        try:
            with contextlib.ExitStack() as stack:
                stream: Any
                if self.member is not None:
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
        name: str. Name of the file, for errors.
        dim: int. Number of values in a vector.
        num_words: int. Number of words according to the header; `None` without a header.
    """

    name: str
    dim: int
    num_words: int | None

    def rows(self, stream: io.BufferedReader) -> Iterator[tuple[str, bytes, bytes]]:
        """Yields the rows of the file.

        Args:
            stream: the file, from its beginning.

        Yields:
            `(place, word, numbers)`: the place is a description for errors, such as `"line 3"`.

        Raises:
            ValueError: if a line is invalid, or the file is cut short.
        """
        words = 0
        blanks = 0  # number of blank lines since the last word
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
                # A word of line breaks appears as blank lines before the line of its numbers.
                if token != b"" or count_numbers(line) != self.dim or blanks > MAX_TOKEN:
                    raise self._error(b"", number - blanks)
                token, blanks = b"\n" * blanks, 0
            if token is None or numbers is None:
                raise self._error(line, number)
            yield f"line {number}", token, numbers

    def _error(self, line: bytes, number: int) -> ValueError:
        return ValueError(
            f"A line of {self.name} must hold a word and {self.dim} numbers, separated by spaces "
            f"or tabs. Received: {shown(line)} as line {number}. "
            f"{_COLUMN_NAMES if number == 1 and line else DAMAGED}"
        )

    def parse(self, rows: Sequence[tuple[str, bytes]]) -> np.ndarray:
        """Parses numbers.

        Args:
            rows: pairs of place and numbers, as yielded by `rows`.

        Returns:
            Their vectors, a float32 array of shape `(len(rows), dim)`.

        Raises:
            ValueError: names the first row with invalid numbers.
        """
        text = b"\n".join(numbers for _, numbers in rows).decode("ascii", "replace")
        # NumPy would treat a carriage return as a line break.
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
                    f"{_COLUMN_NAMES if place == 'line 1' else DAMAGED}"
                ) from error
        # Parsed alone, the invalid row raises the error above.
        return np.concatenate([self.parse([row]) for row in rows])


@dataclasses.dataclass(frozen=True)
class Binary:
    """word2vec's binary format: a header, then each word with its float32 values.

    Attributes:
        name: str. Name of the file, for errors.
        dim: int. Number of values in a vector.
        num_words: int. Number of words according to the header.
    """

    name: str
    dim: int
    num_words: int

    def rows(self, stream: io.BufferedReader) -> Iterator[tuple[str, bytes, bytes]]:
        """Yields the rows of the file, as `Text.rows` does; a place is for example `"word 3"`."""
        stream.readline(MAX_LINE)
        size = 4 * self.dim
        data, start = b"", 0
        for number in itertools.count(1):
            while True:
                # Some programs write a line break after each vector.
                limit = start + data.startswith(b"\n", start) + MAX_TOKEN
                end = data.find(b" ", start, limit + 1)
                if 0 <= end <= len(data) - size - 1:
                    break
                if end < 0 and len(data) > limit:
                    raise self._error(number, f"no space within {MAX_TOKEN:,} bytes after")
                more = stream.read(CHUNK)
                if not more:
                    rest = data[start:]
                    if rest not in (b"", b"\n") or number <= self.num_words:
                        raise self._error(number, f"the end of the file {len(rest)} bytes after")
                    return
                data, start = data[start:] + more, 0
            token = data[start:end].removeprefix(b"\n")
            start = end + 1 + size
            yield f"word {number}", token, data[end + 1 : start]

    def parse(self, rows: Sequence[tuple[str, bytes]]) -> np.ndarray:
        """Parses numbers, as `Text.parse` does."""
        data = b"".join(numbers for _, numbers in rows)
        return np.frombuffer(data, dtype="<f4").reshape(-1, self.dim)

    def _error(self, number: int, received: str) -> ValueError:
        return ValueError(
            f"{self.name} must hold {self.num_words} words, as its header in word2vec's binary "
            f"format says, each with a space and {self.dim} float32 values after it. "
            f"Received: {received} the beginning of word {number}. {DAMAGED}"
        )


def line_too_long(name: str, number: int) -> ValueError:
    """Returns the error for a line that is too long."""
    return ValueError(
        f"Every line of {name} must end in a line break, within {MAX_LINE:,} bytes. Received: more "
        f"than {MAX_LINE:,} bytes in line {number}. {DAMAGED}"
    )


def damage(name: object, error: Exception) -> ValueError:
    """Returns the error for a file that cannot be decompressed."""
    return ValueError(f"{name} must be readable. Received: {error}. {DAMAGED}")
