"""All writers on a full disk: the error names the cause, and no file changes.

HDF5's own driver would crash when the next file is opened. The writers therefore run in a separate
process, which reads a file after each error and must end normally.
"""

import sys

import pytest

from tests.fresh_process import run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")

_SCRIPT = """
import os, pathlib, resource, shutil, subprocess, sys

import h5py
import numpy as np

from elmo_keras import BidirectionalLanguageModel, checkpoints
from elmo_keras.checkpoints import softmax
from elmo_keras.text.word_vocabulary import WordVocabulary
from elmo_keras.training import command, run_checkpoint, write_vocabulary
from tests import small_models
from tests.kills import digest_of

root = pathlib.Path(sys.argv[1])
WORDS = ["<S>", "</S>", "<UNK>", *(f"word{number}" for number in range(2000))]
with h5py.File(root / "good.h5", "w") as file:
    file["x"] = np.arange(5)


def layer(number):
    elmo = small_models.elmo()
    elmo.build((None, None, 50))
    elmo.scalar_mixes[0].gamma.assign(number)
    return elmo


def softmax_of(number):
    return softmax.Softmax(np.full((9, number), 1, "float32"), np.zeros(9, "float32"), WORDS[:9])


layers = {number: layer(number) for number in (1, 2)}
models = {n: BidirectionalLanguageModel(layers[n], WORDS[: 1000 * n]) for n in (1, 2)}
arrays = {n: {"a/b": np.full(3, n), "c": np.full(20_000, n, "float32")} for n in (1, 2)}
words = {number: WordVocabulary(WORDS[: 1000 * number]) for number in (1, 2)}


def contents(n):
    return run_checkpoint.RunCheckpoint(arrays[n], {"n": n})


# Each function writes a first state or a second state, which is larger.
WRITERS = {
    "layer": lambda n, path: layers[n].save_to_preset(path),
    "model": lambda n, path: models[n].save_to_preset(path),
    "hdf5": lambda n, path: checkpoints.save_hdf5(layers[n], path),
    "softmax": lambda n, path: softmax.save(softmax_of(n), path),
    "training": lambda n, path: run_checkpoint.save(contents(n), path),
    "vocabulary": lambda n, path: write_vocabulary(words[n], path / "words.txt"),
    "count": lambda n, path: command._write_corpus_size(path, 10**n),
}


def fails(name, folder):
    # Returns whether writing the second state fails; the files must then be unchanged.
    before = digest_of(folder)
    try:
        WRITERS[name](2, folder)
    except OSError as error:
        advice = "ree disk space" if name == "training" else "ake room"
        parts = ["must be written as a whole. Received: ", error.__cause__.strerror, advice]
        missing = [part for part in parts if part not in str(error)]
        if missing or error.errno not in (27, 28) or digest_of(folder) != before:
            raise
        with h5py.File(root / "good.h5") as file:
            if file["x"][()].tolist() != [0, 1, 2, 3, 4]:
                raise
        return 1
    WRITERS[name](1, folder)
    return 0


def limited(name):
    folder = root / name
    WRITERS[name](1, folder)
    sizes = {path.stat().st_size for path in folder.iterdir()}
    # Around the ends of files, and at places between.
    limits = {size + more for size in sizes for more in (-1, 0, 100)}
    limits |= set(range(0, max(sizes), max(1, max(sizes) // 12)))
    failed = 0
    for limit in sorted(limits):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            failed += fails(name, folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    WRITERS[name](2, folder)
    return failed


def filled(name, disk):
    folder, filler = disk / name, disk / "filler"
    WRITERS[name](1, folder)
    failed = 0
    for room in (0, 1, 2, 4, 8, 16):
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        os.truncate(filler, filler.stat().st_size // 4096 * 4096 - room * 4096)
        failed += fails(name, folder)
        filler.unlink()
    WRITERS[name](2, folder)
    shutil.rmtree(folder)
    return failed


result = {"limited": {name: limited(name) for name in WRITERS}, "filled": None}
disk = root / "disk"
disk.mkdir()
mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
if shutil.which("mount") and subprocess.run(mount, capture_output=True).returncode == 0:
    try:
        result["filled"] = {name: filled(name, disk) for name in WRITERS}
    finally:
        subprocess.run(["umount", str(disk)], check=True)
"""


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """The number of failed attempts of each writer; a wrong failure ends the process."""
    return run(_SCRIPT, None, tmp_path_factory.mktemp("disk"))


def test_limited_file_size(failures):
    counts = failures["limited"]
    assert len(counts) == 7
    assert min(counts.values()) >= 1
    assert counts["layer"] > 10
    assert counts["training"] > 10


def test_full_disk(failures):
    counts = failures["filled"]
    if counts is None:
        pytest.skip("no right to mount a small disk")
    assert len(counts) == 7
    assert min(counts.values()) >= 1
