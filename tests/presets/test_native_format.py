"""Presets: round trips on every backend, other options, names, dtype policies and errors."""

import json
import re

import h5py
import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import BidirectionalLanguageModel, layers
from tests import small_models
from tests.small_models import to_numpy

WORDS = ["<S>", "</S>", "<UNK>", "the", "cat"]


def saved(folder, seed=0, **options):
    elmo = small_models.elmo(**options)
    elmo.build((None, None, 50))
    rng = np.random.default_rng(seed)
    for weight in elmo.weights:
        weight.assign(rng.standard_normal(weight.shape).astype("float32") / 3)
    elmo.save_to_preset(folder)
    return elmo


def write_hdf5(folder):
    opts = small_models.options()
    return small_models.write_checkpoint(folder, opts, small_models.datasets(opts))


def load(source, **options):
    return elmo_keras.ElmoLayer.from_preset(source, **options)


# === Round trips ===


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_representations": 2, "dropout": 0.3, "mix_regularizer": "l2", "layer_norm": True},
        {"state": "warm", "output": "all"},
        {"state": "carry", "max_rows": 5},
        {"tokenizer": "whitespace", "keep_boundaries": True, "trainable": False, "name": "mine"},
    ],
    ids=str,
)
def test_round_trip(tmp_path, options):
    expected = saved(tmp_path, **options)
    actual = load(tmp_path)
    expected_config, actual_config = expected.get_config(), actual.get_config()
    if "name" not in options:  # Generated names are unique in a process.
        assert expected_config.pop("name") != actual_config.pop("name")
    assert json.dumps(actual_config) == json.dumps(expected_config)
    for a, b in zip(actual.weights, expected.weights):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))
    if expected.state != "carry":
        x = small_models.ids()
        for a, b in zip(representations(actual(x)), representations(expected(x))):
            np.testing.assert_array_equal(to_numpy(a), to_numpy(b))


def representations(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


def test_other_outputs(tmp_path):
    saved(tmp_path)
    x = small_models.ids()
    top = load(tmp_path, output="top", trainable=False)
    assert top.trainable_weights == []
    all_layers = load(tmp_path, output="all")
    np.testing.assert_array_equal(to_numpy(top(x)), to_numpy(all_layers(x))[:, :, -1])


def test_more_representations(tmp_path):
    elmo = saved(tmp_path)
    first, second = load(tmp_path, num_representations=2).layer_weights
    np.testing.assert_array_equal(first[0], elmo.layer_weights[0])
    np.testing.assert_allclose(second[0], [1 / 3] * 3, rtol=1e-6)  # not in the preset


def test_half_precision(tmp_path):
    elmo = saved(tmp_path / "float32")
    elmo.save_to_preset(tmp_path / "float16", dtype="float16")
    with h5py.File(tmp_path / "float16" / "model.weights.h5") as file:
        assert file["bilstm/forward_0/input_gates/kernel"].dtype == "float16"
    for expected, actual in zip(elmo.weights, load(tmp_path / "float16").weights):
        assert actual.dtype == "float32"
        np.testing.assert_array_equal(to_numpy(actual), to_numpy(expected).astype("float16"))


def test_a_task_of_a_preset(tmp_path):
    elmo = saved(tmp_path)
    tagger = elmo_keras.ElmoTagger.from_preset(tmp_path, labels=["A", "B"], hidden_dim=3)
    x = small_models.ids()
    np.testing.assert_array_equal(to_numpy(tagger.elmo(x)), to_numpy(elmo(x)))


def test_a_damaged_config(tmp_path):
    saved(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["config"]["output"] = "last"
    (tmp_path / "config.json").write_text(json.dumps(config))
    for options in ({}, {"dropout": 0.5}):
        with pytest.raises(ValueError, match="config.json must be the config .*damaged"):
            load(tmp_path, **options)
    assert load(tmp_path, output="top").output_choice == "top"


# === Names ===


def model_of(sources):
    """A Keras model with one layer of each source, side by side."""
    elmos = [load(source) for source in sources]
    inputs = keras.Input((None, 50), dtype="int32")
    pooled = [layers.MaskedMeanPooling()(elmo(inputs)) for elmo in elmos]
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.concatenate(pooled))
    return keras.Model(inputs, outputs), elmos


@pytest.mark.parametrize("sources", ["aab", "ha"])
def test_several_layers_in_one_model(tmp_path, sources):
    saved(tmp_path / "a", seed=0)
    saved(tmp_path / "b", seed=1)
    write_hdf5(tmp_path / "h")
    model, elmos = model_of([tmp_path / name for name in sources])
    assert len({elmo.name for elmo in elmos}) == len(sources)
    x, y = small_models.ids((3, 2)), np.array([0, 1])
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(reloaded(x)), to_numpy(model(x)))


@pytest.mark.parametrize("name", ["mine", "elmo_layer_de"])  # The second resembles a generated one.
def test_a_given_name_is_kept(tmp_path, name):
    saved(tmp_path, name=name)
    assert load(tmp_path).name == name
    assert load(tmp_path, name="other").name == "other"


def test_a_generated_name_is_replaced(tmp_path):
    saved(tmp_path)
    first, second = load(tmp_path), load(tmp_path)
    assert re.fullmatch(r"elmo_layer(_\d+)?", first.name) and first.name != second.name
    assert load(tmp_path, name="other").name == "other"


# === Dtype policies ===


@pytest.fixture
def set_policy():
    """Sets the global dtype policy for a test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def compute_dtypes(elmo):
    parts = [elmo, elmo.token_encoder, elmo.bilstm, *elmo.scalar_mixes]
    parts += elmo.token_encoder._flatten_layers() + elmo.bilstm._flatten_layers()
    return {part.compute_dtype for part in parts}


def test_a_dtype_policy(tmp_path):
    saved(tmp_path)
    low = load(tmp_path, dtype="mixed_bfloat16")
    assert compute_dtypes(low) == {"bfloat16"}
    assert {weight.dtype for weight in low.weights} == {"float32"}
    # The policy of the saved layer is not restored.
    low.save_to_preset(tmp_path / "low")
    assert compute_dtypes(load(tmp_path / "low", dtype="float32")) == {"float32"}


@pytest.mark.parametrize("source", ["preset", "hdf5", "low"])
def test_the_global_policy(tmp_path, set_policy, source):
    if source == "hdf5":
        write_hdf5(tmp_path)
    else:
        set_policy("mixed_bfloat16" if source == "low" else "float32")
        saved(tmp_path)
    set_policy("mixed_bfloat16")
    elmo = load(tmp_path)
    assert elmo.dtype_policy.name == "mixed_bfloat16"
    assert compute_dtypes(elmo) == {"bfloat16"}
    assert {weight.dtype for weight in elmo.weights} == {"float32"}
    assert compute_dtypes(load(tmp_path, dtype="float32")) == {"float32"}
    set_policy("float32")
    assert compute_dtypes(load(tmp_path)) == {"float32"}


def test_the_global_policy_of_a_language_model(tmp_path, set_policy):
    BidirectionalLanguageModel(small_models.elmo(), WORDS).save_to_preset(tmp_path)
    set_policy("mixed_bfloat16")
    model = BidirectionalLanguageModel.from_preset(tmp_path)
    assert compute_dtypes(model.elmo) == {"bfloat16"}


# === Errors of saving ===


def test_a_layer_that_is_not_built(tmp_path):
    with pytest.raises(ValueError, match="Call it on a batch first"):
        small_models.elmo().save_to_preset(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not small_models.IS_TENSORFLOW, reason="int8 is tested on TensorFlow only")
def test_quantized_weights(tmp_path):
    elmo = small_models.elmo()
    elmo(small_models.ids())
    elmo.token_encoder.projection.quantize("int8")
    with pytest.raises(ValueError, match="Received: quantized weights"):
        elmo.save_to_preset(tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_unknown_dtype(tmp_path):
    elmo = saved(tmp_path / "preset")
    with pytest.raises(ValueError, match="`dtype` must be one of"):
        elmo.save_to_preset(tmp_path / "other", dtype="int8")


def test_weights_too_large_for_half_precision(tmp_path):
    elmo = saved(tmp_path / "preset")
    elmo.weights[0].assign(np.full(elmo.weights[0].shape, 1e5, "float32"))
    with pytest.raises(ValueError, match="below 65504.*Received: a weight of 100000"):
        elmo.save_to_preset(tmp_path / "other", dtype="float16")


def test_a_failed_save_leaves_the_old_files(tmp_path, monkeypatch):
    elmo = saved(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", full)
    with pytest.raises(OSError, match="No space left"):
        elmo.save_to_preset(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
