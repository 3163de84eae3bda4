"""Files of word vectors: every format and packing, what is tolerated, what is damaged."""

import gzip
import io
import itertools
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from elmo_keras.checkpoints import read_static_vectors
from elmo_keras.files import static_formats

WORDS = ["the", "</s>", "naïve", "b"]
VECTORS = np.random.default_rng(0).standard_normal((4, 5)).astype("float32")

HEADER, NO_HEADER, BINARY = "word2vec", "glove", "binary"
FORMATS = [HEADER, NO_HEADER, BINARY]


def as_bytes(word):
    return word if isinstance(word, bytes) else word.encode()


def lines(words=WORDS, vectors=VECTORS):
    return [
        b" ".join([as_bytes(word), *(repr(float(x)).encode() for x in row)])
        for word, row in zip(words, vectors)
    ]


def content(kind, words=WORDS, vectors=VECTORS, num_words=None, between=b""):
    """A file's bytes."""
    header = b"%d %d\n" % (num_words or len(words), vectors.shape[1])
    if kind == BINARY:
        rows = [as_bytes(w) + b" " + x.astype("<f4").tobytes() for w, x in zip(words, vectors)]
        return header + b"".join(row + between for row in rows)
    text = b"".join(line + b"\n" for line in lines(words, vectors))
    return header + text if kind == HEADER else text


def zipped(*members, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


PACKINGS = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "zip": lambda data: zipped(("vectors.txt", data)),
    "stored": lambda data: zipped(("folder/", b""), ("folder/v", data), compresslevel=0),
}


@pytest.fixture
def read(tmp_path):
    """Reads bytes as a file whose name says nothing."""

    def read_bytes(data, **options):
        path = tmp_path / "file"
        path.write_bytes(data)
        return read_static_vectors(path, **options)

    return read_bytes


def check(made, words=WORDS, vectors=VECTORS):
    assert made[0] == list(words)
    assert made[1].dtype == np.float32
    assert made[1].shape == (len(words), vectors.shape[1])
    np.testing.assert_array_equal(made[1], vectors)


# === Formats ===


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("kind", FORMATS)
def test_formats(read, kind, packing):
    data = PACKINGS[packing](content(kind))
    check(read(data))
    check(read(data, dim=5))
    check(read(data, words=["b", "nowhere", "the"]), ["the", "b"], VECTORS[[0, 3]])
    check(read(data, words=iter({"b"})), ["b"], VECTORS[3:])
    check(read(data, max_words=2), WORDS[:2], VECTORS[:2])
    check(read(data, max_words=1, words=WORDS[1:]), WORDS[1:2], VECTORS[1:2])
    check(read(data, max_words=9), WORDS, VECTORS)
    for words in ([], ["nowhere"]):
        check(read(data, words=words), [], VECTORS[:0])
    with pytest.raises(ValueError, match="dim=4"):
        read(data, dim=4)
    with pytest.raises(ValueError, match="dim=6"):
        read(data, dim=6)


@pytest.mark.parametrize("between", [b"", b"\n"])
@pytest.mark.parametrize("dim", [1, 2, 7, 300])
def test_binary_is_told_from_text(read, dim, between):
    for seed in range(20):
        vectors = np.random.default_rng(seed).standard_normal((4, dim)).astype("float32")
        check(read(content(BINARY, vectors=vectors, between=between)), WORDS, vectors)


def test_binary_vectors_of_zeros(read):
    vectors = np.zeros((4, 300), "float32")
    check(read(content(BINARY, vectors=vectors)), WORDS, vectors)


def test_a_file_of_several_chunks(read, monkeypatch):
    words = [f"w{i}" for i in range(1000)]
    vectors = np.random.default_rng(0).standard_normal((1000, 3)).astype("float32")
    for chunk in (100, 1000):
        monkeypatch.setattr(static_formats, "CHUNK", chunk)
        monkeypatch.setattr("elmo_keras.files.static_vectors.CHUNK", chunk)
        for kind in FORMATS:
            check(read(content(kind, words, vectors)), words, vectors)
            check(read(content(kind, words, vectors), words=words[::7]), words[::7], vectors[::7])


def test_the_file_in_a_zip_that_fits(read):
    small, large = content(NO_HEADER), content(HEADER, vectors=np.tile(VECTORS, 2))
    data = zipped(
        ("a/", b""), ("README.txt", b"These are\nvectors.\n"), ("5", small), ("10", large)
    )
    check(read(data))
    check(read(data, dim=5))
    check(read(data, dim=10), WORDS, np.tile(VECTORS, 2))
    with pytest.raises(ValueError, match="(?s)Received: 3 files.*README.*Unpack it"):
        read(data, dim=7)
    with pytest.raises(ValueError, match="Received: 0 files"):
        read(zipped())


def test_an_encrypted_zip_is_refused(read):
    data = bytearray(zipped(("v.txt", content(HEADER))))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ValueError, match="v.txt is encrypted"):
        read(bytes(data))


def test_an_unusual_zip_is_refused(read):
    data = bytearray(zipped(("v.txt", content(HEADER))))
    data[data.index(b"PK\x01\x02") + 10] = 12
    with pytest.raises(ValueError, match="not compressed by the usual method"):
        read(bytes(data))


# === Words ===


@pytest.mark.parametrize("kind", [HEADER, NO_HEADER])
def test_words_of_glove(read, kind):
    """Spaces, no-break spaces, next lines and line separators are parts of words."""
    words = [". . .", "a", "at name@domain.com", "\u00a0", "x\u0085y", "\u2028", "\u3000", "b\tc"]
    words += ["", "1 2", "d\re"]
    vectors = np.random.default_rng(0).standard_normal((len(words), 3)).astype("float32")
    check(read(content(kind, words, vectors)), words, vectors)
    check(
        read(content(kind, words, vectors), words=[". . .", "\u2028"]),
        words[::5][:2],
        vectors[::5][:2],
    )


def test_one_line_with_spaces(read):
    check(read(b". . . 0.5 1\n"), [". . ."], np.array([[0.5, 1]]))


@pytest.mark.parametrize("kind", FORMATS)
def test_the_first_of_several_counts(read, kind):
    words = ["a", "b", "a", b"\xff", b"\xfe", "\ufffd", "c"]
    vectors = np.random.default_rng(0).standard_normal((len(words), 5)).astype("float32")
    kept = [0, 1, 3, 6]
    check(read(content(kind, words, vectors)), ["a", "b", "\ufffd", "c"], vectors[kept])
    check(read(content(kind, words, vectors), max_words=3), ["a", "b", "\ufffd"], vectors[kept[:3]])


def test_binary_words(read):
    words = ["a\tb", "\n\n", "", "x" * 10_000]
    made = read(content(BINARY, words, between=b"\n"))
    check(made, words, VECTORS)
    with pytest.raises(
        ValueError, match="no space within 10,000 bytes behind the beginning of word 2"
    ):
        read(content(BINARY, ["a", "x" * 10_001], VECTORS[:2]))


# === What is tolerated ===


@pytest.mark.parametrize("kind", [HEADER, NO_HEADER])
def test_odd_ends_of_lines(read, kind):
    data = content(kind)
    for odd in (
        data.replace(b"\n", b"\r\n"),
        data.replace(b"\n", b" \n"),
        data.replace(b"\n", b" \r\n"),
        b"\xef\xbb\xbf" + data,
    ):
        check(read(odd))
        check(read(gzip.compress(odd, mtime=0)))


def test_a_wrong_number_of_words(read):
    for kind, number in ((HEADER, 2), (HEADER, 10**30), (BINARY, 2)):
        check(read(content(kind, num_words=number)))


def test_numbers_are_those_that_python_reads(read):
    numbers = ["1", "-1", "+.5", "1.", "1e-3", "-1.5E+2", "0.1", "1e-50", "3.4028235e38", "00"]
    made = read("".join(f"w{i} {number}\n" for i, number in enumerate(numbers)).encode())
    check(
        made,
        [f"w{i}" for i in range(10)],
        np.array(numbers, dtype="float64").astype("float32")[:, None],
    )


def test_numbers_of_skipped_words_are_not_looked_at(read):
    data = content(HEADER).replace(b"</s> ", b"</s> x")
    check(read(data, words=["the", "b"]), ["the", "b"], VECTORS[[0, 3]])
    check(read(data, max_words=1), WORDS[:1], VECTORS[:1])
    with pytest.raises(ValueError, match="line 3"):
        read(data)


# === What is wrong ===

LINES = [line + b"\n" for line in lines()]
NAN = np.where(np.arange(20).reshape(4, 5) == 11, np.nan, VECTORS).astype("float32")


def changed(number, line):
    return b"".join([*LINES[:number], line, *LINES[number + 1 :]])


@pytest.mark.parametrize("header", [b"4 5\n", b""])
@pytest.mark.parametrize("number", [0, 2, 3])
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
def test_bad_lines(read, tmp_path, header, number, line, message):
    place = f"line {number + 1 + bool(header)}\\b"
    with pytest.raises(ValueError, match=f"{message}(?s:.*){place}") as raised:
        read(header + changed(number, line))
    assert str(tmp_path / "file") in str(raised.value)
    assert len(str(raised.value)) < 600


def test_bad_binary_numbers(read):
    with pytest.raises(ValueError, match="must be finite. Received: NaN.*in word 3"):
        read(content(BINARY, vectors=NAN))
    check(read(content(BINARY, vectors=NAN), max_words=2), WORDS[:2], VECTORS[:2])


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "an empty file"),
        (gzip.compress(b"", mtime=0), "an empty file"),
        (b"4 5\n", "nothing after it"),
        (b"0 5\na 1 2 3 4 5\n", "'0 5"),
        (b"-4 5\na 1 2 3 4 5\n", "'-4 5"),
        (b"4 0\na 1 2 3 4 5\n", "'4 0"),
        (b"4 100001\na 1 2 3 4 5\n", "at most 100,000"),
        (b"4 " + b"9" * 10_000 + b"\na 1\n", "at most 100,000"),
        (b"4 7\n" + b"".join(LINES), "how many numbers its lines have, 5. Received: 7"),
        (b"4 4\n" + b"".join(LINES), "how many numbers its lines have, 5. Received: 4"),
        (b"".join(LINES).replace(b" ", b","), "a word and at most"),
        (b"Some prose.\nIn lines.\n", "a word and at most 100,000 numbers"),
        (b"x" + b" 1" * 100_001 + b"\n", "a word and at most 100,000 numbers"),
        (bytes(range(256)) * 10, "a word and at most"),
        (bytes(10_000_001), "more than 10,000,000 bytes"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "Received: HDF5"),
        (b"PK\x03\x04" + bytes(100), "must be readable"),
        (b"\x1f\x8b" + bytes(100), "must be readable"),
        (gzip.compress(content(HEADER), mtime=0) + b"more", "must be readable"),
        (b"4 5\na " + bytes(19), "19|21 bytes behind the beginning of word 1"),
    ],
    ids=lambda value: ascii(value[:30]),
)
def test_bad_files(read, tmp_path, data, message):
    with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path))}(?s:.*)Received: ") as raised:
        read(data)
    assert re.search(message, str(raised.value))
    assert len(str(raised.value)) < 700


def test_bad_arguments(read, tmp_path):
    for name, value in itertools.product(["max_words", "dim"], [0, -1, 1.5, True, "2"]):
        with pytest.raises(ValueError, match=f"`{name}` must be a positive int"):
            read(content(HEADER), **{name: value})
    check(read(content(HEADER), max_words=np.int64(4), dim=np.int64(5)))
    for words, message in (("the", "bare str 'the'"), ([b"the"], "b'the'"), (["a", 1], "1")):
        with pytest.raises(ValueError, match=f"`words` must be .*{message}"):
            read(content(HEADER), words=words)
    with pytest.raises(FileNotFoundError):
        read_static_vectors(tmp_path / "nowhere")


@pytest.mark.parametrize("packing", ["plain", "gzip", "zip"])
@pytest.mark.parametrize("kind", FORMATS)
def test_files_cut_short(read, kind, packing):
    whole = PACKINGS[packing](content(kind))
    ends = [match.end() for match in re.finditer(b"\n", whole)] if kind != BINARY else []
    # Twenty places all over the file, and around the ends of lines and words.
    places = {int(place) for place in np.linspace(0, len(whole) - 1, 20)}
    places |= {end + step for end in ends for step in (-2, -1, 0, 1)} - {len(whole), len(whole) + 1}
    places |= {len(whole) - step for step in (1, 2, 20, 21, 22, 23)}
    for place in sorted(places):
        rest = whole[:place]
        words = readable(rest, kind) if packing == "plain" and kind != BINARY else 0
        if words:
            made, vectors = read(rest)
            assert made == WORDS[:words]
            np.testing.assert_array_equal(vectors, numbers(rest, words))
        else:
            with pytest.raises(ValueError, match="Received: "):
                read(rest)


def readable(text, kind):
    """How many words a text that is cut short has, or 0 if the cut shows."""
    *whole, last = text.split(b"\n")
    words = len(whole) - (kind == HEADER)
    if last and words > 0:
        # The cut is in the last number. Only a header shows that other words followed.
        is_like_others = re.fullmatch(rb"\S+( -?\d+(\.\d*)?(e-?\d+)?){5}", last) is not None
        return words + 1 if is_like_others and (kind == NO_HEADER or words == 3) else 0
    if last and kind == NO_HEADER:
        # A file of one line: nothing but its end tells how many numbers it has.
        return int(re.fullmatch(rb"\S+( -?\d+(\.\d*)?(e-?\d+)?){1,5}", last) is not None)
    return max(words, 0)


def numbers(text, words):
    rows = [line for line in text.decode().split("\n") if line][-words:]
    return np.array([row.split(" ")[1:] for row in rows], dtype="float64").astype("float32")


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_files_give_value_errors_alone(read, kind, packing):
    whole = PACKINGS[packing](content(kind, between=b"\n"))
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


# === Memory ===


def test_memory_is_that_of_what_is_kept(tmp_path):
    path = tmp_path / "bomb.gz"
    row = b" ".join([b"%d", *[b"0"] * 300]) + b"\n"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"999999999 300\n")
        for number in range(30_000):
            file.write(row % number)
    read_static_vectors(path, max_words=1)
    tracemalloc.start()
    try:
        words, vectors = read_static_vectors(path, words=["29999", "5"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert words == ["5", "29999"]
    assert peak < 10e6


@pytest.mark.parametrize("claimed", [b"999999999 100000\n", b"999999999 1\n"])
def test_a_header_takes_no_memory(read, claimed):
    data = claimed + b"a " + struct.pack("<4f", *VECTORS[0, :4])
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="the end of the file"):
            read(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10e6
