"""Heads of task models, compared with numpy."""

import keras
import numpy as np
import pytest

from elmo_keras.models import Head
from tests.models.check_task import needs_strings, toy_elmo
from tests.models.second_parts import SENTENCES, TASKS, WORDS, LogitHead, answers, make
from tests.small_models import to_numpy

TEMPERATURE = 3.0
SENTENCE_WEIGHTS = [2.0, 0.0, 1.0, 1.0]

each_task = pytest.mark.parametrize("name", TASKS)


def numpy_scores(model, name):
    """Scores of a linear model on a BagOfWords: for each sentence `([time,] labels)`."""
    table = to_numpy(model.backbone.embedding.embeddings)
    kernel, bias = (to_numpy(weight) for weight in model.layers[-1].weights)
    ids = [np.array([WORDS.index(word) + 1 for word in row], int) for row in SENTENCES]
    scores = [table[row] @ kernel + bias for row in ids]
    if name == "tagger":
        return scores
    return [row.mean(axis=0) if len(row) else bias for row in scores]


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def label_indices(name):
    """Indices of the true labels of each sentence, as arrays `(labels,)`."""
    _, labels, y = TASKS[name]
    return [np.array([labels.index(label) for label in np.atleast_1d(row)], int) for row in y]


def numpy_losses(scores, name):
    """Cross-entropies of each sentence's labels, as arrays `(labels,)`."""
    probabilities = [np.atleast_2d(softmax(row)) for row in scores]
    rows = zip(probabilities, label_indices(name), strict=True)
    return [-np.log(row[np.arange(len(indices)), indices]) for row, indices in rows]


def evaluate(model, name, **options):
    return model.evaluate(SENTENCES, TASKS[name][2], return_dict=True, verbose=0, **options)


@needs_strings
@each_task
def test_probabilities_and_answers(name):
    _, labels, _ = TASKS[name]
    model = make(name, head=LogitHead(TEMPERATURE))
    scores = numpy_scores(model, name)
    probabilities = model.predict(SENTENCES, verbose=0)
    for actual, row in zip(probabilities, scores, strict=True):
        actual = actual[: len(row)] if name == "tagger" else actual
        np.testing.assert_allclose(actual, softmax(row / TEMPERATURE), atol=1e-6)
    if name == "tagger":
        assert not probabilities[2, 1:].any() and not probabilities[3].any()
    expected = [[labels[index] for index in np.atleast_1d(row.argmax(-1))] for row in scores]
    assert answers(name, model) == (expected if name == "tagger" else [e for [e] in expected])


@needs_strings
@each_task
def test_loss_and_metrics(name):
    model = make(name, head=LogitHead(TEMPERATURE))
    scores = numpy_scores(model, name)
    losses = numpy_losses([row / TEMPERATURE for row in scores], name)
    result = evaluate(model, name)
    np.testing.assert_allclose(result["loss"], np.concatenate(losses).mean(), rtol=1e-5)
    is_correct = [
        np.atleast_1d(row.argmax(-1)) == indices
        for row, indices in zip(scores, label_indices(name), strict=True)
    ]
    np.testing.assert_allclose(result["accuracy"], np.concatenate(is_correct).mean(), rtol=1e-6)

    weighted = [weight * loss for weight, loss in zip(SENTENCE_WEIGHTS, losses, strict=True)]
    result = evaluate(model, name, sample_weight=SENTENCE_WEIGHTS)
    np.testing.assert_allclose(result["loss"], np.concatenate(weighted).mean(), rtol=1e-5)


@needs_strings
@each_task
def test_a_keras_loss_leaves_padding_out(name):
    model = make(name, head=LogitHead(TEMPERATURE))
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    expected = np.concatenate(numpy_losses(numpy_scores(model, name), name)).mean()
    np.testing.assert_allclose(evaluate(model, name)["loss"], expected, rtol=1e-5)


@needs_strings
@each_task
def test_a_trained_head_is_saved_and_cloned(name, tmp_path):
    cls, _, y = TASKS[name]
    model = make(name, head=LogitHead(TEMPERATURE))
    model.compile(keras.optimizers.Adam(0.1))
    model.fit(SENTENCES, y, epochs=5, verbose=0)
    model.save(tmp_path / "model.keras")
    model.save_to_preset(tmp_path / "preset")
    clone = model.clone()
    clone.set_weights(model.get_weights())
    expected, expected_loss = model.predict(SENTENCES, verbose=0), evaluate(model, name)["loss"]
    copies = {
        "keras": keras.saving.load_model(tmp_path / "model.keras"),
        "preset": cls.from_preset(tmp_path / "preset"),
        "clone": clone,
    }
    for copy in copies.values():
        assert copy.head.temperature == TEMPERATURE
        np.testing.assert_array_equal(copy.predict(SENTENCES, verbose=0), expected)
        assert evaluate(copy, name)["loss"] == pytest.approx(expected_loss, rel=1e-6)


@pytest.mark.parametrize("member", ["scores", "loss"])
def test_a_head_without_its_members_is_named(member):
    with pytest.raises(TypeError, match=f"A Head must define `{member}`; Head does not"):
        getattr(Head(), member)(*[None] * (1 if member == "scores" else 3))


@needs_strings
@each_task
def test_regularizers_are_a_part_of_the_loss(name):
    def loss(**options):
        keras.utils.set_random_seed(2)
        model = make(name, toy_elmo(**options))
        return evaluate(model, name)["loss"], model

    plain, _ = loss()
    regularized, model = loss(mix_regularizer=keras.regularizers.L2(0.5))
    scalars = [to_numpy(mix.scalars) for mix in model.backbone.scalar_mixes]
    assert regularized == pytest.approx(plain + 0.5 * sum((v**2).sum() for v in scalars), rel=1e-5)
    for mix, values in zip(model.backbone.scalar_mixes, scalars, strict=True):
        mix.scalars.assign(np.ones_like(values))
    # Equal scalars are the same mix: only the penalty differs.
    penalty = 0.5 * sum(values.size for values in scalars)
    assert evaluate(model, name)["loss"] == pytest.approx(plain + penalty, rel=1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"head": "crv"}, "`head` must be 'softmax' or a Head. Received: head='crv'"),
        ({"head": LogitHead(), "hidden_dim": 3}, "belong to head='softmax'"),
        ({"head": LogitHead(), "head_dropout": 0.5}, "belong to head='softmax'"),
        ({"preprocessor": "none"}, "must be a Preprocessor, 'auto' or None"),
        ({"hiden_dim": 3}, "Received: hiden_dim=3. Did you mean hidden_dim"),
    ],
    ids=["name", "hidden_dim", "head_dropout", "preprocessor", "misspelt"],
)
@each_task
def test_wrong_parts_are_named(name, options, message):
    with pytest.raises(ValueError, match=message):
        make(name, **options)
