import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import elmo_keras
from elmo_keras import ElmoLayer
from elmo_keras.tuning import ElmoClassifierHyperModel, ElmoTaggerHyperModel

pytestmark = [
    # keras-tuner 1.4.8, in its `synchronized`.
    pytest.mark.filterwarnings(r"ignore:currentThread\(\) is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings(r"ignore:getName\(\) is deprecated:DeprecationWarning"),
    # scikit-learn, whose Gaussian process BayesianOptimization fits to few points.
    pytest.mark.filterwarnings("ignore:The optimal value found for dimension"),
]

TEXTS = ["A lovely film.", "Awful!", "I liked it.", "No, not again."]
CLASSES = ["positive", "negative", "positive", "negative"]
SENTENCES = [["A", "cat", "sat"], ["Cats", "sit"]]
TAGS = [["DET", "NOUN", "VERB"], ["NOUN", "VERB"]]


def make_elmo(**options):
    return ElmoLayer(
        elmo_keras.layers.CharCNN(
            char_embedding_dim=3, filters=[(1, 4)], num_highways=1, projection_dim=4
        ),
        elmo_keras.layers.BiLSTMStack(num_layers=1, units=5, projection_dim=4),
        **options,
    )


@pytest.fixture(scope="module")
def elmo():
    layer = make_elmo(name="elmo")
    layer(["Build."])
    layer.scalar_mixes[0].gamma.assign(2.0)
    return layer


@pytest.fixture
def classifier(elmo):
    return run_eagerly(ElmoClassifierHyperModel(elmo, labels=["negative", "positive"]))


def run_eagerly(hypermodel):
    """Toys train faster than they are traced."""
    build = hypermodel.build

    def build_eager(hp):
        model = build(hp)
        model.run_eagerly = True
        return model

    hypermodel.build = build_eager
    return hypermodel


def search(tuner, x=TEXTS, y=CLASSES, **options):
    options = {"validation_data": (x, y), "epochs": 1, "verbose": 0, **options}
    tuner.search(x, y, **options)


def trials_of(tuner):
    return [tuner.oracle.trials[key] for key in tuner.oracle.start_order]


def values(**given):
    """HyperParameters that have values before a model is built."""
    hp = keras_tuner.HyperParameters()
    hp.values.update(given)
    return hp


# === Search ===


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


class Steps(keras.callbacks.Callback):
    """Records how many steps the optimizer has made when a trial starts."""

    steps = []

    def on_train_begin(self, logs=None):
        self.steps.append(int(self.model.optimizer.iterations))


@pytest.mark.slow
def test_hyperband_goes_on_where_a_trial_stopped(classifier, tmp_path):
    # Two trials of one epoch, the better one goes on to a second; then two of two epochs.
    tuner = keras_tuner.Hyperband(
        classifier, objective="val_accuracy", directory=tmp_path, max_epochs=2, factor=2
    )
    Steps.steps.clear()
    search(tuner, callbacks=[Steps()])
    trials = trials_of(tuner)
    assert {trial.status for trial in trials} == {"COMPLETED"}
    first = [trial.hyperparameters.values["tuner/initial_epoch"] for trial in trials]
    assert first == Steps.steps == [0, 0, 1, 0, 0]  # an epoch is a step
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


def test_best_model_is_whole(elmo, tmp_path):
    hypermodel = ElmoClassifierHyperModel(elmo, num_classes=2, fixed={"train": "all"})
    tuner = keras_tuner.RandomSearch(
        hypermodel, objective="val_loss", max_trials=1, directory=tmp_path
    )
    search(tuner, y=[1, 0, 1, 0])
    model = tuner.get_best_models(1)[0]
    assert model.labels == ["0", "1"]
    expected = model.predict(TEXTS, verbose=0)

    model.save(tmp_path / "best.keras")
    reloaded = keras.models.load_model(tmp_path / "best.keras")
    np.testing.assert_array_equal(reloaded.predict(TEXTS, verbose=0), expected)
    assert float(reloaded.optimizer.learning_rate) == float(model.optimizer.learning_rate)

    model.export(tmp_path / "saved", verbose=False)
    served = tf.saved_model.load(tmp_path / "saved").signatures["serving_default"]
    outputs = served(text=tf.constant(TEXTS))
    np.testing.assert_allclose(outputs["probabilities"], expected, rtol=0, atol=1e-6)


def test_frozen_parts_stay_frozen(classifier):
    model = classifier.build(values(train="mixes"))
    reloaded = type(model).from_config(model.get_config())
    assert paths(reloaded.trainable_variables) == paths(model.trainable_variables)


def paths(variables):
    return [variable.path.split("/", 1)[1] for variable in variables]


# === Source ===


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
    assert len(models) == 4  # the tuner's own, two trials, the best
    assert len({id(model.elmo) for model in models}) == 4
    for model in models:
        assert model.tokenizer.method == "whitespace"
        for part in ("token_encoder", "bilstm"):
            check_same_weights(getattr(model.elmo, part), getattr(sources[0], part))


def check_same_weights(layer, expected):
    assert len(layer.weights) == len(expected.weights) > 0
    for ours, theirs in zip(layer.get_weights(), expected.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


def test_layer_as_source_is_copied(classifier, elmo):
    before = elmo.get_weights()
    model = classifier.build(values(train="all"))
    assert model.elmo is not elmo
    check_same_weights(model.elmo.bilstm, elmo.bilstm)
    assert float(model.elmo.scalar_mixes[0].gamma) == 1.0  # new, not the source's
    model.fit(TEXTS, CLASSES, verbose=0)
    for now, then in zip(elmo.get_weights(), before):
        np.testing.assert_array_equal(now, then)
    assert np.any(model.elmo.bilstm.get_weights()[0] != elmo.bilstm.get_weights()[0])


def test_layer_that_is_not_built():
    source = make_elmo(trainable=False)
    model = ElmoTaggerHyperModel(source, num_labels=3).build(values())
    check_same_weights(model.elmo.token_encoder, source.token_encoder)
    assert model.elmo.trainable
    assert len(model.elmo.scalar_mixes[0].trainable_weights) == 2


def test_warm_state_stays():
    source = make_elmo(state="warm")
    source.warm_up(["Some sentences.", "Of the text to come."])
    model = ElmoTaggerHyperModel(source, num_labels=3).build(values())
    assert model.elmo.state == "warm"
    check_same_weights(model.elmo.lstm_states, source.lstm_states)
    assert np.any(model.elmo.lstm_states.hidden)


# === Space ===


def test_defaults_are_those_of_the_models(classifier, elmo):
    hp = keras_tuner.HyperParameters()
    model = classifier.build(hp)
    default = elmo_keras.ElmoTextClassifier(make_elmo(), labels=["negative", "positive"])
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
        values(
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
    model = ElmoTaggerHyperModel(source, num_labels=3).build(values(train=train))
    trained = {id(variable) for variable in model.trainable_variables}
    parts = model.elmo.token_encoder, model.elmo.bilstm, model.elmo.scalar_mixes[0]
    for part, expected in zip(parts, (token_encoder, bilstm, True)):
        assert {id(variable) in trained for variable in part.weights} == {expected}


def test_fixed(elmo):
    fixed = {"hidden_dim": 7, "layer_norm": "bilm-tf", "batch_size": 3}
    hypermodel = run_eagerly(ElmoClassifierHyperModel(elmo, num_classes=2, fixed=fixed))
    hp = keras_tuner.HyperParameters()
    model = hypermodel.build(hp)
    assert (model.head.hidden_dim, model.elmo.layer_norm) == (7, "bilm-tf")
    hypermodel.fit(hp, model, TEXTS, [0, 1, 0, 1], verbose=0)
    assert int(model.optimizer.iterations) == 2  # batches, of 3 and of 1
    assert {name: hp.get(name) for name in fixed} == fixed
    assert {p.name for p in hp.space if type(p).__name__ == "Fixed"} == set(fixed)


def test_ranges_of_the_tuner_go_first(classifier, tmp_path):
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
    found = [trial.hyperparameters for trial in trials_of(tuner)]
    assert [hp.get("hidden_dim") for hp in found] == [3, 5]
    assert {hp.get("learning_rate") for hp in found} == {1e-3}


def test_layers_without_a_mix_have_no_options_of_it():
    source = make_elmo(output="top")
    hypermodel = ElmoTaggerHyperModel(source, num_labels=3)
    assert not {"layer_norm", "mix_regularizer"} & set(hypermodel.space)
    assert hypermodel.build(values(dropout=0.1)).elmo.output_choice == "top"
    with pytest.raises(ValueError, match="names out of .*'layer_norm'"):
        ElmoTaggerHyperModel(source, num_labels=3, fixed={"layer_norm": True})


def make_dataset(y=CLASSES):
    return tf.data.Dataset.from_tensor_slices((TEXTS, y)).batch(2)


@pytest.mark.parametrize(
    "arguments, options, batches",
    [
        ((TEXTS, CLASSES), {}, 1),
        ((), {"x": TEXTS, "y": CLASSES}, 1),
        ((TEXTS, CLASSES), {"batch_size": 1}, 4),
        ((TEXTS, CLASSES, 1), {}, 4),
        ((make_dataset(),), {}, 2),
    ],
)
def test_batch_size_is_searched_where_it_acts(classifier, arguments, options, batches):
    hp = keras_tuner.HyperParameters()
    model = classifier.build(hp)
    history = classifier.fit(hp, model, *arguments, verbose=0, **options)
    assert len(history.history["loss"]) == 1
    assert int(model.optimizer.iterations) == batches
    assert ("batch_size" in hp) == (batches == 1)


# === Failures ===


class Failing(keras.callbacks.Callback):
    """What may happen to a trial with a hidden layer."""

    def __init__(self, failure):
        super().__init__()
        self.failure = failure

    def on_train_begin(self, logs=None):
        if self.model.head.hidden_dim and self.failure == "memory":
            raise MemoryError("out of memory")
        if self.model.head.hidden_dim and self.failure == "loss":
            self.lose_numbers()

    def on_train_batch_end(self, batch, logs=None):
        if self.model.head.hidden_dim and self.failure == "val_loss":
            self.lose_numbers()

    def lose_numbers(self):
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
def test_failed_trial_shows_its_reason(classifier, tmp_path, failure, reason):
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


def test_last_failure_is_what_the_tuner_raises(elmo, tmp_path):
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


@pytest.mark.parametrize(
    "arguments, options, error, message",
    [
        ((TEXTS, WRONG), {}, ValueError, "Received: 'positiv' in sentence 2"),
        ((TEXTS, CLASSES[:3]), {}, ValueError, "4 sentences and 3 entries"),
        ((make_dataset(WRONG),), {}, ValueError, "Labels must be among"),
        ((TEXTS, CLASSES), {"epoch": 3}, TypeError, "epoch"),
        ((TEXTS, CLASSES), {"validation_data": None}, ValueError, "'val_loss' and metrics"),
    ],
)
def test_bad_data_ends_the_search(classifier, tmp_path, arguments, options, error, message):
    tuner = keras_tuner.RandomSearch(
        classifier, objective="val_loss", max_trials=3, directory=tmp_path
    )
    options = {"validation_data": (TEXTS, CLASSES), "verbose": 0, **options}
    with pytest.raises(error, match=message) as caught:
        tuner.search(*arguments, **options)
    assert isinstance(caught.value, keras_tuner.errors.FatalError)
    assert len(trials_of(tuner)) == 1


def test_values_that_a_model_refuses(elmo, tmp_path):
    hypermodel = ElmoClassifierHyperModel(elmo, 2, fixed={"pooling": "median"})
    with pytest.raises(ValueError, match="`pooling` must be one of"):
        keras_tuner.RandomSearch(hypermodel, objective="val_loss", directory=tmp_path)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "`labels` must be a list of names, or `num_classes`"),
        ({"num_classes": 1}, "Received: labels=None, num_classes=1"),
        ({"num_classes": ["a", "b"]}, "`num_classes` an int"),
        ({"num_classes": 3, "labels": ["a", "b"]}, "num_classes=3 and 2 labels"),
        ({"labels": ["a", "a"]}, "two different names"),
        ({"num_classes": 2, "fixed": {"units": 3}}, "names out of .*Received: 'units'"),
        ({"num_classes": 2, "fixed": {"hidden_dim": None}}, "0 stands for no hidden layer"),
        ({"num_classes": 2, "fixed": {"train": "lstm"}}, "`train` must be one of"),
        ({"num_classes": 2, "output": "top"}, "Options are for a source that is read"),
        ({"num_classes": 2, "trainable": False}, "`trainable` is searched"),
    ],
)
def test_wrong_arguments(elmo, arguments, message):
    with pytest.raises(ValueError, match=message):
        ElmoClassifierHyperModel(elmo, **arguments)


def test_tagger_names_its_own_argument(elmo):
    with pytest.raises(ValueError, match="`num_labels`"):
        ElmoTaggerHyperModel(elmo)
