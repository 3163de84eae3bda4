"""Fixtures of several test files in this folder."""

import pathlib
import tempfile

import pytest

from elmo_keras.files import download
from elmo_keras.files.static_vectors import read_static_vectors
from tests.files.downloads import FileServer


@pytest.fixture
def temporary_root(tmp_path, monkeypatch):
    """The folder of all temporary folders; the test fails if it changes anything outside them."""
    folder = tmp_path / "outside" / "temporary"
    folder.mkdir(parents=True)
    (folder.parent / "mine.txt").write_text("mine")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    left = sorted(path.relative_to(folder.parent) for path in folder.parent.rglob("*"))
    assert left == [pathlib.Path("mine.txt"), pathlib.Path("temporary")]
    assert (folder.parent / "mine.txt").read_text() == "mine"


@pytest.fixture
def archive_path(tmp_path, temporary_root):
    """The path of an archive to write; it is unpacked below `temporary_root`."""
    return tmp_path / "archive"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache of downloads, which are repeated without a pause."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "_PAUSES", (0, 0, 0))
    return tmp_path / "elmo_keras" / "checkpoints"


@pytest.fixture
def server(cache):
    with FileServer() as server:
        yield server


@pytest.fixture
def read(tmp_path):
    """Returns a function that reads word vectors from bytes, as a file without an extension."""

    def read_bytes(data, **options):
        path = tmp_path / "file"
        path.write_bytes(data)
        return read_static_vectors(path, **options)

    return read_bytes
