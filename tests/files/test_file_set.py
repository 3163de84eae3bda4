"""Files that belong together: old or new, wherever the save is killed."""

import json
import os
import pathlib
import shutil
import threading

import h5py
import numpy as np
import pytest

from elmo_keras.files import file_set
from elmo_keras.files.atomic_write import text_content
from elmo_keras.files.file_set import FileSet
from elmo_keras.files.safe_hdf5 import hdf5_content
from tests.kills import digest_of, states_of

FILES = FileSet("config.json", ("weights.h5", "words.txt", "more.txt"))
OTHERS = FileSet("options.json", ("words.txt", "options.txt"))


def write(folder, number, more=True, files=FILES):
    """Saves files that all hold one number."""
    parts = {
        "weights.h5": hdf5_content({"a/b": np.full((2, 3), number, "float32")}),
        "words.txt": text_content(f"{number}\n"),
    }
    if more:
        parts["more.txt"] = text_content(f"more {number}\n")
    files.write(folder, {"number": number, "name": "naïve"}, parts)


def read(folder, files=FILES):
    """The number in the files, `None` for none; they must agree."""
    saved = files.find(folder)
    if saved is None:
        return None
    number = saved.content["number"]
    saved.check(*saved.digests)
    with h5py.File(saved.path("weights.h5")) as file:
        assert (file["a/b"][()] == number).all()
    assert saved.path("words.txt").read_text() == f"{number}\n"
    if saved.lists("more.txt"):
        assert saved.path("more.txt").read_text() == f"more {number}\n"
    return number


def visible(folder):
    """The number by the files alone that other programs see, `None` without an index."""
    if not (folder / "config.json").exists():
        return None
    number = json.loads((folder / "config.json").read_text())["number"]
    assert (folder / "words.txt").read_text() == f"{number}\n"
    with h5py.File(folder / "weights.h5") as file:
        assert (file["a/b"][()] == number).all()
    return number


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_one_turn(values, old, new):
    """That values are the old one, and from some place on the new one."""
    turn = values.index(new)
    assert values == [old] * turn + [new] * (len(values) - turn)


def test_what_is_written(tmp_path):
    write(tmp_path, 1)
    assert names(tmp_path) == ["config.json", "more.txt", "weights.h5", "words.txt"]
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert list(config) == ["number", "name", "elmo_keras_files"]
    assert config["name"] == "naïve"
    assert config["elmo_keras_files"].keys() == {"weights.h5", "words.txt", "more.txt"}
    # By hand: sha256sum of the two bytes.
    one = "4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"
    assert config["elmo_keras_files"]["words.txt"] == one
    with h5py.File(tmp_path / "weights.h5") as file:
        digest = config["elmo_keras_files"]["weights.h5"]
        assert file.attrs["elmo_keras_sha256"] == digest.encode()
        assert file["a/b"][()].tolist() == [[1] * 3] * 2
    assert read(tmp_path) == 1


def test_equal_arrays_are_equal_bytes(tmp_path):
    for name in "ab":
        write(tmp_path / name, 1)
    assert digest_of(tmp_path / "a") == digest_of(tmp_path / "b")


@pytest.mark.parametrize("old, new", [((1, True), (2, False)), ((1, False), (2, True))])
def test_a_kill_leaves_the_old_files_or_the_new_ones(tmp_path, old, new):
    folder = tmp_path / "folder"
    write(folder, *old)
    with states_of(folder, tmp_path / "states") as states:
        write(folder, *new)
    assert len(states) > 10
    assert_one_turn([read(state) for state in states], 1, 2)
    # Other programs find the old files, no index, and then the new files.
    seen = [visible(state) for state in states]
    assert None in seen
    assert_one_turn([number for number in seen if number is not None], 1, 2)
    assert names(folder) == names_of_save(new)


def names_of_save(save):
    return ["config.json", *(["more.txt"] if save[1] else []), "weights.h5", "words.txt"]


def test_a_first_save(tmp_path):
    folder = tmp_path / "folder"
    with states_of(folder, tmp_path / "states") as states:
        write(folder, 1)
    assert_one_turn([read(state) for state in states], None, 1)


def test_files_that_list_no_parts(tmp_path):
    """Those of other programs, and of early versions of this one."""
    folder = tmp_path / "folder"
    write(folder, 1)
    text = (folder / "config.json").read_text()
    config = {key: value for key, value in json.loads(text).items() if key != file_set.KEY}
    (folder / "config.json").write_text(json.dumps(config))
    assert FILES.find(folder).digests is None and not FILES.find(folder).lists("words.txt")
    with states_of(folder, tmp_path / "states") as states:
        write(folder, 2)
    assert_one_turn([FILES.find(state).content["number"] for state in states], 1, 2)
    for state in states:
        saved = FILES.find(state)
        number = saved.content["number"]
        assert saved.path("words.txt").read_text() == f"{number}\n"
        with h5py.File(saved.path("weights.h5")) as file:
            assert (file["a/b"][()] == number).all()


def test_reading_writes_nothing(tmp_path):
    folder = tmp_path / "folder"
    write(folder, 1)
    with states_of(folder, tmp_path / "states") as states:
        write(folder, 2)
    for state in states:
        before = digest_of(state)
        read(state)
        assert digest_of(state) == before


def test_a_save_after_a_kill_after_a_kill(tmp_path):
    """Whatever is left, the next save finds its old files, and leaves nothing else behind."""
    folder = tmp_path / "folder"
    write(folder, 1)
    with states_of(folder, tmp_path / "states") as states:
        write(folder, 2, more=False)
    for number, state in enumerate(states):
        before = read(state)
        with states_of(state, tmp_path / f"again-{number}") as more:
            write(state, 3)
        assert_one_turn([read(place) for place in more], before, 3)
        assert names(state) == names_of_save((3, True))
        assert visible(state) == 3


@pytest.mark.parametrize("operation", ["replace", "fsync", "unlink"])
def test_a_failure_leaves_the_old_files_or_the_new_ones(tmp_path, monkeypatch, operation):
    """An error of the system, at each call of it: as after a kill, and nothing hidden before."""
    usual = getattr(os, operation)
    for failing in range(30):
        folder = tmp_path / str(failing)
        write(folder, 1)
        before = digest_of(folder)
        calls = []

        def broken(*arguments, calls=calls, failing=failing, **options):
            calls.append(arguments)
            if len(calls) == failing + 1:
                raise OSError(28, "No space left on device")
            return usual(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, operation, broken)
            try:
                write(folder, 2)
            except OSError as error:
                assert error.errno == 28
                text = str(error)
            else:
                break
        assert f"{folder} must be written as a whole. Received: [Errno 28]" in text
        if "is unchanged" in text:
            assert digest_of(folder) == before
        else:
            assert "Save again" in text and read(folder) == 2
        write(folder, 3)
        assert visible(folder) == 3
    assert failing and len(calls) <= failing  # all of them have failed once


def test_an_interrupt_is_a_failure(tmp_path, monkeypatch):
    """Control-C at any rename: nothing is lost."""
    usual = os.replace
    for failing in range(10):
        folder = tmp_path / str(failing)
        write(folder, 1)
        calls = []

        def broken(*arguments, calls=calls, failing=failing):
            calls.append(arguments)
            usual(*arguments)
            if len(calls) == failing + 1:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", broken)
            try:
                write(folder, 2)
            except KeyboardInterrupt:
                assert read(folder) in (1, 2)
            else:
                break
    assert failing > 3


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="names of open files of Linux")
def test_the_disk_has_each_step_before_the_next(tmp_path, monkeypatch):
    """A loss of power keeps some of the renames that were not synced, in any order."""
    write(tmp_path, 1)
    steps = []
    usual = {"fsync": os.fsync, "replace": os.replace}

    def fsync(handle):
        steps.append(("sync", os.readlink(f"/proc/self/fd/{handle}").removeprefix(f"{tmp_path}")))

    def replace(old, new):
        steps.append((str(old).removeprefix(f"{tmp_path}/"), str(new).removeprefix(f"{tmp_path}/")))
        usual["replace"](old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write(tmp_path, 2, more=False)
    partial, new = ".config.json.partial", ".config.json.new"
    assert steps == [
        ("sync", f"/{partial}/weights.h5"),
        ("sync", f"/{partial}/words.txt"),
        ("sync", f"/{partial}/config.json"),
        ("sync", f"/{partial}"),
        (partial, new),
        ("sync", ""),
        ("config.json", f"{new}/replaced.json"),
        ("sync", f"/{new}"),
        ("sync", ""),
        (f"{new}/weights.h5", "weights.h5"),
        (f"{new}/words.txt", "words.txt"),
        ("sync", ""),
        (f"{new}/config.json", "config.json"),
        ("sync", ""),
    ]


def test_a_part_that_other_files_list_stays(tmp_path):
    write(tmp_path, 1)
    OTHERS.write(tmp_path, {}, {"words.txt": text_content("1\n"), "options.txt": text_content("")})
    FILES.write(tmp_path, {}, {})
    assert names(tmp_path) == ["config.json", "options.json", "options.txt", "words.txt"]
    OTHERS.write(tmp_path, {}, {})
    assert names(tmp_path) == ["config.json", "options.json"]


def test_a_kill_of_other_files_beside(tmp_path):
    """Two sets with a part of one name: the one does not take the other's for its leftovers."""
    folder = tmp_path / "folder"
    OTHERS.write(folder, {}, {"words.txt": text_content("old")})
    with states_of(folder, tmp_path / "states") as states:
        OTHERS.write(folder, {}, {"options.txt": text_content("new")})
    for state in states:
        lists = OTHERS.find(state).lists("options.txt")
        write(state, 1)
        saved = OTHERS.find(state)
        assert saved.lists("options.txt") == lists
        if lists:
            assert saved.path("options.txt").read_text() == "new"


@pytest.mark.parametrize("file", ["config.json", "weights.h5", "words.txt"])
def test_files_of_two_saves_are_told_apart(tmp_path, file):
    write(tmp_path / "a", 1)
    write(tmp_path / "b", 2)
    shutil.copy(tmp_path / "b" / file, tmp_path / "a" / file)
    with pytest.raises(ValueError, match="must hold the .* Received: a .* of another save. Copy"):
        read(tmp_path / "a")
    (tmp_path / "b" / "words.txt").unlink()
    with pytest.raises(ValueError, match="Received: no words.txt in it"):
        FILES.find(tmp_path / "b").check("weights.h5", "words.txt")


def test_numbers_that_are_changed_on_purpose(tmp_path):
    """HDF5 files are opened and changed, or written by other programs."""
    write(tmp_path, 1)
    with h5py.File(tmp_path / "weights.h5", "a") as file:
        file["a/b"][...] *= 2
    FILES.find(tmp_path).check("weights.h5")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file["a/b"] = 3
    FILES.find(tmp_path).check("weights.h5")


@pytest.mark.parametrize(
    "parts", [7, ["words.txt"], {"words.txt": 1}, {"words.txt": "0" * 63}, {"words.txt": "../x"}]
)
def test_a_list_that_is_none(tmp_path, parts):
    (tmp_path / "config.json").write_text(json.dumps({"elmo_keras_files": parts}))
    with pytest.raises(ValueError, match="elmo_keras_files must be names of files"):
        FILES.find(tmp_path)
    write(tmp_path, 1)
    assert read(tmp_path) == 1


@pytest.mark.parametrize("name", ["../precious.txt", "precious.txt", "."])
def test_a_stranger_names_files(tmp_path, name):
    """What another index lists is no reason to remove a file that is no part."""
    (tmp_path / "precious.txt").write_text("precious")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "precious.txt").write_text("precious")
    (folder / "config.json").write_text(json.dumps({"elmo_keras_files": {name: "0" * 64}}))
    write(folder, 1)
    assert (tmp_path / "precious.txt").exists() and (folder / "precious.txt").exists()


@pytest.mark.parametrize(
    "value",
    [np.zeros(3), np.bytes_("short"), "text", np.bytes_(b"\xff" * 64), h5py.Empty("f"), 1.5],
    ids=str,
)
def test_a_digest_that_is_none(tmp_path, value):
    write(tmp_path, 1)
    with h5py.File(tmp_path / "weights.h5", "a") as file:
        file.attrs["elmo_keras_sha256"] = value
    FILES.find(tmp_path).check("weights.h5")


def test_two_writers_take_turns(tmp_path):
    """Threads stand for processes: a lock belongs to an open folder."""

    def save(number):
        for _ in range(10):
            write(tmp_path, number)

    threads = [threading.Thread(target=save, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert visible(tmp_path) in (1, 2, 3)
    assert read(tmp_path) == visible(tmp_path)


def test_a_reader_beside_a_writer(tmp_path):
    """Between two looks a save may count: the reader notices, and what it has read is whole."""
    write(tmp_path, 0)
    stop = threading.Event()

    def save():
        number = 0
        while not stop.is_set():
            number += 1
            write(tmp_path, number % 7)

    thread = threading.Thread(target=save)
    thread.start()
    try:
        unchanged = 0
        while unchanged < 20:
            before = FILES.stamp(tmp_path)
            try:
                read(tmp_path)
            except (ValueError, FileNotFoundError, AssertionError, OSError):
                assert FILES.stamp(tmp_path) != before
            else:
                unchanged += FILES.stamp(tmp_path) == before
    finally:
        stop.set()
        thread.join()


def test_names(tmp_path):
    """Where files are that belong at a path, and which index is one of ours."""
    folder = tmp_path / "folder"
    write(folder, 1)
    with states_of(folder, tmp_path / "states") as states:
        write(folder, 2, more=False)
    assert not FILES.find(states[0]).index_path.parent.name.startswith(".")
    staged = next(state for state in states if not (state / "config.json").exists())
    index = FILES.find(staged).index_path
    assert index == staged / ".config.json.new" / "config.json"
    assert FILES.found_at(index) == FILES.find(staged)
    assert FILES.found_at(folder / "config.json").is_complete
    assert FILES.found_at(folder / "words.txt") is None
    assert FILES.place(staged / "config.json") == index
    assert FILES.place(staged / "words.txt") == index.with_name("words.txt")
    assert FILES.place(staged / "more.txt") == staged / "more.txt"  # not listed
    assert FILES.place(folder / "words.txt") == folder / "words.txt"
    assert FILES.place(pathlib.Path("absent/config.json")) == pathlib.Path("absent/config.json")
    assert FILES.leftovers(staged) == [index.parent] and FILES.leftovers(folder) == []
