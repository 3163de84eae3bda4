"""The vocabulary of a language model."""

import numpy as np
import pytest

from elmo_keras.text.special_tokens import SPECIAL_TOKENS, UNKNOWN_TOKEN
from elmo_keras.text.word_vocabulary import WordVocabulary


def test_tokens_to_indices():
    words = ["the", "<UNK>", "é", "</S>", "🙂", "<S>"]  # Special tokens may have any place.
    vocabulary = WordVocabulary(words)
    indices = vocabulary.tokens_to_indices(
        ["é", "dog", "The", "<S>", "</S>", "<UNK>", "🙂", "", "the"]
    )
    assert indices.dtype == np.int32
    assert indices.tolist() == [2, 1, 1, 5, 3, 1, 4, 1, 0]
    assert vocabulary.tokens_to_indices(iter(words)).tolist() == list(range(6))
    assert vocabulary.tokens_to_indices([]).shape == (0,)
    assert vocabulary.unknown_index == 1
    assert len(vocabulary) == 6 and vocabulary.tokens == words
    assert "é" in vocabulary and "dog" not in vocabulary


def test_a_str_has_one_word_in_each_line():
    vocabulary = WordVocabulary("<S>\n</S>\n<UNK>\nthe")
    assert vocabulary.tokens == ["<S>", "</S>", "<UNK>", "the"]
    assert WordVocabulary(vocabulary.text).tokens == vocabulary.tokens


def test_specials():
    assert SPECIAL_TOKENS == ("<S>", "</S>", "<UNK>") and UNKNOWN_TOKEN == "<UNK>"


@pytest.mark.parametrize("missing", SPECIAL_TOKENS)
def test_a_special_token_must_not_be_missing(missing):
    words = [*(word for word in SPECIAL_TOKENS if word != missing), "the"]
    with pytest.raises(ValueError, match=f"Received: 3 words without {missing}. Build one with"):
        WordVocabulary(words)


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "0 words without <S>, </S>, <UNK>"),
        (["<s>", "</s>", "<unk>"], "3 words without <S>, </S>, <UNK>"),
        ([*SPECIAL_TOKENS, ""], "4 words, including an empty one"),
        ("<S>\n</S>\n<UNK>\n", "4 words, including an empty one"),
        ([*SPECIAL_TOKENS, "a", "b", "a"], "each token once. Received: 'a' at indices 3 and 5"),
        ([*SPECIAL_TOKENS, "<S>"], "each token once. Received: '<S>' at indices 0 and 3"),
        ([*SPECIAL_TOKENS, "a\nb"], "without line breaks"),
        ([*SPECIAL_TOKENS, 7], "Received: 7 at index 3"),
    ],
    ids=[
        "no words",
        "lower case",
        "empty word",
        "empty line",
        "a word twice",
        "a special token twice",
        "line break",
        "a number",
    ],
)
def test_bad_words(words, message):
    with pytest.raises(ValueError, match=message):
        WordVocabulary(words)
