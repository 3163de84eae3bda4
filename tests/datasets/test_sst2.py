"""SST-2: small trees, and the published files if they are there."""

import hashlib
from pathlib import Path

import pytest

from elmo_keras.datasets import Split, Splits, load_sst2, sst2

SHARED = Path(__file__).parents[3] / "shared" / "data"

TREES = {
    "train": (
        "(4 (2 Our) (3 (2 cat) (4 purrs)))\n"
        "(2 (2 A) (2 door))\n"
        "(1 (2 -LRB-) (1 (1 (2 rain\\/hail) (2 \\*)) (2 -RRB-)))\n"
    ),
    "dev": "(3 (2 Nice) (2 tea))\n(0 (2 No) (0 thé))\n",
    "test": "(0 (0 Ouch) (2 !))\n",
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Returns a function that writes trees into a folder, and expects their checksums."""
    monkeypatch.setenv("ELMO_KERAS_DATA", str(tmp_path))
    folder = tmp_path / "sent_sst" / "trees"
    folder.mkdir(parents=True)

    def write(trees, after_train=""):
        for name, text in trees.items():
            checksum = hashlib.sha256(text.encode()).hexdigest()
            monkeypatch.setitem(sst2._SHA256, name, checksum)
            text += after_train if name == "train" else ""
            (folder / f"{name}.txt").write_bytes(text.encode())

    return write


# The public file has the lines of dev.txt at its end.
@pytest.mark.parametrize("after_train", ["", TREES["dev"], TREES["dev"].rstrip("\n")])
def test_sentences_and_labels(write, after_train):
    write(TREES, after_train)
    assert load_sst2() == Splits(
        train=Split(["Our cat purrs", "( rain/hail * )"], ["positive", "negative"]),
        dev=Split(["Nice tea", "No thé"], ["positive", "negative"]),
        test=Split(["Ouch !"], ["negative"]),
    )


def test_phrases(write):
    trees = TREES | {
        "train": TREES["train"]
        + "(3 (3 (2 Our) (3 good)) (1 (0 (1 \\*) (1 8\N{NO-BREAK SPACE}1/2)) (0 no)))\n"
        + "(4 (3 nice) (2 tea))\n"
    }
    write(trees)
    plain, splits = load_sst2(), load_sst2(phrases=True)
    assert (splits.dev, splits.test) == (plain.dev, plain.test)
    assert dict(zip(*splits.train, strict=True)) == {
        "purrs": "positive",
        "cat purrs": "positive",
        "Our cat purrs": "positive",
        "rain/hail *": "negative",
        "rain/hail * )": "negative",
        "( rain/hail * )": "negative",
        "good": "positive",
        "Our good": "positive",
        "*": "negative",
        "no": "negative",
        "* no": "negative",
        "Our good * no": "positive",
        "nice": "positive",
    }


def test_other_lines_at_the_end_of_train_are_an_error(write):
    write(TREES, "(3 (2 Not) (2 mine))\n")
    with pytest.raises(ValueError, match="must have the sha256"):
        load_sst2()


@pytest.mark.parametrize("line", ["no tree", "(5 (2 So) (2 what))", "(3 (2 So) (2 what)", "(3 )"])
def test_invalid_tree(write, line):
    write(TREES | {"test": line + "\n"})
    with pytest.raises(ValueError, match="must be a tree in brackets.* Received: line="):
        load_sst2()


def test_public_addresses():
    assert sst2._source("dev").address.endswith("/trees/dev.txt")


@pytest.fixture(scope="module")
def splits():
    if not (SHARED / "sent_sst").is_dir():
        pytest.skip(f"needs the data folder {SHARED / 'sent_sst'}")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("ELMO_KERAS_DATA", str(SHARED))
        return load_sst2()


def test_sizes(splits):
    assert [len(split.sentences) for split in splits] == [6920, 872, 1821]


def test_size_of_the_phrases(published, splits):
    train, dev, test = load_sst2(phrases=True)
    assert (dev, test) == splits[1:]
    assert len(train.sentences) == len(set(train.sentences)) == 77614
    label_of = dict(zip(*train, strict=True))
    missing = {
        sentence
        for sentence, label in zip(*splits.train, strict=True)
        if label_of.get(sentence) != label
    }
    assert missing <= {*dev.sentences, *test.sentences}


@pytest.mark.parametrize("name", Splits._fields)
def test_equal_to_the_derived_files(splits, name):
    table = (SHARED / "sent_sst" / "sst2" / f"{name}.tsv").read_bytes().decode("utf-8")
    rows = [line.split("\t") for line in table.removesuffix("\n").split("\n")]
    split = getattr(splits, name)
    assert split.sentences == [sentence for _, sentence in rows]
    assert split.labels == [{"0": "negative", "1": "positive"}[label] for label, _ in rows]
