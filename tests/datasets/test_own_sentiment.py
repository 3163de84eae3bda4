"""The sentiment data set that comes with the package."""

import re

import pytest

from elmo_keras.datasets import Splits, load_own_sentiment


def words(sentences):
    return re.findall(r"\w+", " ".join(sentences).lower())


@pytest.mark.parametrize("name, size", [("train", 160), ("dev", 40), ("test", 60)])
def test_sizes_and_balance(name, size):
    splits = load_own_sentiment()
    assert isinstance(splits, Splits)
    split = getattr(splits, name)
    assert len(split.sentences) == len(split.labels) == size
    assert split.labels.count("positive") == split.labels.count("negative") == size / 2


def test_sentences_are_distinct():
    splits = load_own_sentiment()
    sentences = [sentence for split in splits for sentence in split.sentences]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence == sentence.strip() != "" for sentence in sentences)


@pytest.mark.parametrize("name", ["dev", "test"])
def test_most_words_occur_in_train(name):
    splits = load_own_sentiment()
    known = set(words(splits.train.sentences))
    occurring = words(getattr(splits, name).sentences)
    assert sum(word in known for word in occurring) >= 0.98 * len(occurring)


def test_each_call_returns_new_lists():
    load_own_sentiment().train.sentences.clear()
    assert len(load_own_sentiment().train.sentences) == 160
