"""The softmax over words of a language model: AllenNLP's HDF5 file and training checkpoints."""

import h5py
import numpy as np
import pytest

import elmo_keras
from elmo_keras import presets
from tests import foreign_checkpoints, small_models
from tests.small_models import IS_TENSORFLOW

needs_tensorflow = pytest.mark.skipif(not IS_TENSORFLOW, reason="TensorFlow reads its checkpoints")

WORDS, SOFTMAX = foreign_checkpoints.words_and_softmax(6)


# === HDF5 ===


def write_hdf5(directory, kernel, bias):
    with h5py.File(directory / "softmax_weights.hdf5", "w") as file:
        file["softmax/W"], file["softmax/b"] = kernel, bias


@pytest.mark.parametrize("name", ["", "softmax_weights.hdf5"])
def test_the_file_of_allennlp(tmp_path, name):
    write_hdf5(tmp_path, *SOFTMAX)
    (tmp_path / "vocabulary.txt").write_text("\n".join(WORDS), encoding="utf-8")
    kernel, bias, vocabulary = presets.load_softmax(tmp_path / name)
    np.testing.assert_array_equal(kernel, SOFTMAX[0])
    np.testing.assert_array_equal(bias, SOFTMAX[1])
    assert vocabulary == WORDS


def test_a_bias_of_a_wrong_shape(tmp_path):
    write_hdf5(tmp_path, SOFTMAX[0], SOFTMAX[1][:-1])
    with pytest.raises(ValueError, match=r"must hold softmax/W .* shapes \(9, 6\) and \(8,\)"):
        presets.load_softmax(tmp_path)


@pytest.mark.parametrize("name", ["", "weights.hdf5"])
def test_a_model_without_a_softmax(tmp_path, name):
    opts = small_models.options()
    small_models.write_checkpoint(tmp_path, opts, small_models.datasets(opts))
    with pytest.raises(ValueError, match="which holds none"):
        presets.load_softmax(tmp_path / name)


# === Training checkpoints ===


@pytest.fixture
def training(tmp_path):
    opts = small_models.options()
    arrays = small_models.datasets(opts)
    return foreign_checkpoints.write_training_checkpoint(tmp_path, opts, arrays, SOFTMAX)


@needs_tensorflow
def test_a_training_checkpoint(training):
    kernel, bias, vocabulary = presets.load_softmax(training)
    np.testing.assert_array_equal(kernel, SOFTMAX[0])
    np.testing.assert_array_equal(bias, SOFTMAX[1])
    assert vocabulary is None
    (training / "vocab-2016-09-10.txt").write_text("\n".join([*WORDS, "!!!MAXTERMID"]), "utf-8")
    assert presets.load_softmax(training).vocabulary == WORDS


@needs_tensorflow
def test_a_vocabulary_of_another_size(training):
    path = training / "short.txt"
    path.write_text("a\nb\n")
    with pytest.raises(ValueError, match="and 2 words in .*short.txt"):
        presets.load_softmax(training, vocabulary=path)


@needs_tensorflow
def test_a_softmax_shared_with_the_word_embedding(tmp_path):
    opts, arrays = foreign_checkpoints.word_level(small_models.options(), WORDS)
    variables = arrays | {"softmax/b": SOFTMAX[1]}
    directory = foreign_checkpoints.write_training_checkpoint(tmp_path, opts, variables)
    kernel, bias, _ = presets.load_softmax(directory)
    np.testing.assert_array_equal(kernel, arrays["embedding"])
    np.testing.assert_array_equal(bias, SOFTMAX[1])
    elmo_keras.ElmoLayer.from_preset(directory)(np.array([[4, 5]]))


@needs_tensorflow
def test_a_training_checkpoint_without_a_softmax(tmp_path):
    opts = small_models.options()
    directory = foreign_checkpoints.write_training_checkpoint(
        tmp_path, opts, small_models.datasets(opts)
    )
    with pytest.raises(ValueError, match="which holds none"):
        presets.load_softmax(directory)
