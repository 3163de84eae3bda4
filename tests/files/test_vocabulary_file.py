"""Vocabulary files: encodings, byte order marks, packings."""

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


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_utf8(read, pack):
    assert read(pack(TEXT.encode())) == WORDS
    assert read(pack(TEXT.encode("utf-8-sig"))) == WORDS
    assert read(pack(TEXT.replace("\n", "\r\n").encode("utf-8-sig"))) == WORDS


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-be"])
def test_utf16_and_utf32_are_refused(read, tmp_path, encoding, pack):
    iconv = re.sub("-([LB]E)", r"\1", encoding.upper())
    with pytest.raises(
        ValueError, match=f"Received: {iconv} text. Convert it: `.*iconv -f {iconv} "
    ) as raised:
        read(pack(TEXT.encode(encoding)))
    assert f"{tmp_path / 'vocab.txt'} must be a vocabulary: UTF-8" in str(raised.value)


def test_a_dictionary_in_utf16(tmp_path):
    path = tmp_path / "char.dic"
    path.write_bytes("a\t0\nb\t1\n".encode("utf-16"))
    with pytest.raises(ValueError, match="char.dic must be .*UTF-16 text"):
        manylangs._read_dictionary(path)
    path.write_bytes("a\t0\nb\t1\n".encode("utf-8-sig"))
    assert manylangs._read_dictionary(path) == ["a", "b"]


def test_other_files(read):
    with pytest.raises(ValueError, match="Received: a bzip2 file. Unpack it first: `bzip2 -dc"):
        read(bz2.compress(TEXT.encode()))
    with pytest.raises(ValueError, match="can't decode byte 0xef.*Save it as UTF-8"):
        read("naïve\n".encode("latin-1"))
