"""A source may lie anywhere: archives, addresses, pairs of them, published names."""

import hashlib
import http.server
import re
import tarfile
import threading
import zipfile

import h5py
import numpy as np
import pytest

import elmo_keras
from elmo_keras import presets
from elmo_keras.presets import catalog, locate
from tests import foreign_checkpoints, small_models
from tests.small_models import to_numpy


@pytest.fixture
def checkpoint(tmp_path):
    opts = small_models.options()
    return small_models.write_checkpoint(tmp_path / "elmo", opts, small_models.datasets(opts))


@pytest.fixture
def vectors(checkpoint):
    return of(checkpoint)


def of(source, **options):
    elmo = elmo_keras.ElmoLayer.from_preset(source, output="all", **options)
    return to_numpy(elmo(small_models.ids()))


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The address of `tmp_path` on this machine, and the paths that were asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *args):
            pass

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}", asked
        httpd.shutdown()
        thread.join()


@pytest.mark.parametrize("folder", ["", "elmo/"])
def test_archives(tmp_path, checkpoint, vectors, folder):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("README", "what it is")
        for path in checkpoint.iterdir():
            archive.write(path, folder + path.name)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(checkpoint, arcname=folder or ".")
    for name in ("a.zip", "a.tar.gz"):
        np.testing.assert_array_equal(of(tmp_path / name), vectors)


def test_an_nlpl_archive(tmp_path, checkpoint, vectors):
    """Its weights are `model.hdf5`; other files lie beside them."""
    (checkpoint / "weights.hdf5").rename(checkpoint / "model.hdf5")
    (checkpoint / "meta.json").write_text("{}")
    (checkpoint / "vocab.txt").write_text("not\nneeded\n")
    (checkpoint / "model.ckpt-1.index").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "217.zip", "w") as archive:
        for path in checkpoint.iterdir():
            archive.write(path, path.name)
    np.testing.assert_array_equal(of(tmp_path / "217.zip"), vectors)


def test_addresses(tmp_path, checkpoint, vectors, server):
    address, asked = server
    for name in ("options.json", "weights.hdf5"):
        (checkpoint / name).rename(checkpoint / f"elmo_tiny_{name}")
    stem = f"{address}/elmo/elmo_tiny_"
    for _ in range(2):
        np.testing.assert_array_equal(of(f"{stem}weights.hdf5"), vectors)
        pair = (f"{stem}options.json", f"{stem}weights.hdf5")
        np.testing.assert_array_equal(of(pair), vectors)
    assert len(asked) == 2  # once each

    content = (checkpoint / "elmo_tiny_weights.hdf5").read_bytes()
    checksum = hashlib.sha256(content).hexdigest()
    np.testing.assert_array_equal(of(f"{stem}weights.hdf5", sha256=checksum), vectors)
    with pytest.raises(ValueError, match="sha256"):
        of(pair, sha256=(None, "0" * 64))
    with pytest.raises(ValueError, match="must be a pair of checksums"):
        of(pair, sha256=checksum)

    with zipfile.ZipFile(tmp_path / "elmo.zip", "w") as archive:
        for path in checkpoint.iterdir():
            archive.write(path, path.name)
    np.testing.assert_array_equal(of(f"{address}/elmo.zip"), vectors)


def test_published_names(tmp_path, checkpoint, vectors, server, monkeypatch):
    address, asked = server
    local = {
        name: tuple(f"{address}/elmo/{file}" for file in ("options.json", "weights.hdf5"))
        for name in catalog.PUBLISHED
    }
    monkeypatch.setattr(locate, "PUBLISHED", local)
    for name in ("small", "original_5.5b", "pubmed"):
        np.testing.assert_array_equal(of(name), vectors)
    # A folder of that name is what it says.
    monkeypatch.chdir(tmp_path)
    checkpoint.rename(tmp_path / "medium")
    np.testing.assert_array_equal(of("medium"), vectors)
    assert len(asked) == 2


def test_published_addresses():
    assert set(catalog.PUBLISHED) == {
        "small",
        "medium",
        "original",
        "original_5.5b",
        "portuguese",
        "pubmed",
    }
    for options, weights in catalog.PUBLISHED.values():
        assert options.startswith("https://") and options.endswith("options.json")
        assert weights.startswith("https://") and weights.endswith(".hdf5")


def test_an_address_that_does_not_answer(server):
    address, _ = server
    with pytest.raises(OSError, match="absent.zip"):
        of(f"{address}/absent.zip")


def test_errors_name_the_archive(tmp_path, checkpoint):
    """Not the folder that it was unpacked into, which nobody can look at any more."""
    weights = checkpoint / "weights.hdf5"
    weights.write_bytes(weights.read_bytes()[:2000])
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in checkpoint.iterdir():
            archive.write(file, f"elmo/{file.name}")
    with pytest.raises(ValueError, match=re.escape(f"{path}/elmo/weights.hdf5 must be an HDF5")):
        of(path)


@pytest.mark.parametrize(
    "source, message",
    [
        (7, "Received: 7 of type int"),
        ("absent", "'absent', which does not exist"),
        (("a", "b", "c"), "Received: 3 paths"),
        ("ftp://host/a.zip", "does not exist"),
        (None, "Received: None of type NoneType"),
    ],
)
def test_no_source(source, message):
    with pytest.raises(ValueError, match=message):
        of(source)


def test_no_model_in_it(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ValueError, match="no model in .*it holds: notes.txt"):
        of(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "notes.txt", "notes.txt")
    with pytest.raises(ValueError, match="no model in .*it holds: notes.txt"):
        of(tmp_path / "a.zip")
    with pytest.raises(ValueError, match="`sha256` is for files that are fetched"):
        of(tmp_path, sha256="0" * 64)


def test_the_softmax_file_of_allennlp(tmp_path):
    words, (kernel, bias) = foreign_checkpoints.words_and_softmax(6)
    with h5py.File(tmp_path / "softmax_weights.hdf5", "w") as file:
        file["softmax/W"], file["softmax/b"] = kernel, bias
    (tmp_path / "vocabulary.txt").write_text("\n".join(words), encoding="utf-8")
    for source in (tmp_path, tmp_path / "softmax_weights.hdf5"):
        read = presets.load_softmax(source)
        np.testing.assert_array_equal(read.kernel, kernel)
        np.testing.assert_array_equal(read.bias, bias)
        assert read.vocabulary == words
