"""CoNLL-2000: a few sentences, and the published files if they are there."""

import zipfile
import zlib

import pytest

from elmo_keras.datasets import Split, Splits, conll2000, load_conll2000

FILES = {
    "chunk_conll2000/train.txt": (
        "Foxes NNS B-NP\nsleep VBP B-VP\n. . O\n\n"
        "The DT B-NP\nkettle NN I-NP\n\n"
        "Toads NNS B-NP\nsleep VBP B-VP\n"
    ),
    "chunk_conll2000/test.txt": "Often RB B-ADVP\n\n",
}
SPLITS = Splits(
    train=Split(
        [["Foxes", "sleep", "."], ["The", "kettle"]], [["B-NP", "B-VP", "O"], ["B-NP", "I-NP"]]
    ),
    dev=Split([["Toads", "sleep"]], [["B-NP", "B-VP"]]),
    test=Split([["Often"]], [["B-ADVP"]]),
)


def test_words_and_chunks(write):
    write(FILES, conll2000._SHA256)
    assert load_conll2000() == SPLITS
    tenths = [
        [zlib.crc32(" ".join(words).encode()) % 10 for words in split.sentences] for split in SPLITS
    ]
    assert 0 not in tenths[0]
    assert tenths[1] == [0]


def archive(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in files.items():
            file.writestr(name, text)


def test_zip_archives(write):
    """The public address is an archive, which may also be in the local folder."""
    folder = write(FILES, conll2000._SHA256)
    texts = {path.replace("chunk_", "any/"): text for path, text in FILES.items()}
    for path in FILES:
        archive(folder / path, texts | {"any/README": "read me", "__MACOSX/._train.txt": "no"})
    assert load_conll2000() == SPLITS


@pytest.mark.parametrize("names", [["other.txt"], ["test.txt", "more/test.txt"]])
def test_archive_without_the_file(write, names):
    folder = write(FILES, conll2000._SHA256)
    archive(folder / "chunk_conll2000" / "test.txt", dict.fromkeys(names, "text"))
    with pytest.raises(ValueError, match="with one file `test.txt` .* Received: "):
        load_conll2000()


def test_damaged_archive(write):
    folder = write(FILES, conll2000._SHA256)
    path = folder / "chunk_conll2000" / "test.txt"
    archive(path, {"test.txt": "chunks " * 1000})
    content = bytearray(path.read_bytes())
    content[45:60] = b"\xff" * 15
    path.write_bytes(content)
    with pytest.raises(ValueError, match="must be a whole zip archive"):
        load_conll2000()


def test_large_member(write, monkeypatch):
    folder = write(FILES, conll2000._SHA256)
    archive(folder / "chunk_conll2000" / "test.txt", {"test.txt": "chunks " * 1000})
    monkeypatch.setattr("elmo_keras.datasets._source._LARGEST_MEMBER", 6999)
    with pytest.raises(ValueError, match=r"Received: test.txt \(7000 bytes\)"):
        load_conll2000()


def test_another_file_is_an_error(write):
    write(FILES)
    with pytest.raises(ValueError, match="must have the sha256"):
        load_conll2000()


def test_missing_file(write):
    (write(FILES, conll2000._SHA256) / "chunk_conll2000" / "test.txt").unlink()
    with pytest.raises(FileNotFoundError, match="chunk_conll2000/test.txt"):
        load_conll2000()


def test_public_address():
    source = conll2000._source("test")
    assert source.address.endswith("/conll2000.zip")
    assert source.member == "test.txt"


def test_published_files(published):
    splits = load_conll2000()
    assert [len(split.sentences) for split in splits] == [8038, 898, 2012]
    assert sum(len(row) for split in splits[:2] for row in split.sentences) == 211727
    assert sum(map(len, splits.test.sentences)) == 47377
    texts = [{" ".join(words) for words in split.sentences} for split in splits]
    assert not texts[0] & texts[1]
    tags = {tag for split in splits for row in split.labels for tag in row}
    assert len({tag[2:] for tag in tags if tag != "O"}) == 11
