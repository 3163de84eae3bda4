import re

import keras
import numpy as np
import pytest

from elmo_keras import ElmoTagger
from elmo_keras.metrics import TokenAccuracy
from tests.models.check_task import (
    CHECKS,
    LENGTHS,
    SENTENCES,
    TOKENS,
    WEIGHTS,
    Task,
    char_ids,
    needs_strings,
    padded,
    tensor_slices,
)
from tests.small_models import IS_TENSORFLOW, to_numpy

TAGS = [
    ["DET", "ADJ", "NOUN", "."],
    ["ADJ", "."],
    [],
    ["DET", ".", "ADJ", "ADJ", "."],
    ["NOUN", "DET"],
]


@pytest.fixture(scope="module")
def task():
    return Task(ElmoTagger, TAGS)


@pytest.mark.parametrize("check", CHECKS)
def test_task(check, task, tmp_path):
    check(task, tmp_path)


@pytest.mark.parametrize("hidden_dim", [None, 3])
def test_head(task, hidden_dim):
    model = task.make(hidden_dim=hidden_dim, head_dropout=0.4)
    x = to_numpy(model.elmo(char_ids()))
    if hidden_dim:
        kernel, bias = model.get_layer("hidden").get_weights()
        x = np.maximum(x @ kernel + bias, 0)
    kernel, bias = model.get_layer("softmax").get_weights()
    x = np.exp(x @ kernel + bias)
    x /= x.sum(-1, keepdims=True)
    x[np.arange(max(LENGTHS)) >= np.array(LENGTHS)[:, None]] = 0
    np.testing.assert_allclose(task.predict(model=model), x, atol=1e-6)
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [0.4] * (2 if hidden_dim else 1)


def test_tag(task):
    tags = [
        [task.labels[number] for number in row[:length].argmax(-1)]
        for row, length in zip(task.predict(), LENGTHS)
    ]
    assert task.model.tag(task.x) == tags
    assert task.model.tag(task.x, batch_size=2) == tags
    assert task.model.tag([]) == []
    for i, row in enumerate(tags):
        assert task.model.tag(task.x[i : i + 1]) == [row]


@needs_strings
def test_tag_text(task):
    tags = task.model.tag(TOKENS)
    assert task.model.tag(SENTENCES) == tags
    assert task.model.tag(padded(TOKENS)) == tags
    assert task.model.tag(["", ""]) == task.model.tag([[], []]) == [[], []]
    assert [len(row) for row in task.model.tag(["It isn't.", "", "Yes"])] == [4, 0, 1]
    with pytest.raises(ValueError, match="the bare str 'A film'"):
        task.model.tag("A film")


def test_a_token_without_a_label_weighs_nothing(task):
    """Labels of weight 0 do not affect the loss."""
    weights = [np.arange(length) % 2 for length in LENGTHS]
    other = [[tag if weight else "DET" for tag, weight in zip(*row)] for row in zip(TAGS, weights)]
    losses = [task.fit(task.x, y, sample_weight=weights)["loss"][0] for y in (TAGS, other)]
    assert losses[0] == losses[1]


@needs_strings
def test_weights_of_sentences_in_a_dataset(task):
    of_token = [np.full(length, 0.5) for length in LENGTHS]
    task.fit(task.x, TAGS, sample_weight=of_token)
    data = tensor_slices(TOKENS, TAGS, WEIGHTS).batch(5)
    assert abs(task.fit(data)["loss"][0] - task.expected_loss(WEIGHTS)) <= 1e-5


@needs_strings
def test_a_dataset_of_batches_of_any_length(task):
    data = tensor_slices(TOKENS, TAGS).batch(2)
    np.testing.assert_allclose(task.predict(data), task.predict(), atol=1e-5)


@needs_strings
@pytest.mark.parametrize(
    "tags",
    [
        [["DET"], *TAGS[1:]],  # After padding, the labels still have the length of the tokens.
        [*TAGS[:3], [*TAGS[3], "DET"], TAGS[4]],
        [[*TAGS[0], "DET"], *TAGS[1:]],
    ],
    ids=["one short", "longest too long", "another too long"],
)
def test_a_dataset_with_as_many_labels_as_tokens(task, tags):
    import tensorflow as tf

    numbers = [[task.labels.index(tag) for tag in row] for row in tags]
    for y in (tags, numbers):
        with pytest.raises(tf.errors.InvalidArgumentError, match="as many labels as tokens"):
            task.fit(tensor_slices(TOKENS, y).batch(5), model=task.make())


def test_weighted_metrics(task):
    weights = [np.arange(length) + 0.5 for length in LENGTHS]
    model = task.make()
    model.compile("sgd", model.loss, weighted_metrics=[TokenAccuracy()], run_eagerly=IS_TENSORFLOW)
    is_correct = [
        row[:length].argmax(-1) == number
        for row, length, number in zip(task.predict(model=model), LENGTHS, task.numbers)
    ]
    expected = np.average(np.concatenate(is_correct), weights=np.concatenate(weights))
    for batch_size in (2, 5):
        _, accuracy = task.evaluate(
            task.x, TAGS, model=model, sample_weight=weights, batch_size=batch_size
        )
        assert abs(accuracy - expected) <= 1e-6


ONE_SHORT = [*TAGS[:3], TAGS[3][:4], TAGS[4]]


@pytest.mark.parametrize(
    "y, message",
    [
        (ONE_SHORT, "as many labels as tokens. Received: sentence 3 with 4 labels and 5 tokens"),
        ([["DET"], *TAGS[1:]], "sentence 0 with 1 labels and 4 tokens"),
        ([*TAGS[:2], ["DET"], *TAGS[3:]], "sentence 2 with 1 labels and 0 tokens"),
        (padded(TAGS)[:, :4], "sentence 3 with 4 labels and 5 tokens"),
        ([*TAGS[:4], ["NOUN", "X"]], "Received: 'X' in token 1 of sentence 4"),
        ([*TAGS[:4], [0, 7]], "Received: 7 in token 1 of sentence 4"),
        ([*TAGS[:4], [-1, 0]], "Received: -1 in token 0 of sentence 4"),
        ([*TAGS[:4], ["NOUN", None]], "Received: None in token 1 of sentence 4"),
        (["DET"] * 5, "must be a list or an array. Received: str"),
        ([0] * 5, "must be a list or an array. Received: int"),
    ],
    ids=str,
)
def test_bad_labels(task, y, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        task.fit(task.x, y)


@needs_strings
def test_the_error_shows_the_tokens(task):
    """The tokenizer may split a sentence differently from the author of its labels."""
    with pytest.raises(ValueError, match=re.escape("2 labels and 4 tokens: It is n't .. Pass ")):
        task.fit(["It isn't."], [["NOUN", "."]])


@pytest.mark.parametrize(
    "weights, message",
    [
        (
            [[1.0] * 4, [1.0], 1.0, 1.0, 1.0],
            "as many weights as tokens. Received: sentence 1 with 1",
        ),
        (np.ones((5, 4)), "sentence 3 with 4 weights and 5 tokens"),
    ],
)
def test_bad_weights(task, weights, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        task.fit(task.x, task.y, sample_weight=weights)
