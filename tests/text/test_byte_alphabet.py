"""Character ids in numpy, against plain Python."""

import sys

import numpy as np
import pytest

from elmo_keras.text import byte_alphabet
from elmo_keras.text.byte_alphabet import boundary_ids, boundary_rows, character_ids
from tests.text.expected_character_ids import WORDS, ids_of


@pytest.mark.parametrize("max_characters", [3, 4, 10, 50, 61])
def test_character_ids(max_characters):
    ids = character_ids(WORDS, max_characters)
    assert ids.dtype == np.int32
    assert ids.tolist() == [ids_of(word, max_characters) for word in WORDS]
    for word in WORDS:  # independent of the other words
        alone = character_ids([word], max_characters)
        assert alone.tolist() == [ids_of(word, max_characters)]


@pytest.mark.parametrize("max_characters", [3, 50])
def test_ids_of_no_words(max_characters):
    ids = character_ids([], max_characters)
    assert ids.shape == (0, max_characters) and ids.dtype == np.int32


@pytest.mark.parametrize("max_characters", [3, 7, 20])
def test_ids_of_random_words(max_characters):
    rng = np.random.default_rng(0)
    alphabet = [*"aé東🙂\x00"]
    words = ["".join(rng.choice(alphabet, rng.integers(0, 12))) for _ in range(500)]
    ids = character_ids(words, max_characters)
    assert ids.tolist() == [ids_of(word, max_characters) for word in words]


def test_no_tensorflow_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # Its import now fails.
    assert character_ids(["é"], 5).tolist() == [ids_of("é", 5)]


def test_every_byte_has_its_id():
    words = [bytes([byte]) for byte in range(256)]
    assert character_ids(words, 3)[:, 1].tolist() == list(range(1, 257))


def test_ids_of_bytes_equal_those_of_str():
    words = [word for word in WORDS if word not in ("<S>", "</S>")]
    expected = character_ids(words, 10)
    np.testing.assert_array_equal(character_ids([word.encode() for word in words], 10), expected)


@pytest.mark.parametrize("max_characters", [3, 4, 50])
def test_boundaries(max_characters):
    begin, end = boundary_ids(max_characters)
    assert begin.dtype == end.dtype == np.int32
    assert begin.tolist() == ids_of("<S>", max_characters)
    assert end.tolist() == ids_of("</S>", max_characters)
    rows = boundary_rows(max_characters)
    assert list(rows) == ["<S>", "</S>"]
    np.testing.assert_array_equal(list(rows.values()), [begin, end])


def test_the_alphabet_has_an_embedding_for_every_id():
    ids = character_ids(["<S>", "</S>", "a", b"\xff"], 4)
    assert ids.max() == byte_alphabet.NUM_CHARACTERS - 1 == 261


@pytest.mark.parametrize("words", ["cat", [7], [["a"]]], ids=["str", "number", "tokens"])
def test_bad_words(words):
    with pytest.raises(ValueError, match="`words` must be a list of str"):
        character_ids(words, 5)
