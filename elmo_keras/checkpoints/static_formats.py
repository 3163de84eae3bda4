"""The formats of word vectors: which one a file has, and its rows.

Sources: word2vec, `word2vec.c` (the end of TrainModel) and `distance.c`; fastText,
`src/fasttext.cc` (saveVectors); GloVe, `src/glove.c` (save_params).
"""

import codecs
import contextlib
import dataclasses
import gzip
import io
import itertools
import pathlib
import re
import statistics
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

MAX_DIM = 100_000
MAX_LINE = 10_000_000  # bytes of a line of text
MAX_TOKEN = 10_000  # bytes of a word in a binary file
HEAD_LINES = 1_000  # lines that tell what a file is
CHUNK = 1 << 20  # bytes that are read, or parsed, at once

DAMAGED = "The file is damaged or cut short: fetch it again."
# What gzip and zipfile raise on damaged files; a wrong place to seek is an OSError.
_DAMAGES = (EOFError, NotImplementedError, OSError, struct.error, zipfile.BadZipFile, zlib.error)

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_HEADER = re.compile(rb"([+-]?\d+) ([+-]?\d+)")
_NUMBER = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclasses.dataclass(frozen=True)
class Source:
    """A file, or a file in a zip."""

    path: pathlib.Path
    compression: str | None = None  # "gzip" or "zip"
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
                else:
                    stream = stack.enter_context(open(self.path, "rb", buffering=0))
                yield stack.enter_context(io.BufferedReader(stream, CHUNK))
        except _DAMAGES as error:
            if self.compression is None:
                raise
            raise _damage(self.name, error) from error


@dataclasses.dataclass(frozen=True)
class Text:
    """Lines of a word and its numbers, behind a header or not."""

    name: str
    dim: int
    has_header: bool

    def rows(self, stream: io.BufferedReader) -> Iterator[tuple[str, bytes, bytes]]:
        """What to call a line in an error, its word, its numbers."""
        for number in itertools.count(1):
            line = stream.readline(MAX_LINE + 1)
            if not line:
                return
            if not line.endswith(b"\n"):
                raise _line_without_end(self.name, number, line)
            line = _content(line, number)
            if number == 1 and self.has_header:
                continue
            spaces = line.count(b" ")
            if spaces < self.dim:
                raise ValueError(
                    f"A line of {self.name} must hold a word and {self.dim} numbers, parted by "
                    f"single spaces. Received: {_shown(line)} as line {number}. {DAMAGED}"
                )
            # Words of glove.840B have spaces of their own: the numbers are counted from the end.
            is_one = spaces == self.dim
            token = line.partition(b" ")[0] if is_one else line.rsplit(b" ", self.dim)[0]
            yield f"line {number}", token, line[len(token) + 1 :]

    def parse(self, rows: Sequence[tuple[str, bytes]]) -> np.ndarray:
        """The vectors of pairs (what to call a line, its numbers)."""
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
                    f"Received: {_shown(numbers)} behind the word in {place}. {DAMAGED}"
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


def find(path: pathlib.Path, dim: int | None) -> tuple[Source, Text | Binary]:
    """Where the vectors are that a path stands for, and their format.

    Args:
        path: of a file, plain or compressed.
        dim: numbers that a vector must have, `None` for any.

    Raises:
        ValueError: if there are no vectors.
    """
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic[:2] == b"\x1f\x8b":
        return _detect(Source(path, "gzip"), dim)
    if magic not in (b"PK\x03\x04", b"PK\x05\x06"):
        return _detect(Source(path), dim)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except _DAMAGES as error:
        raise _damage(path, error) from error
    problems = []
    for member in members:
        try:
            if member.flag_bits & 1:
                raise ValueError(f"{member.filename} is encrypted.")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{member.filename} is not compressed by the usual method.")
            return _detect(Source(path, "zip", member), dim)
        except ValueError as error:
            problems.append(f"\n  {error}")
    raise ValueError(
        f"{path} must be a zip with a file of word vectors in it{f' of dim={dim}' if dim else ''}. "
        f"Received: {len(members)} files.{''.join(problems[:10])}\nUnpack it, and name the file."
    )


def _detect(source, dim):
    """The source with its format, as its first lines tell it."""
    with source.open() as stream:
        # Lines may be long, in binary files above all: their sum is bounded as well.
        head, room = [], MAX_LINE
        while room > 0 and len(head) <= HEAD_LINES and (line := stream.readline(room)):
            head.append(line)
            room -= len(line)
    if not head:
        raise ValueError(
            f"{source.name} must hold word vectors. Received: an empty file. {DAMAGED}"
        )
    header = _HEADER.fullmatch(_content(head[0], 1)) if head[0].endswith(b"\n") else None
    said = None
    if header:
        # Of numbers without end the first digits say enough.
        num_words, said = (int(number[:20]) for number in header.groups())
        if num_words < 1 or not 1 <= said <= MAX_DIM or len(head) == 1:
            raise ValueError(
                f"The header of {source.name} must say how many words follow, and how many "
                f"numbers, at most {MAX_DIM:,}, each has. Received: {_shown(head[0])} as line 1"
                f"{' and nothing behind it' if len(head) == 1 else ''}. {DAMAGED}"
            )
        if dim not in (None, said):
            raise _other_dim(source.name, dim, said)
        if not _is_text(head[1:], said):
            return source, Binary(source.name, said, num_words)
    body = list(enumerate(head, 1))[1 if header else 0 :]
    if not body[-1][1].endswith(b"\n"):
        if len(body) == 1:
            raise _line_without_end(source.name, *body[-1])
        body.pop()  # Cut short, perhaps by the bound above.
    counts = [_count_numbers(_content(line, number)) for number, line in body]
    # A word of several parts may end in a number, a damaged line in anything: most lines decide.
    most = statistics.median_high(counts)
    if not 1 <= most <= MAX_DIM:
        raise ValueError(
            f"{source.name} must hold word vectors: in each line a word and at most {MAX_DIM:,} "
            f"numbers, parted by single spaces. Received: {_shown(body[0][1])} as line "
            f"{body[0][0]}. Give the file that word2vec, fastText or GloVe has written."
        )
    asked = said or dim
    if asked and not statistics.median_low(counts) <= asked <= most:
        if not said:
            raise _other_dim(source.name, dim, most)
        raise ValueError(
            f"The header of {source.name} must say how many numbers its lines have, {most}. "
            f"Received: {said}, the second number of line 1. {DAMAGED}"
        )
    return source, Text(source.name, asked or most, has_header=header is not None)


def _is_text(lines, dim):
    """Whether text follows a header that says `dim`; else it is the binary format."""
    if _count_numbers(_content(lines[0])) >= dim:
        return True
    # It is not the line that it should be; but neither are the bytes of numbers text.
    sample = b"".join(lines[:100])[: 1 << 12]
    try:
        return not _CONTROL.search(codecs.getincrementaldecoder("utf-8")().decode(sample))
    except UnicodeDecodeError:
        return False


def _count_numbers(line):
    """How many numbers a line ends in; its first field is always a word."""
    fields = line.rsplit(b" ", MAX_DIM + 1)[1:]
    return sum(1 for _ in itertools.takewhile(_NUMBER.fullmatch, reversed(fields)))


def _content(line, number=0):
    """A line without what may end it, and the first one without a byte order mark."""
    line = line.removesuffix(b"\n").removesuffix(b"\r").rstrip(b" ")
    return line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line


def _shown(line):
    text = repr(line[:60])
    return text if len(line) <= 60 else f"{text[:-1]}...{text[-1]}"


def _line_without_end(name, number, line):
    end = f"more than {MAX_LINE:,} bytes" if len(line) >= MAX_LINE else repr(line[-60:])
    return ValueError(
        f"Every line of {name}, the last one too, must end in a line break, within {MAX_LINE:,} "
        f"bytes. Received: {end} as the end of line {number}. The file is damaged or cut short: "
        "fetch it again, or add the line break if you know the last number to be whole."
    )


def _other_dim(name, dim, there):
    return ValueError(
        f"`dim` must be the number of numbers that a vector in {name} has, {there}. "
        f"Received: dim={dim}. Leave `dim` out to take what is there."
    )


def _damage(name, error):
    return ValueError(f"{name} must be readable. Received: {error}. {DAMAGED}")
