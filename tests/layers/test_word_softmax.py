import keras
import numpy as np
import pytest

from elmo_keras import layers
from tests.check_layer import check_layer
from tests.gradients import gradients
from tests.layers.equations import log_softmax
from tests.small_models import IS_TENSORFLOW, to_numpy


def rng():
    return np.random.default_rng(0)


def test_keras_contract(tmp_path):
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


def test_probabilities():
    layer = softmax_of()
    x = rng().standard_normal((4, 3, 5)).astype("float32")
    actual = to_numpy(layer(x))
    np.testing.assert_allclose(actual, log_softmax(x, layer), atol=1e-5)
    np.testing.assert_allclose(np.exp(actual).sum(axis=-1), 1, atol=1e-6)
    targets = np.array([3, 0, 49, 3], "int32")
    losses = to_numpy(layer.full_loss(x[:, 0], targets))
    np.testing.assert_allclose(losses, -log_softmax(x[:, 0], layer)[range(4), targets], atol=1e-5)


def test_sampled_loss():
    """Against the explicit sum, which counts a target in the sample once."""
    layer = softmax_of()
    x = rng().standard_normal((3, 5)).astype("float32")
    targets = np.array([3, 7, 20], "int32")
    negatives = np.array([1, 7, 4, 30], "int32")
    log_expected = np.log(rng().uniform(0.1, 1, 50)).astype("float32")
    actual = layer.sampled_loss(
        x, targets, log_expected[targets], negatives, log_expected[negatives]
    )
    kernel, bias = map(to_numpy, layer.weights)
    for row, target, loss in zip(x, targets, to_numpy(actual), strict=True):
        words = [target, *(word for word in negatives if word != target)]
        logits = [kernel[word] @ row + bias[word] - log_expected[word] for word in words]
        assert loss == pytest.approx(np.log(np.sum(np.exp(logits))) - logits[0], abs=1e-5)


def test_the_sample_of_all_words_is_the_full_softmax():
    layer = softmax_of(num_words=6)
    x = rng().standard_normal((3, 5)).astype("float32")
    targets, every = np.array([1, 0, 5], "int32"), np.arange(6, dtype="int32")
    zeros = np.zeros(6, "float32")
    actual = layer.sampled_loss(x, targets, zeros[:3], every, zeros)
    expected = layer.full_loss(x, targets)
    np.testing.assert_allclose(to_numpy(actual), to_numpy(expected), rtol=1e-5)


@pytest.mark.parametrize("loss", ["full", "sampled"])
def test_gradients_of_the_losses(loss):
    """The gradients written by hand equal those that the backend finds for the plain formula."""
    layer = softmax_of(num_words=9)
    x = keras.Variable(3 * rng().standard_normal((4, 5)).astype("float32"))
    targets = np.array([3, 0, 8, 3], "int32")
    weights = np.array([1.0, 2.0, -1.0, 0.5], "float32")
    if loss == "full":
        words, log_expected = range(9), np.zeros(9, "float32")
    else:
        words = np.array([3, 1, 7], "int32")
        log_expected = np.log(rng().uniform(0.1, 1, 9)).astype("float32")

    def losses():
        if loss == "full":
            return layer.full_loss(x, targets)
        return layer.sampled_loss(x, targets, log_expected[targets], words, log_expected[words])

    def plain_losses():
        logits = layer.logits(keras.ops.convert_to_tensor(x)) - keras.ops.array(log_expected)
        among = np.array([[word in (*words, target) for word in range(9)] for target in targets])
        rest = keras.ops.logsumexp(keras.ops.where(among, logits, -1e30), axis=-1)
        indices = keras.ops.array(targets[:, None])
        return rest - keras.ops.take_along_axis(logits, indices, axis=-1)[:, 0]

    def gradients_of(losses):
        return gradients(
            lambda: keras.ops.sum(losses() * keras.ops.array(weights)), [x, *layer.weights]
        )

    for actual, expected in zip(gradients_of(losses), gradients_of(plain_losses), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.skipif(not IS_TENSORFLOW, reason="compares with TensorFlow's function")
def test_sampled_loss_of_tensorflow():
    import tensorflow as tf

    layer = softmax_of()
    x = rng().standard_normal((8, 5)).astype("float32")
    targets = rng().integers(0, 50, 8).astype("int32")
    negatives = np.array([0, 2, 1, 9, 30, 44], "int32")
    counts = rng().uniform(0.1, 1, 50).astype("float32")
    actual = layer.sampled_loss(
        x, targets, np.log(counts[targets]), negatives, np.log(counts[negatives])
    )
    kernel, bias = layer.get_weights()
    expected = tf.nn.sampled_softmax_loss(
        kernel,
        bias,
        targets[:, None],
        x,
        num_sampled=len(negatives),
        num_classes=50,
        sampled_values=(negatives.astype("int64"), counts[targets][:, None], counts[negatives]),
        remove_accidental_hits=True,
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_logits_are_float32():
    layer = layers.WordSoftmax(7, dtype="mixed_bfloat16")
    x = keras.ops.cast(rng().standard_normal((2, 5)), "bfloat16")
    assert keras.backend.standardize_dtype(layer(x).dtype) == "float32"
    assert keras.backend.standardize_dtype(layer.full_loss(x, np.array([0, 1])).dtype) == "float32"


def test_bad_number_of_words():
    with pytest.raises(ValueError, match="`num_words` must be an int of at least 2"):
        layers.WordSoftmax(1)
