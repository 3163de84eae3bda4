import numpy as np
import pytest

from elmo_keras import layers
from tests.check_layer import check_layer

WORDS = ["<S>", "</S>", "<UNK>", "the", "", "cat"]


@pytest.mark.parametrize("vocabulary", [WORDS, None], ids=["words", "ids alone"])
def test_keras_contract(tmp_path, vocabulary):
    x = np.array([[4, 6, 1], [3, 0, 0]], dtype="int32")
    make = lambda **k: layers.WordEmbedding(6, 5, vocabulary=vocabulary, **k)  # noqa: E731
    check_layer(make, x, tmp_path, weights=1, quantized=True)
    begin, end = make().boundary_ids()
    assert (int(begin), int(end)) == (1, 2)


def test_numpy_ids_by_hand():
    encoder = layers.WordEmbedding(5, 6, ["<S>", "</S>", "<UNK>", "the", "é"])
    words = ["the", "The", "é", "", "<S>", "</S>", "<UNK>", "\ud800", b"the", b"\xff"]
    assert encoder.numpy_ids(words).tolist() == [4, 3, 5, 0, 1, 2, 3, 3, 4, 3]


def test_numpy_ids_need_a_vocabulary():
    encoder = layers.WordEmbedding(5, 6)
    with pytest.raises(ValueError, match="needs its vocabulary.*Received: one without"):
        encoder.numpy_ids(["a"])


@pytest.mark.parametrize(
    "num_words, vocabulary, message",
    [
        (3, ["<S>", "</S>", "a"], "without <UNK>"),
        (4, ["<S>", "</S>", "<UNK>"], "must hold 4 words.*Received: 3 words"),
    ],
    ids=["no unknown word", "another size"],
)
def test_bad_vocabulary(num_words, vocabulary, message):
    with pytest.raises(ValueError, match=message):
        layers.WordEmbedding(num_words, 5, vocabulary=vocabulary)
