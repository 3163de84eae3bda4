"""Corpus: bytes that are not UTF-8, byte order marks, and files in other formats."""

import bz2
import lzma
import re

import pytest

from elmo_keras.training import Corpus, corpus, write_tokenized
from tests.training.text_files import read, write


@pytest.mark.parametrize(
    "data, tokens, number",
    [
        (b"a b", ["a", "b"], 0),
        (b"a \xff b", ["a", "\ufffd", "b"], 1),
        (b"\xff\xfe\xfd", ["\ufffd" * 3], 3),
        ("a \ufffd b".encode(), ["a", "\ufffd", "b"], 0),
        ("\ufffd ".encode() + b"\xff" + "\ufffd".encode(), ["\ufffd", "\ufffd" * 2], 1),
        (b"\xef\xbf\xbd\xef\xbf \xbd", ["\ufffd" * 2, "\ufffd"], 2),
        # A cut character becomes one U+FFFD, and counts as one.
        (b"\xe6\x9d a", ["\ufffd", "a"], 1),
        (b"\xf0\x9f\x99", ["\ufffd"], 1),
        (b"\xe9t\xe9 caf\xe9", ["\ufffdt\ufffd", "caf\ufffd"], 3),  # Latin-1
        (b"\xed\xa0\x80", ["\ufffd" * 3], 3),  # a surrogate
    ],
    ids=[
        "none",
        "one",
        "three",
        "replacement character",
        "both",
        "cut replacement character",
        "cut character and text",
        "cut character",
        "latin-1",
        "surrogate",
    ],
)
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_undecodable_bytes(tmp_path, data, tokens, number, compressed):
    path = write(tmp_path / "text", b"x\n" + data + b"\ny\n", compressed)
    text = Corpus(path, "whitespace")
    assert text.undecodable == 0
    assert list(text) == [["x"], tokens, ["y"]]
    assert text.undecodable == number
    list(text)
    assert text.undecodable == 2 * number  # the sum over all iterations


TEXT = "The naïve cat.\n東京 🙂 sat\n"


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("line", [0, 1, 2])
@pytest.mark.parametrize(
    "data, name",
    [
        (TEXT.encode("utf-16"), "UTF-16"),  # Notepad's "Unicode"
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "UTF-16"),
        (TEXT.encode("utf-32"), "UTF-32"),
        (b"\0\0\xfe\xff" + TEXT.encode("utf-32-be"), "UTF-32"),
        (TEXT.encode("utf-16-le"), "UTF-16LE"),
        (TEXT.encode("utf-16-be"), "UTF-16BE"),
        ((TEXT * 9).encode("utf-32-le"), "UTF-32LE"),
        ("".encode("utf-16"), "UTF-16"),
    ],
    ids=["utf-16", "utf-16-be", "utf-32", "utf-32-be", "16le", "16be", "32le", "mark alone"],
)
def test_utf16_and_utf32_are_refused(tmp_path, data, name, line, compressed):
    path = write(tmp_path / "unicode.txt", data, compressed)
    text = Corpus([write(tmp_path / "a", "a\n"), path], "whitespace")
    command = rf"iconv -f {name} -t UTF-8"
    for read_it in (lambda: list(text), lambda: list(text.blocks(1, line))):
        with pytest.raises(
            ValueError, match=rf"unicode.txt must be UTF-8 text.*{name} text.*{command}"
        ):
            read_it()
    assert text.undecodable == 0
    with pytest.raises(ValueError, match=command):
        write_tokenized(text, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.gz"]


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_a_mark_at_the_beginning_is_dropped(tmp_path, monkeypatch, compressed):
    mark = b"\xef\xbb\xbf"
    data = mark + b"The \xff cat\n" + mark + b"sat\n"
    text = Corpus(write(tmp_path / "text", data, compressed), "whitespace")
    # Elsewhere it is an ordinary character.
    assert list(text) == [["The", "\ufffd", "cat"], ["\ufeffsat"]]
    assert text.undecodable == 1
    monkeypatch.setattr(corpus, "BLOCK_LINES", 1)
    whole = [block.sentences for block in text.blocks(0)]
    for line in range(3):
        assert [block.sentences for block in text.blocks(0, line)] == whole[line:]
    assert read(write(tmp_path / "more", mark, compressed)) == []
    assert read(write(tmp_path / "more", mark + mark + b"a", compressed)) == [["\ufeffa"]]
    # Lines of one byte: the mark is one of them, and a restart counts it.
    monkeypatch.setattr(corpus, "MAX_LINE_BYTES", 1)
    pieces = [block.sentences for block in text.blocks(0)]
    assert pieces[:3] == [[], [["T"]], [["h"]]]
    assert [block.sentences for block in text.blocks(0, 1)] == pieces[1:]


@pytest.mark.parametrize(
    "data",
    ["\ufeff\ufeffa b\n", "\n\ufeffa b\n", "x\n\ufeffa b\n"],
    ids=["after a mark", "second line", "after text"],
)
def test_a_mark_of_the_text_survives_a_round_trip(tmp_path, data):
    text = Corpus(write(tmp_path / "in/text", data), "whitespace")
    assert list(text)[-1] == ["\ufeffa", "b"]
    paths = write_tokenized(text, tmp_path / "out")
    assert list(Corpus(paths, "whitespace")) == list(text)


@pytest.mark.parametrize(
    "data, message",
    [
        (bz2.compress(b"a b\n"), "a bzip2 file.*`bzip2 -dc < .*text"),
        (lzma.compress(b"a b\n"), "an xz file.*`xz -dc < .*text"),
        (b"PK\x03\x04" + bytes(40), "a zip archive.*`unzip .*text"),
        (b"\x28\xb5\x2f\xfd" + bytes(40), "a Zstandard file.*`zstd -dc"),
        (b"\x80\x04\x95" + bytes(40), "a pickle"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
    ],
    ids=["bz2", "xz", "zip", "zstd", "pickle", "hdf5"],
)
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_other_formats_are_refused(tmp_path, data, message, compressed):
    path = write(tmp_path / "text", data, compressed)
    message = re.sub("`.*", "", message) if compressed else message
    with pytest.raises(ValueError, match=f"text must be UTF-8 text, plain or gzip. .*{message}"):
        read(path)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    "data",
    [
        b"a\0b c\0d\n",
        b"\0",
        b"\0" * 100 + b" a",
        b"\xff",
        b"\xff a",
        b"\xfe a",
        "ÿþ naïve café".encode(),
        "naïve café, straße".encode("latin-1"),
        "東京は日本の首都".encode("shift-jis"),
        "Они не знали".encode("cp1251"),
    ],
    ids=[
        "nul",
        "nul alone",
        "nuls",
        "ff",
        "ff a",
        "fe a",
        "utf-8",
        "latin-1",
        "shift-jis",
        "cp1251",
    ],
)
def test_other_bytes_are_read(tmp_path, data, compressed):
    text = Corpus(write(tmp_path / "text", data, compressed), "whitespace")
    assert list(text) == [data.rstrip(b"\n").decode("utf-8", "replace").split(" ")]
