"""Single files: the old one or the new one, wherever the writing is killed."""

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
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path, writer):
    write, name = WRITERS[writer]
    folder = tmp_path / "folder"
    folder.mkdir()
    write(1, folder)
    old = (folder / name).read_bytes()
    with states_of(folder, tmp_path / "states") as states:
        write(2, folder)
    new = (folder / name).read_bytes()
    found = [(state / name).read_bytes() for state in states]
    assert old != new and found == sorted(found, key=lambda content: content == new)
    assert set(found) == {old, new}
    assert [path.name for path in folder.iterdir()] == [name]


@pytest.mark.parametrize("writer", WRITERS)
def test_a_folder_is_made(tmp_path, writer):
    write, name = WRITERS[writer]
    write(1, tmp_path / "new/folder")
    assert [path.name for path in (tmp_path / "new/folder").iterdir()] == [name]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="names of open files of Linux")
def test_the_disk_has_the_file_before_its_name(tmp_path, monkeypatch):
    """And the name before the writer goes on: that is what a loss of power asks for."""
    calls = []
    monkeypatch.setattr(
        os, "fsync", lambda handle: calls.append(os.readlink(f"/proc/self/fd/{handle}"))
    )
    usual = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: calls.append("replace") or usual(*paths))
    with atomic_write(tmp_path / "x") as partial:
        partial.write_text("content")
    assert calls == [str(tmp_path / ".x.partial"), "replace", str(tmp_path)]


def test_a_folder_that_cannot_be_synced(tmp_path, monkeypatch):
    """Some file systems refuse it; an error of the disk is one."""

    def refuse(number):
        def fsync(handle):
            raise OSError(number, os.strerror(number))

        return fsync

    monkeypatch.setattr(os, "fsync", refuse(errno.EINVAL))
    sync_directory(tmp_path)
    sync_directory(tmp_path / "absent")
    monkeypatch.setattr(os, "fsync", refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        sync_directory(tmp_path)


def test_vocabularies_are_of_one_writer(tmp_path):
    """The three commands that write one give the same bytes: UTF-8, line feeds."""
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
    assert json.loads((tmp_path / "softmax/softmax.json").read_text())[
        "elmo_keras_files"
    ].keys() == {
        "softmax_weights.hdf5",
        "vocabulary.txt",
    }


def test_errors_have_three_parts(tmp_path):
    (tmp_path / "file").write_text("")
    for write, name in WRITERS.values():
        with pytest.raises(OSError, match=f"{name} must be written as a whole. Received: .*file"):
            write(1, tmp_path / "file")
