"""Ids of words in numpy, against the text layers and against plain Python."""

import sys

import numpy as np
import pytest
from keras import ops

from elmo_keras import layers
from elmo_keras.layers.token_encoder import TokenEncoder
from tests.small_models import to_numpy

MARKS = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
CHARACTERS = [*MARKS, *"aéx<>S我🙂\x00\u0301\u200d\u3000", "", "ab", "\ufffd", "\U0010ffff"]
WORDS = ["<oov>", "<bos>", "<eos>", "我", "", "é", "xxx", "x" * 8, "<S>", "\ufffd", "a\x00", "a"]
ODD = [
    *("", "a", "cat", "é", "我", "🙂", "👨\u200d👩", "\ufffd", "\u0301", "\U0010ffff", "\ue000"),
    *("x" * 3, "x" * 8, "x" * 9, "x" * 47, "x" * 48, "x" * 49, "x" * 1000, "🙂" * 60, "é" * 25),
    *("<S>", "</S>", "<s>", "<UNK>", "<unk>", "<S>x", "<bos>", "<eos>", "<bow>", "<pad>", "<oov>"),
    *("a\x00", "\x00", "\x00" * 60, "\x00a", "a\x00b", " ", "\u3000", "\t", "\r", "\x7f", "\ufeff"),
    # Lone surrogates, pairs of them, and one that a cut would leave alone.
    *("\ud800", "\udfff", "a\ud83d", "\ud83d\ude42", "\ude42\ud83d", "x" * 7 + "\ud83d\ude42"),
    # Bytes: UTF-8, and what is not.
    *(b"a", "é".encode(), b"<S>", b"<bos>", b"\xff", b"a\xc3", b"\xe2\x82", b"\xed\xa0\x80"),
    *(b"\xf4\x90\x80\x80", b"\xc0\x80a", b"\xf0\x9f\x99", b"x" * 60 + b"\xff", "é".encode() * 30),
]
ENCODERS = {
    "bytes": lambda: layers.CharCNN(filters=[(1, 4)]),
    "few bytes": lambda: layers.CharCNN(filters=[(1, 4)], max_characters=3),
    "odd bytes": lambda: layers.CharCNN(filters=[(1, 4)], max_characters=10),
    "code points": lambda: layers.CodePointEncoder(CHARACTERS, filters=[(1, 4)]),
    "few code points": lambda: layers.CodePointEncoder(
        CHARACTERS, WORDS, filters=[(1, 4)], max_characters=3
    ),
    "both": lambda: layers.CodePointEncoder(CHARACTERS, WORDS, filters=[(1, 4)], max_characters=10),
    "marks alone": lambda: layers.CodePointEncoder(MARKS, filters=[(1, 4)], max_characters=5),
    "words of code points": lambda: layers.CodePointEncoder(None, WORDS, max_characters=10),
    "words": lambda: layers.WordEmbedding(12, 6, WORDS, "<bos>", "<eos>", "<oov>"),
}


def from_text_layer(encoder, words):
    """The ids that the text layer makes, each word a sentence of its own."""
    tf = pytest.importorskip("tensorflow", reason="text layers need TensorFlow")
    words = [[encoder_input(word)] for word in words]
    return encoder.text_layer()(tf.constant(words)).numpy()[:, 0]


def encoder_input(word):
    """The bytes that strings come as in a tensor: of a str, valid Unicode."""
    if isinstance(word, bytes):
        return word
    return word.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


@pytest.mark.parametrize("name", ENCODERS)
def test_as_the_text_layer(name):
    encoder = ENCODERS[name]()
    ids = encoder.numpy_ids(ODD)
    assert ids.dtype == np.int32 and ids.shape == (len(ODD), *encoder.ids_shape)
    expected = from_text_layer(encoder, ODD)
    for word, row, wanted in zip(ODD, ids, expected, strict=True):
        np.testing.assert_array_equal(row, wanted, err_msg=repr(word))
    for word, row in zip(ODD, ids):  # Whatever words are beside it.
        np.testing.assert_array_equal(encoder.numpy_ids([word])[0], row)
    assert np.all((ids >= 0) & (ids < encoder.ids_limit))


@pytest.mark.parametrize("name", ["bytes", "both", "words"])
def test_as_the_text_layer_reads_random_words(name):
    encoder = ENCODERS[name]()
    rng = np.random.default_rng(0)
    pieces = [b"a", b"x", "é".encode(), "我".encode(), "🙂".encode(), b"\x00", b"\xff", b"\xe2\x82"]
    words = [
        b"".join(pieces[i] for i in rng.integers(0, 8, rng.integers(0, 15))) for _ in range(300)
    ]
    np.testing.assert_array_equal(encoder.numpy_ids(words), from_text_layer(encoder, words))


def test_code_points_by_hand():
    """The word first; then the marks in the program's order, swapped; all plus one."""
    encoder = layers.CodePointEncoder(
        [*MARKS, "a", "b"], ["<bos>", "<eos>", "<oov>", "ab"], filters=[(1, 4)], max_characters=6
    )
    bos, eos, oov, pad, bow, eow, a, b = range(1, 9)
    expected = {
        "ab": [4, eow, a, b, bow, pad, pad],
        "b?": [3, eow, b, oov, bow, pad, pad],
        "abba": [3, eow, a, b, b, a, bow],
        "abbab": [3, eow, a, b, b, a, bow],
        "<bos>": [1, eow, bos, bow, pad, pad, pad],
        "<eos>": [2, eow, eos, bow, pad, pad, pad],
        "<S>": [3, eow, oov, oov, oov, bow, pad],
        "": [0] * 7,
    }
    assert encoder.numpy_ids(list(expected)).tolist() == list(expected.values())
    for mark, row in zip(("<bos>", "<eos>"), encoder.boundary_ids()):
        assert row.tolist() == expected[mark]


def test_words_by_hand():
    encoder = layers.WordEmbedding(5, 6, ["<S>", "</S>", "<UNK>", "the", "é"])
    words = ["the", "The", "é", "", "<S>", "</S>", "<UNK>", "\ud800", b"the", b"\xff"]
    assert encoder.numpy_ids(words).tolist() == [4, 3, 5, 0, 1, 2, 3, 3, 4, 3]


@pytest.mark.parametrize("name", ENCODERS)
def test_other_containers(name):
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
)
def test_what_is_refused(name, words, message):
    with pytest.raises(ValueError, match=message):
        ENCODERS[name]().numpy_ids(words)


def test_no_vocabulary():
    encoder = layers.WordEmbedding(5, 6)
    with pytest.raises(ValueError, match="needs its vocabulary.*Received: one without"):
        encoder.numpy_ids(["a"])


def test_a_front_end_without_ids():
    with pytest.raises(TypeError, match=r"must define `numpy_ids\(\)`"):
        TokenEncoder().numpy_ids(["a"])


@pytest.mark.parametrize("name", ENCODERS)
def test_no_tensorflow_is_needed(name, monkeypatch):
    encoder = ENCODERS[name]()
    expected = encoder.numpy_ids(ODD)
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # Whoever imports it now fails.
    np.testing.assert_array_equal(ENCODERS[name]().numpy_ids(ODD), expected)


@pytest.mark.parametrize("name", ["bytes", "code points", "both", "words of code points", "words"])
def test_encode_gives_the_vectors_of_the_call(name):
    encoder = ENCODERS[name]()
    ids = encoder.numpy_ids(["a", "我", "xxx", "x" * 60, "", "<S>"])
    encoder.build((None, None, *encoder.ids_shape))
    ids = ops.convert_to_tensor(ids)
    expected = to_numpy(encoder(ids[None]))[0]
    np.testing.assert_allclose(to_numpy(encoder.encode(ids)), expected, atol=1e-6)
    plain = to_numpy(TokenEncoder.encode(encoder, ids))
    np.testing.assert_allclose(plain, expected, atol=1e-6)
