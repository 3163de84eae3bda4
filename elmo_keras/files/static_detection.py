"""Detection of the format of a file of word vectors, from its beginning."""

import codecs
import itertools
import pathlib
import re
import shlex
import statistics
import zipfile

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

HEAD_LINES = 1_000  # lines that tell what a file is

_HEADER = re.compile(rb"([+-]?\d+)[ \t]+([+-]?\d+)")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_INTEGER = re.compile(rb"\d+")
# Numbers of other layouts: 0,5 or 0.5; or -0.5 with U+2212, and two with a no-break space between.
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
    """Finds the vectors that a path stands for, and detects their format.

    Args:
        path: of a file, plain or compressed.
        dim: numbers that a vector must have, `None` for any.

    Raises:
        ValueError: if there are no vectors.
    """
    with open(path, "rb") as file:
        head = file.read(first_bytes.SAMPLE)
    found = first_bytes.find_foreign(head, path)
    kind = None if found is None else found.name
    if kind == first_bytes.GZIP:
        return _detect(Source(path, "gzip"), dim)
    if kind == first_bytes.BZIP2:
        return _detect(Source(path, "bz2"), dim)
    if kind != first_bytes.ZIP:
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
                raise ValueError(f"{member.filename} is not compressed by the usual method.")
            return _detect(Source(path, "zip", member), dim)
        except ValueError as error:
            problems.append(f"\n  {error}")
    raise ValueError(
        f"{path} must be a zip with a file of word vectors in it{f' of dim={dim}' if dim else ''}. "
        f"Received: {len(members)} files.{''.join(problems[:10])}\nUnpack it, and name the file."
    )


def _detect(source, dim):
    """Returns the source and its format, as its first lines tell it."""
    with source.open() as stream:
        # Lines may be long, in binary files above all: their sum is bounded as well.
        head, room = [], MAX_LINE
        while room > 0 and len(head) <= HEAD_LINES and (line := stream.readline(room)):
            head.append(line)
            room -= len(line)
    if not head:
        raise ValueError(f"{source.name} must hold {_EXPECTED}. Received: an empty file. {DAMAGED}")
    header = _HEADER.fullmatch(content(head[0], 1))
    _check_format(source, b"".join(head)[: first_bytes.SAMPLE], header)
    lines = [(number, content(line, number)) for number, line in enumerate(head, 1)]
    body = [(number, line) for number, line in lines[1 if header else 0 :] if line]
    num_words = said = None
    if header:
        # Of numbers without end the first digits say enough.
        num_words, said = (int(number[:20]) for number in header.groups())
        if num_words < 1 or not 1 <= said <= MAX_DIM or not body:
            raise ValueError(
                f"The header of {source.name} must say how many words follow, and how many "
                f"numbers, at most {MAX_DIM:,}, each has. Received: {shown(head[0])} as line 1"
                f"{'' if body else ' and nothing after it'}. {DAMAGED}"
            )
        if dim not in (None, said):
            raise _other_dim(source.name, dim, said)
        if not _is_text(head[1:], body[0][1], said):
            return source, Binary(source.name, said, num_words)
    if not body:
        raise ValueError(f"{source.name} must hold {_EXPECTED}. Received: blank lines. {DAMAGED}")
    if not head[-1].endswith(b"\n") and lines[-1][1]:
        # Cut short, perhaps by the bound above.
        if len(body) > 1:
            body.pop()
        elif room <= 0:
            raise line_too_long(source.name, body[0][0])
    counts = [count_numbers(line) for _, line in body]
    # A word of several parts may end in a number, a damaged line in anything: most lines decide.
    most = statistics.median_high(counts)
    place = f"{shown(body[0][1])} as line {body[0][0]}"
    if not 1 <= most <= MAX_DIM:
        advice = (
            _DECIMAL_POINTS
            if re.search(rb"[,;|] ?[+-]?\.?\d", body[0][1])
            else "Give the text file (.txt, .vec) that word2vec, fastText or GloVe has written, or "
            "word2vec's binary file."
        )
        raise _other_layout(source.name, place, advice)
    _check_that_there_are_words(source.name, [line for _, line in body], counts, said, dim)
    asked = said or dim or most
    fits = statistics.median_low(counts) <= asked <= most
    _check_words(source.name, [split(n, asked if fits else most)[0] for _, n in body], place)
    if not fits:
        if not said:
            raise _other_dim(source.name, dim, most)
        raise ValueError(
            f"The header of {source.name} must say how many numbers its lines have, {most}. "
            f"Received: {said}, the second number of line 1. {DAMAGED}"
        )
    return source, Text(source.name, asked, num_words)


def _check_format(source, head, header):
    """Refuses the formats that the first bytes reveal."""
    member = None if source.member is None else source.member.filename
    found = first_bytes.find_foreign(head, source.path, source.compression, member)
    # Without a byte order mark UTF-16 is known by its zeros, and those may be of binary numbers.
    if found is None or (header and first_bytes.find_encoding(head)):
        return
    path = str(source.path) if source.compression is None else "UNPACKED"
    advice = found.advice
    if found.name == first_bytes.FASTTEXT:
        advice = (
            "Give the same vectors as text: fastText and its publishers write a .vec beside the "
            f".bin. From a .bin alone, `fasttext print-word-vectors {shlex.quote(path)} < words.txt"
            " > vectors.txt` writes the vectors of the words in words.txt."
        )
    elif found.name == first_bytes.PICKLE:
        advice = (
            f"Convert it with gensim: `KeyedVectors.load({path!r}).save_word2vec_format"
            '("vectors.txt")`, or, for a whole model, `Word2Vec.load(...).wv` in its place.'
        )
    elif found.name == first_bytes.NUMPY:
        advice = (
            "It has numbers but no words (gensim keeps the words in the .kv beside it). "
            f"{_WORD_THEN_NUMBERS}"
        )
    raise ValueError(
        f"{source.name} must hold {_EXPECTED}. Received: {found.name}. "
        f"{advice or _WORD_THEN_NUMBERS}"
    )


def _is_text(lines, first, dim):
    """Whether text follows a header that says `dim`; else it is the binary format."""
    if count_numbers(first) >= dim:
        return True
    # It is not the line that it should be; but neither are the bytes of numbers text.
    sample = b"".join(lines[:100])[: 1 << 12]
    try:
        return not _CONTROL.search(codecs.getincrementaldecoder("utf-8")().decode(sample))
    except UnicodeDecodeError:
        return False


def _check_that_there_are_words(name, lines, counts, said, dim):
    """Refuses a table of numbers alone, as numpy.savetxt writes it.

    A first column of different integers passes if the others are not all integers: it may hold
    words, such as the numbers of nodes in a graph.
    """
    indented = [line.startswith((b" ", b"\t")) for line in lines]
    # The first part of each line, and the others.
    first, _, others = zip(*(_with_spaces(line).lstrip(b" ").partition(b" ") for line in lines))
    are_numbers = [
        _LIKE_A_NUMBER.fullmatch(part) is not None
        and count_numbers(b" " + line) == count + (not is_indented)
        for line, part, count, is_indented in zip(lines, first, counts, indented)
    ]
    if said is not None:
        # The header tells whether the first of the numbers is a word; or it is a row of two itself.
        has_words = max(counts) == said or any(indented)
        is_table = all(are_numbers) and not has_words and set(counts) <= {said - 1, 1}
    elif all(are_numbers):
        parts = (part for some in others for part in some.split(None, MAX_DIM))
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
            f"Each line of {name} must hold a word before its numbers. Received: numbers alone, "
            f"{shown(lines[0])} in the first of them. {_WORD_THEN_NUMBERS}"
        )


def _check_words(name, tokens, place):
    """Refuses layouts that make words of other things than words."""
    tokens = [token for token in tokens if token]
    half = len(tokens) / 2
    # The first and the last part of the words that have several.
    several = [words for words in map(_with_spaces, tokens) if b" " in words]
    first = [words.partition(b" ")[0] for words in several]
    last = [words.rpartition(b" ")[2] for words in several]
    if (
        sum(_LIKE_A_NUMBER.fullmatch(part) is not None for part in last) > half
        or sum(_WITH_COMMA.fullmatch(token) is not None for token in tokens) > half
    ):
        advice = _DECIMAL_POINTS
    elif sum(b"\t" in token for token in tokens) > half:
        advice = f"Leave out the other columns. {_WORD_THEN_NUMBERS}"
    elif 1 < len(tokens) == len(first) and _are_consecutive(first):
        advice = f"Leave out the numbers of the rows. {_WORD_THEN_NUMBERS}"
    elif sum(re.fullmatch(rb'".+"', token) is not None for token in tokens) > half:
        advice = "Write the words without quotation marks, in R with `quote=FALSE`."
    else:
        return
    raise _other_layout(name, place, advice)


def _are_consecutive(parts):
    if not all(map(_INTEGER.fullmatch, parts)):
        return False
    values = [int(part[:20]) for part in parts]
    return values == list(range(values[0], values[0] + len(values)))


def _with_spaces(line):
    return line.replace(b"\t", b" ")


def _other_layout(name, place, advice):
    return ValueError(
        f"{name} must hold word vectors: in each line a word and at most {MAX_DIM:,} numbers, "
        f"separated by spaces or tabs. Received: {place}. {advice}"
    )


def _other_dim(name, dim, there):
    return ValueError(
        f"`dim` must be the number of numbers that a vector in {name} has, {there}. "
        f"Received: dim={dim}. Leave `dim` out to take what is there."
    )
