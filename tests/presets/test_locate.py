"""Sources that are archives, addresses, pairs of addresses or published names."""

import hashlib
import http.server
import re
import tarfile
import threading
import zipfile

import numpy as np
import pytest

import elmo_keras
from elmo_keras.presets import catalog, locate
from elmo_keras.presets.catalog import Published
from tests import small_models
from tests.small_models import to_numpy


@pytest.fixture
def checkpoint(tmp_path):
    opts = small_models.options()
    return small_models.write_checkpoint(tmp_path / "elmo", opts, small_models.datasets(opts))


@pytest.fixture
def expected(checkpoint):
    return vectors(checkpoint)


def vectors(source, **options):
    elmo = elmo_keras.ElmoLayer.from_preset(source, output="all", **options)
    return to_numpy(elmo(small_models.ids()))


def write_zip(path, directory, folder=""):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("README", "a description")
        for file in directory.iterdir():
            archive.write(file, folder + file.name)
    return path


def write_tar(path, directory, folder=""):
    with tarfile.open(path, "w:gz") as archive:
        archive.add(directory, arcname=folder or ".")
    return path


# === Archives ===


@pytest.mark.parametrize("folder", ["", "elmo/"])
@pytest.mark.parametrize("name, write", [("a.zip", write_zip), ("a.tar.gz", write_tar)])
def test_archives(tmp_path, checkpoint, expected, name, write, folder):
    np.testing.assert_array_equal(vectors(write(tmp_path / name, checkpoint, folder)), expected)


def test_errors_name_the_archive(tmp_path, checkpoint):
    """The folder into which it was unpacked no longer exists when the error is read."""
    weights = checkpoint / "weights.hdf5"
    weights.write_bytes(weights.read_bytes()[:2000])
    path = write_zip(tmp_path / "a.zip", checkpoint, "elmo/")
    with pytest.raises(ValueError, match=re.escape(f"{path}/elmo/weights.hdf5 must be an HDF5")):
        vectors(path)


# === Addresses ===


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves `tmp_path`; yields its address and the list of requested paths."""
    requested = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def do_GET(self):
            requested.append(self.path)
            super().do_GET()

        def log_message(self, *args):
            pass

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}", requested
        httpd.shutdown()
        thread.join()


@pytest.fixture
def pair(checkpoint, server):
    """The addresses of options and weights, named as AllenNLP names its files."""
    address, _ = server
    names = ("options.json", "weights.hdf5")
    for name in names:
        (checkpoint / name).rename(checkpoint / f"elmo_tiny_{name}")
    return tuple(f"{address}/elmo/elmo_tiny_{name}" for name in names)


def checksum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_addresses_are_downloaded_once(expected, server, pair):
    _, requested = server
    for _ in range(2):
        np.testing.assert_array_equal(vectors(pair[1]), expected)
        np.testing.assert_array_equal(vectors(pair), expected)
    assert len(requested) == 2


def test_an_address_of_an_archive(tmp_path, checkpoint, expected, server):
    write_zip(tmp_path / "elmo.zip", checkpoint)
    np.testing.assert_array_equal(vectors(f"{server[0]}/elmo.zip"), expected)


def test_an_address_that_does_not_answer(server):
    with pytest.raises(OSError, match="absent.zip"):
        vectors(f"{server[0]}/absent.zip")


def test_checksums(checkpoint, expected, pair):
    sha256 = checksum(checkpoint / "elmo_tiny_weights.hdf5")
    np.testing.assert_array_equal(vectors(pair[1], sha256=sha256), expected)
    np.testing.assert_array_equal(vectors(pair, sha256=(None, sha256)), expected)
    with pytest.raises(ValueError, match="sha256"):
        vectors(pair, sha256=(None, "0" * 64))


@pytest.mark.parametrize(
    "source, sha256, message",
    [
        (("a", "b"), "0" * 64, "must be a pair of checksums"),
        ("http://host/a.zip", ("0" * 64, None), "`sha256` must be a str, or None"),
        (".", "0" * 64, "`sha256` is for files that are downloaded"),
    ],
)
def test_wrong_arguments_for_checksums(source, sha256, message):
    with pytest.raises(ValueError, match=message):
        vectors(source, sha256=sha256)


# === Names ===


@pytest.mark.parametrize("name", catalog.PUBLISHED)
def test_published_names(expected, pair, monkeypatch, name):
    monkeypatch.setattr(locate, "PUBLISHED", {name: Published(pair)})
    np.testing.assert_array_equal(vectors(name), expected)


def test_a_folder_takes_precedence_over_a_published_name(
    tmp_path, checkpoint, expected, server, monkeypatch
):
    monkeypatch.setattr(locate, "PUBLISHED", {"medium": Published(f"{server[0]}/a.zip")})
    monkeypatch.chdir(tmp_path)
    checkpoint.rename(tmp_path / "medium")
    np.testing.assert_array_equal(vectors("medium"), expected)
    assert server[1] == []


def test_checksums_of_the_catalogue(tmp_path, checkpoint, expected, server, monkeypatch):
    path = write_zip(tmp_path / "elmo.zip", checkpoint)
    address, sha256 = f"{server[0]}/elmo.zip", checksum(path)
    published = {"right": Published(address, sha256), "wrong": Published(address, "0" * 64)}
    monkeypatch.setattr(locate, "PUBLISHED", published)
    np.testing.assert_array_equal(vectors("right"), expected)
    with pytest.raises(ValueError, match="must have the sha256"):
        vectors("wrong")
    # The caller's checksum takes precedence.
    np.testing.assert_array_equal(vectors("wrong", sha256=sha256), expected)


# === Errors ===


@pytest.mark.parametrize(
    "source, message",
    [
        (7, "Received: 7 of type int"),
        (None, "Received: None of type NoneType"),
        ("absent", "'absent', which does not exist"),
        ("ftp://host/a.zip", "does not exist"),
        (("a", "b", "c"), "Received: 3 paths"),
    ],
)
def test_no_source(source, message):
    with pytest.raises(ValueError, match=message):
        vectors(source)
