"""write_tokenized: files of tokens, and what an error leaves."""

import gzip

import pytest

from elmo_keras.text import Tokenizer
from elmo_keras.training import Corpus, corpus, write_tokenized
from tests.training.text_files import read, write


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
@pytest.mark.parametrize("names", [["a.gz"], ["a.txt"], ["a.txt", "b.gz"]], ids=str)
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


def test_files_that_exist_are_kept(tmp_path):
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
