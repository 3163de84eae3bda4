"""Text files as sentences."""

import bz2
import gzip
import lzma
import random
import re
import sys
import tracemalloc

import pytest

from elmo_keras.text import Tokenizer, split_sentences
from elmo_keras.training import Corpus, corpus, write_tokenized

LINES = ["a b c", "", "d  e\t f", "   ", "é 東京 🙂", "g"]
SENTENCES = [["a", "b", "c"], ["d", "e", "f"], ["é", "東京", "🙂"], ["g"]]


def write(path, text, compressed=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if compressed else data)
    return path


def read(files, **options):
    return list(Corpus(files, "whitespace", **options))


@pytest.fixture
def needs_tensorflow():
    pytest.importorskip("tensorflow", reason="this tokenizer needs TensorFlow")


# === Files ===


@pytest.mark.parametrize("end", ["\n", "\r\n", ""], ids=["lf", "crlf", "no end"])
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ["text.txt", "text.gz", "text"])
def test_gzip_is_known_by_its_content(tmp_path, name, compressed, end):
    text = ("\r\n" if end == "\r\n" else "\n").join(LINES) + end
    assert read(write(tmp_path / name, text, compressed)) == SENTENCES


def test_no_end_of_line_but_the_line_feed(tmp_path):
    text = "a\u2028b \x0b c\x85d\r e\x0c\x1cf\n g"
    assert read(write(tmp_path / "text", text)) == [["a\u2028b", "c\x85d", "e", "\x1cf"], ["g"]]


def test_gzip_of_several_members(tmp_path):
    data = b"".join(gzip.compress(line.encode()) for line in ("a b\nc", " d\n", "e\n"))
    assert read(write(tmp_path / "text", data)) == [["a", "b"], ["c", "d"], ["e"]]


def test_an_iteration_begins_anew(tmp_path):
    text = Corpus(write(tmp_path / "text", "a\nb\n"), "whitespace")
    assert list(text) == list(text) == [["a"], ["b"]]
    first, second = iter(text), iter(text)
    assert [next(first), next(second), next(first), next(second)] == [["a"], ["a"], ["b"], ["b"]]


@pytest.fixture
def shards(tmp_path):
    folder = tmp_path / "shards"
    for name in ("b-2.txt", "a-10.txt", "a-2.txt.gz", ".hidden", "inner/c.txt"):
        write(folder / name, f"{name}\n", compressed=name.endswith("gz"))
    return folder


ALL = ["a-10.txt", "a-2.txt.gz", "b-2.txt"]


@pytest.mark.parametrize(
    "files, names",
    [
        (".", ALL),
        ("b-2.txt", ["b-2.txt"]),
        ("*.txt", ["a-10.txt", "b-2.txt"]),
        ("a-*", ["a-10.txt", "a-2.txt.gz"]),
        ("*", ALL),  # not the folder among them
        ("?-2*", ["a-2.txt.gz", "b-2.txt"]),
        ("*/c.txt", ["inner/c.txt"]),
        (["b-2.txt", "a-*"], ["b-2.txt", "a-10.txt", "a-2.txt.gz"]),
        (["inner", "b-2.txt"], ["inner/c.txt", "b-2.txt"]),
    ],
)
@pytest.mark.parametrize("as_str", [False, True], ids=["path", "str"])
def test_which_files(shards, files, names, as_str):
    items = [shards / item for item in ([files] if isinstance(files, str) else files)]
    items = [str(item) for item in items] if as_str else items
    given = items[0] if isinstance(files, str) else items
    text = Corpus(given, "whitespace")
    assert [str(path.relative_to(shards)) for path in text.files] == names
    assert list(text) == [[name] for name in names]
    assert Corpus(iter(items), "whitespace").files == text.files


def test_names_that_look_like_patterns(tmp_path):
    path = write(tmp_path / "[ab]/a*.txt", "x\n")
    write(tmp_path / "[ab]/ab.txt", "y\n")
    assert read(path) == [["x"]]
    assert read(tmp_path / "[ab]") == [["x"], ["y"]]


@pytest.mark.parametrize("files", ["missing", "missing/*.txt", "empty", "a*", ["text", "missing"]])
def test_files_that_are_not_there(tmp_path, files):
    (tmp_path / "empty/folder").mkdir(parents=True)
    write(tmp_path / "text", "a\n")
    write(tmp_path / "empty/.hidden", "a\n")
    given = [tmp_path / item for item in ([files] if isinstance(files, str) else files)]
    message = rf"must be a file.*Received: '.*{given[-1].name.replace('*', '[*]')}', where there is"
    with pytest.raises(ValueError, match=message):
        Corpus(given, "whitespace")
    with pytest.raises(ValueError, match=message):
        Corpus(str(given[-1]), "whitespace")


@pytest.mark.parametrize(
    "files, options, message",
    [
        ([], {}, "at least one file"),
        (None, {}, "Received: None of type NoneType"),
        (7, {}, "Received: 7 of type int"),
        ("text", {"split_sentences": 1}, "`split_sentences` must be a bool. Received: .*=1"),
        ("text", {"tokenizer": "nltk"}, "`method` must be one of"),
    ],
)
def test_bad_use(tmp_path, monkeypatch, files, options, message):
    write(tmp_path / "text", "a\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        Corpus(files, **options)


def test_an_empty_file_holds_no_sentences(tmp_path):
    files = [write(tmp_path / "a", ""), write(tmp_path / "b", "", True), write(tmp_path / "c", "x")]
    assert read(files) == [["x"]]


@pytest.mark.parametrize("damage", ["cut", "garbled", "trailing", "magic alone"])
def test_damaged_gzip(tmp_path, damage):
    lines = "".join(f"{number} word\n" for number in random.Random(0).sample(range(10**6), 20_000))
    data = gzip.compress(lines.encode())
    half = len(data) // 2
    data = {
        "cut": data[:half],
        "garbled": data[:half] + bytes(1000) + data[half + 1000 :],
        "trailing": data + b"more",
        "magic alone": data[:2],
    }[damage]
    path = write(tmp_path / "broken.txt", data)
    seen = []
    with pytest.raises(ValueError, match=r"broken.txt must be text, plain or gzip.*after line \d+"):
        for sentence in Corpus([write(tmp_path / "whole", "a\n"), path], "whitespace"):
            seen.append(sentence)
    assert seen[0] == ["a"]


# === Sentences ===


def test_tokenizers(tmp_path, needs_tensorflow):
    path = write(tmp_path / "text", "It isn't bad.\n\n \u00a0\nSo?\n")
    words = [["It", "is", "n't", "bad", "."], ["So", "?"]]
    assert list(Corpus(path)) == list(Corpus(path, "words")) == words
    assert list(Corpus(path, Tokenizer(lowercase=True, max_tokens=2))) == [
        ["it", "is"],
        ["so", "?"],
    ]
    assert list(Corpus(path, Tokenizer("whitespace", max_tokens=1))) == [
        ["It"],
        ["\u00a0"],
        ["So?"],
    ]


def test_split_sentences(tmp_path):
    lines = ["One thing. Another thing.", "", "A third one! And", "so on."]
    path = write(tmp_path / "text", "\n".join(lines))
    expected = [sentence.split() for line in lines for sentence in split_sentences(line)]
    assert len(expected) == 5
    assert read(path, split_sentences=True) == expected
    assert read(path) == [line.split() for line in lines if line]


def test_no_tensorflow_is_needed(tmp_path, monkeypatch):
    path = write(tmp_path / "text", "a é\nbe. C\n")
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # Whoever imports it now fails.
    assert read(path, split_sentences=True) == [["a", "é"], ["be."], ["C"]]
    (written,) = write_tokenized(Corpus(path, "whitespace"), tmp_path / "out")
    assert read(written) == [["a", "é"], ["be.", "C"]]
    with pytest.raises(ImportError, match="pip install tensorflow"):
        list(Corpus(path))


# === Bytes that are no UTF-8 ===


@pytest.mark.parametrize(
    "data, tokens, number",
    [
        (b"a b", ["a", "b"], 0),
        (b"a \xff b", ["a", "\ufffd", "b"], 1),
        (b"\xff\xfe\xfd", ["\ufffd" * 3], 3),
        ("a \ufffd b".encode(), ["a", "\ufffd", "b"], 0),
        ("\ufffd ".encode() + b"\xff" + "\ufffd".encode(), ["\ufffd", "\ufffd" * 2], 1),
        (b"\xef\xbf\xbd\xef\xbf \xbd", ["\ufffd" * 2, "\ufffd"], 2),
        # The begin of a character, whatever its length, is one U+FFFD, and counted as that.
        (b"\xe6\x9d a", ["\ufffd", "a"], 1),
        (b"\xf0\x9f\x99", ["\ufffd"], 1),
        (b"\xe9t\xe9 caf\xe9", ["\ufffdt\ufffd", "caf\ufffd"], 3),  # Latin-1
        (b"\xed\xa0\x80", ["\ufffd" * 3], 3),  # a surrogate
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
    assert text.undecodable == 2 * number  # All that it has met.


# === Byte order marks, and files that are not UTF-8 text ===

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
    # Elsewhere it is a character as others.
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


def test_a_mark_of_the_text_survives_a_round_trip(tmp_path):
    for data in ("\ufeff\ufeffa b\n", "\n\ufeffa b\n", "x\n\ufeffa b\n"):
        text = Corpus(write(tmp_path / "in/text", data), "whitespace")
        assert list(text)[-1] == ["\ufeffa", "b"]
        paths = write_tokenized(text, tmp_path / "out", overwrite=True)
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
    ids=ascii,
)
def test_other_bytes_are_read(tmp_path, data):
    for compressed in (False, True):
        text = Corpus(write(tmp_path / "text", data, compressed), "whitespace")
        assert list(text) == [
            line.decode("utf-8", "replace").split(" ") for line in [data.rstrip(b"\n")]
        ]


# === Blocks ===


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(corpus, "BLOCK_LINES", 4)


def numbered(lines, seed=0):
    """Lines of a few tokens, some of them empty or white space."""
    rng = random.Random(seed)
    return [
        " ".join(f"{n}.{i}" for i in range(rng.randrange(4))) or " " * (n % 2) for n in range(lines)
    ]


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("lines", [0, 1, 3, 4, 5, 8, 23])
def test_blocks_are_consecutive_lines(tmp_path, small_blocks, lines, compressed):
    texts = numbered(lines)
    path = write(tmp_path / "text", "".join(f"{text}\n" for text in texts), compressed)
    text = Corpus([write(tmp_path / "other", "x\n"), path], "whitespace")
    blocks = list(text.blocks(1))
    line = 0
    for block in blocks:
        end = lines if block.next_line is None else block.next_line
        assert (block.file, block.line) == (1, line)
        assert end - line <= 4
        assert block.sentences == [item.split() for item in texts[line:end] if item.strip()]
        line = end
    assert line == lines
    assert [block.next_line is None for block in blocks] == [False] * (len(blocks) - 1) + [True]
    for number, block in enumerate(blocks):
        assert list(text.blocks(1, block.line)) == blocks[number:]
    # From any line on.
    for line in range(lines + 1):
        rest = [sentence for block in text.blocks(1, line) for sentence in block.sentences]
        assert rest == [item.split() for item in texts[line:] if item.strip()]
    assert list(text) == [["x"], *(item.split() for item in texts if item.strip())]


def test_restarted_blocks_of_split_lines(tmp_path, small_blocks):
    lines = [f"Line {n}. It has two. Or" + " three!" * (n % 3) for n in range(18)]
    text = Corpus(write(tmp_path / "text", "\n".join(lines)), "whitespace", split_sentences=True)
    blocks = list(text.blocks(0))
    assert len(blocks) == 5
    assert [sentence for block in blocks for sentence in block.sentences] == list(text)
    for number, block in enumerate(blocks):
        assert list(text.blocks(0, block.line)) == blocks[number:]


def test_the_lines_before_a_restart_are_not_decoded(tmp_path, small_blocks):
    text = Corpus(write(tmp_path / "text", b"\xff\n" * 6), "whitespace")
    list(text.blocks(0, 4))
    assert text.undecodable == 2


# === Long lines ===


def test_a_line_of_a_million_tokens(tmp_path):
    """It comes in pieces of a MiB, and only where one ends may a token be in two."""
    tokens = [f"w{number}" for number in range(1_000_000)]
    path = write(tmp_path / "text", "first\n" + " ".join(tokens) + "\nlast\n", compressed=True)
    sentences = read(path)
    assert sentences[0] == ["first"] and sentences[-1] == ["last"]
    pieces = sentences[1:-1]
    size = sum(map(len, tokens)) + len(tokens) - 1
    assert len(pieces) == size // 2**20 + 1
    joined, cut = pieces[0], 0
    for piece in pieces[1:]:
        place = len(joined)
        if joined[-1] != tokens[place - 1]:  # The piece before ended within this one.
            joined[-1] += piece[0]
            piece, cut = piece[1:], cut + 1
        joined = joined + piece
    assert joined == tokens
    assert 0 < cut < len(pieces)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 64])
def test_pieces_end_with_whole_characters(tmp_path, monkeypatch, size, compressed):
    monkeypatch.setattr(corpus, "MAX_LINE_BYTES", size)
    rng = random.Random(size)
    lines = ["".join(rng.choices("aé東🙂", k=rng.randrange(1, 40))) for _ in range(50)]
    path = write(tmp_path / "text", "\n".join(lines), compressed)
    text = Corpus(path, "whitespace")
    pieces = list(text)
    assert text.undecodable == 0
    assert "".join(token for tokens in pieces for token in tokens) == "".join(lines)
    assert all(len(token.encode()) <= size + 3 for tokens in pieces for token in tokens)
    # A restart counts pieces as it counts lines.
    monkeypatch.setattr(corpus, "BLOCK_LINES", 10)
    blocks = list(text.blocks(0))
    assert [sentence for block in blocks for sentence in block.sentences] == pieces
    for number, block in enumerate(blocks):
        assert list(text.blocks(0, block.line)) == blocks[number:]


def test_continuation_bytes_alone_are_cut_too(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "MAX_LINE_BYTES", 4)
    text = Corpus(write(tmp_path / "text", b"\x80" * 1000), "whitespace")
    assert sum(len(token) for tokens in text for token in tokens) == 1000
    assert text.undecodable == 1000
    assert max(len(token) for tokens in text for token in tokens) <= 7


def test_blocks_of_long_lines_have_fewer(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "BLOCK_CHARACTERS", 100)
    lengths = [10, 99, 40, 60, 1, 250, 1, 1, 1]  # with the line feed
    lines = ["é" * (length - 1) for length in lengths]
    text = Corpus(write(tmp_path / "text", "".join(f"{line}\n" for line in lines)), "whitespace")
    blocks = list(text.blocks(0))
    # A block is over with the line that brings it to a hundred.
    assert [block.line for block in blocks] == [0, 2, 4, 6]
    assert list(text) == [[line] for line in lines if line]
    for number, block in enumerate(blocks):
        assert list(text.blocks(0, block.line)) == blocks[number:]


def test_memory_does_not_depend_on_the_line_breaks(tmp_path, monkeypatch):
    """A file of one line takes no more than a block."""
    monkeypatch.setattr(corpus, "MAX_LINE_BYTES", 2**12)
    monkeypatch.setattr(corpus, "BLOCK_CHARACTERS", 2**15)
    path = write(tmp_path / "text", "abcd " * 400_000)
    text = Corpus(path, "whitespace")
    tracemalloc.start()
    try:
        tokens = sum(map(len, text))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 400_000 <= tokens <= 400_000 + 2_000_000 // 2**12 + 1
    assert peak < 4_000_000  # All of it takes some 25 MB.


# === Writing tokens ===


def test_round_trip(tmp_path, needs_tensorflow):
    write(tmp_path / "in/b.txt", "It isn't bad. Is it?\n\nYes\u00a0é 東京 🙂!\n")
    write(tmp_path / "in/a.gz", "No.\n", compressed=True)
    write(tmp_path / "in/c.d", b"\xff \xef\xbf\xbd\x0b\x1c x\n")
    text = Corpus(tmp_path / "in", split_sentences=True)
    paths = write_tokenized(text, tmp_path / "new/out")
    assert [path.name for path in paths] == ["a.gz", "b.txt.gz", "c.d.gz"]
    assert sorted((tmp_path / "new/out").iterdir()) == paths
    assert gzip.decompress(paths[0].read_bytes()) == b"No .\n"
    assert list(Corpus(paths, "whitespace")) == list(text)
    assert list(Corpus(tmp_path / "new/out", "whitespace")) == list(text)
    assert len(list(text)) == 5


@pytest.mark.parametrize("method", Tokenizer.METHODS)
def test_round_trip_of_all_kinds_of_characters(tmp_path, method, needs_tensorflow):
    if method == "unicode_script":
        pytest.importorskip("tensorflow_text", reason=f"{method} needs tensorflow-text")
    points = [*range(1, 0x3100), 0xFEFF, 0xFFFD, 0x1F642]
    points = [point for point in points if point != ord("\n")]
    lines = [f"a{chr(point)}b {chr(point)}" for point in points]
    text = Corpus(write(tmp_path / "in/text", "\n".join(lines)), method)
    paths = write_tokenized(text, tmp_path / "out")
    assert list(Corpus(paths, "whitespace")) == list(text)


def test_same_names_are_refused(tmp_path):
    files = [write(tmp_path / name, "a\n") for name in ("1/a.txt", "2/a.txt", "2/b")]
    with pytest.raises(ValueError, match=r"different names.*\['a.txt.gz', 'a.txt.gz', 'b.gz'\]"):
        write_tokenized(Corpus(files, "whitespace"), tmp_path / "out")
    files = [write(tmp_path / "3/a", "a\n"), write(tmp_path / "3/a.gz", "a\n", compressed=True)]
    with pytest.raises(ValueError, match="different names"):
        write_tokenized(Corpus(files, "whitespace"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("names", [["a.gz"], ["a.txt"], ["a.txt", "b.gz"]])
def test_its_own_directory_is_refused(tmp_path, names, overwrite):
    for name in names:
        write(tmp_path / "in" / name, "a\n", compressed=name.endswith("gz"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    text = Corpus(tmp_path / "in", "whitespace")
    (tmp_path / "link").symlink_to(tmp_path / "in", target_is_directory=True)
    for directory in (tmp_path / "in", tmp_path / "in/../in", tmp_path / "link"):
        with pytest.raises(ValueError, match="must not be a directory of the corpus"):
            write_tokenized(text, directory, overwrite=overwrite)
    assert {path.name: path.read_bytes() for path in (tmp_path / "in").iterdir()} == before


def test_links_to_the_corpus_are_refused(tmp_path):
    source = write(tmp_path / "in/a.gz", "a\n", compressed=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.gz").symlink_to(source)
    with pytest.raises(ValueError, match="must not be a directory of the corpus"):
        write_tokenized(Corpus(source, "whitespace"), tmp_path / "out", overwrite=True)


def test_it_goes_on_where_it_was(tmp_path):
    files = [write(tmp_path / "in" / name, f"{name}\n") for name in "abc"]
    text = Corpus(files, "whitespace")
    kept = write(tmp_path / "out/b.gz", "kept\n", compressed=True)
    write(tmp_path / "out/.c.gz.partial", b"broken off")
    paths = write_tokenized(text, tmp_path / "out")
    assert [read(path) for path in paths] == [[["a"]], [["kept"]], [["c"]]]
    assert sorted((tmp_path / "out").iterdir()) == paths and paths[1] == kept
    paths = write_tokenized(text, tmp_path / "out", overwrite=True)
    assert [read(path) for path in paths] == [[["a"]], [["b"]], [["c"]]]


def test_an_error_leaves_no_half_of_a_file(tmp_path):
    write(tmp_path / "in/a", "a\n")
    cut = gzip.compress(b"b\n" * 20_000)[:-20]
    write(tmp_path / "in/b", cut)
    write(tmp_path / "in/c", "c\n")
    text = Corpus(tmp_path / "in", "whitespace")
    out = tmp_path / "out"
    before = write(out / "b.gz", "before\n", compressed=True).read_bytes()
    with pytest.raises(ValueError, match="in.b must be text, plain or gzip"):
        write_tokenized(text, out, overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == ["a.gz", "b.gz"]
    assert (out / "b.gz").read_bytes() == before
    (out / "b.gz").unlink()
    with pytest.raises(ValueError, match="in.b must be text"):
        write_tokenized(text, out)
    assert [path.name for path in out.iterdir()] == ["a.gz"]


def test_an_interrupt_leaves_no_half_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "BLOCK_LINES", 2)
    text = Corpus(write(tmp_path / "in/a", "a\n" * 10), "whitespace")
    usual, calls = text.tokenizer.split, []

    def interrupted(lines):
        calls.append(lines)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return usual(lines)

    monkeypatch.setattr(text.tokenizer, "split", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_tokenized(text, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    (path,) = write_tokenized(text, tmp_path / "out")
    assert read(path) == [["a"]] * 10
