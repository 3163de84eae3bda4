"""Files of word vectors: separators, blank lines, other layouts, formats by their first bytes."""

import bz2
import gzip
import io
import lzma
import pickle
import re
import struct
import subprocess
import tarfile
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest

from elmo_keras.checkpoints import read_static_vectors
from elmo_keras.encoders import StaticEmbedding
from tests.small_models import to_numpy

# Words of glove.840B hold spaces and other white space of Unicode.
WORDS = ["the", ". . .", "naïve", "\u00a0", "x\u0085y", "\u2028", "\u3000", "at name@domain.com"]
NUMBERS = [["0.1", "-0.2", "3"], ["1e-3", ".5", "-7."], *([str(n), "0.25", "-1"] for n in range(6))]
VECTORS = np.array(NUMBERS, dtype="float64").astype("float32")


def zipped(data, name="vectors.txt"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return out.getvalue()


PACKINGS = {"plain": bytes, "gzip": gzip.compress, "bz2": bz2.compress, "zip": zipped}


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
    np.testing.assert_array_equal(made[1], np.asarray(vectors, "float32"))


# === Separators ===

SEPARATORS = {
    "tab after the word": ["\t", " ", " "],
    "tabs": ["\t", "\t", "\t"],
    "tab between numbers": [" ", "\t", "\t"],
    "one tab": [" ", " ", "\t"],
    "spaces": ["  ", "   ", "  "],
    "mixed": [" \t", "\t ", "\t\t  "],
    "single spaces": [" ", " ", " "],
}


def text(separators, start="", end="\n", header=None):
    lines = [] if header is None else [f"{len(WORDS)}{header}3"]
    for word, row in zip(WORDS, NUMBERS):
        lines.append(word + "".join(sep + number for sep, number in zip(separators, row)))
    return "".join(start + line + end if n else line + end for n, line in enumerate(lines)).encode()


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("header", [None, " ", "\t", " \t  "])
@pytest.mark.parametrize("separators", SEPARATORS)
def test_runs_of_spaces_and_tabs(read, separators, header, packing):
    for start, end in (("", "\n"), ("", " \t\r\n"), ("\t ", "\n")):
        data = PACKINGS[packing](text(SEPARATORS[separators], start, end, header))
        check(read(data))
        check(read(data, dim=3, max_words=2), WORDS[:2], VECTORS[:2])
        check(read(data, words=["\u3000", ". . ."]), [". . .", "\u3000"], VECTORS[[1, 6]])
        with pytest.raises(ValueError, match="dim=2"):
            read(data, dim=2)


def test_lines_need_not_agree_on_separators(read):
    rng = np.random.default_rng(0)
    words = [f"w{number}" for number in range(500)]
    vectors = rng.standard_normal((500, 7)).astype("float32")
    rows = [[word, *map(repr, row)] for word, row in zip(words, vectors.tolist())]
    blanks = [" ", "\t", "  ", " \t "]
    lines = [f"{row[0]}" + "".join(rng.choice(blanks) + part for part in row[1:]) for row in rows]
    for data in ("\n".join(lines), "500\t7\n" + "\n".join(lines) + "\n"):
        check(read(data.encode()), words, vectors)


def test_one_dimension(read):
    check(read(b"the\t0.5\ncat\t\t-1\n"), ["the", "cat"], [[0.5], [-1]])
    check(read(b"2\t1\nthe\t0.5\ncat -1\n"), ["the", "cat"], [[0.5], [-1]])


@pytest.mark.parametrize("separators", SEPARATORS)
@pytest.mark.parametrize("header", [None, "\t"])
def test_look_ups_of_the_layer(tmp_path, separators, header):
    (tmp_path / "file").write_bytes(text(SEPARATORS[separators], header=header))
    layer = StaticEmbedding.from_file(tmp_path / "file")
    assert layer.vocabulary == WORDS and layer.dim == 3
    found = to_numpy(layer(np.arange(1, len(WORDS) + 1)[None]))
    np.testing.assert_array_equal(found, VECTORS[None])
    some = StaticEmbedding.from_file(tmp_path / "file", words=["naïve", "the"])
    np.testing.assert_array_equal(
        to_numpy(some(np.array([[2, 1, 3]]))), [[*VECTORS[[2, 0]], [0.0] * 3]]
    )


def test_white_space_alone_is_the_empty_word(read):
    data = b"the 0.5 1\n \t 2 3\n\r 4 5\nb\tc 6 7\nnew  york\t8 9\n"
    words = ["the", "", "\r", "b\tc", "new  york"]
    check(read(data), words, [[0.5, 1], [2, 3], [4, 5], [6, 7], [8, 9]])


# === Blank lines, and the end of the file ===


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("header", ["", "2 2\n", "1 2\n"])
@pytest.mark.parametrize(
    "end", ["", "\n", "\r\n", "\n\n", "\n\n\n\n", "\r\n\r\n", "\n  \n\t\n", " ", "\t", "\n "]
)
def test_ends_of_files(tmp_path, read, header, end, packing):
    data = PACKINGS[packing](f"{header}the 0.5 1\ncat 0 -2{end}".encode())
    check(read(data), ["the", "cat"], [[0.5, 1], [0, -2]])
    if packing == "plain":
        layer = StaticEmbedding.from_file(tmp_path / "file")
        np.testing.assert_array_equal(to_numpy(layer(np.array([[2, 1]]))), [[[0, -2], [0.5, 1]]])


def test_one_line_without_an_end(read):
    for data in (b"the\t0.1 -0.2 0.3", b"1 3\nthe 0.1 -0.2 0.3", b"1 3\nthe 0.1 -0.2 0.3\n\n"):
        check(read(data), ["the"], [[0.1, -0.2, 0.3]])


@pytest.mark.parametrize(
    "data, message",
    [
        # Announced words are missing, and the last line break is too.
        (b"3 2\nthe 0.5 1\ncat 0 -2", "must hold the 3 words.*Received: 2, and no line break.*3"),
        (b"9 2\nthe 0.5 1", "must hold the 9 words.*Received: 1, and no line break"),
        (b"3 2\nthe 0.5 1\ncat 0 -2\n ", "must hold the 3 words.*Received: 2"),
        (b"the 0.5 1\ncat 0", "a word and 2 numbers.*b'cat 0' as line 2"),
        (b"2 2\nthe 0.5 1\ncat 0", "a word and 2 numbers.*b'cat 0' as line 3"),
        (b"the 0.5 1\ncat 0 -", r"must end in 2 numbers.*line 2"),
        (b"2 2", "nothing after it"),
        (b"2 2\n\n\n", "nothing after it"),
        (b"\n \n\t\n", "Received: blank lines"),
        # Blank lines elsewhere.
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
def test_damage_at_line_ends(read, data, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read(data)


def test_whole_lines_before_a_missing_end_are_read(read):
    data = b"3 2\nthe 0.5 1\ncat 0 -2"
    check(read(data, max_words=1), ["the"], [[0.5, 1]])
    check(read(data, words=["the"]), ["the"], [[0.5, 1]])


@pytest.mark.parametrize("header", ["", "3 2\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_word_that_is_a_line_break(read, header, end):
    lines = ["the 0.5 1", "", " 0.25 -1", "cat 0 -2", "", "", "\t7\t8", ""]
    data = (header + end.join(lines)).encode()
    words, vectors = ["the", "\n", "cat", "\n\n"], [[0.5, 1], [0.25, -1], [0, -2], [7, 8]]
    check(read(data), words, vectors)
    check(read(data, words=["\n"]), ["\n"], [[0.25, -1]])
    first = (header.replace("3", "2") + end.join(["", " 0.25 -1", "cat 0 -2", "", ""])).encode()
    check(read(first), ["\n", "cat"], [[0.25, -1], [0, -2]])


# === Other layouts ===


@pytest.mark.parametrize("header", ["", "3 3\n", "3\t3\n"])
@pytest.mark.parametrize(
    "lines, message",
    [
        ("the,0.1,0.2,3|cat,0.4,0.5,6|a,1,2,3", "not by commas"),
        ("the, 0.1, 0.2, 3|cat, 0.4, 0.5, 6|a, 1, 2, 3", "not by commas"),
        ("the 0.1, 0.2, 3|cat 0.4, 0.5, 6|a 1, 2, 3", "not by commas"),
        ("the 0.1,0.2,3|cat 0.4,0.5,6|a 1,2,3", "not by commas"),
        ("the,0.1 0.2 3|cat,0.4 0.5 6|a,1 2 3", "not by commas|how many numbers"),
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
        ("7 the 0.1 0.2 3|8 cat 0.4 0.5 6|9 a 1 2 3", "numbers of the rows"),
        ('"the" 0.1 0.2 3|"cat" 0.4 0.5 6|"a" 1 2 3', "quotation marks"),
        ("0.1 0.2 3 the|0.4 0.5 6 cat|1 2 3 a", "a word and at most"),
        ('{"the": [0.1, 0.2, 3]}|{"cat": [0.4, 0.5, 6]}', "a word and at most"),
        ("the 1:0.1 2:0.2 3:3|cat 1:0.4 2:0.5 3:6", "a word and at most"),
        ("the [0.1 0.2 3]|cat [0.4 0.5 6]|a [1 2 3]", "a word and at most"),
    ],
)
def test_other_layouts_are_refused(read, tmp_path, header, lines, message):
    data = (header + lines.replace("|", "\n") + "\n").encode()
    for packing in PACKINGS.values():
        with pytest.raises(ValueError, match=message) as raised:
            read(packing(data))
        assert str(tmp_path / "file") in str(raised.value)
        assert "Received: b" in str(raised.value)
    with pytest.raises(ValueError, match=message):
        StaticEmbedding.from_file(tmp_path / "file")


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
        savetxt(np.arange(2, 14).reshape(6, 2), fmt="%d"),  # as a header and five lines
        savetxt(np.arange(1, 13).reshape(6, 2), fmt="%d"),
        b"6 4\n" + savetxt(TABLE),
        b"6\t4\n" + savetxt(TABLE, fmt="%.3f", delimiter="\t"),
        b"   " + savetxt(TABLE, newline="\n   ")[:-3],  # as MATLAB's save -ascii
        b"0 0.5 1\n0.25 1 2\n",
        b"1 0.5 2\n1 0.25 3\n",
        b"1 2 3\n",
    ],
    ids=lambda value: ascii(value[:30]),
)
def test_numbers_without_words_are_refused(read, data):
    with pytest.raises(ValueError, match="must hold a word before its numbers. Received: numbers"):
        read(data)


def test_numbers_may_be_words(read):
    """The nodes of a graph, for example."""
    vectors = [[0.5, 1], [2, 3], [-1, 0.25]]
    lines = b"0 0.5 1\n7 2 3\n12 -1 0.25\n"
    check(read(lines), ["0", "7", "12"], vectors)
    check(read(b"3 2\n" + lines), ["0", "7", "12"], vectors)
    check(read(b"3 2\n7 1 2\n7 3 4\n-1.5 5 6\n"), ["7", "-1.5"], [[1, 2], [5, 6]])
    check(read(b"1 2 3\n4 5 6\n", dim=2), ["1", "4"], [[2, 3], [5, 6]])
    check(read(b"0.5 1 2\nthe 3 4\n7 5 6\n"), ["0.5", "the", "7"], [[1, 2], [3, 4], [5, 6]])
    check(read(b"nan 1 2\ninf 3 4\n"), ["nan", "inf"], [[1, 2], [3, 4]])


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
def test_odd_words_are_words(read, words):
    lines = "".join(f"{word} 0.5 -1\n" for word in words).encode()
    check(read(b"3 2\n" + lines), words, [[0.5, -1]] * 3)
    check(read(lines), words, [[0.5, -1]] * 3)


def test_names_of_columns(read):
    with pytest.raises(ValueError, match="d1.* line 1. If it .* names of columns"):
        read(b"word\td1\td2\nthe\t0.5\t1\ncat\t2\t3\n")


# === Formats by their first bytes ===


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


CONTENT = text([" ", " ", " "], header=" ")
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
    "utf-16": (
        CONTENT.decode().encode("utf-16"),
        "Received: UTF-16 text.*iconv -f UTF-16 -t UTF-8",
    ),
    "utf-16-be": (
        b"\xfe\xff" + CONTENT.decode().encode("utf-16-be"),
        "Received: UTF-16 text.*iconv -f UTF-16 -t UTF-8",
    ),
    "utf-16 without mark": (
        CONTENT.decode().encode("utf-16-le"),
        "Received: UTF-16LE text.*iconv -f UTF-16LE -t UTF-8",
    ),
    "utf-32": (CONTENT.decode().encode("utf-32"), "Received: UTF-32 text.*iconv -f UTF-32"),
}


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("kind", FOREIGN)
def test_other_formats_are_named(read, tmp_path, kind, packing):
    data, message = FOREIGN[kind]
    with pytest.raises(ValueError, match=f"(?s)must .*{message}") as raised:
        read(PACKINGS[packing](data))
    assert str(tmp_path / "file") in str(raised.value)
    assert "has written" not in str(raised.value)  # The useless advice of before.
    assert "damaged" not in str(raised.value)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        StaticEmbedding.from_file(tmp_path / "file")


@pytest.mark.parametrize("inner, outer", [("gzip", "bz2"), ("zip", "gzip"), ("bz2", "zip")])
def test_files_that_are_packed_twice(read, inner, outer):
    with pytest.raises(ValueError, match="(?s)Received: a .*Unpack"):
        read(PACKINGS[outer](PACKINGS[inner](CONTENT)))


def test_the_advice_works(tmp_path, read):
    """The shell commands of the errors make a file that is read."""
    cases = [
        (CONTENT.decode().encode("utf-16"), "iconv", "utf8.txt"),
        (gzip.compress(CONTENT.decode().encode("utf-16-be")), "iconv", "utf8.txt"),
        (bz2.compress(gzip.compress(CONTENT)), "gzip", "unpacked.txt"),
    ]
    for data, tool, name in cases:
        with pytest.raises(ValueError) as raised:
            read(data)
        (command,) = re.findall("`(.*?)`", str(raised.value))
        assert tool in command
        subprocess.run(command, shell=True, check=True, cwd=tmp_path)
        check(read_static_vectors(tmp_path / name))


def test_the_vectors_of_fasttext_in_a_zip(tmp_path):
    """Its publishers put the .bin beside the .vec."""
    with zipfile.ZipFile(tmp_path / "wiki.zip", "w") as archive:
        archive.writestr("wiki.bin", FASTTEXT + bytes(1000))
        archive.writestr("wiki.vec", CONTENT)
    check(read_static_vectors(tmp_path / "wiki.zip"))


def test_words_that_begin_as_other_formats_do(read):
    words = ["BZh9", "Rar!", "PAR1", "GGUF", "7z", "]", "%PDF", "SQLite", "(µ/ý"]
    for word in words:
        check(read(f"{word} 0.5 1\nthe 2 3\n".encode()), [word, "the"], [[0.5, 1], [2, 3]])


# === bzip2 ===


def test_damaged_bzip2(read):
    whole = bz2.compress(CONTENT)
    check(read(whole))
    check(read(bz2.compress(CONTENT[:30]) + bz2.compress(CONTENT[30:])))
    for data in (whole[:-5], whole[: len(whole) // 2], whole[:12], whole[:20] + bytes(50)):
        with pytest.raises(ValueError, match="must be readable. Received: "):
            read(data)
    with pytest.raises(ValueError, match="an empty file"):
        read(bz2.compress(b""))


def test_bzip2_is_a_stream(tmp_path):
    path = tmp_path / "bomb"
    letters = np.random.default_rng(0).integers(97, 123, (1000, 900), dtype="uint8")
    rows = b"".join(row.tobytes() + b" 0 1\n" for row in letters)
    path.write_bytes(bz2.compress(rows) * 12 + bz2.compress(b"last 2 3\n"))
    read_static_vectors(path, max_words=1)
    tracemalloc.start()
    try:
        words, vectors = read_static_vectors(path, words=["last"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert words == ["last"] and vectors.tolist() == [[2, 3]]
    assert peak < 0.6 * 12 * len(rows)
