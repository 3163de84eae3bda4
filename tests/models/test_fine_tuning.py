"""Fine-tuning in two phases: the head first, then the whole model."""

import re

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import ElmoTagger, ElmoTextClassifier
from elmo_keras.models import fine_tuning
from tests.models.check_task import LENGTHS, TOKENS, char_ids, toy_elmo
from tests.models.check_task.task import HAS_STRINGS
from tests.models.second_parts import SENTENCES, TASKS, make
from tests.small_models import IS_TENSORFLOW

X = TOKENS if HAS_STRINGS else char_ids()
LABELS = ["negative", "positive"]
CLASSES = [0, 1, 1, 0, 1]
TAGS = [[index % 2 for index in range(length)] for length in LENGTHS]
TASK_LABELS = {ElmoTextClassifier: CLASSES, ElmoTagger: TAGS}


def build(cls=ElmoTextClassifier, seed=0, rate=0.01, **options):
    keras.utils.set_random_seed(seed)
    model = cls(toy_elmo(**options), LABELS, head_dropout=0.0)
    model.compile(keras.optimizers.Adam(rate))
    model.run_eagerly = IS_TENSORFLOW
    return model


def fit(model, **options):
    y = TASK_LABELS[type(model)]
    return model.fit(X, y, **{"verbose": 0, "shuffle": False, "batch_size": 2} | options)


def weights(part):
    return [np.array(weight) for weight in part.get_weights()]


def assert_equal(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def is_changed(actual, expected):
    return [bool(np.any(one != other)) for one, other in zip(actual, expected, strict=True)]


class Recorder(keras.callbacks.Callback):
    """Records the calls, and the model's state after each epoch."""

    def __init__(self):
        super().__init__()
        self.calls, self.weights, self.rates, self.numbers = [], [], [], []

    def on_train_begin(self, logs=None):
        self.calls.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.numbers.append(len(self.model.trainable_variables))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(epoch)
        self.weights.append({name: weights(part) for name, part in parts(self.model).items()})
        self.rates.append(float(self.model.optimizer.learning_rate))

    def on_train_end(self, logs=None):
        self.calls.append("end")
        assert logs


def parts(model):
    backbone = model.backbone
    return {
        "token_encoder": backbone.token_encoder,
        "bilstm": backbone.bilstm,
        "mix": backbone.scalar_mixes[0],
        "head": model.layers[-1] if model.layers[-1].weights else model.get_layer("softmax"),
    }


class Stop(keras.callbacks.Callback):
    """Ends the training after an epoch: by an error, or as EarlyStopping does."""

    def __init__(self, epoch, error=None):
        super().__init__()
        self.epoch, self.error = epoch, error

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            if self.error:
                raise self.error
            self.model.stop_training = True


# === Phases ===


@pytest.mark.parametrize("cls", TASK_LABELS)
def test_phases(cls):
    """First the head and the mix change, then everything; callbacks see one training."""
    model = build(cls)
    compiled, before = model.optimizer, {k: weights(part) for k, part in parts(model).items()}
    recorder = Recorder()
    history = fit(model, epochs=3, frozen_epochs=2, callbacks=[recorder])
    assert recorder.calls == ["begin", 0, 1, 2, "end"]
    assert recorder.params["epochs"] == 3 and recorder.params["steps"] == 3
    assert history is model.history
    assert history.epoch == [0, 1, 2] and len(history.history["loss"]) == 3
    for state in recorder.weights[:2]:
        assert_equal(state["token_encoder"], before["token_encoder"])
        assert_equal(state["bilstm"], before["bilstm"])
        assert all(is_changed(state["mix"], before["mix"]))
        assert all(is_changed(state["head"], before["head"]))
    for name in before:
        assert all(is_changed(recorder.weights[2][name], recorder.weights[1][name])), name
    assert recorder.numbers == [4, 4, len(model.weights)]
    np.testing.assert_allclose(recorder.rates, [0.1, 0.1, 0.01], rtol=1e-6)
    assert model.optimizer is compiled and int(compiled.iterations) == 3
    assert len(model.trainable_variables) == len(model.weights)


@pytest.mark.parametrize("run_eagerly", [False, True])
def test_the_phases_of_plain_keras_are_the_same(run_eagerly):
    model = build()
    model.run_eagerly = run_eagerly
    fit(model, epochs=4, frozen_epochs=2)

    other = build()
    for part in (other.backbone.token_encoder, other.backbone.bilstm):
        part.trainable = False
    other.compile(keras.optimizers.Adam(0.1), run_eagerly=run_eagerly)
    fit(other, epochs=2)
    for part in (other.backbone.token_encoder, other.backbone.bilstm):
        part.trainable = True
    other.compile(keras.optimizers.Adam(0.01), run_eagerly=run_eagerly)
    fit(other, epochs=2)
    for one, expected in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(one, expected, atol=1e-6)


def test_a_number_of_epochs_is_keras_own_fit(monkeypatch):
    monkeypatch.setattr(fine_tuning, "fit", None)
    model = build()
    history = fit(model, epochs=2, validation_data=(X, CLASSES))
    assert history.epoch == [0, 1]
    assert int(model.optimizer.iterations) == 6


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_flags_and_optimizer_after_an_error(error):
    model = build()
    model.backbone.token_encoder.trainable = False
    compiled, flags = model.optimizer, [weight.trainable for weight in model.weights]
    with pytest.raises(error):
        fit(model, epochs=3, frozen_epochs=2, callbacks=[Stop(0, error)])
    assert [weight.trainable for weight in model.weights] == flags
    assert model.optimizer is compiled and int(compiled.iterations) == 0
    before = weights(model.backbone.token_encoder), weights(model.backbone.bilstm)
    fit(model, epochs=1)
    assert_equal(weights(model.backbone.token_encoder), before[0])
    assert all(is_changed(weights(model.backbone.bilstm), before[1]))


def test_flags_of_the_user():
    """Weights that the user has frozen stay frozen in both phases."""
    model = build(trainable=False)
    before = weights(model.backbone)
    fit(model, epochs=3, frozen_epochs=2)
    assert_equal(weights(model.backbone), before)
    assert not model.backbone.trainable_variables and len(model.trainable_variables) == 2


def test_a_callback_that_stops_ends_both_phases():
    model, recorder = build(), Recorder()
    fit(model, epochs=5, frozen_epochs=3, callbacks=[Stop(1), recorder])
    assert recorder.calls == ["begin", 0, 1, "end"]
    assert len(model.trainable_variables) == len(model.weights)
    recorder = Recorder()
    fit(model, epochs=5, frozen_epochs=1, callbacks=[Stop(2), recorder])
    assert recorder.calls == ["begin", 0, 1, 2, "end"]


# === Files ===


@pytest.mark.parametrize("epochs_done", [2, 3])
def test_a_resumed_training_is_the_same(epochs_done, tmp_path):
    """From a file that was saved at the end of the first phase, or in the second."""
    expected = build()
    fit(expected, epochs=4, frozen_epochs=2)
    model = build()
    fit(model, epochs=epochs_done, frozen_epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = IS_TENSORFLOW
    history = fit(loaded, epochs=4, frozen_epochs=2, initial_epoch=epochs_done)
    assert history.epoch == list(range(epochs_done, 4))
    assert_equal(weights(loaded), weights(expected))


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_a_file_of_the_first_phase_holds_the_flags_of_the_user(tmp_path):
    model = build()
    path = tmp_path / "{epoch}.keras"
    fit(model, epochs=2, frozen_epochs=1, callbacks=[keras.callbacks.ModelCheckpoint(path)])
    loaded = keras.saving.load_model(tmp_path / "1.keras")
    assert len(loaded.trainable_variables) == len(loaded.weights)
    loaded.run_eagerly = IS_TENSORFLOW
    fit(loaded, epochs=2, frozen_epochs=1, initial_epoch=1)
    for actual, expected in zip(weights(loaded), weights(model), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_a_backup_is_restored(tmp_path):
    """Keras' BackupAndRestore continues in the second phase, with the optimizer's state."""
    expected = build()
    fit(expected, epochs=4, frozen_epochs=1)
    model = build()
    with pytest.raises(KeyboardInterrupt):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        fit(model, epochs=4, frozen_epochs=1, callbacks=[backup, Stop(2, KeyboardInterrupt)])
    resumed = build(seed=1)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    history = fit(resumed, epochs=4, frozen_epochs=1, callbacks=[backup])
    assert history.epoch == [3]
    assert_equal(weights(resumed), weights(expected))


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_a_backup_of_the_first_phase_is_restored(tmp_path):
    """The phases keep their epochs."""
    model = build()
    with pytest.raises(KeyboardInterrupt):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        fit(model, epochs=4, frozen_epochs=3, callbacks=[backup, Stop(1, KeyboardInterrupt)])
    resumed, recorder = build(seed=1), Recorder()
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    history = fit(resumed, epochs=4, frozen_epochs=3, callbacks=[backup, recorder])
    assert history.epoch == [2, 3]
    assert recorder.numbers[0] < recorder.numbers[1] == len(resumed.trainable_variables)
    assert fit(resumed, epochs=1, frozen_epochs=0).epoch == [0]


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def test_a_file_of_the_first_phase_has_not_its_rate(tmp_path):
    """The state of SGD has the same number of variables in both phases."""
    model = build()
    model.compile(keras.optimizers.SGD(0.01), run_eagerly=IS_TENSORFLOW)
    path = tmp_path / "{epoch}.keras"
    fit(model, epochs=1, frozen_epochs=1, callbacks=[keras.callbacks.ModelCheckpoint(path)])
    loaded = keras.saving.load_model(tmp_path / "1.keras")
    assert float(loaded.optimizer.learning_rate) == pytest.approx(0.01)


# === Automatic epochs ===


@pytest.mark.parametrize(
    "epochs, frozen_epochs, num_batches, expected",
    [
        ("auto", "auto", 1, (20, 40)),
        ("auto", "auto", 4, (20, 35)),
        ("auto", "auto", 32, (7, 12)),
        ("auto", "auto", 217, (3, 5)),
        ("auto", "auto", 100_000, (2, 4)),
        ("auto", "auto", None, (2, 4)),
        ("auto", 0, 32, (0, 5)),
        ("auto", 3, 32, (3, 8)),
        (5, "auto", 60, (0, 5)),
        (5, 5, None, (5, 5)),
        (0, 0, 1, (0, 0)),
    ],
)
def test_plan_epochs(epochs, frozen_epochs, num_batches, expected):
    assert fine_tuning.plan_epochs(epochs, frozen_epochs, num_batches) == expected


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"epochs": "all"},
            "`epochs` must be an int of at least 0 or 'auto'. Received: epochs='all'",
        ),
        ({"frozen_epochs": -1}, "Received: frozen_epochs=-1"),
        ({"epochs": 2, "frozen_epochs": 3}, "Received: frozen_epochs=3, epochs=2"),
    ],
)
def test_bad_epochs(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        fit(build(), **options)


@pytest.fixture
def short_phases(monkeypatch):
    monkeypatch.setattr(fine_tuning, "_EPOCH_FACTORS", (6, 6))


def test_the_best_weights_are_kept(short_phases):
    """By the accuracy on the validation data, and by the loss where accuracies are equal."""
    held_out = X[::-1], CLASSES
    model = build(rate=0.1)
    recorder = Recorder()
    history = fit(model, validation_data=held_out, callbacks=[recorder]).history
    scores = list(zip(history["val_accuracy"], -np.array(history["val_loss"])))
    assert len(scores) == 6
    best = max(range(6), key=lambda epoch: scores[epoch])
    for name, part in parts(model).items():
        assert_equal(weights(part), recorder.weights[best][name])
    result = model.evaluate(*held_out, return_dict=True, verbose=0)
    assert result["accuracy"] == pytest.approx(history["val_accuracy"][best])

    model.compile(keras.optimizers.Adam(0.1), metrics=[], run_eagerly=IS_TENSORFLOW)
    history = fit(model, validation_data=held_out).history
    loss = model.evaluate(*held_out, return_dict=True, verbose=0)["loss"]
    assert loss == pytest.approx(min(history["val_loss"]), rel=1e-5)


def test_the_second_phase_starts_at_the_best_weights(short_phases):
    model, recorder = build(), Recorder()
    scores = iter([0.1, 0.9, 0.2, 0.3, 0.3, 0.3])
    start = {}

    class Scores(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            start[epoch] = {name: weights(part) for name, part in parts(self.model).items()}

    best = fine_tuning.BestWeights.on_epoch_end

    def on_epoch_end(self, epoch, logs=None):
        best(self, epoch, {"val_accuracy": next(scores), "val_loss": 1.0})

    fine_tuning.BestWeights.on_epoch_end = on_epoch_end
    try:
        fit(model, callbacks=[recorder, Scores()])
    finally:
        fine_tuning.BestWeights.on_epoch_end = best
    for name, part in parts(model).items():
        assert_equal(start[3][name], recorder.weights[1][name])
        assert_equal(weights(part), recorder.weights[1][name])


def test_without_validation_data_the_last_weights_are_kept(short_phases):
    model, recorder = build(), Recorder()
    fit(model, callbacks=[recorder])
    assert recorder.calls == ["begin", *range(6), "end"]
    for name, part in parts(model).items():
        assert_equal(weights(part), recorder.weights[-1][name])


def test_an_epoch_of_nan_is_not_the_best():
    best = fine_tuning.BestWeights()
    best.set_model(build())
    kernel = best.model.layers[-1].weights[0]
    for epoch, loss in enumerate([float("nan"), 2.0, 3.0]):
        kernel.assign(keras.ops.full(kernel.shape, float(epoch)))
        best.on_epoch_end(epoch, {"val_loss": loss})
    best.restore()
    np.testing.assert_array_equal(np.array(kernel), 1.0)


# === Forms of arguments ===


def test_other_optimizers():
    """A loss scale, and a schedule, which has no factor for the first phase."""
    model, recorder = build(dtype="mixed_float16"), Recorder()
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    fit(model, epochs=2, frozen_epochs=1, callbacks=[recorder])
    np.testing.assert_allclose(recorder.rates, [0.1, 0.01], rtol=1e-6)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    model, recorder = build(), Recorder()
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 3, 0.5, staircase=True)
    model.compile(keras.optimizers.SGD(schedule), run_eagerly=IS_TENSORFLOW)
    fit(model, epochs=2, frozen_epochs=1, callbacks=[recorder])
    np.testing.assert_allclose(recorder.rates, [0.005, 0.005], rtol=1e-6)


def test_callbacks_in_a_list_of_keras():
    model, recorder = build(), Recorder()
    callbacks = keras.callbacks.CallbackList([recorder], add_history=True, model=model)
    history = fit(model, epochs=2, frozen_epochs=1, callbacks=callbacks)
    assert recorder.calls == ["begin", 0, 1, "end"] and history.epoch == [0, 1]
    callback = Recorder()
    assert fit(model, epochs=2, frozen_epochs=1, callbacks=callback).epoch == [0, 1]
    assert callback.calls == recorder.calls


def test_the_progress_bar_counts_both_phases(capsys):
    fit(build(), epochs=2, frozen_epochs=1, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]


def test_without_a_preprocessor(short_phases):
    model = build()
    model.preprocessor = None
    recorder = Recorder()
    y = np.array(CLASSES)
    x = elmo_keras.text.pad(TOKENS) if IS_TENSORFLOW else char_ids()
    model.fit(x, y, batch_size=2, verbose=0, callbacks=[recorder])
    assert recorder.calls == ["begin", *range(6), "end"]
    model.fit(x, y, epochs=2, frozen_epochs=1, steps_per_epoch=1, verbose=0)
    assert len(model.trainable_variables) == len(model.weights)


@pytest.mark.skipif(not IS_TENSORFLOW, reason="tf.data")
# Keras warns of every end of a dataset of unknown length.
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_a_dataset():
    import tensorflow as tf

    model = build()
    dataset = tf.data.Dataset.from_tensor_slices((elmo_keras.text.pad(TOKENS), CLASSES)).batch(2)
    assert fine_tuning.count_batches(dataset, None, None) == 3
    assert fine_tuning.count_batches(dataset.repeat(), None, None) is None
    assert fine_tuning.count_batches(dataset.repeat(), None, 7) == 7
    unknown = dataset.filter(lambda x, y: True)
    assert fine_tuning.count_batches(unknown, None, None) is None
    assert model.fit(unknown, verbose=0).epoch == [0, 1, 2, 3]


@pytest.mark.parametrize("name", TASKS)
def test_another_encoder(name):
    """An encoder without a mix: the head alone is trained in the first phase."""
    model = make(name)
    model.compile(keras.optimizers.Adam(0.1), run_eagerly=IS_TENSORFLOW)
    before = weights(model.backbone)
    if not IS_TENSORFLOW:
        pytest.skip("its words are strings")
    model.fit(SENTENCES, TASKS[name][2], epochs=1, frozen_epochs=1, verbose=0)
    assert_equal(weights(model.backbone), before)
    model.fit(SENTENCES, TASKS[name][2], epochs=1, verbose=0)
    assert is_changed(weights(model.backbone), before) == [True]


@pytest.mark.skipif(not IS_TENSORFLOW, reason="tf.distribute is TensorFlow's")
@pytest.mark.parametrize("inside", [True, False])
def test_under_a_strategy(inside):
    import contextlib

    import tensorflow as tf

    # Adam would enlarge rounding errors of gradients that are nearly 0.
    expected = build()
    expected.compile(keras.optimizers.SGD(0.01))
    fit(expected, epochs=2, frozen_epochs=1)
    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with strategy.scope():
        model = build()
        model.compile(keras.optimizers.SGD(0.01))
    with strategy.scope() if inside else contextlib.nullcontext():
        fit(model, epochs=2, frozen_epochs=1)
    for actual, other in zip(weights(model), weights(expected), strict=True):
        np.testing.assert_allclose(actual, other, atol=1e-5)


def test_validation_split(short_phases):
    # The batches of the training part alone are counted: two of them, so that 6 / sqrt(2) epochs
    # are 4.
    history = fit(build(), validation_split=0.4).history
    assert len(history["val_loss"]) == len(history["loss"]) == 8
