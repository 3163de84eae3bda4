"""Searches with keras-tuner: tuners, the best model, errors and failed trials."""

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import elmo_keras
from elmo_keras import ElmoLayer
from elmo_keras.tuning import ElmoClassifierHyperModel, ElmoTaggerHyperModel
from tests.small_hypermodels import (
    CLASSES,
    KERAS_TUNER_WARNINGS,
    LABELS,
    SENTENCES,
    TAGS,
    TEXTS,
    assert_same_weights,
    built_elmo,
    run_eagerly,
)

pytestmark = KERAS_TUNER_WARNINGS


@pytest.fixture(scope="module")
def elmo():
    return built_elmo()


@pytest.fixture
def classifier(elmo):
    return run_eagerly(ElmoClassifierHyperModel(elmo, labels=LABELS))


def search(tuner, x=TEXTS, y=CLASSES, **options):
    options = {"validation_data": (x, y), "epochs": 1, "verbose": 0, **options}
    tuner.search(x, y, **options)


def trials_of(tuner):
    return [tuner.oracle.trials[key] for key in tuner.oracle.start_order]


# === Tuners ===


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, options",
    [
        ("RandomSearch", {"max_trials": 2}),
        ("BayesianOptimization", {"max_trials": 2, "num_initial_points": 1}),
        ("GridSearch", {"max_trials": 2}),
    ],
)
def test_every_tuner(classifier, tmp_path, name, options):
    if name == "BayesianOptimization":
        pytest.importorskip("sklearn")
    tuner = getattr(keras_tuner, name)(
        classifier, objective="val_accuracy", directory=tmp_path, overwrite=True, **options
    )
    search(tuner)
    trials = trials_of(tuner)
    assert len(trials) >= 2
    assert {trial.status for trial in trials} == {"COMPLETED"}
    for trial in trials:
        assert set(classifier.space) <= set(trial.hyperparameters.values)
    best = tuner.get_best_models(1)[0]
    score = best.evaluate(TEXTS, CLASSES, return_dict=True, verbose=0)["accuracy"]
    assert score == max(trial.score for trial in trials)


class RecordSteps(keras.callbacks.Callback):
    """Records the number of optimizer steps at the start of each trial.

    The list is of the class, because keras-tuner copies the callbacks for each trial.
    """

    steps = []

    def on_train_begin(self, logs=None):
        self.steps.append(int(self.model.optimizer.iterations))


@pytest.mark.slow
def test_hyperband_resumes_trials(classifier, tmp_path):
    # Two trials of one epoch, a second epoch of the better one, then two trials of two epochs.
    tuner = keras_tuner.Hyperband(
        classifier, objective="val_accuracy", directory=tmp_path, max_epochs=2, factor=2
    )
    RecordSteps.steps.clear()
    search(tuner, callbacks=[RecordSteps()])
    trials = trials_of(tuner)
    assert {trial.status for trial in trials} == {"COMPLETED"}
    first_epochs = [trial.hyperparameters.values["tuner/initial_epoch"] for trial in trials]
    assert first_epochs == RecordSteps.steps == [0, 0, 1, 0, 0]  # An epoch has one step.
    assert len(tuner.get_best_models(1)[0].classify(TEXTS)) == len(TEXTS)


@pytest.mark.slow
def test_tagger(elmo, tmp_path):
    hypermodel = run_eagerly(ElmoTaggerHyperModel(elmo, labels=["DET", "NOUN", "VERB"]))
    tuner = keras_tuner.RandomSearch(
        hypermodel, objective="val_accuracy", max_trials=2, directory=tmp_path
    )
    search(tuner, SENTENCES, TAGS)
    assert [trial.status for trial in trials_of(tuner)] == ["COMPLETED"] * 2
    assert "pooling" not in hypermodel.space
    tags = tuner.get_best_models()[0].tag(SENTENCES)
    assert [len(row) for row in tags] == [3, 2]


def test_ranges_of_the_tuner_have_priority(classifier, tmp_path):
    space = keras_tuner.HyperParameters()
    space.Choice("hidden_dim", [3, 5])
    tuner = keras_tuner.GridSearch(
        classifier,
        objective="val_loss",
        hyperparameters=space,
        tune_new_entries=False,
        directory=tmp_path,
    )
    search(tuner)
    actual = [trial.hyperparameters for trial in trials_of(tuner)]
    assert [hp.get("hidden_dim") for hp in actual] == [3, 5]
    assert {hp.get("learning_rate") for hp in actual} == {3e-4}


def test_best_model_can_be_saved_and_exported(elmo, tmp_path):
    hypermodel = run_eagerly(ElmoClassifierHyperModel(elmo, num_classes=2, fixed={"train": "all"}))
    tuner = keras_tuner.RandomSearch(
        hypermodel, objective="val_loss", max_trials=1, directory=tmp_path
    )
    search(tuner, y=[1, 0, 1, 0])
    model = tuner.get_best_models(1)[0]
    assert model.labels == ["0", "1"]
    expected = model.predict(TEXTS, verbose=0)

    model.save(tmp_path / "best.keras")
    reloaded = keras.models.load_model(tmp_path / "best.keras")
    reloaded.run_eagerly = True
    np.testing.assert_array_equal(reloaded.predict(TEXTS, verbose=0), expected)
    assert float(reloaded.optimizer.learning_rate) == float(model.optimizer.learning_rate)

    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(tmp_path / "saved").signatures["serving_default"]
    outputs = served(text=tf.constant(TEXTS))
    np.testing.assert_allclose(outputs["probabilities"], expected, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_source_is_read_once(elmo, tmp_path, monkeypatch):
    elmo_keras.checkpoints.save_hdf5(elmo, tmp_path / "source")
    calls, sources = [], []
    from_preset = ElmoLayer.from_preset

    def counting(source, **options):
        calls.append(options)
        sources.append(from_preset(source, **options))
        return sources[-1]

    monkeypatch.setattr(ElmoLayer, "from_preset", counting)
    hypermodel = run_eagerly(
        ElmoClassifierHyperModel(
            tmp_path / "source", 2, fixed={"train": "mixes"}, tokenizer="whitespace"
        )
    )
    models = []
    build = hypermodel.build
    hypermodel.build = lambda hp: models.append(build(hp)) or models[-1]
    tuner = keras_tuner.RandomSearch(
        hypermodel, objective="val_accuracy", max_trials=2, directory=tmp_path
    )
    search(tuner, y=[1, 0, 1, 0])
    tuner.get_best_models(1)
    assert calls == [{"tokenizer": "whitespace"}]
    assert len(models) == 4  # one of the tuner, two of the trials, the best one
    assert len({id(model.elmo) for model in models}) == 4
    for model in models:
        assert model.tokenizer.method == "whitespace"
        for part in ("token_encoder", "bilstm"):
            assert_same_weights(getattr(model.elmo, part), getattr(sources[0], part))


# === Errors ===


class Failing(keras.callbacks.Callback):
    """Lets every trial with a hidden layer fail.

    Args:
        failure: `"memory"`, `"loss"` or `"val_loss"`: running out of memory, or NaN in a loss.
    """

    def __init__(self, failure):
        super().__init__()
        self.failure = failure

    def on_train_begin(self, logs=None):
        if self.model.head.hidden_dim and self.failure == "memory":
            raise MemoryError("out of memory")
        if self.model.head.hidden_dim and self.failure == "loss":
            self.set_weights_to_nan()

    def on_train_batch_end(self, batch, logs=None):
        if self.model.head.hidden_dim and self.failure == "val_loss":
            self.set_weights_to_nan()

    def set_weights_to_nan(self):
        kernel = self.model.get_layer("hidden").kernel
        kernel.assign(np.full(kernel.shape, np.nan))


@pytest.mark.slow
@pytest.mark.parametrize(
    "failure, reason",
    [
        ("memory", "MemoryError: out of memory"),
        ("loss", "FailedTrialError: `loss` must be a finite number. Received: loss=nan"),
        ("val_loss", "FailedTrialError: `val_loss` must be a finite number."),
    ],
)
def test_failed_trial_is_reported(classifier, tmp_path, failure, reason):
    space = keras_tuner.HyperParameters()
    space.Choice("hidden_dim", [0, 3])
    tuner = keras_tuner.GridSearch(
        classifier,
        objective="val_accuracy",
        hyperparameters=space,
        tune_new_entries=False,
        directory=tmp_path,
    )
    with pytest.warns(RuntimeWarning, match=f"A trial failed. .*'hidden_dim': 3.*{reason}"):
        search(tuner, callbacks=[Failing(failure)])
    good, bad = trials_of(tuner)
    assert (good.status, bad.status) == ("COMPLETED", "FAILED")
    assert reason in bad.message
    assert not tuner.get_best_models(1)[0].head.hidden_dim


def test_max_consecutive_failed_trials(elmo, tmp_path):
    hypermodel = run_eagerly(ElmoClassifierHyperModel(elmo, 2, fixed={"hidden_dim": 3}))
    tuner = keras_tuner.RandomSearch(
        hypermodel,
        objective="val_loss",
        max_trials=5,
        max_consecutive_failed_trials=1,
        directory=tmp_path,
    )
    with pytest.warns(RuntimeWarning, match="out of memory"):
        with pytest.raises(RuntimeError, match="MemoryError: out of memory"):
            search(tuner, y=[0, 1, 0, 1], callbacks=[Failing("memory")])
    assert len(trials_of(tuner)) == 1


WRONG = ["positive", "negative", "positiv", "negative"]
DATASET = "dataset"


@pytest.mark.parametrize(
    "data, options, error, message",
    [
        ((TEXTS, WRONG), {}, ValueError, "Received: 'positiv' in sentence 2"),
        ((TEXTS, CLASSES[:3]), {}, ValueError, "4 sentences and 3 entries"),
        (DATASET, {}, ValueError, "Labels must be among"),
        ((TEXTS, CLASSES), {"epoch": 3}, TypeError, "epoch"),
        ((TEXTS, CLASSES), {"validation_data": None}, ValueError, "'val_loss' and metrics"),
    ],
)
def test_invalid_data_ends_the_search(classifier, tmp_path, data, options, error, message):
    if data == DATASET:
        data = (tf.data.Dataset.from_tensor_slices((TEXTS, WRONG)).batch(2),)
    tuner = keras_tuner.RandomSearch(
        classifier, objective="val_loss", max_trials=3, directory=tmp_path
    )
    options = {"validation_data": (TEXTS, CLASSES), "verbose": 0, **options}
    with pytest.raises(error, match=message) as caught:
        tuner.search(*data, **options)
    assert isinstance(caught.value, keras_tuner.errors.FatalError)
    assert len(trials_of(tuner)) == 1


def test_invalid_value_ends_the_search(elmo, tmp_path):
    hypermodel = ElmoClassifierHyperModel(elmo, 2, fixed={"pooling": "median"})
    with pytest.raises(ValueError, match="`pooling` must be one of"):
        keras_tuner.RandomSearch(hypermodel, objective="val_loss", directory=tmp_path)
