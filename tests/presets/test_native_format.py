"""Our own format: what is written is read again, on every backend, with other options too."""

import json

import h5py
import numpy as np
import pytest

import elmo_keras
from tests import small_models
from tests.small_models import to_numpy


def saved(tmp_path, **options):
    elmo = small_models.elmo(**options)
    elmo(small_models.ids())
    rng = np.random.default_rng(0)
    for weight in elmo.weights:
        weight.assign(rng.standard_normal(weight.shape).astype("float32") / 3)
    elmo.save_to_preset(tmp_path)
    return elmo


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
def test_what_is_written_is_read_again(tmp_path, options):
    elmo = saved(tmp_path, **options)
    again = elmo_keras.ElmoLayer.from_preset(tmp_path)
    config, other = elmo.get_config(), again.get_config()
    if "name" not in options:  # An automatic name is of one program alone.
        assert config.pop("name") != other.pop("name")
    assert json.dumps(config) == json.dumps(other)
    for a, b in zip(elmo.weights, again.weights):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))
    if elmo.state != "carry":
        a, b = (elmo(small_models.ids()), again(small_models.ids()))
        a, b = (x if isinstance(x, list) else [x] for x in (a, b))
        for x, y in zip(a, b):
            np.testing.assert_array_equal(to_numpy(x), to_numpy(y))


def test_other_options(tmp_path):
    elmo = saved(tmp_path)
    top = elmo_keras.ElmoLayer.from_preset(tmp_path, output="top", trainable=False)
    assert top.trainable_weights == []
    everything = elmo_keras.ElmoLayer.from_preset(tmp_path, output="all")
    x = small_models.ids()
    np.testing.assert_array_equal(to_numpy(top(x)), to_numpy(everything(x))[:, :, -1])
    two = elmo_keras.ElmoLayer.from_preset(tmp_path, num_representations=2)
    first, second = two.layer_weights
    np.testing.assert_array_equal(first[0], elmo.layer_weights[0])
    np.testing.assert_allclose(second[0], [1 / 3] * 3, rtol=1e-6)  # a mix that was not saved
    low = elmo_keras.ElmoLayer.from_preset(tmp_path, dtype="mixed_bfloat16")
    assert {w.dtype for w in low.weights} == {"float32"}
    # The parts too compute in what was asked for, and not in what they were saved with.
    low.save_to_preset(tmp_path / "low")
    for layer in (low, elmo_keras.ElmoLayer.from_preset(tmp_path / "low", dtype="float32")):
        parts = [layer.token_encoder, layer.bilstm, *layer.scalar_mixes]
        parts += layer.token_encoder._flatten_layers() + layer.bilstm._flatten_layers()
        assert {part.compute_dtype for part in parts} == {layer.compute_dtype}
    assert layer.compute_dtype == "float32"
    with pytest.raises(ValueError, match="Received: hiden=3"):
        elmo_keras.ElmoLayer.from_preset(tmp_path, hiden=3)


def test_half_the_size(tmp_path):
    elmo = saved(tmp_path / "float32")
    elmo.save_to_preset(tmp_path / "float16", dtype="float16")
    with h5py.File(tmp_path / "float16" / "model.weights.h5") as file:
        assert file["bilstm/forward_0/input_gates/kernel"].dtype == "float16"
    half = elmo_keras.ElmoLayer.from_preset(tmp_path / "float16")
    for a, b in zip(elmo.weights, half.weights):
        assert b.dtype == "float32"
        np.testing.assert_array_equal(to_numpy(a).astype("float16"), to_numpy(b))
    with pytest.raises(ValueError, match="`dtype` must be one of"):
        elmo.save_to_preset(tmp_path, dtype="int8")
    elmo.weights[0].assign(np.full(elmo.weights[0].shape, 1e5, "float32"))
    with pytest.raises(ValueError, match="below 65504.*Received: a weight of 100000"):
        elmo.save_to_preset(tmp_path / "float16", dtype="float16")


def test_a_model_of_a_preset(tmp_path):
    elmo = saved(tmp_path)
    tagger = elmo_keras.ElmoTagger.from_preset(tmp_path, labels=["A", "B"], hidden_dim=3)
    x = small_models.ids()
    np.testing.assert_array_equal(to_numpy(tagger.elmo(x)), to_numpy(elmo(x)))


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(ValueError, match="Call it on a batch first"):
        small_models.elmo().save_to_preset(tmp_path)
    if small_models.IS_TENSORFLOW:
        elmo = small_models.elmo()
        elmo(small_models.ids())
        elmo.token_encoder.projection.quantize("int8")
        with pytest.raises(ValueError, match="Received: quantized weights"):
            elmo.save_to_preset(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_failed_save_leaves_what_was_there(tmp_path, monkeypatch):
    elmo = saved(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", full)
    with pytest.raises(OSError, match="No space left"):
        elmo.save_to_preset(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
