"""Vocabulary files: round trips, encodings, compression, limits."""

import bz2
import gzip
import re

import pytest

from elmo_keras.checkpoints import manylangs
from elmo_keras.files import vocabulary_file

WORDS = ["<S>", "</S>", "<UNK>", "naïve", "東京", "🙂", "x\u0085y", "\u2028"]
TEXT = "\n".join(WORDS) + "\n"


@pytest.fixture
def read(tmp_path):
    def read_bytes(data):
        (tmp_path / "vocab.txt").write_bytes(data)
        return vocabulary_file.read(tmp_path / "vocab.txt")

    return read_bytes


def test_round_trip(tmp_path):
    path = tmp_path / "folder" / "vocab.txt"
    vocabulary_file.write(WORDS, path)
    assert path.read_bytes() == TEXT.encode()
    assert vocabulary_file.read(path) == WORDS


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_utf8(read, pack, encoding, end):
    assert read(pack(TEXT.replace("\n", end).encode(encoding))) == WORDS


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"", []),
        (b"the", ["the"]),
        (b"the\n\ncat\n", ["the", "", "cat"]),
        (b"the\n!!!MAXTERMID\ncat\n", ["the", "cat"]),
    ],
    ids=["empty", "no end", "empty word", "line without an id"],
)
def test_lines(read, data, expected):
    assert read(data) == expected


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        vocabulary_file.read(tmp_path / "absent")


@pytest.mark.parametrize(
    "limit, message",
    [("MAX_BYTES", "more than 0 MiB of text"), ("MAX_WORDS", "more than 5 lines")],
)
def test_limits(read, monkeypatch, limit, message):
    monkeypatch.setattr(vocabulary_file, limit, 5)
    assert read(b"a\nb\n") == ["a", "b"]
    with pytest.raises(ValueError, match=f"must be a vocabulary.* Received: {message}. Fetch"):
        read(b"\n" * 6)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-be"])
def test_utf16_and_utf32_are_refused(read, tmp_path, encoding, pack):
    iconv = re.sub("-([LB]E)", r"\1", encoding.upper())
    with pytest.raises(
        ValueError, match=f"Received: {iconv} text. Convert it: `.*iconv -f {iconv} "
    ) as raised:
        read(pack(TEXT.encode(encoding)))
    assert f"{tmp_path / 'vocab.txt'} must be a vocabulary: UTF-8" in str(raised.value)


def test_dictionary_of_manylangs(tmp_path):
    path = tmp_path / "char.dic"
    path.write_bytes("a\t0\nb\t1\n".encode("utf-16"))
    with pytest.raises(ValueError, match="char.dic must be .*UTF-16 text"):
        manylangs._read_dictionary(path)
    path.write_bytes("a\t0\nb\t1\n".encode("utf-8-sig"))
    assert manylangs._read_dictionary(path) == ["a", "b"]


@pytest.mark.parametrize(
    "data, message",
    [
        (bz2.compress(TEXT.encode()), "Received: a bzip2 file. Unpack it first: `bzip2 -dc"),
        ("naïve\n".encode("latin-1"), "can't decode byte 0xef.*Save it as UTF-8"),
        (gzip.compress(TEXT.encode())[:-5], "Received: .*Fetch the file again"),
    ],
    ids=["bzip2", "latin-1", "truncated gzip"],
)
def test_other_files(read, data, message):
    with pytest.raises(ValueError, match=message):
        read(data)
