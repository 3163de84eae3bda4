"""Weights that hold NaN or infinity are neither saved nor loaded."""

import h5py
import numpy as np
import pytest

import elmo_keras
from elmo_keras import BidirectionalLanguageModel, checkpoints
from tests import small_models
from tests.kills import digest_of
from tests.small_models import to_numpy

WORDS = ["<S>", "</S>", "<UNK>", "the", "cat"]


def built(**options):
    elmo = small_models.elmo(**options)
    elmo.build((None, None, 50))
    return elmo


# === Saving ===


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize("save", [elmo_keras.ElmoLayer.save_to_preset, checkpoints.save_hdf5])
def test_one_value_in_a_kernel(tmp_path, value, is_new, save):
    if not is_new:
        save(built(), tmp_path)
    before = digest_of(tmp_path)
    elmo = built()
    weight = elmo.bilstm.forward_layers[0].cell.recurrent_gates.kernel
    array = to_numpy(weight).copy()
    array.flat[3] = value
    weight.assign(array)
    message = (
        "must be finite to be saved. Received: NaN or infinity in .*bilstm/forward_0/"
        "recurrent_gates/kernel.*Load the last good weights"
    )
    with pytest.raises(ValueError, match=message):
        save(elmo, tmp_path)
    assert digest_of(tmp_path) == before


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("part", ["mix", "state", "softmax", "encoder"])
def test_every_part_is_checked(tmp_path, part, dtype):
    elmo = built(state="warm")
    model = BidirectionalLanguageModel(elmo, WORDS)
    weight, name = {
        "mix": (elmo.scalar_mixes[0].gamma, "scalar_mix_0/gamma"),
        "state": (elmo.lstm_states.cell, "lstm_states/cell"),
        "softmax": (model.head.softmax.bias, "softmax/b"),
        "encoder": (model.elmo.token_encoder.weights[0], "token_encoder/"),
    }[part]
    weight.assign(np.full(weight.shape, np.nan, "float32"))
    saver = elmo if part in ("mix", "state") else model
    with pytest.raises(ValueError, match=f"must be finite .*Received: .*{name}"):
        saver.save_to_preset(tmp_path / "preset", dtype=dtype)
    assert not list(tmp_path.iterdir())


# === Loading ===


def test_errors_name_the_weights_file(tmp_path):
    built().save_to_preset(tmp_path)
    with h5py.File(tmp_path / "model.weights.h5", "a") as file:
        file["bilstm/forward_0/input_gates/bias"][2] = np.nan
    with pytest.raises(ValueError, match="must be finite. Received: bilstm/forward_0") as caught:
        elmo_keras.ElmoLayer.from_preset(tmp_path)
    assert "model.weights.h5" in str(caught.value)
    assert "config" not in str(caught.value)


def test_a_softmax(tmp_path):
    BidirectionalLanguageModel(small_models.elmo(), WORDS).save_to_preset(tmp_path)
    with h5py.File(tmp_path / "softmax_weights.hdf5", "a") as file:
        file["softmax/W"][1, 1] = np.inf
    with pytest.raises(ValueError, match="softmax_weights.hdf5 must be finite"):
        BidirectionalLanguageModel.from_preset(tmp_path)
