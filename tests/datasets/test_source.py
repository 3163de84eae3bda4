"""Reading data files: downloads, the cache, a local folder, checks of the content."""

import gzip
import hashlib
import http.server
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from elmo_keras.datasets import DatasetUnavailable, _source
from elmo_keras.datasets._source import Source, read_source

PACKAGE = Path(_source.__file__).parents[1]
CONTENT = "naïve lines\nof nothing\n".encode()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def no_folder(monkeypatch):
    monkeypatch.delenv("ELMO_KERAS_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of the data sets in a temporary Keras cache."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "elmo_keras" / _source.CACHE


def files_in(cache):
    """Returns the files in a cache, without the lock files of downloads."""
    return [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]


@pytest.fixture
def server():
    """A server of `server.contents`, by path, that records the requested paths."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests.append(self.path)
            content = self.server.contents.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.contents = {"/train.txt": CONTENT}
        server.requests = []
        server.address = f"http://127.0.0.1:{server.server_port}/train.txt"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_download_is_cached(server, cache):
    source = Source("some_set/parts/train.txt", server.address, sha256(CONTENT))
    assert read_source(source) == CONTENT
    assert read_source(source) == CONTENT
    assert server.requests == ["/train.txt"]
    assert [path.name for path in files_in(cache)] == ["train.txt"]


def test_checksum_is_of_the_prepared_content(server, cache):
    source = Source("some_set/train.txt", server.address, sha256(b"naive"), lambda _: b"naive")
    assert read_source(source) == b"naive"
    assert read_source(source) == b"naive"
    assert server.requests == ["/train.txt"]


def test_plain_download_of_a_file_that_is_compressed_in_the_folder(server, cache):
    source = Source("some_set/train.txt.gz", server.address, sha256(CONTENT))
    assert read_source(source) == CONTENT


@pytest.mark.parametrize("prepare", [None, bytes.upper])
def test_damaged_download_is_removed(server, cache, prepare):
    used = CONTENT if prepare is None else prepare(CONTENT)
    damaged = b"half" if prepare is None else b"HALF"
    source = Source("some_set/train.txt", server.address, sha256(used), prepare)
    server.contents["/train.txt"] = b"half"
    with pytest.raises(ValueError, match="removed from the cache") as error:
        read_source(source)
    assert sha256(used) in str(error.value)
    assert f"Received: sha256={sha256(damaged)}" in str(error.value)
    assert files_in(cache) == []
    server.contents["/train.txt"] = CONTENT
    assert read_source(source) == used


def test_damaged_file_in_the_cache_is_downloaded_again(server, cache):
    source = Source("some_set/train.txt", server.address, sha256(CONTENT))
    read_source(source)
    (path,) = files_in(cache)
    path.write_bytes(b"half")
    assert read_source(source) == CONTENT
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 2


class TestUnavailable:
    def check(self, address, cache):
        source = Source("some_set/parts/train.txt", address, sha256(CONTENT))
        with pytest.raises(DatasetUnavailable, match="ELMO_KERAS_DATA") as error:
            read_source(source)
        assert isinstance(error.value, OSError)
        assert address in str(error.value)
        assert "<folder>/some_set/parts/train.txt" in str(error.value)
        assert files_in(cache) == []

    def test_missing_file(self, server, cache):
        server.contents.clear()
        self.check(server.address, cache)

    def test_refused_connection(self, cache):
        with socket.socket() as taken:  # Bound but not listening.
            taken.bind(("127.0.0.1", 0))
            self.check(f"http://127.0.0.1:{taken.getsockname()[1]}/train.txt", cache)

    def test_invalid_address(self, cache):
        self.check("train.txt", cache)


class TestFolder:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("ELMO_KERAS_DATA", str(tmp_path))
        (tmp_path / "some_set").mkdir()
        return tmp_path / "some_set"

    def source(self, name="train.txt", content=CONTENT):
        return Source(f"some_set/{name}", "http://127.0.0.1:9/train.txt", sha256(content))

    def test_plain(self, folder):
        (folder / "train.txt").write_bytes(CONTENT)
        assert read_source(self.source()) == CONTENT

    def test_compressed(self, folder):
        (folder / "train.txt.gz").write_bytes(gzip.compress(CONTENT))
        assert read_source(self.source("train.txt.gz")) == CONTENT

    def test_missing_file(self, folder):
        with pytest.raises(FileNotFoundError, match=r"must hold the file `some_set/train\.txt`"):
            read_source(self.source())

    def test_missing_folder(self, folder, monkeypatch):
        monkeypatch.setenv("ELMO_KERAS_DATA", str(folder / "nowhere"))
        with pytest.raises(FileNotFoundError, match="Received: ELMO_KERAS_DATA=.*nowhere"):
            read_source(self.source())

    @pytest.mark.parametrize("keep", [5, -12])
    def test_damaged_compressed_file(self, folder, keep):
        (folder / "train.txt.gz").write_bytes(gzip.compress(CONTENT)[:keep])
        with pytest.raises(ValueError, match="whole gzip file"):
            read_source(self.source("train.txt.gz"))
        assert (folder / "train.txt.gz").exists()

    @pytest.mark.parametrize("name", ["train.txt", "train.txt.gz"])
    @pytest.mark.parametrize("prepare", [None, bytes.upper])
    def test_a_byte_order_mark_is_dropped(self, folder, prepare, name):
        used = CONTENT if prepare is None else prepare(CONTENT)
        marked = b"\xef\xbb\xbf" + CONTENT
        (folder / name).write_bytes(gzip.compress(marked) if name.endswith("gz") else marked)
        assert read_source(self.source(name, used)._replace(prepare=prepare)) == used

    # TREC's `prepare` accepts Latin-1.
    @pytest.mark.parametrize("prepare", [None, lambda content: content], ids=["none", "prepare"])
    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
    @pytest.mark.parametrize("name", ["train.txt", "train.txt.gz"])
    def test_utf16_is_refused(self, folder, name, encoding, prepare):
        data = CONTENT.decode().encode(encoding)
        (folder / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
        iconv = encoding.upper().replace("-LE", "LE")
        message = rf"{name} must be UTF-8 text. Received: {iconv} text. .*iconv -f {iconv} -t UTF-8"
        with pytest.raises(ValueError, match=message):
            read_source(self.source(name)._replace(prepare=prepare))

    def test_wrong_content_is_not_removed(self, folder):
        (folder / "train.txt").write_bytes(b"mine")
        with pytest.raises(ValueError, match=f"Received: sha256={sha256(b'mine')}") as error:
            read_source(self.source())
        assert sha256(CONTENT) in str(error.value)
        assert (folder / "train.txt").read_bytes() == b"mine"


def test_the_modules_do_not_import_keras():
    code = (
        "import sys, types; package = types.ModuleType('elmo_keras'); "
        "package.__path__ = sys.argv[1:]; sys.modules['elmo_keras'] = package; "
        "import elmo_keras.datasets; sys.exit('keras' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(PACKAGE)], check=True)
