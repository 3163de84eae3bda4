"""Rows of word vector files: numbers, damaged lines, damaged binary files."""

import gzip

import numpy as np
import pytest

from elmo_keras.files.static_formats import Source
from tests.files.word_vectors import (
    BINARY,
    HEADER,
    PACKINGS,
    VECTORS,
    WORDS,
    assert_vectors,
    encode,
    text_lines,
)


@pytest.mark.parametrize("packing", ["plain", "gzip", "bz2"])
def test_source(tmp_path, packing):
    path = tmp_path / "file"
    path.write_bytes(PACKINGS[packing](b"content"))
    source = Source(path, None if packing == "plain" else packing)
    assert source.name == str(path)
    with source.open() as stream:
        assert stream.read() == b"content"


@pytest.mark.parametrize("packing", ["gzip", "bz2"])
@pytest.mark.parametrize("end", [12, 20, -5])
def test_damaged_source(tmp_path, packing, end):
    path = tmp_path / "file"
    path.write_bytes(PACKINGS[packing](encode(HEADER))[:end])
    with pytest.raises(ValueError, match="file must be readable. Received: "):
        with Source(path, packing).open() as stream:
            stream.read()


# === Text ===


@pytest.mark.parametrize(
    "number",
    ["1", "-1", "+.5", "1.", "1e-3", "-1.5E+2", "0.1", "1e-50", "3.4028235e38", "00"],
)
def test_numbers_equal_those_of_python(read, number):
    expected = np.array([[float(number)]]).astype("float32")
    assert_vectors(read(f"the {number}\n".encode()), ["the"], expected)


@pytest.mark.parametrize("format, num_words", [(HEADER, 2), (HEADER, 10**30), (BINARY, 2)])
def test_wrong_number_of_words_in_the_header(read, format, num_words):
    assert_vectors(read(encode(format, num_words=num_words)))


@pytest.mark.parametrize("header", [b"4 5\n", b""])
@pytest.mark.parametrize("row", [0, 2, 3])
@pytest.mark.parametrize(
    "line, message",
    [
        (b"x 1 2 3 4\n", "a word and 5 numbers"),
        (b"x\n", "a word and 5 numbers"),
        (b"\nx 1 2 3 4 5\n", "a word and 5 numbers"),
        (b"x 1 2 3 four 5\n", "must end in 5 numbers"),
        (b"x 1 2 3  5\n", "a word and 5 numbers"),
        (b"x 1 2 3-4 5 6\n", "must end in 5 numbers"),
        (b"x 1 2 3 1_0 5\n", "must end in 5 numbers"),
        (b"x 1 2 3 0x10 5\n", "must end in 5 numbers"),
        ("x 1 2 3 ٤ 5\n".encode(), "must end in 5 numbers"),
        (b"x 1 2 3\r4 5 6\n", "must end in 5 numbers"),
        (b"x 1 2 3 4 \r\r\n", "must end in 5 numbers"),
        ("x 1 2 3 4\u00a0 5\n".encode(), "must end in 5 numbers"),
        (b"x 1 2 nan 4 5\n", "must be finite"),
        (b"x 1 2 -inf 4 5\n", "must be finite"),
        (b"x 1 2 1e39 4 5\n", "must be finite"),
        (b"x" * 10_000_000 + b" 1 2 3 4 5\n", "10,000,000 bytes"),
    ],
    ids=lambda value: ascii(value[:30]),
)
def test_invalid_line(read, tmp_path, header, row, line, message):
    lines = text_lines()
    lines[row] = line
    place = f"line {row + 1 + bool(header)}\\b"
    with pytest.raises(ValueError, match=f"{message}(?s:.*){place}") as error:
        read(header + b"".join(lines))
    assert str(tmp_path / "file") in str(error.value)
    assert len(str(error.value)) < 600


def test_names_of_columns(read):
    with pytest.raises(ValueError, match="d1.* line 1. If it .* names of columns"):
        read(b"word\td1\td2\nthe\t0.5\t1\ncat\t2\t3\n")


# === Binary ===


def test_vectors_that_are_not_finite(read):
    vectors = VECTORS.copy()
    vectors[2, 1] = np.nan
    data = encode(BINARY, vectors=vectors)
    with pytest.raises(ValueError, match="must be finite.* Received: NaN.*in word 3"):
        read(data)
    assert_vectors(read(data, max_words=2), WORDS[:2], VECTORS[:2])


def test_long_binary_word(read):
    message = "no space within 10,000 bytes after the beginning of word 2"
    with pytest.raises(ValueError, match=message):
        read(encode(BINARY, ["a", "x" * 10_001], VECTORS[:2]))


def test_truncated_vector(read):
    message = "must hold 4 words.*Received: the end of the file 21 bytes after .* of word 1"
    with pytest.raises(ValueError, match=message):
        read(b"4 5\na " + bytes(19))


def test_gzip_followed_by_other_bytes(read):
    with pytest.raises(ValueError, match="must be readable"):
        read(gzip.compress(encode(HEADER), mtime=0) + b"more")


def test_bzip2_in_two_parts(read):
    data = encode(HEADER)
    assert_vectors(read(PACKINGS["bz2"](data[:30]) + PACKINGS["bz2"](data[30:])))
