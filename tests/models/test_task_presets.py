"""Presets of task models."""

import json

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras.files import atomic_write, safe_hdf5
from elmo_keras.models import DenseHead, ElmoTagger, ElmoTextClassifier
from elmo_keras.presets import native_format
from tests.models.check_task import needs_strings, toy_elmo
from tests.models.second_parts import SENTENCES, TASKS, answers, make


@needs_strings
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", TASKS)
def test_a_trained_task_comes_back_from_its_preset(name, dtype, tmp_path):
    cls, labels, y = TASKS[name]
    model = make(name, toy_elmo(state="warm", name="elmo"), hidden_dim=3, name="mine")
    model.backbone.warm_up(SENTENCES[:2])
    model.fit(SENTENCES, y, epochs=1, verbose=0)
    model.save_to_preset(tmp_path, dtype=dtype)
    loaded = cls.from_preset(tmp_path)
    assert loaded.get_config() == model.get_config()
    tolerance = 0 if dtype == "float32" else 2e-3
    for actual, expected in zip(loaded.get_weights(), model.get_weights()):
        np.testing.assert_allclose(actual, expected, atol=tolerance)
    assert loaded.compiled and answers(name, loaded) == answers(name, model)

    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path)
    for actual, expected in zip(elmo.get_weights(), model.backbone.get_weights()):
        np.testing.assert_allclose(actual, expected, atol=tolerance)
    other = cls.from_preset(tmp_path, labels=["x", "y", "z"], hidden_dim=7, trainable=False)
    assert other.labels == ["x", "y", "z"] and not other.backbone.trainable_weights
    assert cls.from_preset(tmp_path, name="other", dropout=0.5).backbone.dropout == 0.5


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """A directory with the preset `task` of a classifier and the preset `layer` of its encoder."""
    directory = tmp_path_factory.mktemp("presets")
    model = make("classifier", toy_elmo())
    model.save_to_preset(directory / "task")
    model.backbone.save_to_preset(directory / "layer")
    return directory


@needs_strings
@pytest.mark.parametrize(
    "cls, source, options, message",
    [
        (ElmoTagger, "task", {}, "trained ElmoTagger.*holds the model .*>ElmoTextClassifier"),
        (ElmoTextClassifier, "layer", {}, "must name the labels.*holds no task model"),
        (ElmoTextClassifier, "task", {"hidden_dim": 3}, "Arguments of the head.*hidden_dim=3"),
        (ElmoTextClassifier, "task", {"hiden_dim": 3}, "Did you mean hidden_dim"),
    ],
    ids=["another class", "no task", "another head", "misspelt"],
)
def test_wrong_arguments_are_named(presets, cls, source, options, message):
    with pytest.raises(ValueError, match=message):
        cls.from_preset(presets / source, **options)


@needs_strings
def test_the_preset_of_a_layer_replaces_the_head(tmp_path):
    model = make("classifier", toy_elmo())
    model.save_to_preset(tmp_path)
    model.backbone.save_to_preset(tmp_path)
    with pytest.raises(ValueError, match="holds no task model"):
        ElmoTextClassifier.from_preset(tmp_path)


def head_config(hidden_dim):
    return keras.saving.serialize_keras_object(DenseHead(hidden_dim))


def damage(directory, change):
    """Changes the task model of a preset, and writes matching digests."""
    content = json.loads((directory / "task.json").read_text())
    with safe_hdf5.open_datasets(directory / "task.weights.h5") as stored:
        arrays = {name: array.read() for name, array in stored.items()}
    change(content, arrays)
    contents = {
        native_format.TASK: atomic_write.text_content(json.dumps(content)),
        native_format.TASK_WEIGHTS: safe_hdf5.hdf5_content(arrays),
    }
    elmo = elmo_keras.ElmoLayer.from_preset(directory)
    native_format.save_preset(elmo, directory, more=contents)


@needs_strings
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c, a: c.update(registered_name="keras>Dense"), "holds the model keras>Dense"),
        (lambda c, a: c.update(registered_name=7), "registered_name must be"),
        (lambda c, a: c["config"].update(hidden_dim=2**31 - 1), "hidden_dim must be at most"),
        (lambda c, a: c["config"].update(hidden_dim=1e300), "hidden_dim must be at most"),
        (lambda c, a: c["config"].update(head=head_config(3e6)), "head.config.hidden_dim must be"),
        (lambda c, a: c["config"].update(labels=7), "task.json must be the config of"),
        (lambda c, a: c["config"].update(nothing=7), "task.json must be the config of"),
        (lambda c, a: c["config"].update(head={"class_name": "x"}), "task.json must be the config"),
        (lambda c, a: c["config"].update(labels=["a", "b", "c"]), "wrong shape"),
        (lambda c, a: a.update({"9/x": np.ones(2, "float32")}), "not used: 9/x"),
        (lambda c, a: a.pop(next(iter(a))), "missing: "),
        (lambda c, a: a.update({k: v[:1] for k, v in a.items()}), "wrong shape"),
        (lambda c, a: a.update({k: v * np.nan for k, v in a.items()}), "must be finite"),
    ],
    ids=range(13),
)
def test_a_damaged_task_preset_is_refused(change, message, tmp_path):
    make("classifier", toy_elmo(), hidden_dim=3).save_to_preset(tmp_path)
    damage(tmp_path, change)
    with pytest.raises(ValueError, match=message) as caught:
        ElmoTextClassifier.from_preset(tmp_path)
    assert str(tmp_path) in str(caught.value)


@needs_strings
@pytest.mark.parametrize("file", ["task.json", "task.weights.h5"])
def test_a_task_preset_without_a_file_is_refused(file, tmp_path):
    make("classifier", toy_elmo()).save_to_preset(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(ValueError, match=file):
        ElmoTextClassifier.from_preset(tmp_path)
