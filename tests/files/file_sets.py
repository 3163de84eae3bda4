"""A set of files that all hold one number, so that a mixture of two saves is visible."""

import json

import h5py
import numpy as np

from elmo_keras.files.atomic_write import text_content
from elmo_keras.files.file_set import FileSet
from elmo_keras.files.safe_hdf5 import hdf5_content

FILES = FileSet("config.json", ("weights.h5", "words.txt", "more.txt"))
OTHER_FILES = FileSet("options.json", ("words.txt", "options.txt"))
NEW_FOLDER, PARTIAL_FOLDER = ".config.json.new", ".config.json.partial"


def write(folder, number, more=True):
    """Saves a number, with or without the optional part `more.txt`."""
    parts = {
        "weights.h5": hdf5_content({"a/b": np.full((2, 3), number, "float32")}),
        "words.txt": text_content(f"{number}\n"),
    }
    if more:
        parts["more.txt"] = text_content(f"more {number}\n")
    FILES.write(folder, {"number": number, "name": "naïve"}, parts)


def assert_weights(path, number):
    with h5py.File(path) as file:
        assert (file["a/b"][()] == number).all()


def read(folder):
    """Returns the saved number, `None` without a set; asserts that all files agree."""
    saved = FILES.find(folder)
    if saved is None:
        return None
    number = saved.content["number"]
    saved.check(*saved.digests or ())
    assert_weights(saved.path("weights.h5"), number)
    assert saved.path("words.txt").read_text() == f"{number}\n"
    if saved.lists("more.txt"):
        assert saved.path("more.txt").read_text() == f"more {number}\n"
    return number


def read_visible(folder):
    """Returns the number in the visible files, as other programs do; `None` without an index."""
    if not (folder / "config.json").exists():
        return None
    number = json.loads((folder / "config.json").read_text())["number"]
    assert (folder / "words.txt").read_text() == f"{number}\n"
    assert_weights(folder / "weights.h5", number)
    return number


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_changes_once(values, old, new):
    """Asserts that values are old up to some place, and new from there on."""
    place = values.index(new)
    assert values == [old] * place + [new] * (len(values) - place)
