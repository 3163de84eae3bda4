"""ELMoForManyLangs: tensors and pickles in its torch files."""

import io
import os
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest

from tests.untrusted.changes import CHANGES, every_change
from tests.untrusted.jail import MIB, assert_loaded, assert_refused
from tests.untrusted.manylangs.models import ARRAYS, EMBEDDER, ENCODER, every_generation, save

pytestmark = pytest.mark.slow


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
                continue  # Tensors cannot hold text.
            state = {key: torch.from_numpy(x.copy()) for key, x in arrays.items() if key != name}
            if new is not None:
                state[name] = torch.from_numpy(new)
            save(directory / file, state, generation)
            outcome = jail.load(directory)
            # The program may drop dictionary entries but keeps their rows.
            is_fine = change is CHANGES["row more"] and "embedding" in name
            try:
                assert_loaded(outcome) if is_fine else assert_refused(outcome, str(directory))
            except AssertionError:
                wrong[name] = outcome
        (directory / file).write_bytes(before)
    assert wrong == {}


@pytest.mark.parametrize("name", ["more", "projection.weight"])
def test_additional_tensors(model, jail, name):
    import torch

    path = model() / ENCODER
    arrays = ARRAYS[1] | {name: ARRAYS[0].get(name, np.ones(3, "float32"))}
    save(path, {key: torch.from_numpy(x.copy()) for key, x in arrays.items()}, "zip")
    assert_refused(jail.load(path.parent), name)


# === Pickles ===


class Call:
    """An object whose pickle calls a function when it is loaded."""

    def __init__(self, function, *arguments):
        self._reduced = function, arguments

    def __reduce__(self):
        return self._reduced


# Replacements for `forward_layer_0.state_linearity.bias`, a vector of 64 values.
TENSORS = {
    "opens a file": lambda torch, mark: Call(open, mark, "w"),
    "runs a command": lambda torch, mark: Call(os.system, f"touch {mark}"),
    "evaluates": lambda torch, mark: Call(eval, f"open({mark!r}, 'w')"),
    "imports": lambda torch, mark: Call(__import__, "planted_module"),
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
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch warns when it writes some of these.
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
def test_errors_do_not_advise_to_run_the_file(model, jail, generation):
    """torch's own message advises to load the file without `weights_only`."""
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
    "calls": lambda torch: Call(__import__, "planted_module"),
}


@every_generation
@pytest.mark.parametrize("what", STATES)
def test_other_objects(model, jail, generation, what):
    path = model(generation) / ENCODER
    save(path, STATES[what](pytest.importorskip("torch")), generation)
    assert_refused(jail.load(path.parent), str(path.parent))
    assert not jail.is_trapped()


def of_pickle(content, generation):
    """Returns a torch file with the given pickle and without storages."""
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
    "a pickle that calls": lambda: pickle.dumps(Call(__import__, "planted_module")),
    "a pickle of the oldest format": lambda: b"cplanted_module\nx\n(tR.",
    "an HDF5 file": lambda: b"\x89HDF\r\n\x1a\n" + bytes(1000),
    "an empty zip": lambda: of_zip({}),
    "a zip of other files": lambda: of_zip({"readme.txt": b"x"}),
    "a zip with trailing bytes": lambda: of_zip({"x/data.pkl": b"x"}) + bytes(100),
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
    """No pickle opcode, valid or not, raises another exception than ValueError."""
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
def test_storages_that_claim_missing_values(model, jail, generation, claimed):
    import torch

    path = model(generation) / ENCODER
    state = {key: torch.from_numpy(x.copy()) for key, x in ARRAYS[1].items()}
    state["more"] = torch.zeros(100_001)  # a number that occurs nowhere else in the file
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
