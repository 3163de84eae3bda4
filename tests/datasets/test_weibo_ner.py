"""Weibo NER: a few messages, and the published files if they are there."""

import pytest

from elmo_keras.datasets import Split, Splits, load_weibo_ner, weibo_ner

FOLDER = "zh_ner_weibo/weiboNER_2nd_conll."
FILES = {
    FOLDER + "train": "小0\tB-PER.NAM\n李1\tI-PER.NAM\n20\tO\n\n雨0\tO\n\n",
    FOLDER + "dev": "猫0\tO\n",
    FOLDER + "test": "😀0\tO\n",
}


def test_characters_and_tags(write):
    write(FILES, weibo_ner._SHA256)
    assert load_weibo_ner() == Splits(
        train=Split([["小", "李", "2"], ["雨"]], [["B-PER.NAM", "I-PER.NAM", "O"], ["O"]]),
        dev=Split([["猫"]], [["O"]]),
        test=Split([["😀"]], [["O"]]),
    )


def test_another_file_is_an_error(write):
    write(FILES)
    with pytest.raises(ValueError, match="must have the sha256"):
        load_weibo_ner()


def test_missing_file(write):
    (write(FILES, weibo_ner._SHA256) / f"{FOLDER}test").unlink()
    with pytest.raises(FileNotFoundError, match="weiboNER_2nd_conll.test"):
        load_weibo_ner()


@pytest.mark.parametrize("token", ["猫", "2", "猫x"])
def test_token_without_character_or_position(write, token):
    write(FILES | {FOLDER + "dev": f"{token}\tO\n"}, weibo_ner._SHA256)
    with pytest.raises(ValueError, match="must be a character and its position.* Received: "):
        load_weibo_ner()


def test_public_addresses():
    assert weibo_ner._source("dev").address.endswith("/data/weiboNER_2nd_conll.dev")


def test_published_files(published):
    splits = load_weibo_ner()
    assert [len(split.sentences) for split in splits] == [1350, 270, 270]
    tags = {tag for split in splits for row in split.labels for tag in row}
    types = [f"{kind}.{form}" for kind in ("PER", "ORG", "GPE", "LOC") for form in ("NAM", "NOM")]
    assert tags == {"O"} | {f"{prefix}-{type}" for prefix in "BI" for type in types}
