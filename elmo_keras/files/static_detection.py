"""Detects the format of a word vector file from its first lines."""

import codecs
import itertools
import pathlib
import re
import shlex
import statistics
import zipfile
from collections.abc import Sequence

from elmo_keras.files import first_bytes
from elmo_keras.files.static_formats import (
    DAMAGED,
    DAMAGES,
    MAX_LINE,
    Binary,
    Source,
    Text,
    damage,
    line_too_long,
)
from elmo_keras.files.static_lines import MAX_DIM, content, count_numbers, shown, split

HEAD_LINES = 1_000  # number of lines to detect the format from

_HEADER = re.compile(rb"([+-]?\d+)[ \t]+([+-]?\d+)")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_INTEGER = re.compile(rb"\d+")
# Also numbers of other layouts: decimal commas, a semicolon at the end, the minus sign U+2212, two
# numbers with a no-break space between them.
_LIKE_A_NUMBER = re.compile(
    rb"(?:[+-]|\xe2\x88\x92)?[.,]?\d(?:[\d.,;+-]|e[+-]?\d|[\x80-\xff])*", re.IGNORECASE
)
_WITH_COMMA = re.compile(
    rb".*[,;][+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE | re.DOTALL
)
_DECIMAL_POINTS = (
    "Write numbers with a decimal point, and separate them by spaces, not by commas or other signs."
)

_EXPECTED = "word vectors, as text or in word2vec's binary format"
_WORD_THEN_NUMBERS = "Write each word and its numbers as one line, with single spaces between them."


def find(path: pathlib.Path, dim: int | None) -> tuple[Source, Text | Binary]:
    """Finds the word vectors in a file, and detects their format.

    Args:
        path: path of a file, plain or compressed.
        dim: required number of values in a vector; `None` accepts any.

    Returns:
        The source of the vectors, which is the first suitable file of a zip archive, and the
        parser of its format.

    Raises:
        ValueError: if the file holds no word vectors, or vectors of another `dim`.
    """
    with open(path, "rb") as file:
        head = file.read(first_bytes.SAMPLE)
    foreign = first_bytes.find_foreign(head, path)
    format = None if foreign is None else foreign.name
    if format == first_bytes.GZIP:
        return _detect(Source(path, "gzip"), dim)
    if format == first_bytes.BZIP2:
        return _detect(Source(path, "bz2"), dim)
    if format != first_bytes.ZIP:
        return _detect(Source(path), dim)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except DAMAGES as error:
        raise damage(path, error) from error
    problems = []
    for member in members:
        try:
            if member.flag_bits & 1:
                raise ValueError(f"{member.filename} is encrypted.")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{member.filename} is compressed by an unsupported method.")
            return _detect(Source(path, "zip", member), dim)
        except ValueError as error:
            problems.append(f"\n  {error}")
    raise ValueError(
        f"{path} must be a zip with a file of word vectors in it{f' of dim={dim}' if dim else ''}. "
        f"Received: {len(members)} files.{''.join(problems[:10])}\nUnpack it, and pass the path of "
        "the file."
    )


def _detect(source: Source, dim: int | None) -> tuple[Source, Text | Binary]:
    """Returns a source and the parser of its format."""
    with source.open() as stream:
        # Lines may be long, especially in binary files, so their total size is bounded, too.
        head: list[bytes] = []
        room = MAX_LINE
        while room > 0 and len(head) <= HEAD_LINES and (line := stream.readline(room)):
            head.append(line)
            room -= len(line)
    if not head:
        raise ValueError(f"{source.name} must hold {_EXPECTED}. Received: an empty file. {DAMAGED}")
    header = _HEADER.fullmatch(content(head[0], 1))
    _check_format(source, b"".join(head)[: first_bytes.SAMPLE], header)
    lines = [(number, content(line, number)) for number, line in enumerate(head, 1)]
    body = [(number, line) for number, line in lines[1 if header else 0 :] if line]
    num_words = header_dim = None
    if header:
        # Python refuses to parse thousands of digits; the first 20 are enough to reject the number.
        num_words, header_dim = (int(number[:20]) for number in header.groups())
        if num_words < 1 or not 1 <= header_dim <= MAX_DIM or not body:
            raise ValueError(
                f"The header of {source.name} must give the number of words that follow, and the "
                f"number of values in a vector, at most {MAX_DIM:,}. Received: {shown(head[0])} as "
                f"line 1{'' if body else ' and nothing after it'}. {DAMAGED}"
            )
        if dim not in (None, header_dim):
            raise _other_dim(source.name, dim, header_dim)
        if not _is_text(head[1:], body[0][1], header_dim):
            return source, Binary(source.name, header_dim, num_words)
    if not body:
        raise ValueError(f"{source.name} must hold {_EXPECTED}. Received: blank lines. {DAMAGED}")
    if not head[-1].endswith(b"\n") and lines[-1][1]:
        # The last line may be incomplete because of the bound above.
        if len(body) > 1:
            body.pop()
        elif room <= 0:
            raise line_too_long(source.name, body[0][0])
    return source, Text(source.name, _text_dim(source.name, body, header_dim, dim), num_words)


def _text_dim(
    name: str, body: Sequence[tuple[int, bytes]], header_dim: int | None, dim: int | None
) -> int:
    """Returns the number of values in a vector of a text file, and checks the layout.

    Args:
        name: name of the file, for errors.
        body: numbers and contents of the lines that are neither blank nor a header.
        header_dim: number of values in a vector according to the header; `None` without a header.
        dim: number of values in a vector that the caller requires, or `None`.
    """
    lines = [line for _, line in body]
    place = f"{shown(lines[0])} as line {body[0][0]}"
    counts = [count_numbers(line) for line in lines]
    # Use the median: a word with spaces may end in a number, and single lines may be damaged.
    actual_dim = statistics.median_high(counts)
    if not 1 <= actual_dim <= MAX_DIM:
        advice = (
            _DECIMAL_POINTS
            if re.search(rb"[,;|] ?[+-]?\.?\d", lines[0])
            else "Pass a text file (.txt, .vec) of word2vec, fastText or GloVe, or a binary file "
            "of word2vec."
        )
        raise _other_layout(name, place, advice)
    _check_that_there_are_words(name, lines, counts, header_dim, dim)
    expected_dim = header_dim or dim or actual_dim
    is_right = statistics.median_low(counts) <= expected_dim <= actual_dim
    split_dim = expected_dim if is_right else actual_dim
    _check_words(name, [split(line, split_dim)[0] for line in lines], place)
    if is_right:
        return expected_dim
    if not header_dim:
        raise _other_dim(name, dim, actual_dim)
    raise ValueError(
        f"The header of {name} must give the number of values in a vector, {actual_dim}. "
        f"Received: {header_dim}, the second number of line 1. {DAMAGED}"
    )


def _check_format(source: Source, head: bytes, header: re.Match[bytes] | None) -> None:
    """Raises a ValueError for a known format that does not hold word vectors."""
    member = None if source.member is None else source.member.filename
    foreign = first_bytes.find_foreign(head, source.path, source.compression, member)
    # UTF-16 is detected by its zero bytes, but binary vectors after a header have zeros as well.
    if foreign is None or (header and first_bytes.find_encoding(head)):
        return
    path = str(source.path) if source.compression is None else "UNPACKED"
    advice = foreign.advice
    if foreign.name == first_bytes.FASTTEXT:
        advice = (
            "Pass the .vec file instead, which fastText and its publishers provide with the .bin. "
            f"If it is missing, `fasttext print-word-vectors {shlex.quote(path)} < words.txt"
            " > vectors.txt` writes the vectors of the words in words.txt."
        )
    elif foreign.name == first_bytes.PICKLE:
        advice = (
            f"Convert it with gensim: `KeyedVectors.load({path!r}).save_word2vec_format"
            '("vectors.txt")`, or `Word2Vec.load(...).wv.save_word2vec_format(...)` for a complete '
            "model."
        )
    elif foreign.name == first_bytes.NUMPY:
        advice = (
            "It has numbers but no words (gensim saves the words in a separate .kv file). "
            f"{_WORD_THEN_NUMBERS}"
        )
    raise ValueError(
        f"{source.name} must hold {_EXPECTED}. Received: {foreign.name}. "
        f"{advice or _WORD_THEN_NUMBERS}"
    )


def _is_text(lines: Sequence[bytes], first: bytes, dim: int) -> bool:
    """Returns whether the content after a header is text; otherwise it is binary.

    Args:
        lines: the lines after the header.
        first: the first one that is not blank, as returned by `content`.
        dim: number of values in a vector according to the header.
    """
    if count_numbers(first) >= dim:
        return True
    # A damaged line of text is still text, but binary values are not.
    sample = b"".join(lines[:100])[: 1 << 12]
    try:
        return not _CONTROL.search(codecs.getincrementaldecoder("utf-8")().decode(sample))
    except UnicodeDecodeError:
        return False


def _check_that_there_are_words(
    name: str,
    lines: Sequence[bytes],
    counts: Sequence[int],
    header_dim: int | None,
    dim: int | None,
) -> None:
    """Raises a ValueError for a table of numbers without words, such as numpy.savetxt writes.

    A first column of distinct integers is accepted as words, for example of the nodes of a graph,
    if the other columns are not all integers or if `dim` excludes the first column.

    Args:
        name: name of the file, for errors.
        lines: lines of the body that are not blank.
        counts: `count_numbers` of each line.
        header_dim: number of values in a vector according to the header; `None` without a header.
        dim: number of values in a vector that the caller requires, or `None`.
    """
    indented = [line.startswith((b" ", b"\t")) for line in lines]
    # The first part of each line, and the rest of the line.
    first, _, rest = zip(*(_with_spaces(line).lstrip(b" ").partition(b" ") for line in lines))
    are_numbers = [
        _LIKE_A_NUMBER.fullmatch(part) is not None
        and count_numbers(b" " + line) == count + (not is_indented)
        for line, part, count, is_indented in zip(lines, first, counts, indented)
    ]
    if header_dim is not None:
        # The header's `dim` tells whether the first number is a word. But a "header" may also be
        # the first row of a table with two columns.
        has_words = max(counts) == header_dim or any(indented)
        is_table = all(are_numbers) and not has_words and set(counts) <= {header_dim - 1, 1}
    elif all(are_numbers):
        parts = (part for numbers in rest for part in numbers.split(None, MAX_DIM))
        has_names = all(map(_INTEGER.fullmatch, first)) and len(set(first)) == len(first)
        is_sure = dim is not None and set(counts) == {dim}
        is_sure = is_sure or not all(map(_INTEGER.fullmatch, parts))
        is_table = any(indented) or not (has_names and is_sure)
    else:
        numbers = itertools.compress(first, are_numbers)
        fractions = [number for number in numbers if not _INTEGER.fullmatch(number)]
        is_table = 2 * len(fractions) > len(lines)
    if is_table:
        raise ValueError(
            f"Each line of {name} must hold a word before its numbers. Received: numbers without "
            f"words; the first line is {shown(lines[0])}. {_WORD_THEN_NUMBERS}"
        )


def _check_words(name: str, candidates: Sequence[bytes | None], place: str) -> None:
    """Raises a ValueError if the words show another layout, such as row numbers before words.

    Args:
        name: name of the file, for errors.
        candidates: words of the first lines; `None` for a line that could not be split.
        place: description of the first line, for errors.
    """
    tokens = [token for token in candidates if token]
    half = len(tokens) / 2
    # The first and the last part of each word that consists of several parts.
    several = [words for words in map(_with_spaces, tokens) if b" " in words]
    first = [words.partition(b" ")[0] for words in several]
    last = [words.rpartition(b" ")[2] for words in several]
    if (
        sum(_LIKE_A_NUMBER.fullmatch(part) is not None for part in last) > half
        or sum(_WITH_COMMA.fullmatch(token) is not None for token in tokens) > half
    ):
        advice = _DECIMAL_POINTS
    elif sum(b"\t" in token for token in tokens) > half:
        advice = f"Remove the other columns. {_WORD_THEN_NUMBERS}"
    elif 1 < len(tokens) == len(first) and _are_consecutive(first):
        advice = f"Remove the row numbers. {_WORD_THEN_NUMBERS}"
    elif sum(re.fullmatch(rb'".+"', token) is not None for token in tokens) > half:
        advice = "Write the words without quotation marks, in R with `quote=FALSE`."
    else:
        return
    raise _other_layout(name, place, advice)


def _are_consecutive(parts: Sequence[bytes]) -> bool:
    if not all(map(_INTEGER.fullmatch, parts)):
        return False
    values = [int(part[:20]) for part in parts]
    return values == list(range(values[0], values[0] + len(values)))


def _with_spaces(line: bytes) -> bytes:
    return line.replace(b"\t", b" ")


def _other_layout(name: str, place: str, advice: str) -> ValueError:
    return ValueError(
        f"Each line of {name} must hold a word and at most {MAX_DIM:,} numbers, separated by "
        f"spaces or tabs. Received: {place}. {advice}"
    )


def _other_dim(name: str, dim: int | None, actual: int) -> ValueError:
    return ValueError(
        f"`dim` must be the number of values in a vector of {name}, {actual}. "
        f"Received: dim={dim}. Leave `dim` out to accept any."
    )
