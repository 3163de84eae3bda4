"""Search spaces: the source of the weights, the hyperparameters, wrong arguments."""

import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import elmo_keras
from elmo_keras.tuning import ElmoClassifierHyperModel, ElmoTaggerHyperModel
from tests.small_hypermodels import (
    CLASSES,
    KERAS_TUNER_WARNINGS,
    LABELS,
    TEXTS,
    assert_same_weights,
    built_elmo,
    hyperparameters,
    make_elmo,
    run_eagerly,
)

pytestmark = KERAS_TUNER_WARNINGS


@pytest.fixture(scope="module")
def elmo():
    return built_elmo()


@pytest.fixture
def classifier(elmo):
    return run_eagerly(ElmoClassifierHyperModel(elmo, labels=LABELS))


# === Source ===


def test_layer_as_source_is_copied(classifier, elmo):
    before = elmo.get_weights()
    model = classifier.build(hyperparameters(train="all"))
    assert model.elmo is not elmo
    assert_same_weights(model.elmo.bilstm, elmo.bilstm)
    assert float(model.elmo.scalar_mixes[0].gamma) == 1.0  # The source has 2.0.
    model.fit(TEXTS, CLASSES, epochs=1, verbose=0)
    for actual, expected in zip(elmo.get_weights(), before):
        np.testing.assert_array_equal(actual, expected)
    assert np.any(model.elmo.bilstm.get_weights()[0] != elmo.bilstm.get_weights()[0])


def test_frozen_layer_without_weights():
    source = make_elmo(trainable=False)
    model = ElmoTaggerHyperModel(source, num_labels=3).build(hyperparameters())
    assert_same_weights(model.elmo.token_encoder, source.token_encoder)
    assert model.elmo.trainable
    assert len(model.elmo.scalar_mixes[0].trainable_weights) == 2


def test_warm_state_is_copied():
    source = make_elmo(state="warm")
    source.warm_up(["Some sentences.", "Of the text to come."])
    model = ElmoTaggerHyperModel(source, num_labels=3).build(hyperparameters())
    assert model.elmo.state == "warm"
    assert_same_weights(model.elmo.lstm_states, source.lstm_states)
    assert np.any(model.elmo.lstm_states.hidden)


# === Hyperparameters ===


def test_defaults_equal_those_of_the_models(classifier):
    hp = keras_tuner.HyperParameters()
    model = classifier.build(hp)
    default = elmo_keras.ElmoTextClassifier(make_elmo(), labels=LABELS)
    assert set(hp.values) == set(classifier.space) - {"batch_size"}
    for key in ("pooling", "head_dropout"):
        assert model.get_config()[key] == default.get_config()[key]
    assert not model.head.hidden_dim
    for key in ("dropout", "layer_norm", "mix_regularizer"):
        assert getattr(model.elmo, key) == getattr(default.elmo, key)
    assert float(model.optimizer.learning_rate) == float(default.optimizer.learning_rate)
    assert model.optimizer.global_clipnorm == default.optimizer.global_clipnorm


def test_values_reach_the_model(classifier):
    model = classifier.build(
        hyperparameters(
            dropout=0.3,
            layer_norm=True,
            mix_regularizer=1e-2,
            hidden_dim=64,
            head_dropout=0.2,
            pooling="mean_max",
            learning_rate=5e-3,
        )
    )
    assert (model.head.hidden_dim, model.head.dropout, model.pooling) == (64, 0.2, "mean_max")
    assert (model.elmo.dropout, model.elmo.layer_norm) == (0.3, True)
    assert float(model.elmo.scalar_mixes[0].regularizer.l2) == pytest.approx(1e-2)
    assert float(model.optimizer.learning_rate) == pytest.approx(5e-3)


@pytest.mark.parametrize("was_frozen", [False, True])
@pytest.mark.parametrize(
    "train, token_encoder, bilstm",
    [("mixes", False, False), ("mixes+lstm", False, True), ("all", True, True)],
)
def test_train(train, token_encoder, bilstm, was_frozen):
    source = make_elmo()
    source.token_encoder.trainable = source.bilstm.trainable = not was_frozen
    model = ElmoTaggerHyperModel(source, num_labels=3).build(hyperparameters(train=train))
    trained = {id(variable) for variable in model.trainable_variables}
    parts = model.elmo.token_encoder, model.elmo.bilstm, model.elmo.scalar_mixes[0]
    for part, expected in zip(parts, (token_encoder, bilstm, True)):
        assert {id(variable) in trained for variable in part.weights} == {expected}


def test_frozen_parts_stay_frozen_in_a_revived_model(classifier):
    def trainable_paths(model):
        return [variable.path.split("/", 1)[1] for variable in model.trainable_variables]

    model = classifier.build(hyperparameters(train="mixes"))
    revived = type(model).from_config(model.get_config())
    assert trainable_paths(revived) == trainable_paths(model)


def test_fixed(elmo):
    fixed = {"hidden_dim": 7, "layer_norm": "bilm-tf", "batch_size": 3}
    hypermodel = run_eagerly(ElmoClassifierHyperModel(elmo, num_classes=2, fixed=fixed))
    hp = keras_tuner.HyperParameters()
    model = hypermodel.build(hp)
    assert (model.head.hidden_dim, model.elmo.layer_norm) == (7, "bilm-tf")
    hypermodel.fit(hp, model, TEXTS, [0, 1, 0, 1], epochs=1, verbose=0)
    assert int(model.optimizer.iterations) == 2  # batches of 3 and 1 sentences
    assert {name: hp.get(name) for name in fixed} == fixed
    assert {p.name for p in hp.space if type(p).__name__ == "Fixed"} == set(fixed)


def test_layer_without_a_mix():
    source = make_elmo(output="top")
    hypermodel = ElmoTaggerHyperModel(source, num_labels=3)
    assert not {"layer_norm", "mix_regularizer"} & set(hypermodel.space)
    assert hypermodel.build(hyperparameters(dropout=0.1)).elmo.output_choice == "top"
    with pytest.raises(ValueError, match="names out of .*'layer_norm'"):
        ElmoTaggerHyperModel(source, num_labels=3, fixed={"layer_norm": True})


DATASET = "dataset"


@pytest.mark.parametrize(
    "arguments, options, batches",
    [
        ((TEXTS, CLASSES), {}, 1),
        ((), {"x": TEXTS, "y": CLASSES}, 1),
        ((TEXTS, CLASSES), {"batch_size": 1}, 4),
        ((TEXTS, CLASSES, 1), {}, 4),
        (DATASET, {}, 2),
    ],
)
def test_batch_size_is_searched_unless_given(classifier, arguments, options, batches):
    if arguments == DATASET:
        arguments = (tf.data.Dataset.from_tensor_slices((TEXTS, CLASSES)).batch(2),)
    hp = keras_tuner.HyperParameters()
    model = classifier.build(hp)
    history = classifier.fit(hp, model, *arguments, epochs=1, verbose=0, **options)
    assert len(history.history["loss"]) == 1
    assert int(model.optimizer.iterations) == batches
    assert ("batch_size" in hp) == (batches == 1)


# === Wrong arguments ===


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "`labels` must be a list of names, or `num_classes`"),
        ({"num_classes": 1}, "Received: labels=None, num_classes=1"),
        ({"num_classes": ["a", "b"]}, "`num_classes` an int"),
        ({"num_classes": 3, "labels": ["a", "b"]}, "num_classes=3 and 2 labels"),
        ({"labels": ["a", "a"]}, "two different names"),
        ({"num_classes": 2, "fixed": {"units": 3}}, "names out of .*Received: 'units'"),
        ({"num_classes": 2, "fixed": {"hidden_dim": None}}, "Pass 0 for no hidden layer"),
        ({"num_classes": 2, "fixed": {"train": "lstm"}}, "`train` must be one of"),
        ({"num_classes": 2, "output": "top"}, "Options must come with a preset"),
        ({"num_classes": 2, "trainable": False}, "`trainable` is searched"),
    ],
)
def test_wrong_arguments(elmo, arguments, message):
    with pytest.raises(ValueError, match=message):
        ElmoClassifierHyperModel(elmo, **arguments)


def test_wrong_arguments_of_a_tagger(elmo):
    with pytest.raises(ValueError, match="`num_labels`"):
        ElmoTaggerHyperModel(elmo)
