"""The format of a model is detected from its files, whatever lies beside them."""

import shutil
import zipfile

import h5py
import numpy as np
import pytest

import elmo_keras
from tests import small_models
from tests.small_models import to_numpy


@pytest.fixture
def checkpoint(tmp_path):
    opts = small_models.options()
    return small_models.write_checkpoint(tmp_path / "elmo", opts, small_models.datasets(opts))


def vectors(source):
    return to_numpy(elmo_keras.ElmoLayer.from_preset(source)(small_models.ids()))


@pytest.mark.parametrize(
    "source",
    [
        lambda path: str(path),
        lambda path: path / "weights.hdf5",
        lambda path: (path / "options.json", path / "weights.hdf5"),
        lambda path: [path / "weights.hdf5", path / "options.json"],
    ],
    ids=["str", "weights", "pair", "pair in the other order"],
)
def test_sources(checkpoint, source):
    np.testing.assert_array_equal(vectors(source(checkpoint)), vectors(checkpoint))


def test_other_hdf5_files_beside_the_weights(checkpoint):
    with h5py.File(checkpoint / "vectors.hdf5", "w") as file:
        file["0"] = np.zeros((2, 3))
    (checkpoint / "broken.h5").write_bytes(b"nothing")
    elmo_keras.ElmoLayer.from_preset(checkpoint)


def test_published_file_names(checkpoint):
    (checkpoint / "options.json").rename(checkpoint / "elmo_2x16_6_options.json")
    (checkpoint / "weights.hdf5").rename(checkpoint / "elmo_2x16_6_weights.hdf5")
    elmo_keras.ElmoLayer.from_preset(checkpoint)


def test_an_nlpl_archive(tmp_path, checkpoint):
    """NLPL calls the weights `model.hdf5` and adds other files."""
    expected = vectors(checkpoint)
    (checkpoint / "weights.hdf5").rename(checkpoint / "model.hdf5")
    (checkpoint / "meta.json").write_text("{}")
    (checkpoint / "vocab.txt").write_text("not\nneeded\n")
    (checkpoint / "model.ckpt-1.index").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "217.zip", "w") as archive:
        for path in checkpoint.iterdir():
            archive.write(path, path.name)
    np.testing.assert_array_equal(vectors(tmp_path / "217.zip"), expected)


# === Errors ===


def test_several_weights(checkpoint):
    shutil.copy(checkpoint / "weights.hdf5", checkpoint / "more.hdf5")
    with pytest.raises(ValueError, match="more.hdf5, weights.hdf5.*Name the two files"):
        elmo_keras.ElmoLayer.from_preset(checkpoint)


def test_an_empty_directory(tmp_path):
    with pytest.raises(ValueError, match="no model in .*it holds: nothing"):
        elmo_keras.ElmoLayer.from_preset(tmp_path)


@pytest.mark.parametrize("is_archive", [False, True])
def test_files_of_no_model(tmp_path, is_archive):
    source = tmp_path
    (tmp_path / "notes.txt").write_text("nothing")
    if is_archive:
        source = tmp_path / "a.zip"
        with zipfile.ZipFile(source, "w") as archive:
            archive.write(tmp_path / "notes.txt", "notes.txt")
    with pytest.raises(ValueError, match="no model in .*it holds: notes.txt"):
        elmo_keras.ElmoLayer.from_preset(source)
