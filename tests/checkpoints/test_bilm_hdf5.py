"""The published HDF5 format: vectors equal to numpy, byte-equal export, and errors of saving."""

import json

import h5py
import numpy as np
import pytest

import elmo_keras
from elmo_keras import checkpoints
from tests import small_models
from tests.checkpoints.hdf5_arrays import read_arrays
from tests.numpy_reference import bilm, token_ids
from tests.small_models import to_numpy

SENTENCES = [["The", "cat", "sat", "."], ["naïve", "<S>", "x" * 200], ["a"]]


def ids(sentences, max_characters):
    """Ids of the tokens without boundaries, made by the numpy reference for all backends."""
    longest = max(map(len, sentences))
    out = np.zeros((len(sentences), longest, max_characters), "int32")
    for row, sentence in zip(out, sentences):
        row[: len(sentence)] = token_ids(sentence, max_characters)[1:-1]
    return out


def assert_equals_numpy(vectors, opts, arrays, states=None):
    """Compares the vectors of `SENTENCES` with those of the numpy reference."""
    for row, tokens, state in zip(vectors, SENTENCES, states or [None] * len(SENTENCES)):
        expected = bilm(tokens, opts, arrays, states=state)
        actual = np.moveaxis(row[: len(tokens) + 2], 1, 0)
        np.testing.assert_allclose(actual, expected, atol=5e-6)


VARIANTS = [
    {},
    {"n_layers": 1},
    {"n_layers": 3, "use_skip_connections": False},
    {"n_layers": None},
    {"use_skip_connections": "true"},
    {"use_skip_connections": None},
    {"n_highway": None},
    {"n_highway": 1, "activation": "tanh"},
    {"cell_clip": 0.3, "proj_clip": 0.1},
    {"cell_clip": None, "proj_clip": None},
    {"dim": 6},
    {"projection_dim": 12},
    {"n_characters": 261, "max_characters_per_token": 10},
    {"filters": [[1, 3], [4, 5], [7, 9]], "embedding": {"dim": 7}},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_variants_equal_numpy(tmp_path, changes):
    opts = small_models.options(**changes)
    arrays = small_models.datasets(opts)
    small_models.write_checkpoint(tmp_path, opts, arrays)
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path, output="all", keep_boundaries=True)
    max_characters = opts["char_cnn"]["max_characters_per_token"]
    assert_equals_numpy(to_numpy(elmo(ids(SENTENCES, max_characters))), opts, arrays)


def test_carried_states_equal_numpy(tmp_path):
    opts = small_models.options()
    arrays = small_models.datasets(opts)
    small_models.write_checkpoint(tmp_path, opts, arrays)
    elmo = elmo_keras.ElmoLayer.from_preset(
        tmp_path, output="all", keep_boundaries=True, state="carry", max_rows=3
    )
    states = [{} for _ in SENTENCES]
    for _ in range(4):
        assert_equals_numpy(to_numpy(elmo(ids(SENTENCES, 50))), opts, arrays, states)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_export_of_an_imported_model_is_byte_equal(tmp_path, changes):
    opts = small_models.options(**changes)
    arrays = small_models.datasets(opts)
    small_models.write_checkpoint(tmp_path / "in", opts, arrays)
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path / "in")
    checkpoints.save_hdf5(elmo, tmp_path / "out")
    written = read_arrays(tmp_path / "out" / "weights.hdf5")
    assert written.keys() == arrays.keys()
    for name, array in arrays.items():
        assert written[name].dtype == array.dtype
        assert written[name].tobytes() == array.tobytes(), name
    # The written options describe the same model.
    reloaded = elmo_keras.ElmoLayer.from_preset(tmp_path / "out")
    assert reloaded.token_encoder.get_config() == {
        **elmo.token_encoder.get_config(),
        "dtype": reloaded.token_encoder.get_config()["dtype"],
    }
    assert reloaded.bilstm.get_config() == elmo.bilstm.get_config()
    out = json.loads((tmp_path / "out" / "options.json").read_text())
    assert out["char_cnn"]["n_characters"] == 262  # required by other programs at inference


def test_options_of_the_layer(tmp_path):
    opts = small_models.options()
    small_models.write_checkpoint(tmp_path, opts, small_models.datasets(opts))
    elmo = elmo_keras.ElmoLayer.from_preset(
        tmp_path, trainable=False, dropout=0.5, num_representations=2, dtype="mixed_bfloat16"
    )
    assert elmo.trainable_weights == []
    assert elmo.token_encoder.compute_dtype == "bfloat16"
    assert len(elmo(small_models.ids())) == 2


def test_names_of_a_single_layer(tmp_path):
    """For a single layer, bilm-tf's dump writes names that neither it nor AllenNLP reads."""
    opts = small_models.options(n_layers=1)
    arrays = small_models.datasets(opts)
    renamed = {k.replace("MultiRNNCell/Cell0/", ""): v for k, v in arrays.items()}
    small_models.write_checkpoint(tmp_path / "a", opts, arrays)
    small_models.write_checkpoint(tmp_path / "b", opts, renamed)
    a, b = (elmo_keras.ElmoLayer.from_preset(tmp_path / x) for x in "ab")
    np.testing.assert_array_equal(to_numpy(a(small_models.ids())), to_numpy(b(small_models.ids())))


def test_open_hdf5(tmp_path):
    opts = small_models.options()
    small_models.write_checkpoint(tmp_path, opts, small_models.datasets(opts))
    paths = tmp_path / "options.json", tmp_path / "weights.hdf5"
    with checkpoints.open_hdf5(*map(str, paths)) as checkpoint:
        elmo = checkpoint.to_layer(elmo_keras.ElmoLayer)
    expected = elmo_keras.ElmoLayer.from_preset(tmp_path)(small_models.ids())
    np.testing.assert_array_equal(to_numpy(elmo(small_models.ids())), to_numpy(expected))


# === Damaged files ===


@pytest.mark.parametrize("share", np.linspace(0, 0.99, 20))
def test_a_file_cut_short(tmp_path, share):
    opts = small_models.options()
    small_models.write_checkpoint(tmp_path, opts, small_models.datasets(opts))
    path = tmp_path / "weights.hdf5"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="damaged or cut short"):
        elmo_keras.ElmoLayer.from_preset((tmp_path / "options.json", path))


# === Saving ===


def test_a_layer_that_is_not_built(tmp_path):
    with pytest.raises(ValueError, match="Call it on a batch first"):
        checkpoints.save_hdf5(small_models.elmo(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_layer_that_the_format_cannot_hold(tmp_path):
    elmo = elmo_keras.ElmoLayer(
        small_models.char_cnn(activation="gelu"), small_models.bilstm(forget_bias=0.0)
    )
    with pytest.raises(ValueError, match="activation=gelu.*forget_bias=1.0"):
        checkpoints.save_hdf5(elmo, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not small_models.IS_TENSORFLOW, reason="int8 is tested on TensorFlow only")
def test_quantized_weights(tmp_path):
    elmo = small_models.elmo()
    elmo(small_models.ids())
    elmo.token_encoder.projection.quantize("int8")
    with pytest.raises(ValueError, match="quantized weights"):
        checkpoints.save_hdf5(elmo, tmp_path)


@pytest.mark.skipif(not small_models.IS_TENSORFLOW, reason="LoRA is tested on TensorFlow only")
def test_lora_is_merged_into_the_weights(tmp_path):
    elmo = small_models.elmo()
    x = small_models.ids()
    elmo(x)
    gates = elmo.bilstm.forward_layers[0].cell.recurrent_gates
    gates.enable_lora(2)
    gates.lora_kernel_b.assign(np.ones(gates.lora_kernel_b.shape))
    checkpoints.save_hdf5(elmo, tmp_path)
    merged = elmo_keras.ElmoLayer.from_preset(tmp_path)
    np.testing.assert_allclose(to_numpy(merged(x)), to_numpy(elmo(x)), atol=1e-6)


def test_half_precision_weights_are_written_as_float32(tmp_path):
    elmo = elmo_keras.ElmoLayer(
        small_models.char_cnn(dtype="bfloat16"), small_models.bilstm(dtype="bfloat16")
    )
    elmo(small_models.ids())
    checkpoints.save_hdf5(elmo, tmp_path)
    with h5py.File(tmp_path / "weights.hdf5") as file:
        assert file["char_embed"].dtype == "float32"
    elmo_keras.ElmoLayer.from_preset(tmp_path)


def test_a_failed_save_leaves_the_old_files(tmp_path, monkeypatch):
    elmo = small_models.elmo()
    elmo(small_models.ids())
    checkpoints.save_hdf5(elmo, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save_hdf5(elmo, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
