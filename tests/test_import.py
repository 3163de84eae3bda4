"""What `import elmo_keras` costs, and that it works where TensorFlow is not installed.

Each case runs in a process of its own: this one has imported too much already.
"""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed"
)


def run(script, *arguments, backend):
    """Runs a script in a new process and gives the JSON of the last line that it printed."""
    result = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"},
        cwd=os.path.dirname(os.path.dirname(__file__)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


# Keras itself imports torch and matplotlib where they are installed: here they are not, so that
# an import by the package would show.
IMPORTS = """
import json
import sys

HEAVY = {"tensorflow_text", "keras_tuner", "tensorboard", "sklearn", "torch", "jax", "matplotlib"}
tried = []


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            tried.append(name)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocker())

import keras
import tensorflow

tried.clear()
before = set(sys.modules)
import elmo_keras

print(json.dumps([tried, sorted(set(sys.modules) - before)]))
"""


@pytest.fixture(scope="module")
def imports():
    return run(IMPORTS, backend="tensorflow")


@needs_tensorflow
def test_import_leaves_heavy_modules_alone(imports):
    tried, _ = imports
    assert tried == []


@needs_tensorflow
def test_import_adds_nothing_to_keras_but_the_package(imports):
    _, added = imports
    packages = {name.partition(".")[0] for name in added} - sys.stdlib_module_names
    assert packages == {"elmo_keras"}


WITHOUT_TENSORFLOW = """
import json
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "tensorflow_text"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocker())

import keras
import numpy as np

import elmo_keras

keras.utils.set_random_seed(0)
elmo = elmo_keras.ElmoLayer(
    elmo_keras.layers.CharCNN(filters=[(1, 4), (2, 8)], projection_dim=6),
    elmo_keras.layers.BiLSTMStack(units=16, projection_dim=6),
)
inputs = keras.Input((None, 50), dtype="int32")
x = elmo_keras.layers.MaskedMeanPooling()(elmo(inputs))
model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
model.compile("adam", "sparse_categorical_crossentropy")

ids = np.random.default_rng(0).integers(1, 262, size=(8, 6, 50), dtype="int32")
for row, length in enumerate([6, 5, 4, 3, 2, 1, 6, 6]):
    ids[row, length:] = 0
history = model.fit(ids, np.arange(8) % 2, batch_size=4, verbose=0)
predictions = model.predict(ids, verbose=0)

model.save(sys.argv[1])
reloaded = keras.models.load_model(sys.argv[1]).predict(ids, verbose=0)

# A published checkpoint, a whole model on it, trained on ids, and out again.
elmo_keras.checkpoints.save_hdf5(elmo, sys.argv[2])
tagger = elmo_keras.ElmoTagger.from_preset(sys.argv[2], labels=["a", "b"])
vectors = np.abs(np.asarray(tagger.elmo(ids)) - np.asarray(elmo(ids))).max()
tagger.fit(ids, np.ones((8, 6), "int32"), batch_size=4, epochs=1, verbose=0)
tags = tagger.tag(ids)

# Our own preset needs nothing else, TensorFlow's formats say what they need.
elmo.save_to_preset(sys.argv[3])
again = elmo_keras.ElmoLayer.from_preset(sys.argv[3])
preset = np.abs(np.asarray(again(ids)) - np.asarray(elmo(ids))).max()
import pathlib

(pathlib.Path(sys.argv[4]) / "variables").mkdir(parents=True)
(pathlib.Path(sys.argv[4]) / "variables" / "variables.index").write_bytes(b"")
try:
    elmo_keras.ElmoLayer.from_preset(sys.argv[4])
    hub_error = ""
except ImportError as received:
    hub_error = str(received)

try:
    elmo(["The cat sat."])
    error = ""
except ImportError as received:
    error = str(received)

print(
    json.dumps(
        {
            "backend": keras.backend.backend(),
            "tensorflow": "tensorflow" in sys.modules,
            "loss": history.history["loss"],
            "finite": bool(np.isfinite(predictions).all()),
            "difference": float(abs(predictions - reloaded).max()),
            "error": error,
            "vectors": float(vectors),
            "preset": float(preset),
            "hub_error": hub_error,
            "tags": [len(row) for row in tags],
        }
    )
)
"""


@needs_jax
def test_jax_without_tensorflow(tmp_path):
    names = ("model.keras", "checkpoint", "preset", "hub")
    paths = [tmp_path / name for name in names]
    result = run(WITHOUT_TENSORFLOW, *paths, backend="jax")
    assert result["backend"] == "jax"
    assert not result["tensorflow"]
    assert len(result["loss"]) == 1 and 0 < result["loss"][0] < 10
    assert result["finite"]
    assert result["difference"] == 0
    assert "pip install tensorflow" in result["error"]
    assert "character ids" in result["error"]
    assert result["preset"] == 0
    assert "`elmo-keras convert SOURCE DESTINATION`" in result["hub_error"]
    assert result["vectors"] < 1e-2  # The mix of the first was trained, one step of Adam's.
    assert result["tags"] == [6, 5, 4, 3, 2, 1, 6, 6]
