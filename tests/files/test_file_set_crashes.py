"""Sets of files after kills, errors of the disk and interrupts, and with concurrent programs."""

import os
import threading

import pytest

from elmo_keras.files.atomic_write import text_content
from tests.files.file_sets import (
    FILES,
    NEW_FOLDER,
    OTHER_FILES,
    PARTIAL_FOLDER,
    assert_changes_once,
    names,
    read,
    read_visible,
    write,
)
from tests.kills import digest_of, states_of

# === Kills ===


def names_of_save(more):
    return ["config.json", *(["more.txt"] if more else []), "weights.h5", "words.txt"]


@pytest.mark.parametrize("old_more, new_more", [(True, False), (False, True)])
def test_a_kill_leaves_the_old_files_or_the_new_files(tmp_path, old_more, new_more):
    folder = tmp_path / "folder"
    write(folder, 1, old_more)
    with states_of(folder, tmp_path / "states") as states:
        write(folder, 2, new_more)
    assert len(states) > 10
    assert_changes_once([read(state) for state in states], 1, 2)
    # Other programs find the old files, then no index, then the new files.
    visible = [read_visible(state) for state in states]
    assert None in visible
    assert_changes_once([number for number in visible if number is not None], 1, 2)
    assert names(folder) == names_of_save(new_more)


def test_a_kill_of_the_first_save(tmp_path):
    folder = tmp_path / "folder"
    with states_of(folder, tmp_path / "states") as states:
        write(folder, 1)
    assert_changes_once([read(state) for state in states], None, 1)


def test_reading_after_a_kill_writes_nothing(tmp_path):
    folder = tmp_path / "folder"
    write(folder, 1)
    with states_of(folder, tmp_path / "states") as states:
        write(folder, 2)
    for state in states:
        before = digest_of(state)
        read(state)
        assert digest_of(state) == before


def test_a_kill_of_the_save_after_a_kill(tmp_path):
    """The next save starts from any state, and leaves no hidden folders."""
    folder = tmp_path / "folder"
    write(folder, 1)
    with states_of(folder, tmp_path / "states") as states:
        write(folder, 2, more=False)
    for number, state in enumerate(states):
        before = read(state)
        with states_of(state, tmp_path / f"again-{number}") as next_states:
            write(state, 3)
        assert_changes_once([read(next_state) for next_state in next_states], before, 3)
        assert names(state) == names_of_save(more=True)
        assert read_visible(state) == 3


def test_a_kill_of_another_set_in_the_folder(tmp_path):
    """A save keeps the hidden folders of a set with the same part."""
    folder = tmp_path / "folder"
    OTHER_FILES.write(folder, {}, {"words.txt": text_content("old")})
    with states_of(folder, tmp_path / "states") as states:
        OTHER_FILES.write(folder, {}, {"options.txt": text_content("new")})
    for state in states:
        is_new = OTHER_FILES.find(state).lists("options.txt")
        write(state, 1)
        saved = OTHER_FILES.find(state)
        assert saved.lists("options.txt") == is_new
        if is_new:
            assert saved.path("options.txt").read_text() == "new"


# === Errors ===


def fail_at_each_call(monkeypatch, tmp_path, function, error, runs_first):
    """Yields, for each call of a function of `os` in a save, a folder in which that call failed.

    Args:
        monkeypatch: fixture.
        tmp_path: folder for the folders.
        function: name of the function.
        error: exception that the call raises.
        runs_first: whether the call takes effect before it raises.

    Yields:
        The folder, which held the number 1 before 2 was saved, its digest from then, and the
        exception of the save.
    """
    original = getattr(os, function)
    for failing in range(30):
        folder = tmp_path / str(failing)
        write(folder, 1)
        before = digest_of(folder)
        calls = []

        def broken(*arguments, calls=calls, failing=failing, **options):
            calls.append(arguments)
            fails = len(calls) == failing + 1
            result = original(*arguments, **options) if runs_first or not fails else None
            if fails:
                raise error
            return result

        with monkeypatch.context() as patch:
            patch.setattr(os, function, broken)
            try:
                write(folder, 2)
            except type(error) as raised:
                caught = raised
            else:
                assert failing == len(calls) > 0  # Each call has failed once.
                return
        yield folder, before, caught
    raise AssertionError("more than 30 calls")


@pytest.mark.parametrize("function", ["replace", "fsync", "unlink"])
def test_an_error_leaves_the_old_files_or_the_new_files(tmp_path, monkeypatch, function):
    error = OSError(28, "No space left on device")
    for folder, before, caught in fail_at_each_call(monkeypatch, tmp_path, function, error, False):
        assert caught.errno == 28
        message = str(caught)
        assert f"{folder} must be written as a whole. Received: [Errno 28]" in message
        if "is unchanged" in message:
            assert digest_of(folder) == before
        else:
            assert "Save again" in message
            assert read(folder) == 2
        write(folder, 3)
        assert read_visible(folder) == 3


def test_an_interrupt_leaves_the_old_files_or_the_new_files(tmp_path, monkeypatch):
    interrupt = KeyboardInterrupt()
    outcomes = [
        read(folder)
        for folder, _, _ in fail_at_each_call(monkeypatch, tmp_path, "replace", interrupt, True)
    ]
    assert len(outcomes) > 3
    assert_changes_once(outcomes, 1, 2)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="names of open files of Linux")
def test_each_step_is_on_the_disk_before_the_next(tmp_path, monkeypatch):
    """A power failure may lose any renames that were not synced."""
    write(tmp_path, 1)
    steps = []
    original_replace = os.replace

    def fsync(handle):
        steps.append(("sync", os.readlink(f"/proc/self/fd/{handle}").removeprefix(f"{tmp_path}")))

    def replace(old, new):
        steps.append((str(old).removeprefix(f"{tmp_path}/"), str(new).removeprefix(f"{tmp_path}/")))
        original_replace(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write(tmp_path, 2, more=False)
    assert steps == [
        ("sync", f"/{PARTIAL_FOLDER}/weights.h5"),
        ("sync", f"/{PARTIAL_FOLDER}/words.txt"),
        ("sync", f"/{PARTIAL_FOLDER}/config.json"),
        ("sync", f"/{PARTIAL_FOLDER}"),
        (PARTIAL_FOLDER, NEW_FOLDER),
        ("sync", ""),
        ("config.json", f"{NEW_FOLDER}/replaced.json"),
        ("sync", f"/{NEW_FOLDER}"),
        ("sync", ""),
        (f"{NEW_FOLDER}/weights.h5", "weights.h5"),
        (f"{NEW_FOLDER}/words.txt", "words.txt"),
        ("sync", ""),
        (f"{NEW_FOLDER}/config.json", "config.json"),
        ("sync", ""),
    ]


# === Concurrent programs ===


def test_writers_take_turns(tmp_path):
    """Threads work like processes here: each of them opens and locks the folder."""

    def save(number):
        for _ in range(10):
            write(tmp_path, number)

    threads = [threading.Thread(target=save, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_visible(tmp_path) in (1, 2, 3)
    assert read(tmp_path) == read_visible(tmp_path)


def test_a_reader_notices_a_concurrent_save(tmp_path):
    """If the stamp has not changed, all files that were read belong together."""
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
            except (ValueError, AssertionError, OSError):
                assert FILES.stamp(tmp_path) != before
            else:
                unchanged += FILES.stamp(tmp_path) == before
    finally:
        stop.set()
        thread.join()
