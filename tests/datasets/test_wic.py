"""WiC: a few pairs, and the published files if they are there."""

import pytest

from elmo_keras.datasets import Split, Splits, WordPair, load_wic, wic

FILES = {
    "wsd_wic/train.data.txt": (
        "spring\tN\t1-2\tThe spring bent .\tIt was spring .\n"
        "roll\tV\t1-0\tBarrels rolled on .\tRoll the dough !\n"
    ),
    "wsd_wic/train.gold.txt": "F\nT\n",
    "wsd_wic/dev.data.txt": "mouse\tN\t0-1\tMice squeak .\tClick mouse\n",
    "wsd_wic/dev.gold.txt": "F\n",
}
SPRING = WordPair("spring", ("The spring bent .".split(), "It was spring .".split()), (1, 2))
ROLL = WordPair("roll", ("Barrels rolled on .".split(), "Roll the dough !".split()), (1, 0))
MOUSE = WordPair("mouse", ("Mice squeak .".split(), "Click mouse".split()), (0, 1))


def test_pairs_and_labels(write, monkeypatch):
    write(FILES, wic._SHA256)
    monkeypatch.setattr(wic, "tenth_of", lambda word: int(word != "roll"))
    assert load_wic() == Splits(
        train=Split([SPRING], ["different"]),
        dev=Split([ROLL], ["same"]),
        test=Split([MOUSE], ["different"]),
    )


def test_another_file_is_an_error(write):
    write(FILES)
    with pytest.raises(ValueError, match="must have the sha256"):
        load_wic()


def test_missing_file(write):
    (write(FILES, wic._SHA256) / "wsd_wic" / "dev.gold.txt").unlink()
    with pytest.raises(FileNotFoundError, match="wsd_wic/dev.gold.txt"):
        load_wic()


@pytest.mark.parametrize(
    "line", ["mouse\tN\t0-1\tMice squeak .", "m\tN\t0\ta\tb", "m\tN\t0-9\ta\tb", "m\tN\t0-x\ta\tb"]
)
def test_invalid_pair(write, line):
    write(FILES | {"wsd_wic/dev.data.txt": line}, wic._SHA256)
    with pytest.raises(ValueError, match="must be a word, its part of speech.* Received: line="):
        load_wic()


def test_invalid_label(write):
    write(FILES | {"wsd_wic/dev.gold.txt": "X\n"}, wic._SHA256)
    with pytest.raises(ValueError, match="label T or F.* Received: .*label='X'"):
        load_wic()


def test_labels_of_other_pairs(write):
    write(FILES | {"wsd_wic/dev.gold.txt": "T\nF\n"}, wic._SHA256)
    with pytest.raises(ValueError, match="one line for each pair. Received: 1 and 2 lines"):
        load_wic()


def test_public_addresses():
    assert wic._source("dev", "gold").address.endswith("/WiC_dataset/dev/dev.gold.txt")


def test_published_files(published):
    splits = load_wic()
    assert [len(split.sentences) for split in splits] == [4854, 574, 638]
    assert all(set(split.labels) == {"same", "different"} for split in splits)
    train, dev, _ = ({pair.word for pair in split.sentences} for split in splits)
    assert not train & dev
