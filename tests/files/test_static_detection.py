"""Detection of the format of word vectors: text, binary, other layouts, other file formats."""

import bz2
import gzip
import io
import lzma
import pickle
import re
import struct
import subprocess
import tarfile
import zipfile

import h5py
import numpy as np
import pytest

from elmo_keras.files.static_vectors import read_static_vectors
from tests.files.word_vectors import (
    BINARY,
    PACKINGS,
    SPACED_VECTORS,
    SPACED_WORDS,
    WORDS,
    assert_vectors,
    encode,
    spaced_text,
    text_lines,
)

# === Text or binary ===


@pytest.mark.parametrize("between", [b"", b"\n"])
@pytest.mark.parametrize("dim", [1, 2, 7, 300])
def test_binary_is_not_text(read, dim, between):
    for seed in range(20):
        vectors = np.random.default_rng(seed).standard_normal((4, dim)).astype("float32")
        assert_vectors(read(encode(BINARY, vectors=vectors, between=between)), WORDS, vectors)


def test_binary_vectors_of_zeros(read):
    vectors = np.zeros((4, 300), "float32")
    assert_vectors(read(encode(BINARY, vectors=vectors)), WORDS, vectors)


LINES = b"".join(text_lines())


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "an empty file"),
        (gzip.compress(b"", mtime=0), "an empty file"),
        (bz2.compress(b""), "an empty file"),
        (b"4 5\n", "nothing after it"),
        (b"0 5\na 1 2 3 4 5\n", "'0 5"),
        (b"-4 5\na 1 2 3 4 5\n", "'-4 5"),
        (b"4 0\na 1 2 3 4 5\n", "'4 0"),
        (b"4 100001\na 1 2 3 4 5\n", "at most 100,000"),
        (b"4 " + b"9" * 10_000 + b"\na 1\n", "at most 100,000"),
        (b"4 7\n" + LINES, "number of values in a vector, 5. Received: 7"),
        (b"4 4\n" + LINES, "number of values in a vector, 5. Received: 4"),
        (LINES.replace(b" ", b","), "a word and at most"),
        (b"Some prose.\nIn lines.\n", "a word and at most 100,000 numbers"),
        (b"x" + b" 1" * 100_001 + b"\n", "a word and at most 100,000 numbers"),
        (bytes(range(256)) * 10, "a word and at most"),
        (bytes(10_000_001), "more than 10,000,000 bytes"),
    ],
    ids=lambda value: ascii(value[:30]),
)
def test_other_content(read, tmp_path, data, message):
    with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path))}(?s:.*)Received: ") as error:
        read(data)
    assert re.search(message, str(error.value))
    assert len(str(error.value)) < 700


# === Other layouts ===


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("header", ["", "3 3\n", "3\t3\n"])
@pytest.mark.parametrize(
    "lines, message",
    [
        ("the,0.1,0.2,3|cat,0.4,0.5,6|a,1,2,3", "not by commas"),
        ("the, 0.1, 0.2, 3|cat, 0.4, 0.5, 6|a, 1, 2, 3", "not by commas"),
        ("the 0.1, 0.2, 3|cat 0.4, 0.5, 6|a 1, 2, 3", "not by commas"),
        ("the 0.1,0.2,3|cat 0.4,0.5,6|a 1,2,3", "not by commas"),
        ("the,0.1 0.2 3|cat,0.4 0.5 6|a,1 2 3", "not by commas|number of values in a vector"),
        ("the;0.1;0.2;3|cat;0.4;0.5;6|a;1;2;3", "not by commas"),
        ("the\t0.1; 0.2; 3|cat\t0.4; 0.5; 6|a\t1; 2; 3", "not by commas"),
        ("the;0,1;0,2;3|cat;0,4;0,5;6|a;1;2;3", "not by commas"),
        ("the 0,1 0,2 0,3|cat 0,4 0,5 0,6|a 0,1 0,2 0,3", "not by commas"),
        ("the\t0,1\t0,2\t3|cat\t0,4\t0,5\t-6|a\t0,1\t0,2\t3", "not by commas"),
        ("the 0,1 0,2 3|cat 0,4 0,5 6|a 1 2 3", "not by commas"),
        ("the 0.1\u00a00.2 3|cat 0.4\u00a00.5 6|a 1\u00a02 3", "not by commas"),
        (
            "the \u22120.1 \u22120.2 3|cat \u22120.4 \u22120.5 6|a \u22121 \u22122 3",
            "not by commas",
        ),
        ("0\tthe\t0.1\t0.2\t3|1\tcat\t0.4\t0.5\t6|2\ta\t1\t2\t3", "other columns"),
        ("the\tDET\t0.1\t0.2\t3|cat\tNOUN\t0.4\t0.5\t6|a\tDET\t1\t2\t3", "other columns"),
        ("7 the 0.1 0.2 3|8 cat 0.4 0.5 6|9 a 1 2 3", "row numbers"),
        ('"the" 0.1 0.2 3|"cat" 0.4 0.5 6|"a" 1 2 3', "quotation marks"),
        ("0.1 0.2 3 the|0.4 0.5 6 cat|1 2 3 a", "a word and at most"),
        ('{"the": [0.1, 0.2, 3]}|{"cat": [0.4, 0.5, 6]}', "a word and at most"),
        ("the 1:0.1 2:0.2 3:3|cat 1:0.4 2:0.5 3:6", "a word and at most"),
        ("the [0.1 0.2 3]|cat [0.4 0.5 6]|a [1 2 3]", "a word and at most"),
    ],
)
def test_other_layouts(read, tmp_path, header, lines, message, packing):
    data = (header + lines.replace("|", "\n") + "\n").encode()
    with pytest.raises(ValueError, match=message) as error:
        read(PACKINGS[packing](data))
    assert str(tmp_path / "file") in str(error.value)
    assert "Received: b" in str(error.value)


def savetxt(table, **options):
    out = io.BytesIO()
    np.savetxt(out, table, **options)
    return out.getvalue()


TABLE = np.random.default_rng(0).standard_normal((6, 4))


@pytest.mark.parametrize(
    "data",
    [
        savetxt(TABLE),
        savetxt(TABLE, delimiter="\t"),
        savetxt(TABLE, fmt="%.3f"),
        savetxt(TABLE[:1]),
        savetxt(TABLE, header="four columns"),
        savetxt(np.arange(24).reshape(6, 4), fmt="%d"),
        savetxt(np.arange(24).reshape(6, 4), fmt="%.1f"),
        savetxt(np.eye(4), fmt="%g"),
        savetxt(np.arange(2, 14).reshape(6, 2), fmt="%d"),  # looks like a header and five lines
        savetxt(np.arange(1, 13).reshape(6, 2), fmt="%d"),
        b"6 4\n" + savetxt(TABLE),
        b"6\t4\n" + savetxt(TABLE, fmt="%.3f", delimiter="\t"),
        b"   " + savetxt(TABLE, newline="\n   ")[:-3],  # like MATLAB's save -ascii
        b"0 0.5 1\n0.25 1 2\n",
        b"1 0.5 2\n1 0.25 3\n",
        b"1 2 3\n",
    ],
    ids=lambda value: ascii(value[:30]),
)
def test_numbers_without_words(read, data):
    with pytest.raises(ValueError, match="must hold a word before its numbers. Received: numbers"):
        read(data)


GRAPH = b"0 0.5 1\n7 2 3\n12 -1 0.25\n"


@pytest.mark.parametrize(
    "data, options, words, vectors",
    [
        (GRAPH, {}, ["0", "7", "12"], [[0.5, 1], [2, 3], [-1, 0.25]]),
        (b"3 2\n" + GRAPH, {}, ["0", "7", "12"], [[0.5, 1], [2, 3], [-1, 0.25]]),
        (b"3 2\n7 1 2\n7 3 4\n-1.5 5 6\n", {}, ["7", "-1.5"], [[1, 2], [5, 6]]),
        (b"1 2 3\n4 5 6\n", {"dim": 2}, ["1", "4"], [[2, 3], [5, 6]]),
        (b"0.5 1 2\nthe 3 4\n7 5 6\n", {}, ["0.5", "the", "7"], [[1, 2], [3, 4], [5, 6]]),
        (b"nan 1 2\ninf 3 4\n", {}, ["nan", "inf"], [[1, 2], [3, 4]]),
    ],
    ids=["integers", "header", "numbers with header", "dim", "mixed", "nan"],
)
def test_numbers_as_words(read, data, options, words, vectors):
    """For example, the nodes of a graph."""
    assert_vectors(read(data, **options), words, vectors)


@pytest.mark.parametrize("header", [b"", b"3 2\n"])
@pytest.mark.parametrize(
    "words",
    [
        ["GO:0008150", "GO:0003674", "GO:0005575"],
        ["1,2-dichloroethane", "2,4-D", "1,000"],
        ["aspirin 100mg", "New York", "Boeing 747"],
        ["a,b", "c;d", ","],
        ['"', '""', "''"],
        ["1 a", "3 b", "2 c"],
    ],
)
def test_unusual_words(read, words, header):
    lines = "".join(f"{word} 0.5 -1\n" for word in words).encode()
    assert_vectors(read(header + lines), words, [[0.5, -1]] * 3)


# === Other file formats ===


def numpy_file():
    out = io.BytesIO()
    np.save(out, TABLE)
    return out.getvalue()


def hdf5_file():
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["vectors"] = TABLE
    return out.getvalue()


def tar_file():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("vectors.txt")
        member.size = len(CONTENT)
        archive.addfile(member, io.BytesIO(CONTENT))
    return out.getvalue()


def encoded(encoding):
    return CONTENT.decode().encode(encoding)


CONTENT = spaced_text(header=" ")
FASTTEXT = struct.pack("<15i", 793712314, 12, 300, 5, 5, 5, 5, 1, 1, 2, 2_000_000, 3, 6, 100, 0)
FOREIGN = {
    "fasttext": (FASTTEXT + bytes(1000), r"fastText model \(\.bin\).*\.vec.*print-word-vectors"),
    **{
        f"pickle {protocol}": (
            pickle.dumps({"vectors": TABLE}, protocol),
            r"gensim's \.kv.*KeyedVectors\.load\(.*\)\.save_word2vec_format\(\"vectors\.txt\"\)",
        )
        for protocol in (2, 3, 4, 5)
    },
    "numpy": (numpy_file(), r"Received: NumPy's \.npy\. .*no words"),
    "hdf5": (hdf5_file(), "Received: HDF5"),
    "safetensors": (
        struct.pack("<Q", 64) + b'{"vectors":{"dtype":"F32"}}'.ljust(64) + bytes(99),
        "Received: safetensors",
    ),
    "sqlite": (b"SQLite format 3\0" + bytes(100), "Received: an SQLite database"),
    "xz": (lzma.compress(CONTENT), "Received: an xz file.*Unpack it first: `.*xz -dc"),
    "lzma": (lzma.compress(CONTENT, lzma.FORMAT_ALONE), "Received: an LZMA file.*`.*xz -dc"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x00" + bytes(20), "Received: a Zstandard file.*`.*zstd -dc"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(20), "Received: a 7z archive.*Unpack"),
    "rar": (b"Rar!\x1a\x07\x01\x00" + bytes(20), "Received: a RAR archive.*Unpack"),
    "tar": (tar_file(), "Received: a tar archive.*Unpack"),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "Received: a pointer of Git LFS.*git lfs pull",
    ),
    "utf-16": (encoded("utf-16"), "Received: UTF-16 text.*iconv -f UTF-16 -t UTF-8"),
    "utf-16-be": (
        b"\xfe\xff" + encoded("utf-16-be"),
        "Received: UTF-16 text.*iconv -f UTF-16 -t UTF-8",
    ),
    "utf-16 without mark": (
        encoded("utf-16-le"),
        "Received: UTF-16LE text.*iconv -f UTF-16LE -t UTF-8",
    ),
    "utf-32": (encoded("utf-32"), "Received: UTF-32 text.*iconv -f UTF-32"),
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("format", FOREIGN)
def test_other_formats_are_named(read, tmp_path, format, packing):
    data, message = FOREIGN[format]
    with pytest.raises(ValueError, match=f"(?s)must .*{message}") as error:
        read(PACKINGS[packing](data))
    assert str(tmp_path / "file") in str(error.value)
    assert "damaged" not in str(error.value)


@pytest.mark.parametrize("inner, outer", [("gzip", "bz2"), ("zip", "gzip"), ("bz2", "zip")])
def test_files_that_are_packed_twice(read, inner, outer):
    with pytest.raises(ValueError, match="(?s)Received: a .*Unpack"):
        read(PACKINGS[outer](PACKINGS[inner](CONTENT)))


@pytest.mark.parametrize(
    "data, tool, output",
    [
        (encoded("utf-16"), "iconv", "utf8.txt"),
        (gzip.compress(encoded("utf-16-be")), "iconv", "utf8.txt"),
        (bz2.compress(gzip.compress(CONTENT)), "gzip", "unpacked.txt"),
    ],
    ids=["iconv", "gzip and iconv", "bzip2 and gzip"],
)
def test_the_command_in_the_error_converts_the_file(tmp_path, read, data, tool, output):
    with pytest.raises(ValueError) as error:
        read(data)
    (command,) = re.findall("`(.*?)`", str(error.value))
    assert tool in command
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert_vectors(read_static_vectors(tmp_path / output), SPACED_WORDS, SPACED_VECTORS)


def test_zip_with_a_fasttext_model_and_its_vectors(tmp_path):
    """fastText's publishers distribute the .bin and the .vec in one zip archive."""
    with zipfile.ZipFile(tmp_path / "wiki.zip", "w") as archive:
        archive.writestr("wiki.bin", FASTTEXT + bytes(1000))
        archive.writestr("wiki.vec", CONTENT)
    assert_vectors(read_static_vectors(tmp_path / "wiki.zip"), SPACED_WORDS, SPACED_VECTORS)


@pytest.mark.parametrize(
    "word", ["BZh9", "Rar!", "PAR1", "GGUF", "7z", "]", "%PDF", "SQLite", "(µ/ý"]
)
def test_words_that_begin_like_other_formats(read, word):
    assert_vectors(read(f"{word} 0.5 1\nthe 2 3\n".encode()), [word, "the"], [[0.5, 1], [2, 3]])
