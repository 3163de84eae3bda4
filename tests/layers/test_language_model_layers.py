"""The layers of a language model: its softmax, its head, and LSTMs on two streams."""

import keras
import numpy as np
import pytest

from elmo_keras import layers
from tests import small_models
from tests.check_layer import check_layer
from tests.gradients import gradients


def rng():
    return np.random.default_rng(0)


def test_word_softmax(tmp_path):
    x = rng().standard_normal((2, 3, 5)).astype("float32")
    make = lambda **k: layers.WordSoftmax(7, **k)  # noqa: E731
    check_layer(make, x, tmp_path, weights=2, output_dtype="float32")


def softmax_of(num_words=50, dim=5, seed=0):
    layer = layers.WordSoftmax(num_words)
    layer.build((None, dim))
    random = np.random.default_rng(seed)
    layer.set_weights(
        [random.standard_normal(weight.shape).astype("float32") for weight in layer.weights]
    )
    return layer


def log_softmax(x, layer):
    """By hand, in float64."""
    kernel, bias = (small_models.to_numpy(weight).astype("float64") for weight in layer.weights)
    logits = x.astype("float64") @ kernel.T + bias
    return logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))


def test_probabilities():
    layer = softmax_of()
    x = rng().standard_normal((4, 3, 5)).astype("float32")
    found = small_models.to_numpy(layer(x))
    np.testing.assert_allclose(found, log_softmax(x, layer), atol=1e-5)
    np.testing.assert_allclose(np.exp(found).sum(axis=-1), 1, atol=1e-6)
    targets = np.array([3, 0, 49, 3], "int32")
    losses = small_models.to_numpy(layer.full_loss(x[:, 0], targets))
    np.testing.assert_allclose(losses, -log_softmax(x[:, 0], layer)[range(4), targets], atol=1e-5)


def test_sampled_loss():
    """Against the sum that it stands for, term by term, a target in the sample counted once."""
    layer = softmax_of()
    x = rng().standard_normal((3, 5)).astype("float32")
    targets = np.array([3, 7, 20], "int32")
    negatives = np.array([1, 7, 4, 30], "int32")
    log_expected = np.log(rng().uniform(0.1, 1, 50)).astype("float32")
    found = layer.sampled_loss(
        x, targets, log_expected[targets], negatives, log_expected[negatives]
    )
    kernel, bias = map(small_models.to_numpy, layer.weights)
    for row, target, loss in zip(x, targets, small_models.to_numpy(found), strict=True):
        words = [target, *(word for word in negatives if word != target)]
        logits = [kernel[word] @ row + bias[word] - log_expected[word] for word in words]
        assert loss == pytest.approx(np.log(np.sum(np.exp(logits))) - logits[0], abs=1e-5)


def test_the_sample_of_all_words_is_the_full_softmax():
    layer = softmax_of(num_words=6)
    x = rng().standard_normal((3, 5)).astype("float32")
    targets, every = np.array([1, 0, 5], "int32"), np.arange(6, dtype="int32")
    zeros = np.zeros(6, "float32")
    found = layer.sampled_loss(x, targets, zeros[:3], every, zeros)
    found, full = small_models.to_numpy(found), small_models.to_numpy(layer.full_loss(x, targets))
    np.testing.assert_allclose(found, full, rtol=1e-5)


def test_gradients_of_the_losses():
    """Those written by hand, against those that the backend finds for the plain formula."""
    layer = softmax_of(num_words=9)
    x = keras.Variable(3 * rng().standard_normal((4, 5)).astype("float32"))
    targets = np.array([3, 0, 8, 3], "int32")
    weights = np.array([1.0, 2.0, -1.0, 0.5], "float32")
    sample = np.array([3, 1, 7], "int32")
    log_expected = np.log(rng().uniform(0.1, 1, 9)).astype("float32")

    def plain(words, log_expected):
        logits = layer.logits(keras.ops.convert_to_tensor(x)) - keras.ops.array(log_expected)
        among = np.array([[word in (*words, target) for word in range(9)] for target in targets])
        rest = keras.ops.logsumexp(keras.ops.where(among, logits, -1e30), axis=-1)
        return (
            rest
            - keras.ops.take_along_axis(logits, keras.ops.array(targets[:, None]), axis=-1)[:, 0]
        )

    cases = [
        (lambda: layer.full_loss(x, targets), lambda: plain(range(9), np.zeros(9, "float32"))),
        (
            lambda: layer.sampled_loss(
                x, targets, log_expected[targets], sample, log_expected[sample]
            ),
            lambda: plain(sample, log_expected),
        ),
    ]

    def gradients_of(losses):
        loss = lambda: keras.ops.sum(losses() * keras.ops.array(weights))  # noqa: E731
        return gradients(loss, [x, *layer.weights])

    for found, expected in cases:
        found, expected = gradients_of(found), gradients_of(expected)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.skipif(
    not small_models.IS_TENSORFLOW, reason="The oracle is TensorFlow's own function."
)
def test_sampled_loss_of_tensorflow():
    import tensorflow as tf

    layer = softmax_of()
    x = rng().standard_normal((8, 5)).astype("float32")
    targets = rng().integers(0, 50, 8).astype("int32")
    negatives = np.array([0, 2, 1, 9, 30, 44], "int32")
    expected = rng().uniform(0.1, 1, 50).astype("float32")
    found = layer.sampled_loss(
        x, targets, np.log(expected[targets]), negatives, np.log(expected[negatives])
    )
    kernel, bias = layer.get_weights()
    theirs = tf.nn.sampled_softmax_loss(
        kernel,
        bias,
        targets[:, None],
        x,
        num_sampled=len(negatives),
        num_classes=50,
        sampled_values=(negatives.astype("int64"), expected[targets][:, None], expected[negatives]),
        remove_accidental_hits=True,
    )
    np.testing.assert_allclose(found, theirs, rtol=1e-5)


def test_logits_are_float32():
    layer = layers.WordSoftmax(7, dtype="mixed_bfloat16")
    x = keras.ops.cast(rng().standard_normal((2, 5)), "bfloat16")
    assert keras.backend.standardize_dtype(layer(x).dtype) == "float32"
    assert keras.backend.standardize_dtype(layer.full_loss(x, np.array([0, 1])).dtype) == "float32"


def head_inputs():
    x = rng().standard_normal((3, 5, 8)).astype("float32")
    words = np.array([[4, 5, 7], [6, 0, 0], [0, 0, 0]], "int32")
    return x, words


def test_head():
    x, words = head_inputs()
    head = layers.LanguageModelHead(7)
    found = small_models.to_numpy(head(x, words))
    assert found.shape == (3, 5, 2)
    for row, numbers, out in zip(x, words, found):
        sentence = [0, *(number - 1 for number in numbers if number), 1]
        for place in range(5):
            forward = backward = 0.0
            if 1 <= place < len(sentence):
                forward = log_softmax(row[place - 1, :4], head.softmax)[sentence[place]]
            if place < len(sentence) - 1:
                backward = log_softmax(row[place + 1, 4:], head.softmax)[sentence[place]]
            np.testing.assert_allclose(out[place], (forward, backward), atol=1e-5)


def test_head_is_rebuilt_from_its_config():
    head = layers.LanguageModelHead(7, begin=2, end=3)
    again = layers.LanguageModelHead.from_config(head.get_config())
    assert again.get_config() == head.get_config()
    with pytest.raises(ValueError, match="`begin` and `end` must be numbers of words"):
        layers.LanguageModelHead(7, end=7)
    with pytest.raises(ValueError, match="`num_words` must be an int of at least 2"):
        layers.WordSoftmax(1)


@pytest.mark.parametrize("adapted", [False, True], ids=["kernel", "cells"])
def test_two_streams_of_one_sequence_are_its_call(adapted, monkeypatch):
    """`call_streams` with a sequence and its reverse equals the call."""
    stack = small_models.bilstm(num_layers=3)
    x = rng().standard_normal((2, 7, 6)).astype("float32")
    state = [rng().standard_normal((2, 3, 2, size)).astype("float32") for size in (6, 16)]
    tops, final = stack(x, initial_state=state)
    if adapted:
        monkeypatch.setattr(type(stack), "_is_adapted", lambda self: True)
    y, read_final = stack.call_streams(np.stack([x, x[:, ::-1]]), state)
    forward, backward = np.split(small_models.to_numpy(tops[-1]), 2, axis=-1)
    y = small_models.to_numpy(y)
    np.testing.assert_allclose(y[0], forward, atol=1e-5)
    np.testing.assert_allclose(y[1], backward[:, ::-1], atol=1e-5)
    for one, other in zip(final, read_final):
        np.testing.assert_allclose(
            small_models.to_numpy(one), small_models.to_numpy(other), atol=1e-5
        )


@pytest.mark.parametrize("adapted", [False, True], ids=["kernel", "cells"])
def test_dropout_of_streams(adapted, monkeypatch):
    """What is kept multiplies each layer's input and the last output: by hand, layer by layer."""
    stack = small_models.bilstm(num_layers=1)
    x = rng().standard_normal((2, 2, 4, 6)).astype("float32")
    stack(x[0])
    keep = rng().integers(0, 2, (2, 2, 2, 4, 6)).astype("float32")
    zeros = [np.zeros((2, 1, 2, size), "float32") for size in (6, 16)]
    if adapted:
        monkeypatch.setattr(type(stack), "_is_adapted", lambda self: True)
    y, _ = stack.call_streams(x, zeros, keep)
    plain, _ = stack.call_streams(x * keep[:, 0], zeros)
    np.testing.assert_allclose(
        small_models.to_numpy(y), small_models.to_numpy(plain) * keep[:, 1], atol=1e-6
    )
