"""Reading word vectors: formats, compressions, selection of words, arguments, memory."""

import gzip
import re
import struct
import tracemalloc

import numpy as np
import pytest

from elmo_keras.files import static_formats, static_vectors
from elmo_keras.files.static_vectors import read_static_vectors
from tests.files.word_vectors import (
    BINARY,
    FORMATS,
    HEADER,
    NO_HEADER,
    PACKINGS,
    TEXT_FORMATS,
    VECTORS,
    WORDS,
    assert_vectors,
    encode,
    zipped,
)

# === Formats ===


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("format", FORMATS)
def test_formats(read, format, packing):
    data = PACKINGS[packing](encode(format))
    assert_vectors(read(data))
    assert_vectors(read(data, dim=5))
    with pytest.raises(ValueError, match="dim=4"):
        read(data, dim=4)
    with pytest.raises(ValueError, match="dim=6"):
        read(data, dim=6)


@pytest.mark.parametrize("format", FORMATS)
def test_uncompressed_zip_with_a_folder(read, format):
    members = ("folder/", b""), ("folder/v", encode(format))
    assert_vectors(read(zipped(*members, compresslevel=0)))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("chunk", [100, 1000])
def test_file_of_several_chunks(read, monkeypatch, format, chunk):
    words = [f"w{i}" for i in range(1000)]
    vectors = np.random.default_rng(0).standard_normal((1000, 3)).astype("float32")
    monkeypatch.setattr(static_formats, "CHUNK", chunk)
    monkeypatch.setattr(static_vectors, "CHUNK", chunk)
    data = encode(format, words, vectors)
    assert_vectors(read(data), words, vectors)
    assert_vectors(read(data, words=words[::7]), words[::7], vectors[::7])


class TestZip:
    def test_first_suitable_file(self, read):
        wide = np.tile(VECTORS, 2)
        data = zipped(
            ("a/", b""),
            ("README.txt", b"These are\nvectors.\n"),
            ("5", encode(NO_HEADER)),
            ("10", encode(HEADER, vectors=wide)),
        )
        assert_vectors(read(data))
        assert_vectors(read(data, dim=5))
        assert_vectors(read(data, dim=10), WORDS, wide)
        with pytest.raises(ValueError, match="(?s)Received: 3 files.*README.*Unpack it"):
            read(data, dim=7)

    def test_empty(self, read):
        with pytest.raises(ValueError, match="Received: 0 files"):
            read(zipped())

    def test_encrypted(self, read):
        data = bytearray(zipped(("v.txt", encode(HEADER))))
        data[6] |= 1
        data[data.index(b"PK\x01\x02") + 8] |= 1
        with pytest.raises(ValueError, match="v.txt is encrypted"):
            read(bytes(data))

    def test_unsupported_method(self, read):
        data = bytearray(zipped(("v.txt", encode(HEADER))))
        data[data.index(b"PK\x01\x02") + 10] = 12
        with pytest.raises(ValueError, match="v.txt is compressed by an unsupported method"):
            read(bytes(data))


# === Selection of words ===


@pytest.mark.parametrize("packing", ["plain", "gzip"])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "options, rows",
    [
        ({"words": ["b", "nowhere", "the"]}, [0, 3]),
        ({"words": ("b",)}, [3]),
        ({"words": []}, []),
        ({"words": ["nowhere"]}, []),
        ({"max_words": 2}, [0, 1]),
        ({"max_words": 9}, [0, 1, 2, 3]),
        ({"max_words": 1, "words": WORDS[1:]}, [1]),
        ({"max_words": np.int64(4), "dim": np.int64(5)}, [0, 1, 2, 3]),
    ],
    ids=str,
)
def test_selection(read, format, packing, options, rows):
    actual = read(PACKINGS[packing](encode(format)), **options)
    assert_vectors(actual, [WORDS[row] for row in rows], VECTORS[rows])


def test_words_from_an_iterator(read):
    assert_vectors(read(encode(HEADER), words=iter(["b"])), ["b"], VECTORS[3:])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("max_words", [None, 3])
def test_first_of_equal_words_counts(read, format, max_words):
    """Bytes that are not UTF-8 become U+FFFD, so that different bytes may be equal words."""
    words = ["a", "b", "a", b"\xff", b"\xfe", "\ufffd", "c"]
    vectors = np.random.default_rng(0).standard_normal((len(words), 5)).astype("float32")
    expected_words, rows = ["a", "b", "\ufffd", "c"][:max_words], [0, 1, 3, 6][:max_words]
    actual = read(encode(format, words, vectors), max_words=max_words)
    assert_vectors(actual, expected_words, vectors[rows])


@pytest.mark.parametrize(
    "options, rows", [({"words": ["the", "b"]}, [0, 3]), ({"max_words": 1}, [0])], ids=str
)
def test_numbers_of_skipped_words_are_not_parsed(read, options, rows):
    data = encode(HEADER).replace(b"</s> ", b"</s> x")
    assert_vectors(read(data, **options), [WORDS[row] for row in rows], VECTORS[rows])
    with pytest.raises(ValueError, match="line 3"):
        read(data)


# === Words ===


@pytest.mark.parametrize("format", TEXT_FORMATS)
def test_words_of_glove(read, format):
    words = [". . .", "a", "at name@domain.com", "\u00a0", "x\u0085y", "\u2028", "\u3000", "b\tc"]
    words += ["", "1 2", "d\re"]
    vectors = np.random.default_rng(0).standard_normal((len(words), 3)).astype("float32")
    data = encode(format, words, vectors)
    assert_vectors(read(data), words, vectors)
    assert_vectors(read(data, words=[". . .", "\u2028"]), [". . .", "\u2028"], vectors[[0, 5]])


def test_binary_words(read):
    words = ["a\tb", "\n\n", "", "x" * 10_000]
    assert_vectors(read(encode(BINARY, words, between=b"\n")), words, VECTORS)


# === Arguments ===


@pytest.mark.parametrize("name", ["max_words", "dim"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2"])
def test_wrong_number(read, name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be a positive int"):
        read(encode(HEADER), **{name: value})


@pytest.mark.parametrize(
    "words, message", [("the", "bare str 'the'"), ([b"the"], "b'the'"), (["a", 1], "1")]
)
def test_wrong_words(read, words, message):
    with pytest.raises(ValueError, match=f"`words` must be .*{message}"):
        read(encode(HEADER), words=words)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_static_vectors(tmp_path / "absent")


# === Memory ===


def peak_memory(function):
    """Returns the result of a function, and the bytes that it allocated at most."""
    tracemalloc.start()
    try:
        result = function()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_bounded_by_the_kept_vectors(tmp_path):
    path = tmp_path / "vectors.gz"
    row = b" ".join([b"%d", *[b"0"] * 300]) + b"\n"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"999999999 300\n")
        for number in range(10_000):  # 6 MB of text, 12 MB of vectors
            file.write(row % number)
    read_static_vectors(path, max_words=1)
    (words, _), peak = peak_memory(lambda: read_static_vectors(path, words=["9999", "5"]))
    assert words == ["5", "9999"]
    assert peak < 5e6


def test_bzip2_is_read_as_a_stream(tmp_path):
    path = tmp_path / "vectors.bz2"
    letters = np.random.default_rng(0).integers(97, 123, (1000, 900), dtype="uint8")
    rows = b"".join(row.tobytes() + b" 0 1\n" for row in letters)
    path.write_bytes(PACKINGS["bz2"](rows) * 6 + PACKINGS["bz2"](b"last 2 3\n"))
    read_static_vectors(path, max_words=1)
    actual, peak = peak_memory(lambda: read_static_vectors(path, words=["last"]))
    assert_vectors(actual, ["last"], [[2, 3]])
    assert peak < 4e6 < 0.75 * 6 * len(rows)


@pytest.mark.parametrize("header", [b"999999999 100000\n", b"999999999 1\n"])
def test_header_allocates_no_memory(read, header):
    def load():
        with pytest.raises(ValueError, match="the end of the file"):
            read(header + b"a " + struct.pack("<4f", *VECTORS[0, :4]))

    assert peak_memory(load)[1] < 10e6


# === Damage ===


@pytest.mark.parametrize("packing", ["plain", "gzip", "zip"])
@pytest.mark.parametrize("format", FORMATS)
def test_truncated(read, format, packing):
    """A truncated file is refused, unless it ends like a complete file."""
    whole = PACKINGS[packing](encode(format))
    ends = [match.end() for match in re.finditer(b"\n", whole)] if format != BINARY else []
    # Twenty places all over the file, and places around the ends of lines and of the last word.
    places = {int(place) for place in np.linspace(0, len(whole) - 1, 20)}
    places |= {end + step for end in ends for step in (-2, -1, 0, 1)} - {len(whole), len(whole) + 1}
    places |= {len(whole) - step for step in (1, 2, 20, 21, 22, 23)}
    for place in sorted(places):
        rest = whole[:place]
        num_words = 0
        if packing == "plain" and format != BINARY:
            num_words = num_words_of_truncated_text(rest, format)
        if num_words:
            assert_vectors(read(rest), WORDS[:num_words], parse_vectors(rest, num_words))
        else:
            with pytest.raises(ValueError, match="Received: "):
                read(rest)


def num_words_of_truncated_text(text, format):
    """Returns the number of readable words; 0 if the truncation is visible."""
    *whole, last = text.split(b"\n")
    words = len(whole) - (format == HEADER)
    if last and words > 0:
        # The last number is truncated. Only a header shows that words are missing.
        is_like_others = re.fullmatch(rb"\S+( -?\d+(\.\d*)?(e-?\d+)?){5}", last) is not None
        return words + 1 if is_like_others and (format == NO_HEADER or words == 3) else 0
    if last and format == NO_HEADER:
        # A single line does not show how many numbers are missing.
        return int(re.fullmatch(rb"\S+( -?\d+(\.\d*)?(e-?\d+)?){1,5}", last) is not None)
    return max(words, 0)


def parse_vectors(text, num_words):
    rows = [line for line in text.decode().split("\n") if line][-num_words:]
    return np.array([row.split(" ")[1:] for row in rows], dtype="float64").astype("float32")


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("format", FORMATS)
def test_changed_bytes(read, format, packing):
    """A damaged file is refused with a ValueError, or gives finite vectors."""
    whole = PACKINGS[packing](encode(format, between=b"\n"))
    rng = np.random.default_rng(0)
    for _ in range(100):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        try:
            words, vectors = read(bytes(data))
        except ValueError:
            continue
        assert len(words) == len(vectors)
        assert np.isfinite(vectors).all()


@pytest.mark.parametrize("data", [b"\x1f\x8b", b"BZh91AY&SY", b"PK\x03\x04"])
def test_damaged_compression(read, data):
    with pytest.raises(ValueError, match="must be readable. Received: "):
        read(data + bytes(100))
