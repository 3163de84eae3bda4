"""A checkpoint is a stranger's file: whatever is wrong with it ends in a ValueError that says so.

Nothing else may happen: no other exception, no crash, no hang, no warning, no memory taken, nothing
executed. So files are loaded in a `Jail`, a process that all of this is measured of.
ELMoForManyLangs, whose weights are pickles, is in `test_strangers_manylangs.py`.
"""

import collections
import copy
import json
import math
import os
import queue
import shutil
import subprocess
import sys
import threading
import zipfile
import zlib

import h5py
import keras
import numpy as np
import pytest

import elmo_keras
from tests import foreign, toys
from tests.fresh_process import ROOT

needs_tensorflow = pytest.mark.skipif(
    not toys.IS_TENSORFLOW, reason="TensorFlow reads its checkpoints"
)
MIB = 2**20
ROOM = 6 * 2**30  # bytes of addresses that a load may take
MOST_MEMORY = 96 * MIB  # bytes of memory: toy models take one or two MiB
PATIENCE = 20  # seconds; toy models take a tenth of one

# What came of a load: its exception's name, or "loaded"; "crashed" or "hung" for the process.
Outcome = collections.namedtuple("Outcome", "kind message grown warnings")


class Jail:
    """A process that loads strangers' files one after the other, and is watched meanwhile.

    Its addresses are limited, so that what would take all memory of the machine fails in it. It
    starts when it is first asked, and again when a file was the end of it.

    Args:
        folder: path. Where it notes what it says, and finds `stranger_module`.
        good: path. A source that loads: what is imported and set up once does not count.
        imports: str. A module to import before anything is measured.
    """

    def __init__(self, folder, good, imports="json"):
        self.trap = folder / "stranger_module.py"
        self.trap.write_text(f"open({str(folder / 'trapped')!r}, 'w')")
        self._log = folder / "log"
        self._arguments = [str(good), imports, str(ROOM)]
        self._process = None

    def load(self, source, **options):
        """The `Outcome` of `from_preset(source, **options)`, with paths given as str."""
        if self._process is None:
            self._start()
            assert self._answer(120).kind == "loaded", self._log.read_text()
        self._process.stdin.write(json.dumps([source, options], default=str) + "\n")
        self._process.stdin.flush()
        return self._answer(PATIENCE)

    def _start(self):
        self._process = subprocess.Popen(
            [sys.executable, "-c", _INSIDE, *self._arguments],
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{self.trap.parent}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log.open("ab"),
            text=True,
        )
        self._answers = queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(self._process, self._answers)).start()

    @staticmethod
    def _listen(process, answers):
        for line in process.stdout:
            answers.put(line)
        answers.put("")

    def _answer(self, patience):
        try:
            line = self._answers.get(timeout=patience)
        except queue.Empty:
            self.close()
            return Outcome("hung", f"for {patience} seconds", 0, [])
        if line:
            return Outcome(*json.loads(line))
        self.close()
        return Outcome("crashed", self._log.read_text()[-2000:], 0, [])

    def close(self):
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


_INSIDE = """
import gc, importlib, json, os, re, resource, sys, warnings

answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # Libraries write there, too.
good, imports, room = sys.argv[1:]
importlib.import_module(imports)
import elmo_keras

def status(key):
    with open("/proc/self/status") as file:
        return int(re.search(rf"{key}:\\s+(\\d+) kB", file.read())[1]) * 1024

def load(source, options):
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # VmHWM, the most memory that there was, starts from now.
    before = status("VmRSS")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            elmo_keras.ElmoLayer.from_preset(source, **options)
            kind, message = "loaded", ""
        except BaseException as error:
            kind, message = type(error).__name__, str(error)
    # As in `pyproject.toml`.
    texts = [str(w.message) for w in caught if "__array__ implementation" not in str(w.message)]
    answer = json.dumps([kind, message, status("VmHWM") - before, texts])
    print(answer, file=answers, flush=True)

load(good, {})
gc.freeze()  # What is there now is not looked through again.
resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + int(room),) * 2)
for line in sys.stdin:
    load(*json.loads(line))
"""


def assert_refused(outcome, *words):
    """That a load has ended in a ValueError with these words in it, and in nothing else."""
    assert outcome.kind == "ValueError", outcome
    for word in (*words, "Received"):
        assert word in outcome.message
    assert outcome.warnings == []
    assert outcome.grown < MOST_MEMORY, f"{outcome.grown // MIB} MiB"


def assert_loaded(outcome):
    assert outcome.kind == "loaded", outcome
    assert outcome.warnings == []
    assert outcome.grown < MOST_MEMORY, f"{outcome.grown // MIB} MiB"


# === A small model in each format ===

OPTIONS = toys.options(n_layers=1)
WORDS, _ = foreign.words_and_softmax(6)
EMBEDDINGS = "token_embeddings.hdf5"
MIX = {
    "aggregation/weights": np.array([0.3, -0.2], "float32"),
    "aggregation/scaling": np.float32(1.7),
}


def write_characters(directory):
    toys.write_checkpoint(directory, OPTIONS, toys.datasets(OPTIONS))


def write_words(directory):
    toys.write_checkpoint(directory, *foreign.word_level(OPTIONS, WORDS))
    write_vocabulary(directory, WORDS)


def write_embeddings(directory):
    write_characters(directory)
    write_vocabulary(directory, WORDS)
    with h5py.File(directory / EMBEDDINGS, "w") as file:
        file["embedding"] = foreign.word_level(OPTIONS, WORDS)[1]["embedding"]


def write_training(directory):
    foreign.write_training_checkpoint(directory, OPTIONS, toys.datasets(OPTIONS))


def write_hub(directory):
    foreign.write_hub_module(directory, toys.datasets(OPTIONS), MIX)


def write_preset(directory):
    elmo = elmo_keras.ElmoLayer(toys.char_cnn(), toys.bilstm(num_layers=1), state="warm")
    elmo(toys.ids())
    elmo.save_to_preset(directory)


def write_vocabulary(directory, words):
    text = "".join(f"{word}\n" for word in words)
    (directory / "vocabulary.txt").write_text(text, encoding="utf-8", newline="\n")


# What writes a format, and its weights, TensorFlow's without `.index`.
FORMATS = {
    "characters": (write_characters, "weights.hdf5"),
    "words": (write_words, "weights.hdf5"),
    "embeddings": (write_embeddings, EMBEDDINGS),
    "training": (write_training, "model.ckpt-7"),
    "hub": (write_hub, "variables/variables"),
    "preset": (write_preset, "model.weights.h5"),
}
TENSORFLOW = ("training", "hub")


class Model:
    """The copy of a model that a test may spoil.

    Args:
        kind: str. One of `FORMATS`.
        directory: path of the copy.
        jail: Jail that loads it.
    """

    def __init__(self, kind, directory, jail):
        self.directory, self._kind, self._jail = directory, kind, jail
        self.weights = directory / FORMATS[kind][1]

    def load(self, source=None):
        options = {}
        if self._kind == "embeddings":
            options["token_embeddings"] = self.directory / EMBEDDINGS
        return self._jail.load(source or self.directory, **options)

    def assert_refused(self, *words):
        assert_refused(self.load(), *words)


@pytest.fixture(scope="module")
def jail(tmp_path_factory):
    good = tmp_path_factory.mktemp("good")
    write_preset(good)
    jail = Jail(tmp_path_factory.mktemp("jail"), good)
    yield jail
    jail.close()


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Gives the directory of a format's model, which is written once."""
    root = tmp_path_factory.mktemp("originals")

    def original(kind):
        if kind in TENSORFLOW and not toys.IS_TENSORFLOW:
            pytest.skip("TensorFlow reads its checkpoints")
        if not (root / kind).exists():
            FORMATS[kind][0](root / kind)
        return root / kind

    return original


@pytest.fixture
def model(originals, tmp_path, jail):
    """Gives a `Model` of a format."""

    def copied(kind):
        directory = tmp_path / "model"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(originals(kind), directory)
        return Model(kind, directory, jail)

    return copied


def read_arrays(path):
    """The arrays of an HDF5 file or of a TensorFlow checkpoint by name."""
    arrays = {}
    if path.exists():

        def note(name, item):
            if isinstance(item, h5py.Dataset):
                arrays[name] = item[()]

        with h5py.File(path) as file:
            file.visititems(note)
    else:
        import tensorflow as tf

        reader = tf.train.load_checkpoint(str(path))
        arrays = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    return arrays


def write_arrays(path, arrays, slices=None):
    """The inverse of `read_arrays`; `slices` are TensorFlow's, of larger variables, by name."""
    if path.exists():
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    else:
        import tensorflow as tf

        tf.raw_ops.SaveV2(
            prefix=str(path),
            tensor_names=list(arrays),
            shape_and_slices=[(slices or {}).get(name, "") for name in arrays],
            tensors=[tf.constant(array) for array in arrays.values()],
        )


# === Whole, cut short, absent ===


@pytest.mark.parametrize("form", ["directory", "zip", "zip with a folder"])
@pytest.mark.parametrize("kind", FORMATS)
def test_the_originals_load_and_spoiled_ones_do_not(model, kind, form, tmp_path):
    one = model(kind)

    def source():
        if form == "directory":
            return one.directory
        path = tmp_path / "model.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in one.directory.rglob("*"):
                top = one.directory.parent if form != "zip" else one.directory
                archive.write(file, file.relative_to(top))
        return path

    assert_loaded(one.load(source()))
    arrays = read_arrays(one.weights)
    name = next(name for name in arrays if name.endswith(("embedding", "kernel", "W_0")))
    arrays[name][0, 0] = np.nan
    write_arrays(one.weights, arrays)
    assert_refused(one.load(source()), one.weights.name, "NaN")


CUT = [
    ("characters", "options.json"),
    ("words", "options.json"),
    ("words", "weights.hdf5"),
    ("words", "vocabulary.txt"),
    ("embeddings", EMBEDDINGS),
    ("training", "options.json"),
    ("hub", "variables/variables.index"),
    ("hub", "variables/variables.data-00000-of-00001"),
    ("preset", "config.json"),
    ("preset", "model.weights.h5"),
]


@pytest.mark.parametrize("kind, file", CUT, ids=str)
def test_files_cut_short(model, kind, file):
    one = model(kind)
    path = one.directory / file
    content = path.read_bytes()
    for share in np.linspace(0, 0.99, 20):
        kept = content[: int(share * len(content))]
        path.write_bytes(kept)
        # Without its last line end, a file of words is whole.
        if file == "vocabulary.txt" and kept.decode(errors="replace").split("\n") == WORDS:
            assert_loaded(one.load())
        else:
            one.assert_refused(path.name.partition(".")[0])


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


@pytest.mark.parametrize("kind, file, word", ABSENT, ids=str)
def test_absent_files(model, kind, file, word):
    one = model(kind)
    (one.directory / file).unlink()
    assert_loaded(one.load()) if word is None else one.assert_refused(word)


# === JSON ===

VALUES = {
    "null": None,
    "text": "x",
    "minus one": -1,
    "zero": 0,
    "infinity": math.inf,
    "huge": 10**400,
    "list": [],
    "object": {},
    "true": True,
}
REMOVED = "removed"
# What means something, by the path of the value: the programs have defaults for absent keys.
FINE = {
    "lstm.n_layers": ["null", REMOVED],
    "lstm.cell_clip": ["null", REMOVED],
    "lstm.proj_clip": ["null", REMOVED],
    "lstm.use_skip_connections": ["null", "true", REMOVED],
    "char_cnn.n_characters": ["null", REMOVED],
    "n_tokens_vocab": [*VALUES, REMOVED],
}


def paths_of(content):
    """The paths of all values in parsed JSON."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in pairs:
        yield (key,)
        if isinstance(value, dict | list):
            yield from ((key, *rest) for rest in paths_of(value))


def changed(content, path, name):
    """A copy of parsed JSON with one of `VALUES` at a path, or without it."""
    content = copy.deepcopy(content)
    part = content
    for key in path[:-1]:
        part = part[key]
    if name == REMOVED:
        del part[path[-1]]
    else:
        part[path[-1]] = VALUES[name]
    return content


WORD_OPTIONS = {"lstm": OPTIONS["lstm"], "n_tokens_vocab": len(WORDS)}
CHARACTER_PATHS = [("characters", path) for path in paths_of(OPTIONS)]
WORD_PATHS = [("words", path) for path in paths_of(WORD_OPTIONS)]


def dotted(value):
    return ".".join(map(str, value)) if isinstance(value, tuple) else None


@pytest.mark.parametrize("kind, path", CHARACTER_PATHS + WORD_PATHS, ids=dotted)
@pytest.mark.parametrize("name", [*VALUES, REMOVED])
def test_values_of_options(model, kind, path, name):
    one = model(kind)
    file = one.directory / "options.json"
    file.write_text(json.dumps(changed(json.loads(file.read_text()), path, name)))
    if name in FINE.get(dotted(path), []):
        assert_loaded(one.load())
    else:
        one.assert_refused(str(one.directory))
