"""Atomic writes: after a kill, a file has its old content or its new content."""

import errno
import json
import os

import numpy as np
import pytest

import elmo_keras
from elmo_keras import checkpoints
from elmo_keras.checkpoints import softmax
from elmo_keras.files import vocabulary_file
from elmo_keras.files.atomic_write import (
    atomic_write,
    sync_directory,
    text_content,
    write_atomically,
)
from elmo_keras.text.word_vocabulary import WordVocabulary
from elmo_keras.training import command, run_checkpoint, write_vocabulary
from tests import small_models
from tests.kills import states_of

WORDS = ["<S>", "</S>", "<UNK>", "é", "東京", "a\u2028b"]


def write_count(number, folder):
    command._write_corpus_size(folder, number)


def write_checkpoint(number, folder):
    arrays = {"a": np.full(9, number)}
    run_checkpoint.save(run_checkpoint.RunCheckpoint(arrays, {"step": number}), folder)


WRITERS = {
    "text": (lambda n, f: write_atomically(f / "x", text_content(f"{n}" * 9).write), "x"),
    "words": (lambda n, f: write_vocabulary(WordVocabulary([*WORDS, f"w{n}"]), f / "x"), "x"),
    "count": (write_count, "corpus.json"),
    "training": (write_checkpoint, "checkpoint.h5"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_kill_leaves_the_old_content_or_the_new_content(tmp_path, writer):
    write, name = WRITERS[writer]
    folder = tmp_path / "folder"
    folder.mkdir()
    write(1, folder)
    old = (folder / name).read_bytes()
    with states_of(folder, tmp_path / "states") as states:
        write(2, folder)
    new = (folder / name).read_bytes()
    contents = [(state / name).read_bytes() for state in states]
    assert old != new
    assert set(contents) == {old, new}
    assert contents == sorted(contents, key=lambda content: content == new)
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize("writer", WRITERS)
def test_missing_folders_are_created(tmp_path, writer):
    write, name = WRITERS[writer]
    write(1, tmp_path / "new/folder")
    assert [path.name for path in (tmp_path / "new/folder").iterdir()] == [name]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="names of open files of Linux")
def test_order_of_syncs(tmp_path, monkeypatch):
    """After a power failure, the name must belong to a file whose content is on the disk."""
    calls = []
    monkeypatch.setattr(
        os, "fsync", lambda handle: calls.append(os.readlink(f"/proc/self/fd/{handle}"))
    )
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: calls.append("replace") or replace(*paths))
    with atomic_write(tmp_path / "x") as partial:
        partial.write_text("content")
    assert calls == [str(tmp_path / ".x.partial"), "replace", str(tmp_path)]


def raising_fsync(number):
    def fsync(handle):
        raise OSError(number, os.strerror(number))

    return fsync


def test_file_system_that_cannot_sync_directories(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", raising_fsync(errno.EINVAL))
    sync_directory(tmp_path)
    sync_directory(tmp_path / "absent")


def test_disk_error_while_syncing_a_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", raising_fsync(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        sync_directory(tmp_path)


def test_all_writers_of_vocabularies_write_equal_bytes(tmp_path):
    expected = "<S>\n</S>\n<UNK>\né\n東京\na\u2028b\n".encode()
    vocabulary_file.write(WORDS, tmp_path / "vocabulary.txt")
    write_vocabulary(WordVocabulary(WORDS), tmp_path / "count/vocabulary.txt")
    kernel, bias = np.zeros((len(WORDS), 2), "float32"), np.zeros(len(WORDS), "float32")
    softmax.save(softmax.Softmax(kernel, bias, WORDS), tmp_path / "softmax")
    encoder = elmo_keras.layers.WordEmbedding(len(WORDS), 6, WORDS)
    elmo = elmo_keras.ElmoLayer(encoder, small_models.bilstm(num_layers=1))
    elmo.build((None, None))
    checkpoints.save_hdf5(elmo, tmp_path / "hdf5")
    for folder in ("", "count", "softmax", "hdf5"):
        assert (tmp_path / folder / "vocabulary.txt").read_bytes() == expected
    index = json.loads((tmp_path / "softmax/softmax.json").read_text())
    assert index["elmo_keras_files"].keys() == {"softmax_weights.hdf5", "vocabulary.txt"}


@pytest.mark.parametrize("writer", WRITERS)
def test_error(tmp_path, writer):
    write, name = WRITERS[writer]
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=f"{name} must be written as a whole. Received: .*file"):
        write(1, tmp_path / "file")
