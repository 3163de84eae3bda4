"""Checkpoints of TensorFlow 1: vectors equal to those of the same weights in HDF5."""

import json
import os
import shutil

import keras
import numpy as np
import pytest

import elmo_keras
from tests import foreign_checkpoints, small_models
from tests.small_models import IS_TENSORFLOW, to_numpy

pytestmark = pytest.mark.skipif(not IS_TENSORFLOW, reason="TensorFlow reads its checkpoints")


def write_hdf5(tmp_path, **changes):
    """Writes a model in HDF5; returns its options, its arrays and its vectors."""
    opts = small_models.options(**changes)
    arrays = small_models.datasets(opts)
    small_models.write_checkpoint(tmp_path / "hdf5", opts, arrays)
    return opts, arrays, vectors(tmp_path / "hdf5")


def vectors(source, x=None, **options):
    elmo = elmo_keras.ElmoLayer.from_preset(source, output="all", keep_boundaries=True, **options)
    return to_numpy(elmo(small_models.ids() if x is None else x))


# === Training checkpoints ===


@pytest.mark.parametrize(
    "changes",
    [{}, {"n_layers": 1}, {"n_layers": 3}, {"n_highway": 0}, {"activation": "tanh"}, {"dim": 6}],
    ids=str,
)
def test_a_training_checkpoint_equals_its_dump(tmp_path, changes):
    opts, arrays, expected = write_hdf5(tmp_path, n_characters=261, **changes)
    directory = foreign_checkpoints.write_training_checkpoint(tmp_path / "training", opts, arrays)
    np.testing.assert_array_equal(vectors(directory), expected)


def test_the_newest_of_several_checkpoints(tmp_path):
    opts, arrays, expected = write_hdf5(tmp_path)
    directory = tmp_path / "training"
    other = {name: array + 1 for name, array in arrays.items()}
    foreign_checkpoints.write_training_checkpoint(directory, opts, other, name="model.ckpt-100")
    foreign_checkpoints.write_training_checkpoint(directory, opts, arrays, name="model.ckpt-7")
    np.testing.assert_array_equal(vectors(directory), expected)
    # TensorFlow's file may name a path on the author's machine.
    note = 'model_checkpoint_path: "/home/author/model.ckpt-7"\n'
    (directory / "checkpoint").write_text(note)
    np.testing.assert_array_equal(vectors(directory), expected)
    (directory / "checkpoint").unlink()
    with pytest.raises(ValueError, match="several checkpoints: model.ckpt-100, model.ckpt-7"):
        vectors(directory)


def test_a_model_of_words(tmp_path):
    words, _ = foreign_checkpoints.words_and_softmax(6)
    opts, arrays = foreign_checkpoints.word_level(small_models.options(), words)
    small_models.write_checkpoint(tmp_path / "hdf5", opts, arrays)
    directory = foreign_checkpoints.write_training_checkpoint(tmp_path / "training", opts, arrays)
    for path in (tmp_path / "hdf5", directory):
        (path / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    tokens = [["the", "cat", "."], ["dog"]]
    expected = vectors(tmp_path / "hdf5", tokens)
    np.testing.assert_array_equal(vectors(directory, tokens), expected)


def test_a_model_of_one_direction(tmp_path):
    opts = small_models.options()
    arrays = {
        name.replace("RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell/W_0", "rnn/multi_rnn_cell/x"): array
        for name, array in small_models.datasets(opts).items()
        if not name.startswith("RNN_1")
    }
    directory = foreign_checkpoints.write_training_checkpoint(tmp_path, opts, arrays)
    with pytest.raises(ValueError, match="one direction alone"):
        vectors(directory)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    opts = small_models.options()
    directory = tmp_path_factory.mktemp("training")
    return foreign_checkpoints.write_training_checkpoint(
        directory, opts, small_models.datasets(opts)
    )


@pytest.mark.parametrize("name", ["model.ckpt-7", "model.ckpt-7.index"])
def test_names_of_a_checkpoint(checkpoint, name):
    np.testing.assert_array_equal(vectors(checkpoint / name), vectors(checkpoint))


def test_options_of_another_model(tmp_path, checkpoint):
    shutil.copytree(checkpoint, tmp_path / "copy")
    (tmp_path / "copy" / "options.json").write_text(json.dumps(small_models.options(dim=17)))
    with pytest.raises(ValueError, match="wrong shape: (?s:.*)belong to the same model"):
        vectors(tmp_path / "copy")


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("share", np.linspace(0, 0.99, 20))
def test_a_checkpoint_cut_short(tmp_path, checkpoint, part, share):
    directory = shutil.copytree(checkpoint, tmp_path / "copy")
    path = directory / f"model.ckpt-7.{part}"
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(ValueError, match="model.ckpt-7"):
        vectors(directory)


# === TF-Hub modules ===

HUB = {"aggregation/weights": [0.3, -0.2, 0.7], "aggregation/scaling": 1.7}
DEEPPAVLOV = {
    "aggregation/elmo_output_ELMo_W": [0.3, -0.2, 0.7],
    "aggregation/elmo_output_ELMo_gamma": [1.7],
}


@pytest.mark.parametrize("prefix", ["module/", ""])
@pytest.mark.parametrize("mix", [HUB, DEEPPAVLOV], ids=["hub", "deeppavlov"])
def test_a_hub_module_with_its_mix(tmp_path, mix, prefix):
    opts, arrays, layers = write_hdf5(tmp_path)
    mix = {key: np.array(value, "float32") for key, value in mix.items()}
    directory = foreign_checkpoints.write_hub_module(tmp_path / "hub", arrays, mix, prefix)
    np.testing.assert_array_equal(vectors(directory), layers)
    elmo = elmo_keras.ElmoLayer.from_preset(directory)
    weights = np.exp([0.3, -0.2, 0.7])
    weights /= weights.sum()
    mixed = 1.7 * np.einsum("l,btld->btd", weights, layers[:, 1:-1])
    x = small_models.ids()
    # In `mixed`, the end of the sentence follows the tokens.
    expected = [row[: ids.any(-1).sum()] for row, ids in zip(mixed, x)]
    for row, expected_row in zip(to_numpy(elmo(x)), expected):
        np.testing.assert_allclose(row[: len(expected_row)], expected_row, atol=5e-6)
    # The module's output `default` is the mean over the tokens.
    means = to_numpy(elmo_keras.layers.MaskedMeanPooling()(elmo(x)))
    for mean, expected_row in zip(means, expected):
        if len(expected_row):
            np.testing.assert_allclose(mean, expected_row.mean(0), atol=5e-6)


def test_a_module_of_another_model(tmp_path):
    foreign_checkpoints.write_variables(
        tmp_path / "variables" / "variables", {"embeddings": np.ones((3, 4))}
    )
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ValueError, match="must hold the variables of an ELMo module"):
        vectors(tmp_path)


def test_a_mix_of_a_wrong_shape(tmp_path):
    arrays = small_models.datasets(small_models.options())
    mix = {"aggregation/weights": np.ones(4, "float32"), "aggregation/scaling": np.float32(1)}
    directory = foreign_checkpoints.write_hub_module(tmp_path / "hub", arrays, mix)
    with pytest.raises(ValueError, match=r"aggregation/weights must be \(3,\), is \(4,\)"):
        vectors(directory)


def test_a_saved_model_of_this_package_is_no_hub_module(tmp_path):
    inputs = keras.Input((None, 50), dtype="int32")
    keras.Model(inputs, small_models.elmo()(inputs)).export(tmp_path / "served", verbose=False)
    with pytest.raises(ValueError, match="A SavedModel of this package is for serving"):
        vectors(tmp_path / "served")
