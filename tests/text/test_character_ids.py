"""Character ids in numpy, against the layer and against plain Python."""

import sys

import numpy as np
import pytest

from elmo_keras.text import CharacterIds, byte_alphabet

WORDS = [
    *(
        "a",
        "cat",
        "The",
        "don't",
        "naïve",
        "é" * 30,
        "東京",
        "🙂",
        "👨\u200d👩",
        "\ufffd",
        "\u0301",
    ),
    *("x" * 47, "x" * 48, "x" * 49, "x" * 1000, "é" * 24, "é" * 25, "東" * 16, "東" * 17),
    *("x" + "é" * 24, "xx" + "🙂" * 12, "a\x00", "a\x00\x00", "\x00", "\x00" * 60, "a\x00b"),
    *("x" * 47 + "\x00", "x" * 48 + "\x00", "\x00a", "\x7f", "\x80", "ÿ", " ", "\u3000"),
    *("<S>", "</S>", "<s>", "<UNK>", "<S>x", ""),
]


def ids_of(word, max_characters):
    """What bilm-tf makes of a word, and +1; zeros for none."""
    if not word:
        return [0] * max_characters
    middle = list(word.encode())[: max_characters - 2]
    middle = {"<S>": [256], "</S>": [257]}.get(word, middle)
    row = [258, *middle, 259]
    return [x + 1 for x in row + [260] * (max_characters - len(row))]


@pytest.mark.parametrize("max_characters", [3, 4, 10, 50, 61])
def test_as_plain_python(max_characters):
    ids = byte_alphabet.character_ids(WORDS, max_characters)
    assert ids.dtype == np.int32
    assert ids.tolist() == [ids_of(word, max_characters) for word in WORDS]
    for word in WORDS:  # Whatever words are beside it.
        alone = byte_alphabet.character_ids([word], max_characters)
        assert alone.tolist() == [ids_of(word, max_characters)]


@pytest.mark.parametrize("max_characters", [3, 4, 10, 50, 61])
def test_as_the_layer(max_characters):
    tf = pytest.importorskip("tensorflow", reason="the layer needs TensorFlow")
    words = tf.constant([[word.encode() for word in WORDS]])
    layer = CharacterIds(max_characters)(words).numpy()[0]
    ids = byte_alphabet.character_ids(WORDS, max_characters)
    assert ids.dtype == layer.dtype
    np.testing.assert_array_equal(ids, layer)


@pytest.mark.parametrize("max_characters", [3, 50])
def test_no_words(max_characters):
    ids = byte_alphabet.character_ids([], max_characters)
    assert ids.shape == (0, max_characters) and ids.dtype == np.int32


def test_random_words_as_plain_python():
    rng = np.random.default_rng(0)
    alphabet = [*"aé東🙂\x00"]
    words = ["".join(rng.choice(alphabet, rng.integers(0, 12))) for _ in range(500)]
    for max_characters in (3, 7, 20):
        ids = byte_alphabet.character_ids(words, max_characters)
        assert ids.tolist() == [ids_of(word, max_characters) for word in words]


def test_no_tensorflow_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # Whoever imports it now fails.
    assert byte_alphabet.character_ids(["é"], 5).tolist() == [ids_of("é", 5)]
