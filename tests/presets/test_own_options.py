"""What a preset takes from its user and its surroundings: names, the dtype policy, options."""

import importlib.util
import json
import re

import h5py
import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import BidirectionalLanguageModel, checkpoints, layers
from elmo_keras.checkpoints import loader
from elmo_keras.layers.finite import check_weights
from tests import foreign_checkpoints, small_models
from tests.kills import digest_of
from tests.small_models import IS_TENSORFLOW, to_numpy

WORDS = ["<S>", "</S>", "<UNK>", "the", "cat"]


def saved(folder, seed=0, **options):
    elmo = small_models.elmo(**options)
    elmo.build((None, None, 50))
    rng = np.random.default_rng(seed)
    for weight in elmo.weights:
        weight.assign(rng.standard_normal(weight.shape).astype("float32") / 3)
    elmo.save_to_preset(folder)
    return elmo


def hdf5(folder):
    opts = small_models.options()
    return small_models.write_checkpoint(folder, opts, small_models.datasets(opts))


# === Names ===


def model_of(sources):
    """A Keras model with one layer of each source, side by side."""
    elmos = [elmo_keras.ElmoLayer.from_preset(source) for source in sources]
    inputs = keras.Input((None, 50), dtype="int32")
    pooled = [layers.MaskedMeanPooling()(elmo(inputs)) for elmo in elmos]
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.concatenate(pooled))
    return keras.Model(inputs, outputs), elmos


@pytest.mark.parametrize("sources", ["aab", "ha"])
def test_several_layers_in_one_model(tmp_path, sources):
    saved(tmp_path / "a", seed=0)
    saved(tmp_path / "b", seed=1)
    hdf5(tmp_path / "h")
    model, elmos = model_of([tmp_path / name for name in sources])
    assert len({elmo.name for elmo in elmos}) == len(sources)
    x, y = small_models.ids((3, 2)), np.array([0, 1])
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(again(x)), to_numpy(model(x)))


def test_a_name_that_was_given_stays(tmp_path):
    saved(tmp_path / "mine", name="mine")
    saved(tmp_path / "automatic")
    assert elmo_keras.ElmoLayer.from_preset(tmp_path / "mine").name == "mine"
    for folder in ("mine", "automatic"):
        assert elmo_keras.ElmoLayer.from_preset(tmp_path / folder, name="other").name == "other"
    first, second = (elmo_keras.ElmoLayer.from_preset(tmp_path / "automatic") for _ in "ab")
    assert re.fullmatch(r"elmo_layer(_\d+)?", first.name) and first.name != second.name
    # A name that begins as an automatic one is none.
    saved(tmp_path / "german", name="elmo_layer_de")
    assert elmo_keras.ElmoLayer.from_preset(tmp_path / "german").name == "elmo_layer_de"


# === The dtype policy ===


@pytest.fixture
def policy():
    """Sets the global dtype policy for a test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def computed_in(elmo):
    parts = [elmo, elmo.token_encoder, elmo.bilstm, *elmo.scalar_mixes]
    parts += elmo.token_encoder._flatten_layers() + elmo.bilstm._flatten_layers()
    return {part.compute_dtype for part in parts}


def test_the_global_policy(tmp_path, policy):
    saved(tmp_path / "preset")
    hdf5(tmp_path / "hdf5")
    policy("mixed_bfloat16")
    saved(tmp_path / "low")
    for folder in ("preset", "hdf5", "low"):
        elmo = elmo_keras.ElmoLayer.from_preset(tmp_path / folder)
        assert elmo.dtype_policy.name == "mixed_bfloat16"
        assert computed_in(elmo) == {"bfloat16"}
        assert {weight.dtype for weight in elmo.weights} == {"float32"}
        elmo = elmo_keras.ElmoLayer.from_preset(tmp_path / folder, dtype="float32")
        assert computed_in(elmo) == {"float32"}
    policy("float32")
    for folder in ("preset", "hdf5", "low"):
        assert computed_in(elmo_keras.ElmoLayer.from_preset(tmp_path / folder)) == {"float32"}


def test_the_global_policy_of_a_language_model(tmp_path, policy):
    elmo = small_models.elmo()
    BidirectionalLanguageModel(elmo, WORDS).save_to_preset(tmp_path)
    policy("mixed_bfloat16")
    model = BidirectionalLanguageModel.from_preset(tmp_path)
    assert computed_in(model.elmo) == {"bfloat16"}


# === Options ===

MISTAKES = [
    ({"output": "last"}, r"`output` must be one of .*Received: output='last'"),
    ({"output": 7}, r"`output` must be one of .*from 0 to 2. Received: output=7"),
    ({"state": "cold"}, r"`state` must be one of .*Received: state='cold'"),
    ({"num_representations": 0}, r"`num_representations` must be at least 1"),
    (
        {"num_representations": 2, "output": "top"},
        r"`num_representations` > 1 requires output='mix'",
    ),
    ({"tokenizer": "sentences"}, r"sentences"),
    ({"dtype": "float99"}, r"float99"),
    ({"dropout": 2.0}, r"2\.0"),
    ({"poolin": "max"}, r"must be among .*dropout.*vocabulary.* Received: poolin='max'"),
    ({"dropuot": 0.1}, r"Received: dropuot=0\.1\. Did you mean dropout\?"),
    ({"vocabluary": "x"}, r"Did you mean vocabulary\?"),
    ({"bilstm": None}, r"Received: bilstm=None"),
]


def sources(folder):
    """A model of every format that this machine can write."""
    opts = small_models.options()
    arrays = small_models.datasets(opts)
    saved(folder / "preset")
    yield folder / "preset"
    yield hdf5(folder / "hdf5")
    word_opts, word_arrays = foreign_checkpoints.word_level(opts, WORDS)
    small_models.write_checkpoint(folder / "words", word_opts, word_arrays)
    (folder / "words/vocabulary.txt").write_text("".join(f"{word}\n" for word in WORDS))
    yield folder / "words"
    if IS_TENSORFLOW:
        yield foreign_checkpoints.write_training_checkpoint(folder / "training", opts, arrays)
        yield foreign_checkpoints.write_hub_module(folder / "hub", arrays, {})
    if importlib.util.find_spec("torch"):
        config = foreign_checkpoints.manylangs_config(word_dim=0)
        arrays = foreign_checkpoints.manylangs_arrays(
            config, len(foreign_checkpoints.SPECIAL_TOKENS), 0
        )
        yield foreign_checkpoints.write_manylangs(
            folder / "many", config, arrays, foreign_checkpoints.SPECIAL_TOKENS, None
        )


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return list(sources(tmp_path_factory.mktemp("models")))


@pytest.mark.parametrize("options, message", MISTAKES, ids=str)
def test_a_mistake_of_the_user_is_told_as_such(models, monkeypatch, options, message):
    """The error is that of the class itself, and no weight has been read."""

    def refuse(*arguments):
        raise AssertionError("a weight was read")

    monkeypatch.setattr(loader.StrictLoader, "weight", refuse)
    for source in models:
        with pytest.raises(ValueError, match=message) as caught:
            elmo_keras.ElmoLayer.from_preset(source, **options)
        assert "config.json" not in str(caught.value)
        assert "damaged" not in str(caught.value)
    own = options.keys() - {"poolin", "dropuot", "vocabluary", "bilstm"}
    if own:
        with pytest.raises(ValueError) as of_class:
            elmo_keras.ElmoLayer(small_models.char_cnn(), small_models.bilstm(), **options)
        assert str(caught.value) == str(of_class.value)


def test_a_config_that_is_damaged(tmp_path):
    saved(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["config"]["output"] = "last"
    (tmp_path / "config.json").write_text(json.dumps(config))
    for options in ({}, {"dropout": 0.5}):
        with pytest.raises(ValueError, match="config.json must be the config .*damaged"):
            elmo_keras.ElmoLayer.from_preset(tmp_path, **options)
    assert elmo_keras.ElmoLayer.from_preset(tmp_path, output="top").output_choice == "top"


# === Weights that are no numbers ===


def broken(kind, place=3):
    elmo = small_models.elmo()
    elmo.build((None, None, 50))
    weight = elmo.bilstm.forward_layers[0].cell.recurrent_gates.kernel
    array = to_numpy(weight).copy()
    array.flat[place] = {"NaN": np.nan, "infinity": np.inf, "minus infinity": -np.inf}[kind]
    weight.assign(array)
    return elmo


@pytest.mark.parametrize("kind", ["NaN", "infinity", "minus infinity"])
def test_they_are_not_saved(tmp_path, kind):
    saved(tmp_path / "preset")
    checkpoints.save_hdf5(toys_built(), tmp_path / "hdf5")
    before = digest_of(tmp_path)
    elmo = broken(kind)
    message = (
        "must be finite to be saved. Received: NaN or infinity in .*bilstm/forward_0/"
        "recurrent_gates/kernel.*Load the last good weights"
    )
    for folder in ("preset", "new"):
        with pytest.raises(ValueError, match=message):
            elmo.save_to_preset(tmp_path / folder)
    for folder in ("hdf5", "new"):
        with pytest.raises(ValueError, match=message):
            checkpoints.save_hdf5(elmo, tmp_path / folder)
    assert digest_of(tmp_path) == before


def toys_built():
    elmo = small_models.elmo()
    elmo.build((None, None, 50))
    return elmo


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("where", ["mix", "state", "softmax", "encoder"])
def test_they_are_not_saved_wherever_they_are(tmp_path, where, dtype):
    elmo = small_models.elmo(state="warm")
    model = BidirectionalLanguageModel(elmo, WORDS)
    elmo.build((None, None, 50))
    weight, name = {
        "mix": (elmo.scalar_mixes[0].gamma, "scalar_mix_0/gamma"),
        "state": (elmo.lstm_states.cell, "lstm_states/cell"),
        "softmax": (model.head.softmax.bias, "softmax/b"),
        "encoder": (model.elmo.token_encoder.weights[0], "token_encoder/"),
    }[where]
    weight.assign(np.full(weight.shape, np.nan, "float32"))
    saver = elmo if where in ("mix", "state") else model
    with pytest.raises(ValueError, match=f"must be finite .*Received: .*{name}"):
        saver.save_to_preset(tmp_path / "preset", dtype=dtype)
    assert not list(tmp_path.iterdir())


def test_they_are_not_the_fault_of_a_config(tmp_path):
    saved(tmp_path)
    with h5py.File(tmp_path / "model.weights.h5", "a") as file:
        file["bilstm/forward_0/input_gates/bias"][2] = np.nan
    with pytest.raises(ValueError, match="must be finite. Received: bilstm/forward_0") as caught:
        elmo_keras.ElmoLayer.from_preset(tmp_path)
    assert "model.weights.h5" in str(caught.value)
    assert "config" not in str(caught.value)


def test_a_softmax_without_numbers_is_not_loaded(tmp_path):
    elmo = small_models.elmo()
    BidirectionalLanguageModel(elmo, WORDS).save_to_preset(tmp_path)
    with h5py.File(tmp_path / "softmax_weights.hdf5", "a") as file:
        file["softmax/W"][1, 1] = np.inf
    with pytest.raises(ValueError, match="softmax_weights.hdf5 must be finite"):
        BidirectionalLanguageModel.from_preset(tmp_path)


def test_check_weights():
    good = np.ones((2, 2), "float32")
    bad = np.array([1, np.nan], "float32")
    huge = np.full(1000, 1e38, "float32")  # whose sum is infinite
    tensors = {
        "tensor": keras.ops.ones(3),
        "half": keras.ops.cast(keras.ops.ones(3), "bfloat16"),
        "whole": keras.ops.ones(3, dtype="int8"),
    }
    check_weights(
        {"a": good, "huge": huge, "empty": good[:0], "text": np.array(["a"]), **tensors}, ""
    )
    with pytest.raises(ValueError, match="weights of a model must be .* in b, c, d. Load"):
        half = keras.ops.cast(keras.ops.convert_to_tensor(bad), "bfloat16")
        variable = keras.Variable(np.array([[np.inf]], "float32"))
        check_weights({"a": good, "b": bad, "c": variable, "d": half}, "model")
    with pytest.raises(ValueError, match="0, 1, 2, 3, 4 and 2 more"):
        check_weights({str(number): bad for number in range(7)}, "layer")
