"""`elmo-keras convert` reads every format, and writes presets and HDF5."""

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import elmo_keras
from elmo_keras import presets
from elmo_keras.convert import convert
from elmo_keras_cli.app import app
from tests import foreign_checkpoints, small_models
from tests.small_models import IS_TENSORFLOW, to_numpy

needs_tensorflow = pytest.mark.skipif(not IS_TENSORFLOW, reason="TensorFlow reads its checkpoints")


@pytest.fixture
def checkpoint(tmp_path):
    opts = small_models.options()
    return small_models.write_checkpoint(tmp_path / "elmo", opts, small_models.datasets(opts))


def vectors(source):
    elmo = elmo_keras.ElmoLayer.from_preset(source, output="all")
    return to_numpy(elmo(small_models.ids()))


def command(*arguments):
    result = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.mark.parametrize("format", ["both", "preset", "hdf5"])
def test_formats(tmp_path, checkpoint, format):
    code, output = command(checkpoint, tmp_path / "out", "--format", format)
    assert code == 0, output
    assert "Recognized: bilm-tf / AllenNLP, HDF5" in output
    assert "12 filters of widths 1 to 2, 2 highways" in output
    assert "2 layers in each direction, 16 units projected to 6" in output
    layer = elmo_keras.ElmoLayer.from_preset(checkpoint)
    num_parameters = layer.token_encoder.count_params() + layer.bilstm.count_params()
    assert f"Parameters: {num_parameters:,}" in output
    files = {path.name for path in (tmp_path / "out").iterdir()}
    preset = {"config.json", "model.weights.h5", "metadata.json"}
    hdf5 = {"options.json", "weights.hdf5"}
    assert files == {"both": preset | hdf5, "preset": preset, "hdf5": hdf5}[format]
    np.testing.assert_array_equal(vectors(tmp_path / "out"), vectors(checkpoint))


def test_half_precision(tmp_path, checkpoint):
    code, output = command(checkpoint, tmp_path / "out", "--dtype", "float16")
    assert code == 0, output
    np.testing.assert_allclose(vectors(tmp_path / "out"), vectors(checkpoint), atol=0.01)


@needs_tensorflow
def test_a_training_checkpoint_keeps_its_softmax(tmp_path):
    opts = small_models.options()
    words, softmax = foreign_checkpoints.words_and_softmax(6)
    directory = foreign_checkpoints.write_training_checkpoint(
        tmp_path / "training", opts, small_models.datasets(opts), softmax
    )
    (directory / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    code, output = command(directory, tmp_path / "out")
    assert code == 0, output
    assert "The softmax over 9 words is kept" in output
    np.testing.assert_array_equal(vectors(tmp_path / "out"), vectors(directory))
    kept = presets.load_softmax(tmp_path / "out")
    np.testing.assert_array_equal(kept.kernel, softmax[0])
    assert kept.vocabulary == words
    # The next conversion keeps it too.
    convert(tmp_path / "out", tmp_path / "again", format="preset")
    np.testing.assert_array_equal(presets.load_softmax(tmp_path / "again").bias, softmax[1])


@needs_tensorflow
def test_a_hub_module_keeps_its_mix_in_a_preset(tmp_path):
    opts = small_models.options()
    mix = {"aggregation/weights": np.ones(3, "float32"), "aggregation/scaling": np.float32(1.5)}
    directory = foreign_checkpoints.write_hub_module(
        tmp_path / "hub", small_models.datasets(opts), mix
    )
    convert(directory, tmp_path / "out", format="preset")
    assert elmo_keras.ElmoLayer.from_preset(tmp_path / "out").layer_weights[1] == 1.5
    notes = convert(directory, tmp_path / "hdf5", format="hdf5").notes
    assert notes == ["The HDF5 format has no place for the weights of the mix."]
    with h5py.File(tmp_path / "hdf5" / "weights.hdf5") as file:
        for name, array in small_models.datasets(opts).items():
            np.testing.assert_array_equal(file[name][...], array)


def test_a_model_that_hdf5_cannot_hold(tmp_path):
    pytest.importorskip("torch", reason="torch reads ELMoForManyLangs")
    config = foreign_checkpoints.manylangs_config(word_dim=0)
    arrays = foreign_checkpoints.manylangs_arrays(
        config, len(foreign_checkpoints.SPECIAL_TOKENS), 0
    )
    foreign_checkpoints.write_manylangs(
        tmp_path / "model", config, arrays, foreign_checkpoints.SPECIAL_TOKENS, None
    )
    code, output = command(tmp_path / "model", tmp_path / "out")
    assert code == 0, output
    assert "Recognized: ELMoForManyLangs" in output
    assert "No HDF5 beside the preset." in output and "must be a CharCNN over bytes" in output
    code, output = command(tmp_path / "model", tmp_path / "other", "--format", "hdf5")
    assert code == 1 and "must be a CharCNN over bytes" in output
    assert not (tmp_path / "other").exists()


# === Errors ===


def test_a_source_that_does_not_exist(tmp_path):
    code, output = command(tmp_path / "absent", tmp_path / "out")
    assert code == 1 and output.startswith("Error: `source` must be")


def test_a_destination_with_files(tmp_path, checkpoint):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    code, output = command(checkpoint, tmp_path / "full")
    assert code == 1 and "must be a new or an empty folder" in output
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--format", "onnx"], "`format` must be one of"),
        (["--dtype", "int8"], "`dtype` must be one of"),
        (["--vocabulary", "words.txt"], "for models that read words"),
        (["--sha256", "0" * 64], "`sha256` is for files that are downloaded"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_options(tmp_path, checkpoint, options, message):
    code, output = command(checkpoint, tmp_path / "out", *options)
    assert code == 1 and message in output
    assert not (tmp_path / "out").exists()
