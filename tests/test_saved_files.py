"""Files of version 0.1.0 load with the weights they had, and give the results they gave.

`data/saved_by_0_1_0/write.py` wrote the files and the results before the modules of the package
were rearranged. Weights, optimizer variables and label names must be equal; other results may
differ by rounding, which depends on the CPU and on the backend.
"""

import json
import pathlib
import shutil
from typing import NamedTuple

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import text

FOLDER = pathlib.Path(__file__).parent / "data" / "saved_by_0_1_0"
INPUTS = json.loads((FOLDER / "inputs.json").read_text(encoding="utf-8"))
SENTENCES, TOKENS = INPUTS["sentences"], INPUTS["tokens"]

needs_string_graphs = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="A graph that starts at strings needs the TensorFlow backend.",
)


class Saved(NamedTuple):
    """A file of version 0.1.0, the arrays that belong to it, and the answers in words."""

    path: pathlib.Path
    arrays: dict
    answers: object

    def group(self, prefix):
        """The arrays of one kind, in their order."""
        return [self.arrays[key] for key in sorted(self.arrays) if key.startswith(f"{prefix}_")]


def saved(name, suffix=""):
    answers = FOLDER / f"{name}.json"
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return Saved(
            FOLDER / f"{name}{suffix}",
            dict(arrays),
            json.loads(answers.read_text(encoding="utf-8")) if answers.exists() else None,
        )


def saved_model(name):
    """A `.keras` file and the model in it, whose variables are those that were saved."""
    file = saved(f"keras/{name}", ".keras")
    model = keras.models.load_model(file.path)
    assert_same_weights(model, file)
    optimizer = getattr(model, "optimizer", None)
    expected = file.group("optimizer")
    assert bool(optimizer) == bool(expected)
    if optimizer:
        assert int(optimizer.iterations) == 2
        # Backends count iterations in integers of different sizes.
        assert_equal(map(to_numpy, optimizer.variables), expected, same_dtype=False)
    return file, model


def to_numpy(x):
    return keras.ops.convert_to_numpy(x)


def assert_same_weights(model, file):
    expected = file.group("weight")
    assert expected
    assert_equal(model.get_weights(), expected)


def assert_equal(actual, expected, same_dtype=True):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other, strict=same_dtype)


def assert_close(actual, expected):
    actual = actual if isinstance(actual, (list, tuple)) else [actual]
    assert expected
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(to_numpy(one), other, rtol=1e-5, atol=1e-5, strict=True)


# === Presets and HDF5 ===


@pytest.mark.parametrize(
    "name",
    [
        "presets/char_cnn",
        "presets/warm",
        "presets/float16",
        "presets/code_points",
        "presets/words",
        "hdf5/characters",
        "hdf5/words",
    ],
)
def test_elmo_layer(name):
    file = saved(name)
    elmo = elmo_keras.ElmoLayer.from_preset(file.path)
    assert_same_weights(elmo, file)
    assert_close(elmo(SENTENCES), file.group("result"))


def test_options_of_a_preset():
    elmo = elmo_keras.ElmoLayer.from_preset(FOLDER / "presets" / "char_cnn")
    assert elmo.name == "mixes"
    assert elmo.num_representations == 2
    assert elmo.keep_boundaries
    assert elmo.dropout == 0.2
    np.testing.assert_allclose(elmo.mix_regularizer.l2, 0.01)
    assert elmo.tokenizer.lowercase
    assert not elmo.token_encoder.trainable
    assert elmo.bilstm.trainable


def test_language_model_preset():
    file = saved("presets/language_model")
    model = elmo_keras.BidirectionalLanguageModel.from_preset(file.path)
    assert_same_weights(model, file)
    assert_close(model.score(SENTENCES), file.group("result"))
    assert [word for word, _ in model.substitutes(TOKENS[0], position=1)] == file.answers
    elmo = elmo_keras.ElmoLayer.from_preset(file.path)
    assert_close(elmo(SENTENCES), file.group("vectors"))


# === Keras files ===


# A file from JAX asks for compilation, which strings do not allow.
@pytest.mark.filterwarnings("ignore:Model doesn't support `jit_compile=True`")
@pytest.mark.parametrize(
    "name",
    [
        "classifier_mean",
        "classifier_max",
        "classifier_mean_max",
        "classifier_int8",
        "classifier_from_jax",
    ],
)
def test_classifier(name):
    file, model = saved_model(name)
    assert isinstance(model, elmo_keras.ElmoTextClassifier)
    model.jit_compile = False  # torch would need minutes
    assert_close(model.predict(SENTENCES, verbose=0), file.group("result"))
    assert model.classify(SENTENCES) == file.answers


def test_tagger():
    file, model = saved_model("tagger")
    assert isinstance(model, elmo_keras.ElmoTagger)
    assert_close(model.predict(TOKENS, verbose=0), file.group("result"))
    assert model.tag(TOKENS) == file.answers


def test_weights_file():
    file, model = saved_model("tagger")
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    model.load_weights(FOLDER / "keras" / "tagger.weights.h5")
    assert_same_weights(model, file)


def test_language_model():
    file, model = saved_model("language_model")
    assert isinstance(model, elmo_keras.BidirectionalLanguageModel)
    assert_close(model.score(SENTENCES), file.group("result"))


@needs_string_graphs
@pytest.mark.parametrize("name", ["plain_elmo", "plain_carry", "plain_static", "text_layers"])
def test_model_of_sentences(name):
    file, model = saved_model(name)
    assert_close(model(text.to_tensor(SENTENCES)), file.group("result"))


@pytest.mark.parametrize("name", ["plain_from_jax", "building_blocks"])
def test_model_of_ids(name):
    file, model = saved_model(name)
    ids = file.group("ids")
    assert_close(model(ids if len(ids) > 1 else ids[0]), file.group("result"))


# === SavedModels ===


@needs_string_graphs
@pytest.mark.parametrize("name", ["classifier", "tagger"])
def test_saved_model(name, tmp_path):
    import tensorflow as tf

    file = saved(f"saved_models/{name}", ".zip")
    shutil.unpack_archive(file.path, tmp_path)
    served = tf.saved_model.load(tmp_path)
    compared = set()
    for endpoint, inputs in {
        "serve": tf.constant(SENTENCES),
        "tokens": text.pad(TOKENS),
        "embed": tf.constant(SENTENCES),
        "embed_tokens": text.pad(TOKENS),
    }.items():
        for key, output in getattr(served, endpoint)(inputs).items():
            name = f"{endpoint}/{key}"
            compared.add(name)
            if output.dtype == tf.string:
                decoded = np.vectorize(bytes.decode, otypes=[object])(output.numpy())
                assert decoded.tolist() == file.answers[name]
            else:
                assert_close(output, file.group(name))
    assert compared == {*file.answers, *(key.rsplit("_", 1)[0] for key in file.arrays)}
