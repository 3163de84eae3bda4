import pytest

from elmo_keras.text import WordIds

pytest.importorskip("tensorflow", reason="strings need TensorFlow")


def test_ids():
    words = WordIds(["the", "", "cat"])
    assert words([["the", "dog", "cat"], ["cat"]]).numpy().tolist() == [[1, 4, 3], [3, 0, 0]]
    assert words([[], []]).numpy().tolist() == [[0], [0]]


def test_an_unknown_word_of_the_vocabulary():
    words = WordIds(["<UNK>", "the"], unknown="<UNK>")
    assert words([["the", "dog"]]).numpy().tolist() == [[2, 1]]
    rebuilt = WordIds.from_config(words.get_config())
    assert rebuilt.vocabulary == ["<UNK>", "the"] and rebuilt.unknown == "<UNK>"


@pytest.mark.parametrize(
    "vocabulary, options, message",
    [
        (["a", "a"], {}, "each token once. Received: 'a' at indices 0 and 1"),
        (["a\nb"], {}, "without line breaks. Received: 'a\\\\nb' at index 0"),
        (["a", 7], {}, "Received: 7 at index 1"),
        (["a"], {"unknown": "b"}, "a word of the vocabulary, or None. Received: unknown='b'"),
    ],
    ids=["a word twice", "a line break", "a number", "unknown"],
)
def test_bad_vocabulary(vocabulary, options, message):
    with pytest.raises(ValueError, match=message):
        WordIds(vocabulary, **options)
