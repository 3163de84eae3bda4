"""Sets of files: their content, the digests, and where a file is found."""

import json
import pathlib
import shutil

import h5py
import numpy as np
import pytest

from elmo_keras.files.atomic_write import text_content
from elmo_keras.files.file_set import KEY
from tests.files.file_sets import (
    FILES,
    NEW_FOLDER,
    OTHER_FILES,
    assert_changes_once,
    assert_weights,
    names,
    read,
    write,
)
from tests.kills import digest_of, states_of

# === Writing ===


def test_content(tmp_path):
    write(tmp_path, 1)
    assert names(tmp_path) == ["config.json", "more.txt", "weights.h5", "words.txt"]
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert list(config) == ["number", "name", KEY]
    assert config["name"] == "naïve"
    assert config[KEY].keys() == {"weights.h5", "words.txt", "more.txt"}
    # From the command sha256sum, for the two bytes of the file.
    one = "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"
    assert config[KEY]["words.txt"] == one
    with h5py.File(tmp_path / "weights.h5") as file:
        assert file.attrs["elmo_keras_sha256"] == config[KEY]["weights.h5"].encode()
        assert file["a/b"][()].tolist() == [[1] * 3] * 2
    assert read(tmp_path) == 1


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in "ab":
        write(tmp_path / name, 1)
    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b")


def test_a_part_of_another_set_stays(tmp_path):
    write(tmp_path, 1)
    parts = {"words.txt": text_content("1\n"), "options.txt": text_content("")}
    OTHER_FILES.write(tmp_path, {}, parts)
    FILES.write(tmp_path, {}, {})
    assert names(tmp_path) == ["config.json", "options.json", "options.txt", "words.txt"]
    OTHER_FILES.write(tmp_path, {}, {})
    assert names(tmp_path) == ["config.json", "options.json"]


@pytest.mark.parametrize("name", ["../precious.txt", "precious.txt", "."])
def test_only_possible_parts_are_removed(tmp_path, name):
    """An index of unknown origin may list any file."""
    folder = tmp_path / "folder"
    folder.mkdir()
    precious = [tmp_path / "precious.txt", folder / "precious.txt"]
    for path in precious:
        path.write_text("precious")
    (folder / "config.json").write_text(json.dumps({KEY: {name: "0" * 64}}))
    write(folder, 1)
    assert [path.read_text() for path in precious] == ["precious"] * 2


# === Checks ===


@pytest.mark.parametrize("file", ["config.json", "weights.h5", "words.txt"])
def test_files_of_two_saves(tmp_path, file):
    write(tmp_path / "a", 1)
    write(tmp_path / "b", 2)
    shutil.copy(tmp_path / "b" / file, tmp_path / "a" / file)
    with pytest.raises(ValueError, match="must hold the .* Received: a .* of another save. Copy"):
        read(tmp_path / "a")


def test_missing_part(tmp_path):
    write(tmp_path, 1)
    (tmp_path / "words.txt").unlink()
    saved = FILES.find(tmp_path)
    saved.check("weights.h5", "unlisted.txt")
    with pytest.raises(ValueError, match="Received: no words.txt in it"):
        saved.check("weights.h5", "words.txt")


def test_weights_may_be_changed_on_purpose(tmp_path):
    """The digest in an HDF5 file stays if values are edited, and is lost if it is rewritten."""
    write(tmp_path, 1)
    with h5py.File(tmp_path / "weights.h5", "a") as file:
        file["a/b"][...] *= 2
    FILES.find(tmp_path).check("weights.h5")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["a/b"] = 3
    FILES.find(tmp_path).check("weights.h5")


@pytest.mark.parametrize(
    "value",
    [np.zeros(3), np.bytes_("short"), "text", np.bytes_(b"\xff" * 64), h5py.Empty("f"), 1.5],
    ids=str,
)
def test_invalid_digest_in_an_hdf5_file(tmp_path, value):
    write(tmp_path, 1)
    with h5py.File(tmp_path / "weights.h5", "a") as file:
        file.attrs["elmo_keras_sha256"] = value
    FILES.find(tmp_path).check("weights.h5")


@pytest.mark.parametrize(
    "parts", [7, ["words.txt"], {"words.txt": 1}, {"words.txt": "0" * 63}, {"words.txt": "../x"}]
)
def test_invalid_list_of_parts(tmp_path, parts):
    (tmp_path / "config.json").write_text(json.dumps({KEY: parts}))
    with pytest.raises(ValueError, match="elmo_keras_files must be names of files"):
        FILES.find(tmp_path)
    write(tmp_path, 1)
    assert read(tmp_path) == 1


def test_index_without_a_list_of_parts(tmp_path):
    """Other programs, and early versions of this one, write no list."""
    folder = tmp_path / "folder"
    write(folder, 1)
    config = json.loads((folder / "config.json").read_text())
    del config[KEY]
    (folder / "config.json").write_text(json.dumps(config))
    saved = FILES.find(folder)
    assert saved.digests is None
    assert not saved.lists("words.txt")
    with states_of(folder, tmp_path / "states") as states:
        write(folder, 2)
    assert_changes_once([FILES.find(state).content["number"] for state in states], 1, 2)
    for state in states:
        saved = FILES.find(state)
        number = saved.content["number"]
        assert saved.path("words.txt").read_text() == f"{number}\n"
        assert_weights(saved.path("weights.h5"), number)


# === Paths ===


@pytest.fixture
def folder(tmp_path):
    """A folder with a complete save without `more.txt`."""
    folder = tmp_path / "folder"
    write(folder, 2, more=False)
    return folder


@pytest.fixture
def committed(folder, tmp_path):
    """A folder whose save was killed after it was committed."""
    write(folder, 1)
    with states_of(folder, tmp_path / "states") as states:
        write(folder, 2, more=False)
    return next(state for state in states if not (state / "config.json").exists())


class TestComplete:
    def test_find(self, folder):
        saved = FILES.find(folder)
        assert saved.is_complete
        assert saved.index_path == folder / "config.json"
        assert FILES.leftovers(folder) == []

    def test_found_at(self, folder):
        assert FILES.found_at(folder / "config.json") == FILES.find(folder)
        assert FILES.found_at(folder / "words.txt") is None

    @pytest.mark.parametrize("name", ["config.json", "words.txt", "more.txt", "other.txt"])
    def test_place(self, folder, name):
        assert FILES.place(folder / name) == folder / name


class TestCommitted:
    def test_find(self, committed):
        saved = FILES.find(committed)
        assert not saved.is_complete
        assert saved.index_path == committed / NEW_FOLDER / "config.json"
        assert FILES.leftovers(committed) == [committed / NEW_FOLDER]

    def test_found_at(self, committed):
        index = committed / NEW_FOLDER / "config.json"
        assert FILES.found_at(index) == FILES.find(committed)

    @pytest.mark.parametrize(
        "name, expected",
        [
            ("config.json", f"{NEW_FOLDER}/config.json"),
            ("words.txt", f"{NEW_FOLDER}/words.txt"),
            ("more.txt", "more.txt"),  # not listed
        ],
    )
    def test_place(self, committed, name, expected):
        assert FILES.place(committed / name) == committed / expected


def test_missing_folder(tmp_path):
    assert FILES.find(tmp_path / "absent") is None
    assert FILES.place(pathlib.Path("absent/config.json")) == pathlib.Path("absent/config.json")
