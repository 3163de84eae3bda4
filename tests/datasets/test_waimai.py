"""Waimai: a few reviews, and the published file if it is there."""

import hashlib
import zlib

import pytest

from elmo_keras.datasets import Split, Splits, load_waimai, waimai

PATH = "zh_waimai/waimai_10k.csv"
TABLE = 'label,review\n1,面很好\n0,"冷了, ""又咸"""\n0,汤洒了\n1,快，香\n1,面很好\n'


@pytest.fixture
def write_table(write, monkeypatch):
    """Returns a function that writes the table, and expects its checksum."""

    def write_table(text):
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        monkeypatch.setattr(waimai, "_SOURCE", waimai._SOURCE._replace(sha256=sha256))
        return write({PATH: text})

    return write_table


def test_reviews_and_labels(write_table):
    write_table(TABLE)
    reviews = [
        ("面很好", "positive"),
        ('冷了, "又咸"', "negative"),
        ("汤洒了", "negative"),
        ("快，香", "positive"),
        ("面很好", "positive"),
    ]
    parts = []
    for tenths in (range(2, 10), [0], [1]):
        part = [(r, label) for r, label in reviews if zlib.crc32(r.encode()) % 10 in tenths]
        parts.append(Split([r for r, _ in part], [label for _, label in part]))
    assert load_waimai() == Splits(*parts)


def test_another_file_is_an_error(write):
    write({PATH: TABLE})
    with pytest.raises(ValueError, match="must have the sha256"):
        load_waimai()


def test_missing_file(write_table):
    (write_table(TABLE) / PATH).unlink()
    with pytest.raises(FileNotFoundError, match="zh_waimai/waimai_10k.csv"):
        load_waimai()


@pytest.mark.parametrize(
    "text", ["review,label\n1,好\n", "label,review\n3,好\n", "label,review\n1\n"]
)
def test_another_header_or_row(write_table, text):
    write_table(text)
    with pytest.raises(ValueError, match="must have the columns .* Received: header="):
        load_waimai()


def test_published_file(published):
    splits = load_waimai()
    assert [len(split.sentences) for split in splits] == [9550, 1212, 1225]
    assert sum(split.labels.count("positive") for split in splits) == 4000
    train, dev, test = (set(split.sentences) for split in splits)
    assert not train & dev
    assert not train & test
    assert not dev & test
