import numpy as np
import pytest

from elmo_keras import layers
from tests.layers.equations import log_softmax
from tests.small_models import to_numpy


def head_inputs():
    x = np.random.default_rng(0).standard_normal((3, 5, 8)).astype("float32")
    words = np.array([[4, 5, 7], [6, 0, 0], [0, 0, 0]], "int32")
    return x, words


def test_values():
    x, words = head_inputs()
    head = layers.LanguageModelHead(7)
    actual = to_numpy(head(x, words))
    assert actual.shape == (3, 5, 2)
    for row, numbers, out in zip(x, words, actual):
        sentence = [0, *(number - 1 for number in numbers if number), 1]
        for place in range(5):
            forward = backward = 0.0
            if 1 <= place < len(sentence):
                forward = log_softmax(row[place - 1, :4], head.softmax)[sentence[place]]
            if place < len(sentence) - 1:
                backward = log_softmax(row[place + 1, 4:], head.softmax)[sentence[place]]
            np.testing.assert_allclose(out[place], (forward, backward), atol=1e-5)


def test_config():
    head = layers.LanguageModelHead(7, begin=2, end=3)
    again = layers.LanguageModelHead.from_config(head.get_config())
    assert again.get_config() == head.get_config()


def test_bad_boundaries():
    with pytest.raises(ValueError, match="`begin` and `end` must be indices of words"):
        layers.LanguageModelHead(7, end=7)
