"""Encodings and formats that the first bytes of a file reveal."""

import pathlib

import numpy as np
import pytest

from elmo_keras.files.first_bytes import SAMPLE, check_is_text, find_encoding, find_foreign

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


@pytest.mark.parametrize("language", SENTENCES)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_with_and_without_a_mark(language, end):
    text = (SENTENCES[language] + end) * 500
    for encoding in ("utf-16", "utf-32"):
        for order, mark in (("le", "\ufeff"), ("be", "\ufeff")):
            data = (mark + text).encode(f"{encoding}-{order}")
            assert find_encoding(data) == find_encoding(data[:SAMPLE]) == encoding.upper()
            name = f"{encoding.upper()}{order.upper()}"
            data = text.encode(f"{encoding}-{order}")
            for size in (None, SAMPLE, SAMPLE - 1, SAMPLE - 2, 1500):
                assert find_encoding(data[:size]) == name


@pytest.mark.parametrize("text", ["hi", "The cat.", "a b c\n", "x\ny\n", "Straße\n"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_short_texts(text, encoding):
    assert find_encoding(text.encode(encoding)) == "".join(encoding.upper().rsplit("-", 1))


@pytest.mark.parametrize("language", SENTENCES)
def test_other_encodings_pass(language):
    text = (SENTENCES[language] + "\n") * 500
    for encoding in ("utf-8", "utf-8-sig", "latin-1", "cp1251", "gb18030", "shift-jis", "euc-kr"):
        data = text.encode(encoding, "ignore")
        for size in (None, SAMPLE, 100, 3, 2, 1, 0):
            assert find_encoding(data[:size]) is None
            assert find_foreign(data[:size], "file") is None


def test_zeros_do_not_make_it_utf16():
    rng = np.random.default_rng(0)
    text = SENTENCES["English"].encode() * 300
    for number in (1, 3, 10, 50, 1000):
        for _ in range(20):
            data = np.frombuffer(text, "uint8").copy()
            data[rng.integers(0, SAMPLE, number)] = 0
            assert find_encoding(data.tobytes()) is None
    assert find_encoding(bytes(1000)) is None
    assert find_encoding(bytes(1000) + text) is None
    assert find_encoding(bytes(range(256)) * 20) is None
    for dtype in ("float32", "float64", "int16", "int32", "uint8"):
        data = (rng.standard_normal(2000) * 1000).astype(dtype).tobytes()
        assert find_encoding(data) is None or dtype == "int16"


def test_paths_are_quoted():
    head = "a b c\n".encode("utf-16")
    for path in ("my text.txt", pathlib.Path("my text.txt")):
        assert (
            "`iconv -f UTF-16 -t UTF-8 'my text.txt' > utf8.txt`" in find_foreign(head, path).advice
        )
    advice = find_foreign(head, "my.zip", "zip", "a file.txt").advice
    assert "`unzip -p my.zip 'a file.txt' | iconv -f UTF-16 -t UTF-8 > utf8.txt`" in advice
    advice = find_foreign(head, "a.gz", "gzip").advice
    assert "`gzip -dc < a.gz | iconv -f UTF-16 -t UTF-8 > utf8.txt`" in advice


def test_the_error_has_three_parts():
    with pytest.raises(
        ValueError, match=r"^a must be a text. Received: a zip archive. Unpack it first: `unzip a`,"
    ):
        check_is_text(b"PK\x03\x04", "a", "a text")
    with pytest.raises(ValueError, match=r"^a must be a text. Received: HDF5. Give the text"):
        check_is_text(b"\x89HDF\r\n\x1a\n", "a", "a text")
    for head in (b"", b"text", b"\xef\xbb\xbftext", b"caf\xe9"):
        check_is_text(head, "a", "a text")
