"""Ids of the layer CharacterIds, against plain Python and against the ids in numpy."""

import numpy as np
import pytest

from elmo_keras.text import CharacterIds, byte_alphabet
from tests.text.expected_character_ids import WORDS, ids_of

tf = pytest.importorskip("tensorflow", reason="the layer needs TensorFlow")


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
