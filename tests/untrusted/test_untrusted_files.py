"""A checkpoint is a stranger's file: whatever is wrong with it ends in a ValueError that says so.

Nothing else may happen: no other exception, no crash, no hang, no warning, no memory taken, nothing
executed. So files are loaded in a `Jail`, a process that all of this is measured of.
ELMoForManyLangs, whose weights are pickles, is in `test_strangers_manylangs.py`.
"""

import collections
import copy
import gzip
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
from tests import foreign_checkpoints, small_models
from tests.fresh_process import ROOT

# Two minutes of processes that are starved and watched: `make test-strangers`.
pytestmark = pytest.mark.slow

MIB = 2**20
ROOM = 6 * 2**30  # bytes of addresses that a load may take
MOST_MEMORY = 192 * MIB  # bytes of memory: toy models take one or two MiB
PATIENCE = 10  # seconds; toy models take a tenth of one

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
        self._folder = folder
        (folder / "stranger_module.py").write_text(f"open({str(folder / 'trapped')!r}, 'w')")
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
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _INSIDE, *self._arguments],
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{self._folder}"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
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

    def is_trapped(self):
        """Whether a file made the process import `stranger_module`."""
        return (self._folder / "trapped").exists()

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
            # Of an exception of ours the one of Python's that it is.
            kinds = [c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins"]
            kind, message = kinds[0], f"{type(error).__name__}: {error}"
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

OPTIONS = small_models.options(n_layers=1)
WORDS, _ = foreign_checkpoints.words_and_softmax(6)
EMBEDDINGS = "token_embeddings.hdf5"
MIX = {
    "aggregation/weights": np.array([0.3, -0.2], "float32"),
    "aggregation/scaling": np.float32(1.7),
}


def write_characters(directory):
    small_models.write_checkpoint(directory, OPTIONS, small_models.datasets(OPTIONS))


def write_words(directory):
    small_models.write_checkpoint(directory, *foreign_checkpoints.word_level(OPTIONS, WORDS))
    write_vocabulary(directory, WORDS)


def write_embeddings(directory):
    write_characters(directory)
    write_vocabulary(directory, WORDS)
    with h5py.File(directory / EMBEDDINGS, "w") as file:
        file["embedding"] = foreign_checkpoints.word_level(OPTIONS, WORDS)[1]["embedding"]


def write_training(directory):
    foreign_checkpoints.write_training_checkpoint(
        directory, OPTIONS, small_models.datasets(OPTIONS)
    )


def write_hub(directory):
    foreign_checkpoints.write_hub_module(directory, small_models.datasets(OPTIONS), MIX)


def write_preset(directory):
    elmo = elmo_keras.ElmoLayer(
        small_models.char_cnn(), small_models.bilstm(num_layers=1), state="warm"
    )
    elmo(small_models.ids())
    elmo.save_to_preset(directory)


def write_preset_of_words(directory):
    encoder = elmo_keras.layers.WordEmbedding(len(WORDS), 6, WORDS, name="token_encoder")
    elmo = elmo_keras.ElmoLayer(encoder, small_models.bilstm(num_layers=1))
    elmo(np.ones((1, 2), "int32"))
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
    "preset of words": (write_preset_of_words, "model.weights.h5"),
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
        self.named = FORMATS[kind][1]
        self.weights = directory / self.named

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
        if kind in TENSORFLOW and not small_models.IS_TENSORFLOW:
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
    assert_refused(one.load(source()), one.named, "NaN")


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


@pytest.mark.parametrize("kind, file, words", CUT, ids=str)
def test_files_cut_short(model, kind, file, words):
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
            one.assert_refused(words)


DAMAGES = {
    "overwritten": lambda content, place: content[:place] + b"\xff" * 8 + content[place + 8 :],
    "lost": lambda content, place: content[:place] + content[place + 5 :],
}
DAMAGED = [
    ("characters", "weights.hdf5"),
    ("embeddings", EMBEDDINGS),
    ("preset", "model.weights.h5"),
    ("preset", "config.json"),
    ("training", "model.ckpt-7.index"),
    ("training", "model.ckpt-7.data-00000-of-00001"),
    ("hub", "variables/variables.index"),
]


def outcomes_of_damage(path, damage, load, named):
    """What comes of damage to a file, in many places of its beginning, that is not as it should be.

    Numbers of weights may be damaged and still be numbers: such a file loads.
    """
    content = path.read_bytes()
    wrong = {}
    for place in np.linspace(0, min(len(content), 4000), 120, dtype=int).tolist():
        path.write_bytes(DAMAGES[damage](content, place))
        outcome = load()
        try:
            if outcome.kind == "loaded":
                assert_loaded(outcome)
            else:
                assert_refused(outcome, named)
        except AssertionError:
            wrong[place] = outcome
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("kind, file", DAMAGED, ids=str)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_bytes(model, kind, file, damage):
    one = model(kind)
    path = one.directory / file
    assert outcomes_of_damage(path, damage, one.load, str(one.directory)) == {}


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
WORD_PATHS = [("words", ("n_tokens_vocab",))]


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


# === Arrays ===

CHANGES = {
    "removed": lambda x: None,
    "transposed": lambda x: None if x.T.shape == x.shape else np.ascontiguousarray(x.T),
    "row more": lambda x: np.concatenate([x, x[:1]]) if x.ndim else None,
    "axis more": lambda x: x[np.newaxis],
    "integers": lambda x: np.ones(x.shape, "int32"),
    "text": lambda x: np.full(x.shape, b"1.5", object),
    "NaN": lambda x: np.full(x.shape, np.nan, "float32"),
    "huge": lambda x: np.full(x.shape, 1e300),
}
MORE_CHANGES = {
    "no rows": lambda x: x[:0] if x.ndim else None,
    "truth values": lambda x: np.ones(x.shape, "bool"),
    "complex": lambda x: x.astype("complex64"),
    "infinity": lambda x: np.full(x.shape, np.inf, "float32"),
}
every_change = pytest.mark.parametrize(
    "change",
    [pytest.param(change, id=name) for name, change in CHANGES.items()]
    + [
        pytest.param(change, id=name, marks=pytest.mark.slow)
        for name, change in MORE_CHANGES.items()
    ],
)
# What is not of the biLM itself: the mix, the state that sentences start from.
OWN = ("scalar_mix_", "lstm_states/", "module/aggregation/")
# What belongs to the training.
IGNORED = ("/Adagrad", "global_step", "train_perplexity")
# A model that was trained with 262 characters has a row more.
ROW_MORE = ("char_embed", "lm/char_embed", "module/bilm/char_embed")


def outcomes(one, change, is_own):
    """What comes of a change to each array of a model that is not refused as it should be."""
    arrays = read_arrays(one.weights)
    wrong = {}
    for name, array in arrays.items():
        new = change(array)
        if name.startswith(OWN) is not is_own or (new is None and change is not CHANGES["removed"]):
            continue
        rest = {key: value for key, value in arrays.items() if key != name}
        write_arrays(one.weights, rest if new is None else {**rest, name: new})
        outcome = one.load()
        is_fine = name.endswith(IGNORED) or (change is CHANGES["row more"] and name in ROW_MORE)
        try:
            assert_loaded(outcome) if is_fine else assert_refused(outcome, one.weights.name)
        except AssertionError:
            wrong[name] = outcome
    return wrong


@pytest.mark.parametrize("kind", FORMATS)
@every_change
def test_changed_arrays(model, kind, change):
    assert outcomes(model(kind), change, is_own=False) == {}


@pytest.mark.parametrize("kind", ["hub", "preset"])
@every_change
def test_changed_mixes_and_states(model, kind, change):
    assert outcomes(model(kind), change, is_own=True) == {}


MORE = [
    *((kind, "more") for kind in FORMATS),
    ("characters", "CNN/W_cnn_2"),
    ("training", "lm/CNN/W_cnn_2"),
    ("hub", "module/bilm/more"),
    ("hub", "module/aggregation/more"),
    ("preset", "token_encoder/more"),
    ("preset", "scalar_mix_9/gamma"),
    ("preset", "lstm_states/more"),
]


@pytest.mark.parametrize("kind, name", MORE, ids=str)
def test_arrays_more(model, kind, name):
    one = model(kind)
    write_arrays(one.weights, read_arrays(one.weights) | {name: np.ones(3, "float32")})
    one.assert_refused(one.named, "not used")


# === HDF5 that is more than arrays ===


def instead(make):
    """What puts something in the place of an array: `make(file, name, array, folder)`."""

    def change(path, name):
        with h5py.File(path, "a") as file:
            array = file[name][()]
            del file[name]
            made = make(file, name, array, path.parent)
            if made is not None:
                file[name] = made

    return change


def beside(make):
    """What adds something to a file: `make(file)`."""

    def change(path, name):
        with h5py.File(path, "a") as file:
            make(file)

    return change


def array_of(dtype, value=()):
    return instead(lambda file, name, x, folder: np.full(x.shape, value, dtype=dtype))


def dataset(shape=None, stored=None, **options):
    """What puts a dataset there of which nothing is stored, or chunks as they are given."""

    def make(file, name, array, folder):
        made = file.create_dataset(name, shape or array.shape, **{"dtype": "f4"} | options)
        if stored is not None:
            made.id.write_direct_chunk((0,) * len(made.shape), stored)

    return instead(make)


def external_link(file, name, array, folder):
    with h5py.File(folder / "other.data", "w") as other:
        other["x"] = array
    return h5py.ExternalLink("other.data", "/x")


def link_to_text(file, name, array, folder):
    (folder / "secret").write_text("secret")
    return h5py.ExternalLink(str(folder / "secret"), "/x")


def soft_link(file, name, array, folder):
    file["elsewhere"] = array
    return h5py.SoftLink("/elsewhere")


def external_storage(file, name, array, folder):
    (folder / "secret").write_bytes(array.tobytes())
    file.create_dataset(name, array.shape, "f4", external=[(str(folder / "secret"), 0, 10**9)])


def virtual(source):
    def make(file, name, array, folder):
        file["elsewhere"] = array
        with h5py.File(folder / "other.data", "w") as other:
            other["elsewhere"] = array
        layout = h5py.VirtualLayout(array.shape, "f4")
        layout[...] = h5py.VirtualSource(source, "elsewhere", array.shape)
        file.create_virtual_dataset(name, layout)

    return make


def references(file, name, array, folder):
    file.create_dataset(name, array.shape, h5py.ref_dtype)[...] = file.ref


def cycle(file):
    group = file.create_group("a/b")
    group["up"] = group.parent


def cycles(file):
    groups = [file.create_group(name) for name in "abc"]
    for group in groups:
        for number, other in enumerate(groups):
            group[f"{number}"] = other


def deep_groups(file):
    file["/".join("g" * 100)] = np.ones(3, "float32")


def many_arrays(file):
    file["many/one"] = np.ones(3, "float32")
    for number in range(20_000):
        file["many"].id.link(b"one", b"%d" % number, h5py.h5g.LINK_HARD)


def unknown_filter(file, name, array, folder):
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk(array.shape)
    settings.set_filter(32_000, h5py.h5z.FLAG_OPTIONAL)
    space = h5py.h5s.create_simple(array.shape)
    where = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    where.set_create_intermediate_group(True)
    made = h5py.h5d.create(
        file.id, name.encode(), h5py.h5t.NATIVE_FLOAT, space, dcpl=settings, lcpl=where
    )
    made.write_direct_chunk((0,) * array.ndim, array.tobytes())


def zeros(size):
    """So many zeros, a multiple of a MiB, as zlib compresses them."""
    packer = zlib.compressobj(wbits=-15)
    one = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = (size % 65521) << 16 | 1
    return b"\x78\x9c" + one * (size // MIB) + packer.flush() + checksum.to_bytes(4, "big")


HOSTILE = {
    "external link": instead(external_link),
    "link to text": instead(link_to_text),
    "soft link": instead(soft_link),
    "soft link to itself": instead(lambda file, name, x, folder: h5py.SoftLink(f"/{name}")),
    "external storage": instead(external_storage),
    "virtual, of another file": instead(virtual("other.data")),
    "virtual, of this file": instead(virtual(".")),
    "references": instead(references),
    "region references": dataset(dtype=h5py.regionref_dtype),
    "lists": dataset(dtype=h5py.vlen_dtype("float32")),
    "text": array_of(h5py.string_dtype(), "1.5"),
    "text of one length": array_of("S3", b"1.5"),
    "compound": array_of([("real", "f4"), ("other", "i4")], 1),
    "opaque": array_of("V4", b"1.5"),
    "an array in each place": dataset(dtype=np.dtype(("f4", (4,)))),
    "huge items": dataset(dtype="S1000000000"),
    "nothing": instead(lambda file, name, x, folder: h5py.Empty("f4")),
    "scalar": instead(lambda file, name, x, folder: np.float32(1)),
    "group": instead(lambda file, name, x, folder: file.create_group(name) and None),
    "absurd shape": dataset((10**6, 10**6), chunks=True),
    "absurd shape without chunks": dataset((10**6, 10**6)),
    "largest shape": dataset((2**31, 2**31), chunks=(1, 1)),
    "many columns of nothing": dataset((0, 10**9)),
    "many rows of nothing": dataset((10**9, 0)),
    "bomb": dataset((2**27,), zeros(2**29), chunks=(2**27,), compression="gzip"),
    # The array has the right shape; its only chunk is larger than it.
    "chunk that is a bomb": dataset(
        stored=zeros(2**29), chunks=(2**14, 2**13), maxshape=(None, None), compression="gzip"
    ),
    "damaged chunk": dataset(stored=b"nothing", chunks=True, compression="gzip"),
    "wrong checksum": dataset((2, 2), bytes(20), chunks=True, fletcher32=True),
    "unknown filter": instead(unknown_filter),
    "never written": dataset(),
    "never written, with a filler": dataset(fillvalue=1.0, chunks=True),
    "cycle": beside(cycle),
    "cycles": beside(cycles),
    "deep groups": beside(deep_groups),
    "many arrays": beside(many_arrays),
    "name that is no text": beside(lambda file: file.create_dataset(b"\xff", data=[1.0])),
}
ARRAYS = {
    "characters": "char_embed",
    "embeddings": "embedding",
    "preset": "token_encoder/char_embedding/embeddings",
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_hdf5(model, kind, what):
    one = model(kind)
    HOSTILE[what](one.weights, ARRAYS[kind])
    one.assert_refused(one.named)


# === TensorFlow checkpoints that are more than variables ===


def number_of_digits(arrays, name, folder):
    cell = f"RNN_0/rnn/multi_rnn_cell/cell_{'9' * 5000}/lstm_cell/kernel"
    arrays[name.replace("char_embed", cell)] = np.ones(3, "float32")


def sliced(shape, size):
    """What stores the first numbers alone of a variable of a claimed shape."""

    def change(arrays, name, folder):
        rows, columns = shape
        arrays[name] = np.zeros((size, columns if columns < 100 else size), "float32")
        return {name: f"{rows} {columns} 0,{size}:0,{arrays[name].shape[1]}"}

    return change


def variable(name, make):
    """What adds a variable of another name, or replaces one by a tensor."""

    def change(arrays, own, folder):
        import tensorflow as tf

        arrays[own.replace("char_embed", name)] = make(tf, arrays[own])

    return change


VARIABLES = {
    "slice of an absurd shape": sliced((10**6, 10**6), 1),
    "slice of the right shape": sliced((261, 4), 1),
    "number of many digits": number_of_digits,
    "large number": variable("CNN/W_cnn_999999999", lambda tf, x: x),
    "many highways": variable("CNN_high_999999999/W_carry", lambda tf, x: x),
    "many layers": variable(
        "RNN_0/RNN/MultiRNNCell/Cell999999999/rnn/lstm_cell/kernel", lambda tf, x: x
    ),
    "objects": variable("x/.ATTRIBUTES/VARIABLE_VALUE", lambda tf, x: x),
    "8 bits": variable("char_embed", lambda tf, x: tf.cast(x, "qint8")),
    "bfloat16": variable("char_embed", lambda tf, x: tf.cast(x, "bfloat16")),
    "many rows of nothing": variable("char_embed", lambda tf, x: tf.zeros((10**9, 0))),
    "many columns of nothing": variable("char_embed", lambda tf, x: tf.zeros((0, 10**9))),
}


@pytest.mark.parametrize("kind", TENSORFLOW)
@pytest.mark.parametrize("what", VARIABLES)
def test_hostile_variables(model, kind, what):
    one = model(kind)
    arrays = read_arrays(one.weights)
    name = next(name for name in arrays if name.endswith("char_embed"))
    slices = VARIABLES[what](arrays, name, one.directory)
    write_arrays(one.weights, arrays, slices)
    one.assert_refused(one.named)


@pytest.mark.parametrize("kind", TENSORFLOW)
def test_an_index_and_the_data_of_another_checkpoint(model, kind):
    one = model(kind)
    index = one.weights.with_name(f"{one.weights.name}.index").read_bytes()
    write_arrays(one.weights, {key: x + 1 for key, x in read_arrays(one.weights).items()})
    one.weights.with_name(f"{one.weights.name}.index").write_bytes(index)
    one.assert_refused(one.named, "damaged or cut short")


# === Numbers and words without measure ===

MANY = 10**9
NUMBERS = [
    ("lstm.n_layers", MANY),
    ("lstm.dim", MANY),
    ("lstm.projection_dim", MANY),
    ("lstm.projection_dim", 2**31),
    ("char_cnn.n_highway", MANY),
    ("char_cnn.embedding.dim", MANY),
    ("char_cnn.n_characters", MANY),
    ("char_cnn.max_characters_per_token", MANY),
    ("char_cnn.filters", [[1, MANY], [2, 8]]),
    ("char_cnn.filters", [[MANY, 4], [2, 8]]),
    ("char_cnn.filters", [[1, 4]] * 10**5),
    ("char_cnn.filters", ["14", "28"]),
    ("char_cnn.filters", {"14": 0, "28": 0}),
    ("char_cnn.filters", [[1.9, 4], [2, 8]]),
    ("lstm.dim", int("9" * 4000)),
]


@pytest.mark.parametrize("key, value", NUMBERS, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("longest", [50, 10**6])
def test_numbers_without_measure(model, key, value, longest):
    """Also where `max_characters_per_token`, which no weight depends on, would allow them."""
    one = model("characters")
    options = small_models.options(n_layers=1, max_characters_per_token=longest)
    *parents, last = key.split(".")
    part = options
    for parent in parents:
        part = part[parent]
    part[last] = value
    (one.directory / "options.json").write_text(json.dumps(options))
    one.assert_refused(str(one.directory))


def test_more_digits_than_python_reads(model):
    one = model("characters")
    text = (one.directory / "options.json").read_text()
    (one.directory / "options.json").write_text(text.replace("16", "9" * 5000))
    one.assert_refused("options.json must be a JSON file")


DEPTHS = [*range(930, 1000), 100_000]


@pytest.mark.parametrize("kind, file", [("characters", "options.json"), ("preset", "config.json")])
def test_json_nested_deeply(model, kind, file):
    """What can just be read must not be too deep to be shown."""
    one = model(kind)
    for depth in DEPTHS:
        for key in ("lstm", "registered_name"):
            text = f'{{"{key}": {"[" * depth + "]" * depth}}}'
            (one.directory / file).write_text(text)
            one.assert_refused(file)


def lines(change):
    return lambda: "".join(f"{word}\n" for word in change(list(WORDS))).encode()


VOCABULARIES = {
    "twice": (lines(lambda words: [*words[:-1], words[0]]), "each token once"),
    "one more": (lines(lambda words: [*words, "more"]), "10 words"),
    "one less": (lines(lambda words: words[:-1]), "8 words"),
    "no marks": (lines(lambda words: ["a", "b", "c", *words[3:]]), "<S>"),
    "nothing": (lambda: b"", "0 words"),
    "no text": (lambda: b"\xff\xfe", "UTF-8"),
    "cut gzip": (lambda: gzip.compress(b"a\n" * 9)[:-9], "vocabulary.txt must be"),
    "no gzip": (lambda: b"\x1f\x8b" + bytes(100), "vocabulary.txt must be"),
    "bomb of empty lines": (lambda: gzip.compress(b"\n" * MIB) * 256, "vocabulary.txt must be"),
}


@pytest.mark.parametrize("what", VOCABULARIES)
def test_hostile_vocabularies(model, what):
    one = model("words")
    content, word = VOCABULARIES[what]
    (one.directory / "vocabulary.txt").write_bytes(content())
    one.assert_refused(word)


@pytest.mark.parametrize("rows", [10**8, 10**12])
@pytest.mark.parametrize("kind", ["words", "training"])
def test_many_words_of_no_dimension(model, kind, rows):
    """Without a file of words, as many names would be made up."""
    one = model(kind)
    (one.directory / "options.json").write_text(json.dumps(WORD_OPTIONS))
    (one.directory / "vocabulary.txt").unlink(missing_ok=True)
    if kind == "words":
        dataset((rows, 0))(one.weights, "embedding")
    else:
        write_arrays(one.weights, {"lm/embedding": np.zeros((rows, 0), "float32")})
    one.assert_refused(one.named)


# === What is no file, and what others lie beside ===


@pytest.mark.parametrize("which", ["options", "weights"])
def test_a_folder_in_the_place_of_a_file(model, which):
    one = model("characters")
    folder = one.directory / "folder.json"
    folder.mkdir()
    pair = [one.directory / "options.json", one.weights]
    pair[which == "weights"] = folder
    assert_refused(one.load(pair), "folder.json")


def test_links_are_not_followed_to_tell_files_apart(model):
    """Who opens a pipe that nobody writes to waits for ever."""
    one = model("characters")
    os.mkfifo(one.directory / "pipe")
    with h5py.File(one.directory / "more.hdf5", "w") as file:
        file["char_embed"] = h5py.ExternalLink("pipe", "/x")
    one.assert_refused("more.hdf5")


# === Presets: a config is a description, and may name much ===


def code():
    """The config of a function that would run a stranger's code, as Keras writes it."""
    layer = keras.layers.Lambda(lambda x: __import__("stranger_module"))
    return keras.saving.serialize_keras_object(layer)


def named(module, name, config=None, registered_name=None):
    keys = ("module", "class_name", "config", "registered_name")
    return dict(zip(keys, (module, name, config or {}, registered_name)))


def put(path, value):
    """What puts a value into the config of an ElmoLayer; `value` may be a function of the old."""

    def change(config):
        *parents, last = path.split(".")
        part = config["config"]
        for parent in parents:
            part = part[parent]
        part[last] = value(part.get(last)) if callable(value) else value

    return change


def moved(old):
    return named("elmo_keras.layers", "ElmoLayer", {"token_encoder": old})


def nested(old):
    for _ in range(150):
        old = named("keras.layers", "TimeDistributed", {"layer": old})
    return old


CNN, LSTM = "token_encoder.config.", "bilstm.config."
CONFIGS = {
    "code as the token encoder": put("token_encoder", lambda old: code()),
    "code as the LSTMs": put("bilstm", lambda old: code()),
    "code as the tokenizer": put("tokenizer", lambda old: code()),
    "code as an activation": put(f"{CNN}activation", lambda old: code()["config"]["function"]),
    "code as a regularizer": put("mix_regularizer", lambda old: code()["config"]["function"]),
    "code as a dtype": put("dtype", lambda old: code()),
    "code as a part's dtype": put(f"{CNN}dtype", lambda old: code()),
    "code in a Sequential": put(
        "token_encoder",
        lambda old: named("keras", "Sequential", {"name": "x", "layers": [code()]}),
    ),
    "module": put("token_encoder", named("stranger_module", "CharCNN")),
    "module below": put("token_encoder", named("keras.stranger_module", "CharCNN")),
    "module with a name": put(
        "token_encoder", named("stranger_module", "X", registered_name="stranger_module>X")
    ),
    "module of an activation": put(f"{CNN}activation", named("stranger_module", "function", "x")),
    "os.system": put(f"{CNN}activation", named("os", "function", "system", "function")),
    "a function that is no layer": put(
        "token_encoder",
        named("keras.utils", "get_file", {"fname": "x", "origin": "file:///etc/hostname"}),
    ),
    "saved model": put("token_encoder", named("keras.layers", "TFSMLayer", {"filepath": "."})),
    "other class": put(
        "token_encoder", lambda old: old | {"registered_name": "elmo_keras>Highway"}
    ),
    "LSTMs as token encoder": put(
        "token_encoder", lambda old: old | {"registered_name": "elmo_keras>BiLSTMStack"}
    ),
    "layer of Keras": put("token_encoder", named("keras.layers", "Dense", {"units": 6})),
    "itself": put("token_encoder", moved),
    "many times nested": put("token_encoder", nested),
    "unknown class": put("token_encoder", named("elmo_keras.layers", "X", {}, "elmo_keras>X")),
    "unknown argument": put("more", 1),
    "unknown argument of a part": put(f"{CNN}more", 1),
    "unknown argument of LSTMs": put(f"{LSTM}more", 1),
    "many layers": put(f"{LSTM}num_layers", MANY),
    "many units": put(f"{LSTM}units", MANY),
    "large projection": put(f"{LSTM}projection_dim", MANY),
    "large projections": lambda config: [
        put(f"{part}projection_dim", MANY)(config) for part in (CNN, LSTM)
    ],
    "large vectors of characters": put(f"{CNN}char_embedding_dim", MANY),
    "many characters": put(f"{CNN}num_characters", MANY),
    "long words": put(f"{CNN}max_characters", MANY),
    "many highways": put(f"{CNN}num_highways", MANY),
    "large filters": put(f"{CNN}filters", [[1, MANY], [2, 8]]),
    "many filters": put(f"{CNN}filters", [[1, 4]] * 10**6),
    "many mixes": put("num_representations", MANY),
    "many rows": lambda config: config["config"].update(state="carry", max_rows=10**7),
    "default parts": lambda config: config["config"].update(token_encoder=None, bilstm=None),
}
WORD_CONFIGS = {
    "word twice": put(f"{CNN}vocabulary", lambda old: old.replace("cat", "the")),
    "word less": put(f"{CNN}vocabulary", lambda old: old.removesuffix("\n.")),
    "no text": put(f"{CNN}vocabulary", 7),
    "numbers": put(f"{CNN}vocabulary", [1, 2, 3]),
    "many words": put(f"{CNN}num_words", MANY),
    "many unknown words": lambda config: config["config"]["token_encoder"]["config"].update(
        vocabulary=None, num_words=10**8
    ),
}


@pytest.mark.parametrize(
    "kind, what",
    [("preset", what) for what in CONFIGS] + [("preset of words", what) for what in WORD_CONFIGS],
)
def test_hostile_configs(model, jail, kind, what):
    one = model(kind)
    file = one.directory / "config.json"
    config = json.loads(file.read_text())
    (CONFIGS | WORD_CONFIGS)[what](config)
    file.write_text(json.dumps(config))
    one.assert_refused(str(one.directory))
    assert not jail.is_trapped()


@pytest.mark.parametrize("state, rows", [("warm", 1), ("carry", 10**7)])
def test_states_that_the_file_lacks(model, state, rows):
    one = model("preset")
    file = one.directory / "config.json"
    config = json.loads(file.read_text())
    config["config"].update(state=state, max_rows=rows)
    file.write_text(json.dumps(config))
    arrays = read_arrays(one.weights)
    kept = {key: array for key, array in arrays.items() if not key.startswith("lstm_states/")}
    write_arrays(one.weights, kept)
    one.assert_refused(one.named, "missing: lstm_states/")


@pytest.mark.parametrize("name", ["elmo_keras>CharCNN", "x", None, []])
def test_presets_of_other_things(model, name):
    one = model("preset")
    file = one.directory / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "registered_name": name}))
    one.assert_refused("registered_name")


# The values with a meaning of their own, and those that may pass for one, by the path of the key.
VALUES_OF_CONFIGS = {
    f"{CNN}filters": [],
    f"{CNN}char_embedding_dim": [],
    f"{CNN}num_highways": [],
    f"{CNN}projection_dim": [],
    f"{CNN}activation": ["null"],
    f"{CNN}max_characters": [],
    f"{CNN}num_characters": [],
    f"{LSTM}num_layers": [],
    f"{LSTM}units": [],
    f"{LSTM}projection_dim": [],
    f"{LSTM}cell_clip": ["null"],
    f"{LSTM}projection_clip": ["null"],
    f"{LSTM}residual": ["zero"],
    f"{LSTM}forget_bias": ["zero", "minus one"],
    "token_encoder": [],
    "bilstm": [],
    "output": ["zero"],
    "num_representations": [],
    "dropout": ["zero"],
    "mix_regularizer": ["null"],
    "layer_norm": ["zero"],
    "keep_boundaries": ["zero"],
    "state": [],
    "max_rows": [],
    "tokenizer": [],
    "tokenizer.config.method": [],
    "tokenizer.config.lowercase": ["zero"],
    "tokenizer.config.max_tokens": ["null", "huge"],
}


def outcomes_of_configs(one, paths, names):
    """What comes of values in a preset's config that ends in no ValueError, by path and value."""
    file = one.directory / "config.json"
    config = json.loads(file.read_text())
    wrong = {}
    for path in paths:
        for name in names:
            file.write_text(json.dumps(changed(config, path, name)))
            outcome = one.load()
            try:
                assert_refused(outcome, str(one.directory))
            except AssertionError:
                wrong[dotted(path), name] = outcome
    return wrong


@pytest.mark.parametrize("key", VALUES_OF_CONFIGS)
def test_values_of_configs(model, key):
    # `True` is 1 to Python.
    names = [name for name in VALUES if name not in [*VALUES_OF_CONFIGS[key], "true"]]
    path = ("config", *key.split("."))
    assert outcomes_of_configs(model("preset"), [path], names) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*VALUES, REMOVED])
def test_all_values_of_configs(model, name):
    """Also of those keys that Keras asks for, or none: what is not refused then loads."""
    one = model("preset")
    config = json.loads((one.directory / "config.json").read_text())
    wrong = outcomes_of_configs(one, paths_of(config), [name])
    for outcome in wrong.values():
        assert_loaded(outcome)
