"""Fixtures of the data set tests."""

import hashlib

import pytest


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Returns a function that writes data files; `ELMO_KERAS_DATA` names their folder.

    Its arguments are the paths and contents of the files, and the dictionary of expected checksums
    of a loader with its keys in the order of the files. `None` leaves the checksums alone.
    """
    monkeypatch.setenv("ELMO_KERAS_DATA", str(tmp_path))

    def write(files, checksums=None):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(text.encode())
        for key, text in zip(checksums or {}, files.values(), strict=checksums is not None):
            monkeypatch.setitem(checksums, key, hashlib.sha256(text.encode()).hexdigest())
        return tmp_path

    return write


@pytest.fixture
def published(shared, monkeypatch):
    """Makes the loaders read the published files."""
    monkeypatch.setenv("ELMO_KERAS_DATA", str(shared / "data"))
    return shared / "data"
