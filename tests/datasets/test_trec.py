"""TREC: a few questions, and the published files if they are there."""

import hashlib
from pathlib import Path

import pytest

from elmo_keras.datasets import Split, Splits, load_trec, trec

SHARED = Path(__file__).parents[3] / "shared" / "data"

QUESTIONS = {
    "train": (
        "LOC:other Where does the müller live ?\n"
        "NUM:count How many spoons are 0 spoons ?\n"
        "HUM:ind Who mended the kettle ?\n"
        "LOC:other Where does the müller live ?\n"
    ),
    "test": "NUM:count How many ladders lean here ?\nDESC:def What is a gnurf ?\n",
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Returns a function that writes questions into a folder, and expects their checksums."""
    monkeypatch.setenv("ELMO_KERAS_DATA", str(tmp_path))
    folder = tmp_path / "qc_trec"
    folder.mkdir()

    def write(questions, encoding="utf-8"):
        for name, text in questions.items():
            checksum = hashlib.sha256(text.encode("utf-8")).hexdigest()
            monkeypatch.setitem(trec._SHA256, name, checksum)
            (folder / f"TREC.{name}").write_bytes(text.encode(encoding))
        return folder

    return write


# The public file is in Latin-1.
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_questions_and_types(write, encoding):
    write(QUESTIONS, encoding)
    assert load_trec() == Splits(
        train=Split(
            [
                "Where does the müller live ?",
                "How many spoons are 0 spoons ?",
                "Where does the müller live ?",
            ],
            ["LOC", "NUM", "LOC"],
        ),
        dev=Split(["Who mended the kettle ?"], ["HUM"]),
        test=Split(["How many ladders lean here ?", "What is a gnurf ?"], ["NUM", "DESC"]),
    )


def test_fine_types(write):
    write(QUESTIONS)
    train, dev, test = load_trec(fine=True)
    assert train.labels == ["LOC:other", "NUM:count", "LOC:other"]
    assert dev.labels == ["HUM:ind"]
    assert test.labels == ["NUM:count", "DESC:def"]
    assert [split.sentences for split in (train, dev, test)] == [
        split.sentences for split in load_trec()
    ]


def test_another_file_is_an_error(write):
    folder = write(QUESTIONS)
    (folder / "TREC.test").write_bytes(b"404: Not Found")
    with pytest.raises(ValueError, match="must have the sha256"):
        load_trec()


@pytest.mark.parametrize("line", ["no type", "LOC Where ?", "LOC:other ", "LOC:other", ":other No"])
def test_line_without_type_or_question(write, line):
    write(QUESTIONS | {"test": line + "\n"})
    with pytest.raises(ValueError, match="must be a type and a question.* Received: line="):
        load_trec()


def test_public_addresses():
    assert trec._source("test").address.endswith("/QA/QC/TREC_10.label")


@pytest.mark.parametrize("fine", [False, True])
def test_published_files(monkeypatch, fine):
    if not (SHARED / "qc_trec").is_dir():
        pytest.skip(f"needs the data folder {SHARED / 'qc_trec'}")
    monkeypatch.setenv("ELMO_KERAS_DATA", str(SHARED))
    train, dev, test = load_trec(fine)
    assert [len(split.sentences) for split in (train, dev, test)] == [4924, 528, 500]
    assert not set(train.sentences) & set(dev.sentences)
    types = set(train.labels + dev.labels)
    assert len(types) == (50 if fine else 6)
    assert set(test.labels) <= types
    if not fine:
        assert types == {"ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"}
