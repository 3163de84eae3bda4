"""`numpy_ids`, which equals the text layer, and `encode` of all token encoders."""

import sys

import numpy as np
import pytest
from keras import ops

from elmo_keras import layers
from elmo_keras.layers.token_encoder import TokenEncoder
from tests.small_models import to_numpy
from tests.text.odd_words import ODD_WORDS, to_column

SPECIAL_TOKENS = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
CHARACTERS = [
    *SPECIAL_TOKENS,
    *"aéx<>S我🙂\x00\u0301\u200d\u3000",
    "",
    "ab",
    "\ufffd",
    "\U0010ffff",
]
WORDS = ["<oov>", "<bos>", "<eos>", "我", "", "é", "xxx", "x" * 8, "<S>", "\ufffd", "a\x00", "a"]

ENCODERS = {
    "bytes": lambda: layers.CharCNN(filters=[(1, 4)]),
    "few bytes": lambda: layers.CharCNN(filters=[(1, 4)], max_characters=3),
    "odd bytes": lambda: layers.CharCNN(filters=[(1, 4)], max_characters=10),
    "code points": lambda: layers.CodePointEncoder(CHARACTERS, filters=[(1, 4)]),
    "few code points": lambda: layers.CodePointEncoder(
        CHARACTERS, WORDS, filters=[(1, 4)], max_characters=3
    ),
    "both": lambda: layers.CodePointEncoder(CHARACTERS, WORDS, filters=[(1, 4)], max_characters=10),
    "special tokens alone": lambda: layers.CodePointEncoder(
        SPECIAL_TOKENS, filters=[(1, 4)], max_characters=5
    ),
    "words of code points": lambda: layers.CodePointEncoder(None, WORDS, max_characters=10),
    "words": lambda: layers.WordEmbedding(12, 6, WORDS, "<bos>", "<eos>", "<oov>"),
}


def from_text_layer(encoder, words):
    """The ids of the text layer."""
    return encoder.text_layer()(to_column(words)).numpy()[:, 0]


@pytest.mark.parametrize("name", ENCODERS)
def test_numpy_ids_equal_the_text_layer(name):
    encoder = ENCODERS[name]()
    ids = encoder.numpy_ids(ODD_WORDS)
    assert ids.dtype == np.int32 and ids.shape == (len(ODD_WORDS), *encoder.ids_shape)
    expected = from_text_layer(encoder, ODD_WORDS)
    for word, row, expected_row in zip(ODD_WORDS, ids, expected, strict=True):
        np.testing.assert_array_equal(row, expected_row, err_msg=repr(word))
    for word, row in zip(ODD_WORDS, ids):  # independent of the other words
        np.testing.assert_array_equal(encoder.numpy_ids([word])[0], row)
    assert np.all((ids >= 0) & (ids < encoder.ids_limit))


@pytest.mark.parametrize("name", ["bytes", "both", "words"])
def test_numpy_ids_of_random_words_equal_the_text_layer(name):
    encoder = ENCODERS[name]()
    rng = np.random.default_rng(0)
    pieces = [b"a", b"x", "é".encode(), "我".encode(), "🙂".encode(), b"\x00", b"\xff", b"\xe2\x82"]
    words = [
        b"".join(pieces[i] for i in rng.integers(0, 8, rng.integers(0, 15))) for _ in range(300)
    ]
    np.testing.assert_array_equal(encoder.numpy_ids(words), from_text_layer(encoder, words))


@pytest.mark.parametrize("name", ENCODERS)
def test_numpy_ids_of_other_containers(name):
    encoder = ENCODERS[name]()
    words = ["a", "我", "xxx"]
    expected = encoder.numpy_ids(words)
    for given in (tuple(words), np.array(words), np.array(words, object), iter(words)):
        np.testing.assert_array_equal(encoder.numpy_ids(given), expected)
    nothing = encoder.numpy_ids([])
    assert nothing.shape == (0, *encoder.ids_shape) and nothing.dtype == np.int32


@pytest.mark.parametrize("name", ["bytes", "both", "words"])
@pytest.mark.parametrize(
    "words, message",
    [
        ("cat", "must be a list of str. Received: 'cat'"),
        ([["a"], ["b"]], r"must be a list of str. Received: \['a'\] of type list at index 0"),
        (["a", None], "Received: None of type NoneType at index 1"),
        (5, "must be a list of str. Received: 5"),
        ({"a": 1}, "`words` must be one column"),
    ],
    ids=["str", "sentences", "missing", "int", "table"],
)
def test_numpy_ids_refuse_other_inputs(name, words, message):
    with pytest.raises(ValueError, match=message):
        ENCODERS[name]().numpy_ids(words)


def test_a_subclass_must_define_numpy_ids():
    with pytest.raises(TypeError, match=r"must define `numpy_ids\(\)`"):
        TokenEncoder().numpy_ids(["a"])


@pytest.mark.parametrize("name", ENCODERS)
def test_numpy_ids_need_no_tensorflow(name, monkeypatch):
    encoder = ENCODERS[name]()
    expected = encoder.numpy_ids(ODD_WORDS)
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # Its import now fails.
    np.testing.assert_array_equal(ENCODERS[name]().numpy_ids(ODD_WORDS), expected)


@pytest.mark.parametrize("name", ["bytes", "code points", "both", "words of code points", "words"])
def test_encode_gives_the_vectors_of_the_call(name):
    encoder = ENCODERS[name]()
    ids = encoder.numpy_ids(["a", "我", "xxx", "x" * 60, "", "<S>"])
    encoder.build((None, None, *encoder.ids_shape))
    ids = ops.convert_to_tensor(ids)
    expected = to_numpy(encoder(ids[None]))[0]
    np.testing.assert_allclose(to_numpy(encoder.encode(ids)), expected, atol=1e-6)
    actual = to_numpy(TokenEncoder.encode(encoder, ids))
    np.testing.assert_allclose(actual, expected, atol=1e-6)
