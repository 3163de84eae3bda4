"""ChnSentiCorp: a few reviews, and the published files if they are there."""

import pytest

from elmo_keras.datasets import Split, Splits, chnsenticorp, load_chnsenticorp

HEADER = "label\ttext_a\n"
FOLDER = "zh_chnsenticorp/"
FILES = {
    FOLDER + "train.tsv": HEADER
    + "1\t茶很香\n0\t门坏了 。\n1\t茶很香\n1\t茶很香。\n0\t太吵\t了\n1\t窗明几净！\n",
    FOLDER + "dev.tsv": HEADER + "0\t门坏了\n",
    FOLDER + "test.tsv": HEADER + "1\t窗明 几净\n1\t好\n",
}


def test_copies_are_dropped_from_the_training_set(write):
    write(FILES, chnsenticorp._SHA256)
    assert load_chnsenticorp() == Splits(
        train=Split(["茶很香", "茶很香。", "太吵\t了"], ["positive", "positive", "negative"]),
        dev=Split(["门坏了"], ["negative"]),
        test=Split(["窗明 几净", "好"], ["positive", "positive"]),
    )


def test_another_file_is_an_error(write):
    write(FILES)
    with pytest.raises(ValueError, match="must have the sha256"):
        load_chnsenticorp()


def test_missing_file(write):
    (write(FILES, chnsenticorp._SHA256) / FOLDER / "train.tsv").unlink()
    with pytest.raises(FileNotFoundError, match="zh_chnsenticorp/train.tsv"):
        load_chnsenticorp()


@pytest.mark.parametrize("text", ["text\n1\t好\n", HEADER + "2\t好\n", HEADER + "1\n"])
def test_another_header_or_line(write, text):
    write(FILES | {FOLDER + "test.tsv": text}, chnsenticorp._SHA256)
    with pytest.raises(ValueError, match="must have the header .* Received: header="):
        load_chnsenticorp()


def test_public_address():
    source = chnsenticorp._source("dev")
    assert source.address.endswith("/data/chnsenticorp/chnsenticorp.zip")
    assert source.member == "dev.tsv"


def test_published_files(published):
    splits = load_chnsenticorp()
    assert [len(split.sentences) for split in splits] == [7578, 1200, 1200]
    assert all(set(split.labels) == {"negative", "positive"} for split in splits)
    path = published / "zh_chnsenticorp" / "train.dedup.tsv"
    rows = [line.split("\t", 1) for line in path.read_text("utf-8").split("\n")[1:-1]]
    assert splits.train.sentences == [review for _, review in rows]
    assert splits.train.labels == [{"0": "negative", "1": "positive"}[label] for label, _ in rows]
