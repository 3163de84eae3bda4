"""Files that are complete, truncated, damaged or missing, in every format but ELMoForManyLangs."""

import os
import zipfile

import h5py
import numpy as np
import pytest

from tests.untrusted.changes import DAMAGES, outcomes_of_damage
from tests.untrusted.jail import assert_loaded, assert_refused
from tests.untrusted.models import EMBEDDINGS, FORMATS, WORDS, read_arrays, write_arrays

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("form", ["directory", "zip", "zip with a folder"])
@pytest.mark.parametrize("format", FORMATS)
def test_complete_and_damaged_models(model, format, form, tmp_path):
    target = model(format)

    def source():
        if form == "directory":
            return target.directory
        path = tmp_path / "model.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in target.directory.rglob("*"):
                top = target.directory.parent if form != "zip" else target.directory
                archive.write(file, file.relative_to(top))
        return path

    assert_loaded(target.load(source()))
    arrays = read_arrays(target.weights)
    name = next(name for name in arrays if name.endswith(("embedding", "kernel", "W_0")))
    arrays[name][0, 0] = np.nan
    write_arrays(target.weights, arrays)
    assert_refused(target.load(source()), target.named, "NaN")


CUT = [
    ("characters", "options.json", "options.json must be a JSON file"),
    ("words", "options.json", "options.json must be a JSON file"),
    ("words", "weights.hdf5", "weights.hdf5 must be an HDF5 file"),
    ("words", "vocabulary.txt", "ocabulary"),
    ("embeddings", EMBEDDINGS, f"{EMBEDDINGS} must be an HDF5 file"),
    ("training", "options.json", "options.json must be a JSON file"),
    ("hub", "variables/variables.index", "variables/variables must"),
    ("hub", "variables/variables.data-00000-of-00001", "variables/variables must"),
    ("preset", "config.json", "config.json must be a JSON file"),
    ("preset", "model.weights.h5", "model.weights.h5 must be an HDF5 file"),
]


@pytest.mark.parametrize("format, file, words", CUT, ids=str)
def test_truncated_files(model, format, file, words):
    target = model(format)
    path = target.directory / file
    content = path.read_bytes()
    for share in np.linspace(0, 0.99, 20):
        kept = content[: int(share * len(content))]
        path.write_bytes(kept)
        # A vocabulary without its last line break is complete.
        if file == "vocabulary.txt" and kept.decode(errors="replace").split("\n") == WORDS:
            assert_loaded(target.load())
        else:
            target.assert_refused(words)


DAMAGED = [
    ("characters", "weights.hdf5"),
    ("embeddings", EMBEDDINGS),
    ("preset", "model.weights.h5"),
    ("preset", "config.json"),
    ("training", "model.ckpt-7.index"),
    ("training", "model.ckpt-7.data-00000-of-00001"),
    ("hub", "variables/variables.index"),
]


@pytest.mark.slow
@pytest.mark.parametrize("format, file", DAMAGED, ids=str)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_bytes(model, format, file, damage):
    target = model(format)
    path = target.directory / file
    assert outcomes_of_damage(path, damage, target.load, str(target.directory)) == {}


ABSENT = [
    ("characters", "options.json", "weights.hdf5 without options (JSON) beside it"),
    ("characters", "weights.hdf5", "it holds: options.json"),
    ("words", "options.json", "weights.hdf5 without options (JSON) beside it"),
    ("words", "weights.hdf5", "it holds: options.json, vocabulary.txt"),
    ("words", "vocabulary.txt", None),  # It then takes ids alone.
    ("embeddings", EMBEDDINGS, EMBEDDINGS),
    ("embeddings", "weights.hdf5", EMBEDDINGS),
    ("training", "options.json", "model.ckpt-7 without options (JSON) beside it"),
    ("training", "model.ckpt-7.index", "it holds: checkpoint, model.ckpt-7.data"),
    ("training", "model.ckpt-7.data-00000-of-00001", "model.ckpt-7"),
    ("training", "checkpoint", None),
    ("hub", "variables/variables.index", "it holds: saved_model.pb"),
    ("hub", "variables/variables.data-00000-of-00001", "variables/variables"),
    ("hub", "saved_model.pb", None),
    ("preset", "config.json", "it holds: metadata.json, model.weights.h5"),
    ("preset", "model.weights.h5", "no model.weights.h5"),
    ("preset", "metadata.json", None),
]


@pytest.mark.parametrize("format, file, word", ABSENT, ids=str)
def test_absent_files(model, format, file, word):
    target = model(format)
    (target.directory / file).unlink()
    assert_loaded(target.load()) if word is None else target.assert_refused(word)


@pytest.mark.parametrize("which", ["options", "weights"])
def test_a_directory_instead_of_a_file(model, which):
    target = model("characters")
    folder = target.directory / "folder.json"
    folder.mkdir()
    pair = [target.directory / "options.json", target.weights]
    pair[which == "weights"] = folder
    assert_refused(target.load(pair), "folder.json")


def test_links_are_not_followed_during_detection(model):
    """Opening a pipe without a writer blocks forever."""
    target = model("characters")
    os.mkfifo(target.directory / "pipe")
    with h5py.File(target.directory / "more.hdf5", "w") as file:
        file["char_embed"] = h5py.ExternalLink("pipe", "/x")
    target.assert_refused("more.hdf5")
