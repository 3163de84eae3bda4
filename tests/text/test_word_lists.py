"""Lists of words that become ids without TensorFlow."""

import numpy as np
import pandas as pd
import pytest

from elmo_keras.text.word_lists import clean_words


@pytest.mark.parametrize(
    "words",
    [
        ["a", "", "é"],
        ("a", "", "é"),
        np.array(["a", "", "é"]),
        np.array(["a", "", "é"], dtype=object),
        pd.Series(["a", "", "é"]),
        iter(["a", "", "é"]),
        dict.fromkeys(["a", "", "é"]).keys(),
    ],
    ids=lambda words: type(words).__name__,
)
def test_containers(words):
    assert clean_words(words) == ["a", "", "é"]


@pytest.mark.parametrize(
    "word, expected",
    [("\ud800", "\ufffd"), ("\ud83d\ude42", "🙂"), ("é".encode(), "é"), (b"\xff", b"\xff")],
    ids=["lone surrogate", "surrogate pair", "bytes", "bytes not utf-8"],
)
def test_words_become_valid_unicode(word, expected):
    assert clean_words([word]) == [expected]


def test_no_words():
    assert clean_words([]) == []


@pytest.mark.parametrize(
    "words, message",
    [
        ("cat", "Received: 'cat'. Put a single word into a list"),
        (b"cat", "Received: b'cat'. Put a single word into a list"),
        (7, "Received: 7. Put a single word into a list"),
        (["a", None], "Received: None of type NoneType at index 1"),
        (["a", 7], "Received: 7 of type int at index 1"),
        ([["a", "b"]], "type list at index 0. Pass the words of several sentences as one flat"),
        ({"words": ["a"]}, "`words` must be"),
        ({"a", "b"}, "`words` must have an order"),
    ],
    ids=["str", "bytes", "number", "missing", "a number in it", "token lists", "table", "set"],
)
def test_bad_words(words, message):
    with pytest.raises(ValueError, match=message):
        clean_words(words)
