"""WNUT-17: a few sentences, and the published files if they are there."""

import pytest

from elmo_keras.datasets import Split, Splits, load_wnut17, wnut17

FILES = {
    "ner_wnut17/train.conll": "Mila\tB-person\nnaps\tO\n\t\nÉtretat\tB-location\n\n",
    "ner_wnut17/dev.conll": "rain\tO\n",
    "ner_wnut17/test.conll": "New\tB-location\nYork\tI-location\n\n\nhm\tO",
}


def test_words_and_tags(write):
    write(FILES, wnut17._SHA256)
    assert load_wnut17() == Splits(
        train=Split([["Mila", "naps"], ["Étretat"]], [["B-person", "O"], ["B-location"]]),
        dev=Split([["rain"]], [["O"]]),
        test=Split([["New", "York"], ["hm"]], [["B-location", "I-location"], ["O"]]),
    )


def test_another_file_is_an_error(write):
    write(FILES)
    with pytest.raises(ValueError, match="must have the sha256"):
        load_wnut17()


def test_missing_file(write):
    (write(FILES, wnut17._SHA256) / "ner_wnut17" / "dev.conll").unlink()
    with pytest.raises(FileNotFoundError, match="ner_wnut17/dev.conll"):
        load_wnut17()


@pytest.mark.parametrize("line", ["word", "\tO", "word\t", "a word\tO\tO"])
def test_line_without_word_or_tag(write, line):
    write(FILES | {"ner_wnut17/dev.conll": line}, wnut17._SHA256)
    with pytest.raises(ValueError, match="must have 2 columns.* Received: line="):
        load_wnut17()


def test_public_addresses():
    addresses = [wnut17._source(name).address for name in Splits._fields]
    assert [address.rpartition("/")[2] for address in addresses] == [
        "wnut17train.conll",
        "emerging.dev.conll",
        "emerging.test.annotated",
    ]


def test_published_files(published):
    splits = load_wnut17()
    assert [len(split.sentences) for split in splits] == [3394, 1009, 1287]
    for split in splits:
        assert [len(row) for row in split.sentences] == [len(row) for row in split.labels]
        tags = {tag for row in split.labels for tag in row}
        types = "corporation creative-work group location person product".split()
        assert tags == {"O"} | {f"{prefix}-{type}" for prefix in "BI" for type in types}
