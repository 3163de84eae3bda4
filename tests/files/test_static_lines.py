"""Lines of word vectors: separators, white space in words, blank lines, ends of lines."""

import numpy as np
import pytest

from elmo_keras.encoders import StaticEmbedding
from elmo_keras.files import static_lines
from elmo_keras.files.static_lines import MAX_DIM, content, count_numbers, shown, split
from tests.files.word_vectors import (
    PACKINGS,
    SEPARATORS,
    SPACED_VECTORS,
    SPACED_WORDS,
    TEXT_FORMATS,
    assert_vectors,
    encode,
    spaced_text,
)
from tests.small_models import to_numpy

# === Functions ===


@pytest.mark.parametrize(
    "line, number, expected",
    [
        (b"the 1\n", 1, b"the 1"),
        (b"the 1 \t\r\n", 2, b"the 1"),
        (b" the 1", 2, b" the 1"),
        (b"the 1\r\r\n", 2, b"the 1\r"),
        (b"\xef\xbb\xbfthe 1\n", 1, b"the 1"),
        (b"\xef\xbb\xbfthe 1\n", 2, b"\xef\xbb\xbfthe 1"),
        (b"\n", 1, b""),
        (b"", 1, b""),
    ],
)
def test_content(line, number, expected):
    assert content(line, number) == expected


@pytest.mark.parametrize(
    "line, dim, expected",
    [
        (b"the 1 2", 2, (b"the", b"1 2")),
        (b"the\t1  2", 2, (b"the", b"1 2")),
        (b". . . 1 2", 2, (b". . .", b"1 2")),
        (b"  the 1 2", 2, (b"the", b"1 2")),
        (b" 1 2", 2, (b"", b"1 2")),
        (b"a\x0bb 1 2", 2, (b"a\x0bb", b"1 2")),
        (b"1 2", 2, (None, None)),
        (b"the 1", 2, (None, None)),
        (b"", 2, (None, None)),
        (b"the x y", 2, (b"the", b"x y")),
    ],
)
def test_split(line, dim, expected):
    assert split(line, dim) == expected


@pytest.mark.parametrize(
    "line, expected",
    [
        (b"the 1 -2.5 1e-3 .5 +7.", 5),
        (b"the nan inf -Infinity", 3),
        (b"the x 1 2", 2),
        (b"1 2 3", 2),
        (b" 1 2 3", 3),
        (b"the 1 2,5", 0),
        (b"the 1 0x10", 0),
        (b"the", 0),
        (b"", 0),
        (b"the" + b" 1" * (MAX_DIM + 5), MAX_DIM + 1),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_count_numbers(line, expected):
    assert count_numbers(line) == expected


@pytest.mark.parametrize(
    "line, expected",
    [(b"the 1", "b'the 1'"), (b"x" * 60, f"b'{'x' * 60}'"), (b"x" * 61, f"b'{'x' * 60}...'")],
    ids=["short", "60 bytes", "61 bytes"],
)
def test_shown(line, expected):
    assert shown(line) == expected


def test_separators_are_spaces_and_tabs():
    assert set(static_lines._BLANKS) == set(b" \t")


# === Separators in a file ===


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("header", [None, " ", "\t", " \t  "])
@pytest.mark.parametrize("separators", SEPARATORS)
def test_runs_of_spaces_and_tabs(read, separators, header, packing):
    for start, end in (("", "\n"), ("", " \t\r\n"), ("\t ", "\n")):
        data = PACKINGS[packing](spaced_text(SEPARATORS[separators], start, end, header))
        assert_vectors(read(data), SPACED_WORDS, SPACED_VECTORS)
        assert_vectors(read(data, dim=3, max_words=2), SPACED_WORDS[:2], SPACED_VECTORS[:2])
        some = read(data, words=["\u3000", ". . ."])
        assert_vectors(some, [". . .", "\u3000"], SPACED_VECTORS[[1, 6]])
        with pytest.raises(ValueError, match="dim=2"):
            read(data, dim=2)


@pytest.mark.parametrize("header, end", [("", ""), ("500\t7\n", "\n")])
def test_different_separators_in_one_file(read, header, end):
    rng = np.random.default_rng(0)
    words = [f"w{number}" for number in range(500)]
    vectors = rng.standard_normal((500, 7)).astype("float32")
    rows = [[word, *map(repr, row)] for word, row in zip(words, vectors.tolist())]
    blanks = [" ", "\t", "  ", " \t "]
    lines = [row[0] + "".join(rng.choice(blanks) + part for part in row[1:]) for row in rows]
    assert_vectors(read((header + "\n".join(lines) + end).encode()), words, vectors)


@pytest.mark.parametrize("data", [b"the\t0.5\ncat\t\t-1\n", b"2\t1\nthe\t0.5\ncat -1\n"])
def test_one_dimension(read, data):
    assert_vectors(read(data), ["the", "cat"], [[0.5], [-1]])


@pytest.mark.parametrize("separators", SEPARATORS)
@pytest.mark.parametrize("header", [None, "\t"])
def test_embedding_layer(tmp_path, separators, header):
    (tmp_path / "file").write_bytes(spaced_text(SEPARATORS[separators], header=header))
    layer = StaticEmbedding.from_file(tmp_path / "file")
    assert layer.vocabulary == SPACED_WORDS
    assert layer.dim == 3
    actual = to_numpy(layer(np.arange(1, len(SPACED_WORDS) + 1)[None]))
    np.testing.assert_array_equal(actual, SPACED_VECTORS[None])
    some = StaticEmbedding.from_file(tmp_path / "file", words=["naïve", "the"])
    expected = [[*SPACED_VECTORS[[2, 0]], [0.0] * 3]]
    np.testing.assert_array_equal(to_numpy(some(np.array([[2, 1, 3]]))), expected)


def test_words_of_white_space(read):
    data = b"the 0.5 1\n \t 2 3\n\r 4 5\nb\tc 6 7\nnew  york\t8 9\n"
    words = ["the", "", "\r", "b\tc", "new  york"]
    assert_vectors(read(data), words, [[0.5, 1], [2, 3], [4, 5], [6, 7], [8, 9]])


def test_one_line_with_spaces(read):
    assert_vectors(read(b". . . 0.5 1\n"), [". . ."], [[0.5, 1]])


# === Ends of lines and blank lines ===


@pytest.mark.parametrize("packing", ["plain", "gzip"])
@pytest.mark.parametrize("format", TEXT_FORMATS)
@pytest.mark.parametrize("end", [b"\r\n", b" \n", b" \r\n"])
def test_ends_of_lines(read, format, end, packing):
    assert_vectors(read(PACKINGS[packing](encode(format).replace(b"\n", end))))


@pytest.mark.parametrize("packing", ["plain", "gzip"])
@pytest.mark.parametrize("format", TEXT_FORMATS)
def test_byte_order_mark(read, format, packing):
    assert_vectors(read(PACKINGS[packing](b"\xef\xbb\xbf" + encode(format))))


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("header", ["", "2 2\n", "1 2\n"])
@pytest.mark.parametrize(
    "end", ["", "\n", "\r\n", "\n\n", "\n\n\n\n", "\r\n\r\n", "\n  \n\t\n", " ", "\t", "\n "]
)
def test_ends_of_files(tmp_path, read, header, end, packing):
    data = PACKINGS[packing](f"{header}the 0.5 1\ncat 0 -2{end}".encode())
    assert_vectors(read(data), ["the", "cat"], [[0.5, 1], [0, -2]])


@pytest.mark.parametrize(
    "data",
    [b"the\t0.1 -0.2 0.3", b"1 3\nthe 0.1 -0.2 0.3", b"1 3\nthe 0.1 -0.2 0.3\n\n"],
)
def test_single_line(read, data):
    assert_vectors(read(data), ["the"], [[0.1, -0.2, 0.3]])


@pytest.mark.parametrize(
    "data, message",
    [
        # Words and the last line break are missing.
        (b"3 2\nthe 0.5 1\ncat 0 -2", "must hold the 3 words.*Received: 2, and no line break.*3"),
        (b"9 2\nthe 0.5 1", "must hold the 9 words.*Received: 1, and no line break"),
        (b"3 2\nthe 0.5 1\ncat 0 -2\n ", "must hold the 3 words.*Received: 2"),
        (b"the 0.5 1\ncat 0", "a word and 2 numbers.*b'cat 0' as line 2"),
        (b"2 2\nthe 0.5 1\ncat 0", "a word and 2 numbers.*b'cat 0' as line 3"),
        (b"the 0.5 1\ncat 0 -", r"must end in 2 numbers.*line 2"),
        (b"2 2", "nothing after it"),
        (b"2 2\n\n\n", "nothing after it"),
        (b"\n \n\t\n", "Received: blank lines"),
        # Blank lines before the end of the file.
        (b"the 0.5 1\n\ncat 0 -2\n", "b'' as line 2"),
        (b"2 2\n\nthe 0.5 1\ncat 0 -2\n", "b'' as line 2"),
        (b"\nthe 0.5 1\ncat 0 -2\n", "b'' as line 1"),
        (b"the 0.5 1\n\n\t\n\ncat 0 -2\n", "b'' as line 2"),
        (b"the 0.5 1\n\n cat 0 -2\n", "b'' as line 2"),
        (b"the 0.5 1\n\n 0 -2 3\ncat 0 1\n", "b'' as line 2"),
        (b"the 0.5 1\n\n 0\ncat 0 -2\n", "b'' as line 2"),
        (b"the 0.5 1\n\n 0 x\ncat 0 -2\n", "b'' as line 2"),
        (b"the 0.5 1\n" + b"\n" * 10_001 + b" 0 1\n", "b'' as line 2"),
    ],
    ids=lambda value: ascii(value[:30]),
)
def test_missing_and_blank_lines(read, data, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read(data)


@pytest.mark.parametrize("options", [{"max_words": 1}, {"words": ["the"]}], ids=str)
def test_lines_before_a_missing_end_are_read(read, options):
    actual = read(b"3 2\nthe 0.5 1\ncat 0 -2", **options)
    assert_vectors(actual, ["the"], [[0.5, 1]])


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
class TestLineBreakAsWord:
    def test_inside_the_file(self, read, header, end):
        lines = ["the 0.5 1", "", " 0.25 -1", "cat 0 -2", "", "", "\t7\t8", ""]
        data = (("3 2\n" if header else "") + end.join(lines)).encode()
        words, vectors = ["the", "\n", "cat", "\n\n"], [[0.5, 1], [0.25, -1], [0, -2], [7, 8]]
        assert_vectors(read(data), words, vectors)
        assert_vectors(read(data, words=["\n"]), ["\n"], [[0.25, -1]])

    def test_first_word(self, read, header, end):
        lines = ["", " 0.25 -1", "cat 0 -2", "", ""]
        data = (("2 2\n" if header else "") + end.join(lines)).encode()
        assert_vectors(read(data), ["\n", "cat"], [[0.25, -1], [0, -2]])
