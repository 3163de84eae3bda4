import re

from elmo_keras.datasets import Splits, load_own_sentiment


def words(sentences):
    return re.findall(r"\w+", " ".join(sentences).lower())


def test_sizes_and_balance():
    splits = load_own_sentiment()
    assert isinstance(splits, Splits)
    assert [len(split.sentences) for split in splits] == [160, 40, 60]
    for split in splits:
        assert split.labels.count("positive") == split.labels.count("negative")
        assert len(split.sentences) == len(split.labels)
        assert set(split.labels) == {"positive", "negative"}


def test_no_sentence_twice():
    splits = load_own_sentiment()
    sentences = [sentence for split in splits for sentence in split.sentences]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence == sentence.strip() != "" for sentence in sentences)


def test_words_of_dev_and_test_are_learnt_from_train():
    train, dev, test = load_own_sentiment()
    known = set(words(train.sentences))
    for split in (dev, test):
        occurring = words(split.sentences)
        assert sum(word in known for word in occurring) >= 0.98 * len(occurring)


def test_a_call_gives_lists_of_its_own():
    load_own_sentiment().train.sentences.clear()
    assert len(load_own_sentiment().train.sentences) == 160
