"""ELMoForManyLangs as a stranger's files, pickles among them; see `test_strangers.py`.

torch wrote two generations of files: pickles one after the other, and since version 1.6 a zip with
one in it.
"""

import functools
import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import zipfile

import numpy as np
import pytest

from tests import foreign_checkpoints
from tests.untrusted.test_untrusted_files import (
    CHANGES,
    DAMAGES,
    DEPTHS,
    MANY,
    MIB,
    REMOVED,
    VALUES,
    Jail,
    assert_loaded,
    assert_refused,
    changed,
    dotted,
    every_change,
    outcomes_of_damage,
    paths_of,
)

pytestmark = pytest.mark.slow

GENERATIONS = ("pickles", "zip")
EMBEDDER, ENCODER = "token_embedder.pkl", "encoder.pkl"
CONFIG = foreign_checkpoints.manylangs_config(n_layers=1)
CHARACTERS = [*foreign_checkpoints.SPECIAL_TOKENS, *"abcd我喜欢"]
WORDS = [*foreign_checkpoints.SPECIAL_TOKENS, "我", "喜欢", "abc", "d"]
ARRAYS = foreign_checkpoints.manylangs_arrays(CONFIG, len(CHARACTERS), len(WORDS))


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """The directory of each generation's model."""
    pytest.importorskip("torch", reason="torch reads and writes ELMoForManyLangs")
    root = tmp_path_factory.mktemp("originals")
    for name in GENERATIONS:
        is_legacy = name == "pickles"
        foreign_checkpoints.write_manylangs(
            root / name, CONFIG, ARRAYS, CHARACTERS, WORDS, is_legacy
        )
    return root


@pytest.fixture(scope="module")
def jail(originals, tmp_path_factory):
    jail = Jail(tmp_path_factory.mktemp("jail"), originals / "zip", imports="torch")
    yield jail
    jail.close()


@pytest.fixture
def model(originals, tmp_path):
    """Gives the path of a copy of a generation's model."""

    def copied(generation="zip"):
        return shutil.copytree(originals / generation, tmp_path / "model")

    return copied


every_generation = pytest.mark.parametrize("generation", GENERATIONS)


def save(path, state, generation):
    import torch

    torch.save(state, str(path), _use_new_zipfile_serialization=generation == "zip")


# === Whole, cut short, absent ===


@every_generation
@pytest.mark.parametrize("form", ["directory", "zip", "zip with a folder"])
def test_the_originals_load_and_spoiled_ones_do_not(model, jail, tmp_path, generation, form):
    directory = model(generation)

    def source():
        if form == "directory":
            return directory
        with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
            for file in directory.iterdir():
                top = directory.parent if form != "zip" else directory
                archive.write(file, file.relative_to(top))
        return tmp_path / "model.zip"

    assert_loaded(jail.load(source()))
    path = directory / ENCODER
    path.write_bytes(path.read_bytes()[:-2000])
    assert_refused(jail.load(source()), ENCODER)


FILES = ["config.json", "cnn_sample.json", EMBEDDER, ENCODER, "char.dic", "word.dic"]


@every_generation
@pytest.mark.parametrize("file", FILES)
def test_files_cut_short(model, jail, generation, file):
    path = model(generation) / file
    content = path.read_bytes()
    for share in np.linspace(0, 0.99, 20):
        path.write_bytes(content[: int(share * len(content))])
        outcome = jail.load(path.parent)
        # What is cut behind a line, or within a number, may be a shorter dictionary.
        if file.endswith(".dic") and outcome.kind == "loaded":
            assert_loaded(outcome)
        else:
            is_of_both = file.endswith(".dic") and "The dictionaries in" in outcome.message
            assert_refused(outcome, str(path.parent) if is_of_both else f"{file} must")


@pytest.mark.slow
@every_generation
def test_files_cut_at_every_byte(model, jail, generation):
    path = model(generation) / EMBEDDER
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        assert_refused(jail.load(path.parent), EMBEDDER)


@pytest.mark.slow
@every_generation
@pytest.mark.parametrize("file", ["cnn_sample.json", EMBEDDER, ENCODER, "char.dic"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_bytes(model, jail, generation, file, damage):
    directory = model(generation)
    load = functools.partial(jail.load, directory)
    assert outcomes_of_damage(directory / file, damage, load, str(directory)) == {}


@pytest.mark.parametrize("file", FILES)
def test_absent_files(model, jail, file):
    directory = model()
    (directory / file).unlink()
    assert_refused(jail.load(directory), file)


def test_a_folder_in_the_place_of_a_file(model, jail):
    directory = model()
    (directory / ENCODER).unlink()
    (directory / ENCODER).mkdir()
    assert_refused(jail.load(directory), ENCODER)


# === JSON ===

OUTER = {"config_path": "/home/author/configs/cnn_sample.json", "max_epoch": 10}
UNUSED = ("max_epoch", "classifier", "dropout")
FINE = {
    "encoder.cell_clip": ["null", REMOVED],
    "encoder.proj_clip": ["null", REMOVED],
    "token_embedder.max_characters_per_token": ["null", REMOVED],
}
PATHS = [("config.json", path) for path in paths_of(OUTER)]
PATHS += [("cnn_sample.json", path) for path in paths_of(CONFIG)]


@pytest.mark.parametrize("file, path", PATHS, ids=dotted)
@pytest.mark.parametrize("name", [*VALUES, REMOVED])
def test_values_of_configs(model, jail, file, path, name):
    directory = model()
    content = OUTER if file == "config.json" else CONFIG
    (directory / file).write_text(json.dumps(changed(content, path, name)))
    outcome = jail.load(directory)
    if path[0] in UNUSED or name in FINE.get(dotted(path), []):
        assert_loaded(outcome)
    else:
        assert_refused(outcome, str(directory))


@pytest.mark.parametrize("file", ["config.json", "cnn_sample.json"])
def test_json_nested_deeply(model, jail, file):
    directory = model()
    for depth in DEPTHS:
        for key in ("encoder", "config_path"):
            text = f'{{"{key}": {"[" * depth + "]" * depth}}}'
            (directory / file).write_text(text)
            assert_refused(jail.load(directory), file)


NUMBERS = [
    ("encoder.n_layers", MANY),
    ("encoder.dim", MANY),
    ("encoder.projection_dim", MANY),
    ("token_embedder.n_highway", MANY),
    ("token_embedder.word_dim", MANY),
    ("token_embedder.char_dim", MANY),
    ("token_embedder.max_characters_per_token", MANY),
    ("token_embedder.filters", [[1, MANY], [2, 8]]),
    ("token_embedder.filters", [[MANY, 4], [2, 8]]),
    ("token_embedder.filters", [[1, 4]] * 10**5),
    ("token_embedder.name", "lstm"),
    ("encoder.name", "lstm"),
]


@pytest.mark.parametrize("key, value", NUMBERS, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("longest", [50, 10**6])
def test_numbers_without_measure(model, jail, key, value, longest):
    directory = model()
    config = foreign_checkpoints.manylangs_config(n_layers=1, max_characters_per_token=longest)
    section, last = key.split(".")
    config[section][last] = value
    (directory / "cnn_sample.json").write_text(json.dumps(config))
    assert_refused(jail.load(directory), str(directory))


@pytest.mark.parametrize("name", ["", ".", "..", "config.json", "../x.json", "a\\..\\.", "\0"])
def test_paths_of_configs(model, jail, name):
    directory = model()
    (directory.parent / "x.json").write_text(json.dumps(CONFIG))
    (directory / "config.json").write_text(json.dumps({"config_path": f"/home/{name}"}))
    assert_refused(jail.load(directory), str(directory))


# === Dictionaries ===

LINE, NUMBERING = "an entry, a tab and its number on each line", "its entries from 0 on"
DICTIONARIES = {
    "large number": ("more\t100000000000", NUMBERING),
    "larger number": (f"more\t{10**30}", NUMBERING),
    "digits without end": (f"more\t{'9' * 10**5}", NUMBERING),
    "negative number": ("more\t-1", LINE),
    "number twice": ("more\t3", "each entry a number of its own"),
    "no number": ("more\tmore", LINE),
    "fraction": ("more\t9.0", LINE),
    "digits of others": ("more\t٩٩", LINE),
    "three fields": ("more\tand more\t9", LINE),
    "nothing on a line": ("", LINE),
    "no row for it": ("more\t99", "There must be a row for each entry"),
    "no text": ("\udcff\t9", "UTF-8"),
}


@pytest.mark.parametrize("file", ["char.dic", "word.dic"])
@pytest.mark.parametrize("what", DICTIONARIES)
def test_hostile_dictionaries(model, jail, file, what):
    line, word = DICTIONARIES[what]
    path = model() / file
    path.write_bytes(path.read_bytes() + f"{line}\n".encode(errors="surrogateescape"))
    assert_refused(jail.load(path.parent), word)


@pytest.mark.parametrize("file", ["char.dic", "word.dic"])
def test_an_entry_twice(model, jail, file):
    """An entry has one row: which of the two would be for the stranger to say."""
    path = model() / file
    lines = path.read_text().splitlines()
    last = lines[-1].partition("\t")[2]
    path.write_text("\n".join([*lines[:-1], f"<pad>\t{last}"]) + "\n")
    assert_refused(jail.load(path.parent), file, "<pad>")


@pytest.mark.parametrize("file", ["char.dic", "word.dic"])
def test_dictionaries_without_their_marks(model, jail, file):
    path = model() / file
    path.write_text("a\t0\nb\t1\n")
    assert_refused(jail.load(path.parent), "ictionaries", "<bos>")


# === Tensors ===


@every_generation
@every_change
def test_changed_tensors(model, jail, generation, change):
    import torch

    directory = model(generation)
    wrong = {}
    for file, arrays in zip((EMBEDDER, ENCODER), ARRAYS):
        before = (directory / file).read_bytes()
        for name, array in arrays.items():
            new = change(array)
            if (new is None and change is not CHANGES["removed"]) or change is CHANGES["text"]:
                continue  # Tensors are no text.
            state = {key: torch.from_numpy(x.copy()) for key, x in arrays.items() if key != name}
            if new is not None:
                state[name] = torch.from_numpy(new)
            save(directory / file, state, generation)
            outcome = jail.load(directory)
            # The program drops entries of its dictionaries, and leaves their rows.
            is_fine = change is CHANGES["row more"] and "embedding" in name
            try:
                assert_loaded(outcome) if is_fine else assert_refused(outcome, str(directory))
            except AssertionError:
                wrong[name] = outcome
        (directory / file).write_bytes(before)
    assert wrong == {}


@pytest.mark.parametrize("name", ["more", "projection.weight"])
def test_tensors_more(model, jail, name):
    import torch

    path = model() / ENCODER
    arrays = ARRAYS[1] | {name: ARRAYS[0].get(name, np.ones(3, "float32"))}
    save(path, {key: torch.from_numpy(x.copy()) for key, x in arrays.items()}, "zip")
    assert_refused(jail.load(path.parent), name)


# === Pickles ===


class Call:
    """What a pickle calls when it is read."""

    def __init__(self, function, *arguments):
        self._reduced = function, arguments

    def __reduce__(self):
        return self._reduced


# What stands in the place of `forward_layer_0.state_linearity.bias`, a vector of 64.
TENSORS = {
    "opens a file": lambda torch, mark: Call(open, mark, "w"),
    "runs a command": lambda torch, mark: Call(os.system, f"touch {mark}"),
    "evaluates": lambda torch, mark: Call(eval, f"open({mark!r}, 'w')"),
    "imports": lambda torch, mark: Call(__import__, "stranger_module"),
    "loads": lambda torch, mark: Call(torch.load, mark),
    "writes": lambda torch, mark: Call(torch.save, 1, mark),
    "a layer": lambda torch, mark: torch.nn.Linear(2, 2),
    "a device": lambda torch, mark: torch.device("cpu"),
    "a type": lambda torch, mark: torch.float32,
    "an array": lambda torch, mark: np.zeros(64, "float32"),
    "a list": lambda torch, mark: [0.0] * 64,
    "a number": lambda torch, mark: 1,
    "a text": lambda torch, mark: "x",
    "none": lambda torch, mark: None,
    "a dict": lambda torch, mark: {"x": torch.zeros(64)},
    "one number for all": lambda torch, mark: torch.zeros(1).expand(64),
    "one number for absurdly many": lambda torch, mark: torch.zeros(1).expand(10**6, 10**6),
    "overlapping": lambda torch, mark: torch.zeros(1000).as_strided((500, 500), (1, 1)),
    "sparse": lambda torch, mark: torch.zeros(64).to_sparse(),
    "sparse and absurd": lambda torch, mark: torch.sparse_coo_tensor(size=(10**6, 10**6)),
    "compressed": lambda torch, mark: torch.zeros(8, 8).to_sparse_csr(),
    "quantized": lambda torch, mark: torch.quantize_per_tensor(torch.ones(64), 1, 0, torch.qint8),
    "without numbers": lambda torch, mark: torch.empty(64, device="meta"),
    "absurd without numbers": lambda torch, mark: torch.empty(10**6, 10**6, device="meta"),
    "many rows of nothing": lambda torch, mark: torch.empty(10**9, 0),
}


@every_generation
@pytest.mark.parametrize("what", TENSORS)
@pytest.mark.filterwarnings("ignore::UserWarning")  # Some of it torch no longer likes to write.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_hostile_tensors(model, jail, tmp_path, generation, what):
    torch = pytest.importorskip("torch")
    path = model(generation) / ENCODER
    state = {key: torch.from_numpy(x.copy()) for key, x in ARRAYS[1].items()}
    mark = tmp_path / "mark"
    state["forward_layer_0.state_linearity.bias"] = TENSORS[what](torch, str(mark))
    save(path, state, generation)
    assert_refused(jail.load(path.parent), str(path.parent))
    assert not mark.exists() and not jail.is_trapped()


@every_generation
def test_nobody_is_told_to_run_what_a_stranger_wrote(model, jail, generation):
    """torch's own message says that without `weights_only` the file will likely load."""
    path = model(generation) / ENCODER
    save(path, {"x": Call(os.system, "true")}, generation)
    outcome = jail.load(path.parent)
    assert_refused(outcome, ENCODER, "system")
    assert "Re-running" not in outcome.message


STATES = {
    "a list": lambda torch: [torch.zeros(3)],
    "a tensor": lambda torch: torch.zeros(3),
    "a number": lambda torch: 1,
    "nothing": lambda torch: {},
    "numbers as names": lambda torch: {1: torch.zeros(3)},
    "a model": lambda torch: torch.nn.Linear(2, 2),
    "calls": lambda torch: Call(__import__, "stranger_module"),
}


@every_generation
@pytest.mark.parametrize("what", STATES)
def test_states_of_other_things(model, jail, generation, what):
    path = model(generation) / ENCODER
    save(path, STATES[what](pytest.importorskip("torch")), generation)
    assert_refused(jail.load(path.parent), str(path.parent))
    assert not jail.is_trapped()


def of_pickle(content, generation):
    """A torch file of a pickle's bytes, without storages."""
    if generation == "pickles":
        sizes = {"short": 2, "int": 4, "long": 4}
        system = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
        head = (0x1950A86A20F9469CFC6C, 1001, system)
        return b"".join(pickle.dumps(part, 2) for part in head) + content
    return of_zip({"x/data.pkl": content, "x/version": b"3\n", "x/byteorder": b"little"})


def of_zip(members, method=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def of_tar():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            archive.addfile(tarfile.TarInfo(name))
    return file.getvalue()


DEEP = b"\x80\x02)" + b"\x85" * 100_000 + b"."
CONTENTS = {
    "nothing": lambda: b"",
    "a text": lambda: b"This is no torch file.\n" * 100,
    "a line": lambda: b"\n",
    "numpy": lambda: pickle.dumps(ARRAYS[1]),
    "a pickle that calls": lambda: pickle.dumps(Call(__import__, "stranger_module")),
    "a pickle of the oldest kind": lambda: b"cstranger_module\nx\n(tR.",
    "an HDF5 file": lambda: b"\x89HDF\r\n\x1a\n" + bytes(1000),
    "a zip of nothing": lambda: of_zip({}),
    "a zip of other things": lambda: of_zip({"readme.txt": b"x"}),
    "a zip that goes on": lambda: of_zip({"x/data.pkl": b"x"}) + bytes(100),
    "a script": lambda: of_zip({"x/constants.pkl": b"", "x/data.pkl": DEEP, "x/version": b"3\n"}),
    "a tar": of_tar,
    "a bomb": lambda: of_zip({"x/data.pkl": bytes(256 * MIB)}, zipfile.ZIP_DEFLATED),
    "deep": lambda: of_pickle(DEEP, "zip"),
    "deep, of pickles": lambda: of_pickle(DEEP, "pickles"),
    "a long text": lambda: of_pickle(b"\x80\x02X" + struct.pack("<I", 2**31 - 1) + b"x.", "zip"),
    "no byte order": lambda: of_zip(
        {"x/data.pkl": b"}.", "x/version": b"3\n", "x/byteorder": b"middle"}
    ),
}


@pytest.mark.parametrize("file", [EMBEDDER, ENCODER])
@pytest.mark.parametrize("what", CONTENTS)
def test_hostile_contents(model, jail, file, what):
    path = model() / file
    path.write_bytes(CONTENTS[what]())
    assert_refused(jail.load(path.parent), file)
    assert not jail.is_trapped()


OPCODES = [
    ([b"}"], [b"", bytes(9)]),
    pytest.param(
        [b"", b"}", b"(K\x01K\x02"],
        [b"", bytes(9), b"\xff" * 9, b"x\ny\n.", b"0\n.", b"\x01."],
        marks=pytest.mark.slow,
    ),
]


@every_generation
@pytest.mark.parametrize("fronts, backs", OPCODES, ids=["some", "many"])
def test_every_opcode(model, jail, generation, fronts, backs):
    """No code of the pickle machine, right or wrong, ends in another exception."""
    path = model(generation) / ENCODER
    wrong = {}
    for code in range(256):
        for content in (front + bytes([code]) + back for front in fronts for back in backs):
            path.write_bytes(of_pickle(b"\x80\x02" + content, generation))
            outcome = jail.load(path.parent)
            try:
                assert_refused(outcome, str(path.parent))
            except AssertionError:
                wrong[content] = outcome
    assert wrong == {}


@every_generation
@pytest.mark.parametrize("claimed", [100_003, 10**9 // 4, 2**31 - 1])
def test_storages_that_claim_more_than_there_is(model, jail, generation, claimed):
    import torch

    path = model(generation) / ENCODER
    state = {key: torch.from_numpy(x.copy()) for key, x in ARRAYS[1].items()}
    state["more"] = torch.zeros(100_001)  # a number that is nowhere else in the file
    save(path, state, generation)
    before, after = (b"J" + struct.pack("<i", number) for number in (100_001, claimed))
    if generation == "pickles":
        path.write_bytes(path.read_bytes().replace(before, after))
    else:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members = {name: content.replace(before, after) for name, content in members.items()}
        path.write_bytes(of_zip(members))
    assert_refused(jail.load(path.parent), ENCODER)
