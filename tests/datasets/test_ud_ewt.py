"""UD English-EWT: a few sentences, and the published files if they are there."""

import gzip
import hashlib
from pathlib import Path

import pytest

from elmo_keras.datasets import Split, Splits, load_ud_ewt, ud_ewt

SHARED = Path(__file__).parents[3] / "shared" / "data"


def row(index, word, tag):
    return "\t".join([index, word, "lemma", tag, *"______"]) + "\n"


TREEBANK = {
    "train": (
        "# text = Robins don't éat\n"
        + row("1", "Robins", "NOUN")
        + row("2-3", "don't", "_")
        + row("2", "do", "AUX")
        + row("3", "n't", "PART")
        + row("3.1", "hidden", "VERB")
        + row("4", "éat", "VERB")
        + "\n# sent_id = 2\n"
        + row("1", "#", "SYM")
        + "\n"
    ),
    "dev": row("1", "Hello", "INTJ") + "\n",
    "test": row("1", "Tall", "ADJ") + row("2", "trees", "NOUN") + "\n",
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Returns a function that writes a treebank; expected are the checksums of `TREEBANK`."""
    monkeypatch.setenv("ELMO_KERAS_DATA", str(tmp_path))
    folder = tmp_path / "pos_ud_en_ewt"
    folder.mkdir()
    for name, text in TREEBANK.items():
        used = ud_ewt._words_and_tags(text.encode())
        monkeypatch.setitem(ud_ewt._SHA256, name, hashlib.sha256(used).hexdigest())

    def write(treebank):
        for name, text in treebank.items():
            path = folder / f"en_ewt-ud-{name}.conllu.gz"
            path.write_bytes(gzip.compress(text.encode(), 1))

    return write


def test_words_and_tags(write):
    write(TREEBANK)
    assert load_ud_ewt() == Splits(
        train=Split(
            [["Robins", "do", "n't", "éat"], ["#"]],
            [["NOUN", "AUX", "PART", "VERB"], ["SYM"]],
        ),
        dev=Split([["Hello"]], [["INTJ"]]),
        test=Split([["Tall", "trees"]], [["ADJ", "NOUN"]]),
    )


def test_changes_of_unused_columns_are_accepted(write):
    write(TREEBANK | {"dev": "# newdoc\n" + TREEBANK["dev"].replace("lemma", "hello")})
    assert load_ud_ewt().dev == Split([["Hello"]], [["INTJ"]])


@pytest.mark.parametrize("changed", ["Hallo", "hello", ""])
def test_changed_words_are_an_error(write, changed):
    write(TREEBANK | {"dev": TREEBANK["dev"].replace("Hello", changed)})
    with pytest.raises(ValueError, match="must have the sha256"):
        load_ud_ewt()


def test_another_file_is_an_error(write):
    write(TREEBANK | {"test": "404: Not Found\n"})
    with pytest.raises(ValueError, match="must have the sha256"):
        load_ud_ewt()


def test_public_addresses():
    assert ud_ewt._source("dev").address.endswith("/en_ewt-ud-dev.conllu")


def test_published_files(monkeypatch):
    if not (SHARED / "pos_ud_en_ewt").is_dir():
        pytest.skip(f"needs the data folder {SHARED / 'pos_ud_en_ewt'}")
    monkeypatch.setenv("ELMO_KERAS_DATA", str(SHARED))
    splits = load_ud_ewt()
    assert [len(split.sentences) for split in splits] == [12544, 2001, 2077]
    tags = set()
    for split in splits:
        for words, word_tags in zip(split.sentences, split.labels, strict=True):
            assert len(words) == len(word_tags) > 0
            tags.update(word_tags)
    assert tags == set(
        "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split()
    )
