"""Corpus: which files it reads, and the sentences in them."""

import gzip
import random
import sys

import pytest

from elmo_keras.text import Tokenizer, split_sentences
from elmo_keras.training import Corpus, write_tokenized
from tests.training.text_files import read, write

LINES = ["a b c", "", "d  e\t f", "   ", "é 東京 🙂", "g"]
SENTENCES = [["a", "b", "c"], ["d", "e", "f"], ["é", "東京", "🙂"], ["g"]]


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


def test_each_iteration_starts_at_the_first_sentence(tmp_path):
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
        ("*", ALL),  # without the folder
        ("?-2*", ["a-2.txt.gz", "b-2.txt"]),
        ("*/c.txt", ["inner/c.txt"]),
        (["b-2.txt", "a-*"], ["b-2.txt", "a-10.txt", "a-2.txt.gz"]),
        (["inner", "b-2.txt"], ["inner/c.txt", "b-2.txt"]),
    ],
    ids=[
        "folder",
        "file",
        "suffix",
        "prefix",
        "all",
        "question mark",
        "inner",
        "file and pattern",
        "folder and file",
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


@pytest.mark.parametrize(
    "files", ["missing", "missing/*.txt", "empty", "a*", ["text", "missing"]], ids=str
)
def test_files_that_are_not_there(tmp_path, files):
    (tmp_path / "empty/folder").mkdir(parents=True)
    write(tmp_path / "text", "a\n")
    write(tmp_path / "empty/.hidden", "a\n")
    given = [tmp_path / item for item in ([files] if isinstance(files, str) else files)]
    message = rf"must be a file.*Received: '.*{given[-1].name.replace('*', '[*]')}'"
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
    ids=["no files", "None", "int", "split_sentences", "tokenizer"],
)
def test_bad_arguments(tmp_path, monkeypatch, files, options, message):
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
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # Its import now fails.
    assert read(path, split_sentences=True) == [["a", "é"], ["be."], ["C"]]
    (written,) = write_tokenized(Corpus(path, "whitespace"), tmp_path / "out")
    assert read(written) == [["a", "é"], ["be.", "C"]]
    with pytest.raises(ImportError, match="pip install tensorflow"):
        list(Corpus(path))
