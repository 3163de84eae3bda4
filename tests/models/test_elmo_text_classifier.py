import re

import keras
import numpy as np
import pytest

from elmo_keras import ElmoTextClassifier
from tests.models.check_task import (
    CHECKS,
    LENGTHS,
    SENTENCES,
    TOKENS,
    Task,
    char_ids,
    needs_strings,
    tensor_slices,
    toy_elmo,
)
from tests.small_models import IS_TENSORFLOW, to_numpy

CLASSES = ["positive", "negative", "neutral", "negative", "positive"]


@pytest.fixture(scope="module")
def task():
    return Task(ElmoTextClassifier, CLASSES)


@pytest.mark.parametrize("check", CHECKS)
def test_task(check, task, tmp_path):
    check(task, tmp_path)


@pytest.mark.parametrize(
    "pooling, hidden_dim", [("mean", None), ("max", 3), ("mean_max", None), ("mean_max", 3)]
)
def test_head(task, pooling, hidden_dim):
    """Pooling, hidden layer and output, compared with numpy; `predict` uses no dropout."""
    model = task.make(pooling=pooling, hidden_dim=hidden_dim, head_dropout=0.4)
    vectors = to_numpy(model.elmo(char_ids()))
    tokens = [row[:length] for row, length in zip(vectors, LENGTHS)]
    zero = np.zeros((1, vectors.shape[-1]))  # the vectors of an empty sentence
    mean = np.stack([(row if len(row) else zero).mean(0) for row in tokens])
    largest = np.stack([(row if len(row) else zero).max(0) for row in tokens])
    pooled = {"mean": [mean], "max": [largest], "mean_max": [mean, largest]}
    x = np.concatenate(pooled[pooling], axis=-1)
    if hidden_dim:
        kernel, bias = model.get_layer("hidden").get_weights()
        assert kernel.shape == (x.shape[-1], 3)
        x = np.maximum(x @ kernel + bias, 0)
    kernel, bias = model.get_layer("probabilities").get_weights()
    x = np.exp(x @ kernel + bias)
    np.testing.assert_allclose(task.predict(model=model), x / x.sum(-1, keepdims=True), atol=1e-6)
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [0.4] * (2 if hidden_dim else 1)


def test_classify(task):
    names = [task.labels[number] for number in task.predict().argmax(-1)]
    assert task.model.classify(task.x) == names
    assert task.model.classify(task.x, batch_size=2) == names
    assert task.model.classify([]) == []
    for i, name in enumerate(names):  # one by one, among them the empty one
        assert task.model.classify(task.x[i : i + 1]) == [name]


@needs_strings
def test_classify_text(task):
    names = task.model.classify(TOKENS)
    assert task.model.classify(SENTENCES) == names
    assert task.model.classify(tuple(SENTENCES)) == names
    assert task.model.classify(tensor_slices(SENTENCES).batch(2)) == names
    assert task.model.classify([""]) == task.model.classify([[]]) == [names[2]]
    assert len(task.model.classify(["Yes", "..."])) == 2
    with pytest.raises(ValueError, match="the bare str 'A film'"):
        task.model.classify("A film")


@pytest.mark.parametrize(
    "y, message",
    [
        (
            ["good"] * 5,
            "one of ['negative', 'neutral', 'positive'] or its index. Received: 'good' ",
        ),
        (["negative", "good", *CLASSES[2:]], "Received: 'good' in sentence 1"),
        ([0, 1, 2, 3, 0], "Received: 3 in sentence 3"),
        ([0, -1, 0, 0, 0], "Received: -1 in sentence 1"),
        ([0.0] * 5, "Received: 0.0 in sentence 0"),
        ([True] * 5, "Received: True in sentence 0"),
        ([["negative"]] * 5, "Received: ['negative'] in sentence 0"),
    ],
    ids=str,
)
def test_bad_labels(task, y, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        task.fit(task.x, y)


@pytest.mark.parametrize("pooling", ["mean", "max", "mean_max"])
def test_compiled_steps_equal_eager_ones(pooling):
    """XLA rounds a value that it computes twice differently; gradients must not depend on it."""
    weights = []
    for run_eagerly in (True, False):
        keras.utils.set_random_seed(0)
        labels = sorted(set(CLASSES))
        model = ElmoTextClassifier(toy_elmo(), labels, pooling=pooling, head_dropout=0.0)
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=run_eagerly)
        x = TOKENS if IS_TENSORFLOW else char_ids()
        model.fit(x, CLASSES, batch_size=2, epochs=2, shuffle=False, verbose=0)
        weights.append([to_numpy(weight) for weight in model.weights])
    for eager, compiled in zip(*weights, strict=True):
        np.testing.assert_allclose(compiled, eager, atol=1e-6)


def test_bad_pooling(task):
    with pytest.raises(ValueError, match="`pooling` must be one of .* Received: pooling='sum'"):
        task.make(pooling="sum")


@pytest.mark.skipif(not IS_TENSORFLOW, reason="tf.distribute is TensorFlow's")
def test_under_a_strategy_the_graph_starts_at_ids(task):
    import tensorflow as tf

    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        model = task.make()
        assert model.starts_at_ids
        model.set_weights(task.model.get_weights())
        model.compile(keras.optimizers.SGD(0.5), model.loss, metrics=["accuracy"], run_eagerly=True)
        for x in (SENTENCES, TOKENS, char_ids()):
            np.testing.assert_allclose(task.predict(x, model=model), task.predict(), atol=1e-6)
        loss = model.fit(SENTENCES, CLASSES, epochs=1, verbose=0).history["loss"][0]
        assert abs(loss - task.expected_loss()) <= 1e-5
        assert task.evaluate(TOKENS, CLASSES, model=model)[0] < loss
    # Outside of the strategy, a model of the same layer starts at strings.
    assert not ElmoTextClassifier(toy_elmo(), task.labels).starts_at_ids
