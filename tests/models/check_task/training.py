"""Checks of compilation, freezing, precision, traces and memory."""

import gc
import json

import keras
import numpy as np
import pytest

from tests.models.check_task.task import char_ids, toy_elmo
from tests.small_models import IS_TENSORFLOW


def check_frozen(task, tmp_path):
    """With `trainable=False` the ElmoLayer stays as it is, after a reload, too."""
    model = task.make(toy_elmo(trainable=False))
    head = [w.path for w in model.trainable_weights]
    assert head and not any("elmo" in path.split("/")[0] for path in head)
    elmo = [np.array(w) for w in model.elmo.weights]
    task.fit(task.x, task.y, model=model, learning_rate=0.1)
    for weight, old in zip(model.elmo.weights, elmo):
        np.testing.assert_array_equal(np.array(weight), old)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [w.path for w in loaded.trainable_weights] == head
    assert len(loaded.weights) == len(model.weights)


def check_mixed_precision(task, tmp_path):
    model = task.make(toy_elmo(dtype="mixed_bfloat16"))
    history = task.fit(task.x, task.y, model=model, learning_rate=0.01)
    assert np.isfinite(history["loss"]).all()
    assert {w.dtype for w in model.weights} == {"float32"}
    assert keras.backend.standardize_dtype(model.elmo(char_ids()).dtype) == "bfloat16"
    actual = task.predict(model=model)
    assert actual.dtype == np.float32
    exact = task.make()
    exact.set_weights(model.get_weights())
    np.testing.assert_allclose(actual, task.predict(model=exact), atol=0.05)


def check_traces(task, tmp_path):
    """Neither a length nor a number of rows needs a trace; run eagerly it is the same."""
    if not IS_TENSORFLOW:
        pytest.skip("shapes are compiled on JAX, and torch is eager")
    task.fit(task.x, task.y)
    task.evaluate(task.x, task.y)
    number = len(task.traces)
    task.fit(task.x, task.y, batch_size=1)
    task.evaluate(task.x, task.y, batch_size=2)
    assert len(task.traces) == number

    eager = task.make()
    eager.set_weights(task.model.get_weights())
    np.testing.assert_allclose(
        task.predict(model=eager, batch_size=2), task.predict(batch_size=2), atol=1e-6
    )
    np.testing.assert_allclose(
        task.evaluate(task.x, task.y, model=eager), task.evaluate(task.x, task.y), atol=1e-6
    )


def check_compile(task, tmp_path):
    """`compile()` gives a task its own optimizer, loss and metrics back."""
    model = task.make()
    own = model.get_compile_config()
    model.compile("sgd", metrics=[])
    assert type(model.optimizer).__name__ == "SGD"
    model.compile()
    model.run_eagerly = IS_TENSORFLOW
    assert type(model.optimizer).__name__ == "Adam"
    assert (float(model.optimizer.learning_rate), model.optimizer.global_clipnorm) == (
        pytest.approx(3e-4),
        5.0,
    )
    again = model.get_compile_config()
    for config in (own, again):
        config["optimizer"]["config"].pop("name")
    assert json.dumps(again) == json.dumps(own)
    result = model.evaluate(task.x, task.y, return_dict=True, verbose=0)
    assert sorted(result) == ["accuracy", "loss"]
    model.compile(metrics=[])
    assert list(model.evaluate(task.x, task.y, return_dict=True, verbose=0)) == ["loss"]

    half = task.make(toy_elmo(dtype="mixed_float16"))
    for optimizer in ("auto", "sgd", keras.optimizers.SGD()):
        half.compile(optimizer)
        assert isinstance(half.optimizer, keras.optimizers.LossScaleOptimizer)
    half.compile("sgd", auto_scale_loss=False)
    assert not isinstance(half.optimizer, keras.optimizers.LossScaleOptimizer)


def check_memory(task, tmp_path):
    """The graphs of a training are gone with its model."""
    if not IS_TENSORFLOW:
        pytest.skip("TensorFlow keeps gradients that are written by hand")
    if task.per_token:
        pytest.skip("the classifier is enough: both have the training step of ElmoTask")

    def fold():
        model = task.make()
        model.run_eagerly = False
        task.fit(task.x, task.y, model=model)

    def graphs():
        gc.collect()
        return sum(type(item).__name__ == "FuncGraph" for item in gc.get_objects())

    fold()
    before = graphs()
    fold()
    assert graphs() <= before


def check_built(task, tmp_path):
    """Keras runs a model eagerly, once more for each batch on JAX, if one layer is not built."""
    model = task.make()
    assert [layer.name for layer in model._flatten_layers() if not layer.built] == []
