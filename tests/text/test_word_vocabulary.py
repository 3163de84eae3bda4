"""The vocabulary of a language model."""

import numpy as np
import pytest

from elmo_keras.text.word_vocabulary import SPECIALS, UNKNOWN, WordVocabulary


def test_numbers_of():
    words = ["the", "<UNK>", "é", "</S>", "🙂", "<S>"]  # The three may stand anywhere.
    vocabulary = WordVocabulary(words)
    numbers = vocabulary.numbers_of(["é", "dog", "The", "<S>", "</S>", "<UNK>", "🙂", "", "the"])
    assert numbers.dtype == np.int32
    assert numbers.tolist() == [2, 1, 1, 5, 3, 1, 4, 1, 0]
    assert vocabulary.numbers_of(iter(words)).tolist() == list(range(6))
    assert vocabulary.numbers_of([]).shape == (0,)
    assert vocabulary.unknown == 1
    assert len(vocabulary) == 6 and vocabulary.tokens == words
    assert "é" in vocabulary and "dog" not in vocabulary


def test_a_str_has_a_word_a_line():
    vocabulary = WordVocabulary("<S>\n</S>\n<UNK>\nthe")
    assert vocabulary.tokens == ["<S>", "</S>", "<UNK>", "the"]
    assert WordVocabulary(vocabulary.text).tokens == vocabulary.tokens


def test_specials():
    assert SPECIALS == ("<S>", "</S>", "<UNK>") and UNKNOWN == "<UNK>"


@pytest.mark.parametrize("missing", SPECIALS)
def test_each_of_the_three_must_be_there(missing):
    words = [*(word for word in SPECIALS if word != missing), "the"]
    with pytest.raises(ValueError, match=f"Received: 3 words without {missing}. Build one with"):
        WordVocabulary(words)


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "0 words without <S>, </S>, <UNK>"),
        (["<s>", "</s>", "<unk>"], "3 words without <S>, </S>, <UNK>"),
        ([*SPECIALS, ""], "4 words, an empty one among them"),
        ("<S>\n</S>\n<UNK>\n", "4 words, an empty one among them"),
        ([*SPECIALS, "a", "b", "a"], "each token once. Received: 'a' as numbers 3 and 5"),
        ([*SPECIALS, "<S>"], "each token once. Received: '<S>' as numbers 0 and 3"),
        ([*SPECIALS, "a\nb"], "without line breaks"),
        ([*SPECIALS, 7], "Received: 7 as number 3"),
    ],
)
def test_bad_words(words, message):
    with pytest.raises(ValueError, match=message):
        WordVocabulary(words)
