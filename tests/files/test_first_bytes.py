"""Detection of encodings and formats from the first bytes of a file."""

import gzip
import pathlib

import numpy as np
import pytest

from elmo_keras.files.first_bytes import (
    SAMPLE,
    check_is_text,
    find_encoding,
    find_foreign,
    is_gzip,
)

# One sentence in several scripts, with spaces, digits and a line end.
SENTENCES = {
    "English": "The cat sat on the mat in 1984.",
    "Russian": "Кошка сидела на ковре в 1984 году.",
    "Greek": "Η γάτα καθόταν στο χαλί το 1984.",
    "Arabic": "جلست القطة على السجادة عام 1984.",
    "Hindi": "बिल्ली 1984 में चटाई पर बैठी थी।",
    "Thai": "แมวนั่งอยู่บนเสื่อในปี 1984",
    "Korean": "고양이는 1984년에 매트 위에 앉았다.",
    "Chinese": "1984年，猫坐在垫子上。上山下乡，万里长城。",
    "Japanese": "1984年に猫はマットの上に座った。",
    "Emoji": "🙂 🐈 😀 1984",
}
every_language = pytest.mark.parametrize("language", SENTENCES)


class TestIsGzip:
    @pytest.mark.parametrize("content", [b"", b"text"])
    @pytest.mark.parametrize("size", [None, 2])
    def test_compressed(self, content, size):
        assert is_gzip(gzip.compress(content)[:size]) is True

    @pytest.mark.parametrize(
        "head", [b"", b"\x1f", b"text", b"\x1f\x9d", b"\x8b\x1f", b" \x1f\x8b", b"PK\x03\x04"]
    )
    def test_other_content(self, head):
        assert is_gzip(head) is False


# === Encodings ===


@every_language
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("order", ["le", "be"])
def test_utf16_and_utf32(language, end, encoding, order):
    text = (SENTENCES[language] + end) * 500
    marked = f"\ufeff{text}".encode(f"{encoding}-{order}")
    assert find_encoding(marked) == find_encoding(marked[:SAMPLE]) == encoding.upper()
    unmarked = text.encode(f"{encoding}-{order}")
    for size in (None, SAMPLE, SAMPLE - 1, SAMPLE - 2, 1500):
        assert find_encoding(unmarked[:size]) == f"{encoding.upper()}{order.upper()}"


@pytest.mark.parametrize("text", ["hi", "The cat.", "a b c\n", "x\ny\n", "Straße\n"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_short_texts(text, encoding):
    assert find_encoding(text.encode(encoding)) == "".join(encoding.upper().rsplit("-", 1))


@every_language
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1251", "gb18030", "shift-jis", "euc-kr"]
)
def test_other_encodings_are_not_reported(language, encoding):
    data = ((SENTENCES[language] + "\n") * 500).encode(encoding, "ignore")
    for size in (None, SAMPLE, 100, 3, 2, 1, 0):
        assert find_encoding(data[:size]) is None
        assert find_foreign(data[:size], "file") is None


TEXT = SENTENCES["English"].encode() * 300


@pytest.mark.parametrize("num_zeros", [1, 3, 10, 50, 1000])
def test_utf8_with_zeros_is_not_utf16(num_zeros):
    rng = np.random.default_rng(0)
    for _ in range(20):
        data = np.frombuffer(TEXT, "uint8").copy()
        data[rng.integers(0, SAMPLE, num_zeros)] = 0
        assert find_encoding(data.tobytes()) is None


@pytest.mark.parametrize(
    "data",
    [bytes(1000), bytes(1000) + TEXT, bytes(range(256)) * 20],
    ids=["zeros", "zeros before text", "all bytes"],
)
def test_other_bytes_are_not_utf16(data):
    assert find_encoding(data) is None


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
def test_numbers_are_not_utf16(dtype):
    numbers = np.random.default_rng(0).standard_normal(2000) * 1000
    assert find_encoding(numbers.astype(dtype).tobytes()) is None


# === Advice and errors ===


@pytest.mark.parametrize(
    "path, compression, member, command",
    [
        ("my text.txt", None, None, "iconv -f UTF-16 -t UTF-8 'my text.txt' > utf8.txt"),
        (
            pathlib.Path("my text.txt"),
            None,
            None,
            "iconv -f UTF-16 -t UTF-8 'my text.txt' > utf8.txt",
        ),
        (
            "my.zip",
            "zip",
            "a file.txt",
            "unzip -p my.zip 'a file.txt' | iconv -f UTF-16 -t UTF-8 > utf8.txt",
        ),
        ("a.gz", "gzip", None, "gzip -dc < a.gz | iconv -f UTF-16 -t UTF-8 > utf8.txt"),
        ("a.bz2", "bz2", None, "bzip2 -dc < a.bz2 | iconv -f UTF-16 -t UTF-8 > utf8.txt"),
    ],
)
def test_command_of_the_advice(path, compression, member, command):
    foreign = find_foreign("a b c\n".encode("utf-16"), path, compression, member)
    assert f"`{command}`" in foreign.advice


@pytest.mark.parametrize(
    "head, message",
    [
        (b"PK\x03\x04", "^a must be a text. Received: a zip archive. Unpack it first: `unzip a`,"),
        (b"\x89HDF\r\n\x1a\n", "^a must be a text. Received: HDF5. Give the text"),
    ],
    ids=["zip", "hdf5"],
)
def test_error_for_another_format(head, message):
    with pytest.raises(ValueError, match=message):
        check_is_text(head, "a", "a text")


@pytest.mark.parametrize("head", [b"", b"text", b"\xef\xbb\xbftext", b"caf\xe9"])
def test_text_is_accepted(head):
    check_is_text(head, "a", "a text")
