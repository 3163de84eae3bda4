"""Checks of configs, files, clones and presets."""

import json
import pathlib
import re
import warnings

import keras
import numpy as np
import pandas as pd
import pytest

import elmo_keras
from elmo_keras.models import saving
from tests import small_models
from tests.models.check_task.task import char_ids, toy_elmo
from tests.small_models import IS_TENSORFLOW


def check_config(task, tmp_path):
    """The config is JSON, complete, and stays itself."""
    model = task.model
    as_json = json.dumps(model.get_config())
    again = task.cls.from_config(json.loads(as_json))
    assert json.dumps(again.get_config()) == as_json
    assert again.labels == task.labels
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    assert sorted(k for k in vars(again) if k[0] != "_") == sorted(
        k for k in vars(task.make()) if k[0] != "_"
    )
    name = f"elmo_keras>{task.cls.__name__}"
    assert keras.saving.get_registered_name(task.cls) == name
    frozen = task.make()
    frozen.trainable = False
    assert task.cls.from_config(frozen.get_config()).trainable_weights == []


def check_training_and_saving(task, tmp_path):
    """Every weight trains; a file brings back model, optimizer and all."""
    model = task.make()
    before = [np.array(w) for w in model.trainable_weights]
    task.fit(task.x, task.y, model=model, learning_rate=0.01)
    for weight, old in zip(model.trainable_weights, before):
        assert np.abs(np.array(weight) - old).max() > 0, weight.path
    assert len(model.trainable_weights) == len(model.weights)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = IS_TENSORFLOW
    assert type(loaded) is task.cls
    assert loaded.get_config() == model.get_config()
    assert loaded.compiled
    np.testing.assert_allclose(task.predict(model=loaded), task.predict(model=model), atol=1e-6)
    np.testing.assert_allclose(
        task.evaluate(task.x, task.y, model=loaded),
        task.evaluate(task.x, task.y, model=model),
        atol=1e-6,
    )
    # The optimizer goes on where it stopped.
    assert [v.path for v in loaded.optimizer.variables] == [
        v.path for v in model.optimizer.variables
    ]
    for new, old in zip(loaded.optimizer.variables, model.optimizer.variables):
        np.testing.assert_array_equal(np.array(new), np.array(old))
    # What the user compiled it with, too.
    task.model.save(tmp_path / "model.keras")
    optimizer = keras.saving.load_model(tmp_path / "model.keras").optimizer
    assert isinstance(optimizer, keras.optimizers.SGD)

    weights = model.get_weights()
    model.save_weights(tmp_path / "model.weights.h5")
    model.set_weights([np.zeros_like(weight) for weight in weights])
    model.load_weights(tmp_path / "model.weights.h5")
    for new, old in zip(model.get_weights(), weights):
        np.testing.assert_array_equal(new, old)


def check_loss_scale_is_saved(task, tmp_path):
    if not IS_TENSORFLOW:
        pytest.skip("once is enough")
    half = task.make(toy_elmo(dtype="mixed_float16"))
    task.fit(task.x, task.y, model=half)
    half.save(tmp_path / "half.keras")
    loaded = keras.saving.load_model(tmp_path / "half.keras")
    assert isinstance(loaded.optimizer, keras.optimizers.LossScaleOptimizer)
    assert isinstance(loaded.optimizer.inner_optimizer, keras.optimizers.Adam)


def check_clone(task, tmp_path):
    """`clone` keeps the class; Keras' `clone_model` cannot."""
    clone = task.model.clone()
    assert type(clone) is task.cls and clone.labels == task.labels and clone.compiled
    assert clone.get_config() == task.model.get_config()
    assert {id(w) for w in clone.weights}.isdisjoint({id(w) for w in task.model.weights})
    clone.set_weights(task.model.get_weights())
    np.testing.assert_array_equal(task.predict(model=clone), task.predict())


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def check_quantized(task, tmp_path):
    """A quantized model is saved and loaded with the same answers, in every mode."""
    if not IS_TENSORFLOW:
        pytest.skip("Keras quantizes in the same way on every backend")
    for mode in ("float8", "int4", "int8"):
        model = task.make(hidden_dim=4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layers that Keras cannot quantize
            model.quantize(mode)
        expected = task.predict(model=model)
        model.save(tmp_path / "model.keras")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            loaded = keras.saving.load_model(tmp_path / "model.keras")
        loaded.run_eagerly = True
        np.testing.assert_array_equal(task.predict(model=loaded), expected)
        modes, own = (
            [getattr(layer, "quantization_mode", None) for layer in some._flatten_layers()]
            for some in (loaded, model)
        )
        assert modes == own and modes.count(mode) > 3
    loaded.save(tmp_path / "again.keras")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
        again = keras.saving.load_model(tmp_path / "again.keras")
    again.run_eagerly = True
    np.testing.assert_array_equal(task.predict(model=again), expected)


def check_refused_formats(task, tmp_path):
    """Files that nothing could load, and exports that nothing could run."""
    for name in ("model.h5", "model.hdf5", "model"):
        with pytest.raises(ValueError, match="must end in .keras"):
            task.model.save(tmp_path / name)
        assert not (tmp_path / name).exists()
    for format in ("onnx", "litert", "openvino", "torch"):
        with pytest.raises(ValueError, match=f"Received: format='{format}'. No other runtime"):
            task.model.export(tmp_path / "exported", format=format)
    assert not list(tmp_path.iterdir())


def check_save_is_whole(task, tmp_path):
    """An older file survives a failed save, and a weight that is not finite is not saved."""
    path = tmp_path / "model.keras"
    model = task.make()
    model.save(path)
    path.chmod(0o640)
    link = tmp_path / "link.keras"
    link.symlink_to(path)
    model.save(link)
    assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o640
    link.unlink()
    old = path.read_bytes()
    with pytest.raises(ValueError, match="which exists.*overwrite=True"):
        model.save(path, overwrite=False)

    def fail(filepath, **options):
        pathlib.Path(filepath).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device.*Free disk space"):
        saving.save(model, fail, path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.keras"] and path.read_bytes() == old

    weight = model.weights[-1]
    weight.assign(weight.value * float("nan"))
    with pytest.raises(ValueError, match=f"NaN or infinity in {weight.path}"):
        model.save(path)
    weights_file = tmp_path / "model.weights.h5"
    weights_file.write_bytes(old)
    with pytest.raises(ValueError, match=f"NaN or infinity in {weight.path}"):
        model.save_weights(weights_file, overwrite=True)
    assert weights_file.read_bytes() == old
    if IS_TENSORFLOW:
        with pytest.raises(ValueError, match=f"NaN or infinity in {weight.path}"):
            model.export(tmp_path / "exported")
    with pytest.raises(ValueError, match="probabilities of a model must be finite"):
        task.predict(model=model)
    assert path.read_bytes() == old


def check_from_preset(task, tmp_path):
    """Options find their way to the ElmoLayer and to the head."""
    opts = small_models.options()
    small_models.write_checkpoint(tmp_path / "elmo", opts, small_models.datasets(opts))
    model = task.cls.from_preset(
        tmp_path / "elmo",
        task.labels,
        hidden_dim=3,
        head_dropout=0.2,
        name="mine",
        trainable=False,
        dropout=0.3,
        layer_norm=True,
    )
    assert type(model) is task.cls
    assert model.name == "mine"
    assert (model.head.hidden_dim, model.head.dropout) == (3, 0.2)
    assert model.labels == task.labels
    assert (model.elmo.dropout, model.elmo.layer_norm) == (0.3, True)
    assert model.elmo.trainable_weights == [] and len(model.trainable_weights) == 4
    alone = elmo_keras.ElmoLayer.from_preset(tmp_path / "elmo", layer_norm=True)
    np.testing.assert_array_equal(
        small_models.to_numpy(model.elmo(char_ids())), small_models.to_numpy(alone(char_ids()))
    )
    with pytest.raises((TypeError, ValueError), match="hiden_dim"):
        task.cls.from_preset(tmp_path / "elmo", task.labels, hiden_dim=3)


def check_from_preset_options(task, tmp_path):
    """A misspelt or wrong option is said before the source is read."""
    for options, message in (
        ({"poolin": "max"}, "Received: poolin='max'"),
        ({"hidden_dmi": 3}, "Did you mean hidden_dim?"),
        ({"dropuot": 0.1}, "Did you mean dropout?"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            task.cls.from_preset(tmp_path / "absent", task.labels, **options)
    for labels in (2, "NV", {"a": 0, "b": 1}, {"a", "b"}):
        with pytest.raises(ValueError, match="`labels` must be a list"):
            task.cls.from_preset(tmp_path / "absent", labels)
    with pytest.raises(ValueError, match=r"`backbone` must be an ElmoLayer.*from_preset"):
        task.cls("elmo_mini_en", task.labels)
    assert task.cls(toy_elmo(), pd.Series(["a", "b"])).labels == ["a", "b"]
