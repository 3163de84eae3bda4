"""Character ids of CharacterIds and of the byte alphabet in numpy, against plain Python."""

import sys

import numpy as np
import pytest

from elmo_keras.text import CharacterIds, byte_alphabet

tf = pytest.importorskip("tensorflow", reason="the layer needs TensorFlow")

WORDS = [
    *("a", "cat", "The", "don't", "naïve", "é" * 30, "東京", "我喜欢吃苹果", "🙂", "👨\u200d👩"),
    *("x" * 47, "x" * 48, "x" * 49, "x" * 50, "x" * 1000, "x" * 10_000, "é" * 24, "é" * 25),
    *("東" * 16, "東" * 17, "东" * 16, "x" + "é" * 24, "xx" + "🙂" * 12, "\ufffd", "\u0301"),
    *("a\x00", "a\x00\x00", "\x00", "\x00" * 60, "a\x00b", "x" * 47 + "\x00", "x" * 48 + "\x00"),
    *("\x00a", "\x7f", "\x80", "ÿ", " ", "\u3000", "<S>", "</S>", "<s>", "<UNK>", "<S>x", ""),
]


def ids_of(word, max_characters):
    """The ids that bilm-tf gives a word, plus one; zeros for an empty word."""
    if not word:
        return [0] * max_characters
    middle = list(word.encode())[: max_characters - 2]
    middle = {"<S>": [256], "</S>": [257]}.get(word, middle)
    row = [258, *middle, 259]
    return [x + 1 for x in row + [260] * (max_characters - len(row))]


# === In numpy ===


@pytest.mark.parametrize("max_characters", [3, 4, 10, 50, 61])
def test_numpy_ids(max_characters):
    ids = byte_alphabet.character_ids(WORDS, max_characters)
    assert ids.dtype == np.int32
    assert ids.tolist() == [ids_of(word, max_characters) for word in WORDS]
    for word in WORDS:  # independent of the other words
        alone = byte_alphabet.character_ids([word], max_characters)
        assert alone.tolist() == [ids_of(word, max_characters)]


@pytest.mark.parametrize("max_characters", [3, 50])
def test_numpy_ids_of_no_words(max_characters):
    ids = byte_alphabet.character_ids([], max_characters)
    assert ids.shape == (0, max_characters) and ids.dtype == np.int32


@pytest.mark.parametrize("max_characters", [3, 7, 20])
def test_numpy_ids_of_random_words(max_characters):
    rng = np.random.default_rng(0)
    alphabet = [*"aé東🙂\x00"]
    words = ["".join(rng.choice(alphabet, rng.integers(0, 12))) for _ in range(500)]
    ids = byte_alphabet.character_ids(words, max_characters)
    assert ids.tolist() == [ids_of(word, max_characters) for word in words]


def test_numpy_ids_need_no_tensorflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # Its import now fails.
    assert byte_alphabet.character_ids(["é"], 5).tolist() == [ids_of("é", 5)]


# === The layer ===


@pytest.mark.parametrize("max_characters", [3, 4, 10, 50, 61])
def test_the_layer_equals_numpy(max_characters):
    words = tf.constant([[word.encode() for word in WORDS]])
    expected = CharacterIds(max_characters)(words).numpy()[0]
    ids = byte_alphabet.character_ids(WORDS, max_characters)
    assert ids.dtype == expected.dtype
    np.testing.assert_array_equal(ids, expected)


@pytest.mark.parametrize("max_characters", [3, 10, 25, 50, 60])
def test_ids_of_sentences(max_characters):
    tokens = [word for word in WORDS if word]
    ids = CharacterIds(max_characters)([tokens, ["only", "two"], []]).numpy()
    assert ids.dtype == np.int32
    assert ids.shape == (3, len(tokens), max_characters)
    assert ids[0].tolist() == [ids_of(token, max_characters) for token in tokens]
    assert ids[1, 1].tolist() == ids_of("two", max_characters)
    assert not ids[1, 2:].any()
    assert not ids[2].any()


def test_boundaries():
    ids = CharacterIds(8, boundaries=True)([["a", "b"], [], ["c"]]).numpy()
    begin, end, nothing = ids_of("<S>", 8), ids_of("</S>", 8), [0] * 8
    a, b, c = (ids_of(token, 8) for token in "abc")
    assert ids.tolist() == [
        [begin, a, b, end],
        [begin, end, nothing, nothing],
        [begin, c, end, nothing],
    ]


def test_every_byte_has_its_id():
    tokens = tf.constant([[bytes([byte]) for byte in range(256)]])
    assert CharacterIds(3)(tokens).numpy()[0, :, 1].tolist() == list(range(1, 257))


def test_lone_surrogates_become_the_replacement_character():
    ids = CharacterIds(6)([["\udc80"]]).numpy()[0, 0].tolist()
    assert ids == ids_of("\ufffd", 6)


@pytest.mark.parametrize("max_characters", [2, 5.0])
def test_bad_max_characters(max_characters):
    with pytest.raises(ValueError, match="at least 3"):
        CharacterIds(max_characters)


@pytest.mark.parametrize(
    "inputs, message",
    [(["a", "b"], "needs tokens of shape"), (tf.zeros((2, 2)), "dtype=float32")],
    ids=["sentences", "floats"],
)
def test_bad_inputs(inputs, message):
    with pytest.raises(ValueError, match=message):
        CharacterIds()(inputs)
