"""Downloads: the cache, errors, redirects and the progress bar."""

import io
import pathlib
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from elmo_keras.files import download
from elmo_keras.files.download import DownloadError, fetch, is_address
from tests.files.downloads import (
    CONTENT,
    OTHER_CONTENT,
    file_names,
    interrupt_download,
    sha256,
)

pytestmark = pytest.mark.usefixtures("cache")

PACKAGE = pathlib.Path(download.__file__).parents[1]
MESSAGE = "must be reachable.* Received: .* pass the path of the local file"


class TestCache:
    @pytest.mark.parametrize("checksum", [None, sha256(CONTENT), sha256(CONTENT).upper()])
    def test_second_call_reads_the_copy(self, server, cache, checksum):
        path = fetch(server.address, checksum)
        assert path.read_bytes() == CONTENT
        assert fetch(server.address, checksum) == path
        assert server.ranges() == [(None, None)]
        folder = sha256(server.address.encode())[:16]
        assert path == cache / folder / "weights.hdf5"
        assert file_names(cache) == ["weights.hdf5"]

    @pytest.mark.parametrize("keras_home, folder", [(None, ".keras"), ("~/other", "other")])
    def test_folder_of_the_cache(self, server, tmp_path, monkeypatch, keras_home, folder):
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.delenv("KERAS_HOME")
        if keras_home:
            monkeypatch.setenv("KERAS_HOME", keras_home)
        assert fetch(server.address).parents[3] == tmp_path / "home" / folder

    def test_addresses_with_one_file_name(self, server):
        paths = {fetch(f"{server.root}/{folder}/weights.hdf5") for folder in "abc"}
        assert len(paths) == len(server.requests) == 3

    def test_read_only_cache(self, server, monkeypatch):
        path = fetch(server.address)
        monkeypatch.setattr(download, "filelock", None)
        assert fetch(server.address, sha256(CONTENT)) == path

    def test_damaged_copy_is_downloaded_again(self, server):
        path = fetch(server.address)
        path.write_bytes(b"half")
        assert fetch(server.address, sha256(CONTENT)) == path
        assert path.read_bytes() == CONTENT
        assert server.ranges() == [(None, None)] * 2

    def test_damaged_copy_of_a_changed_file(self, server, cache):
        fetch(server.address).write_bytes(b"half")
        server.content = OTHER_CONTENT
        with pytest.raises(ValueError, match="sha256"):
            fetch(server.address, sha256(CONTENT))
        assert len(server.requests) == 2
        assert file_names(cache) == []

    @pytest.mark.parametrize("resumed", [False, True])
    def test_wrong_checksum(self, server, cache, resumed):
        if resumed:
            interrupt_download(server, 1000)
        with pytest.raises(
            ValueError, match="must have the sha256 .* Received: .* Call again"
        ) as error:
            fetch(server.address, sha256(OTHER_CONTENT))
        assert sha256(OTHER_CONTENT) in str(error.value)
        assert f"Received: sha256={sha256(CONTENT)}" in str(error.value)
        assert not isinstance(error.value, OSError)
        assert file_names(cache) == []
        assert fetch(server.address, sha256(CONTENT)).read_bytes() == CONTENT

    @pytest.mark.parametrize("content", [CONTENT, b" "])
    def test_unknown_length(self, server, content):
        server.content = content
        server.sends_length = False
        assert fetch(server.address).read_bytes() == content

    def test_two_processes(self, server):
        """One process downloads the file while the other one waits."""
        server.delay = 0.3
        code = (
            "import sys, types; package = types.ModuleType('elmo_keras'); "
            "package.__path__ = sys.argv[1:2]; sys.modules['elmo_keras'] = package; "
            "from elmo_keras.files import download; print(download.fetch(sys.argv[2])); "
            "sys.exit('keras' in sys.modules)"
        )
        command = [sys.executable, "-c", code, str(PACKAGE), server.address]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        outputs = [process.communicate()[0].decode().strip() for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        assert outputs == [str(fetch(server.address))] * 2
        assert len(server.requests) == 1

    def test_three_threads(self, server):
        server.delay = 0.1
        threads = [threading.Thread(target=fetch, args=[server.address]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.requests) == 1
        assert fetch(server.address).read_bytes() == CONTENT


class TestErrors:
    @pytest.mark.parametrize("status", [403, 404, 416, 500, 503])
    def test_status(self, server, cache, status):
        server.statuses = [status]
        with pytest.raises(DownloadError, match=MESSAGE) as error:
            fetch(server.address)
        assert isinstance(error.value, OSError)
        assert server.address in str(error.value)
        assert f"Received: HTTP {status} " in str(error.value)
        assert len(server.requests) == 1
        assert file_names(cache) == []
        assert fetch(server.address).read_bytes() == CONTENT

    def test_refused_connection(self, cache, monkeypatch):
        monkeypatch.setattr(download, "_PAUSES", (60, 60, 60))
        with socket.socket() as taken:  # Bound but not listening: connections are refused.
            taken.bind(("127.0.0.1", 0))
            with pytest.raises(DownloadError, match=MESSAGE) as error:
                fetch(f"http://127.0.0.1:{taken.getsockname()[1]}/weights.hdf5")
        assert "refused" in str(error.value)
        assert file_names(cache) == []

    @pytest.mark.parametrize(
        "answer, requests",
        [
            (b"", 4),
            (b"nonsense\r\n\r\n", 4),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 4),
            (b"HTTP/1.1 204 No Content\r\n\r\n", 1),
            (b"HTTP/1.1 206 OK\r\nContent-Range: bytes 0-0/1\r\nContent-Length: 1\r\n\r\nx", 1),
        ],
    )
    def test_other_answers(self, server, answer, requests):
        server.raw = answer
        with pytest.raises(DownloadError, match=MESSAGE):
            fetch(server.address)
        assert len(server.requests) == requests

    def test_timeout(self, server, monkeypatch):
        monkeypatch.setattr(download, "_TIMEOUT", 0.05)
        server.delay = 0.3
        with pytest.raises(DownloadError, match=MESSAGE) as error:
            fetch(server.address)
        assert "timed out" in str(error.value)

    def test_disk_error_is_no_download_error(self, server, monkeypatch):
        monkeypatch.setenv("KERAS_HOME", str(PACKAGE / "files" / "download.py"))
        with pytest.raises(OSError) as error:
            fetch(server.address)
        assert not isinstance(error.value, DownloadError)

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "weights.hdf5",
            "/models/weights.hdf5",
            "file:///etc/passwd",
            "ftp://host/weights.hdf5",
            "data:,x",
            "http:host/weights.hdf5",
            "http:///weights.hdf5",
            "http://host",
            "http://host/folder/",
            "http://host/folder/..",
            "http://host:port/a",
            "http://[host/a",
            "http://host/a b",
            "http://host/a\tb",
            "http://host/\u00e9",
            "http://host/a\r\nHost: other",
            None,
            pathlib.Path("http://host/a"),
        ],
    )
    def test_invalid_address(self, address, cache):
        with pytest.raises(ValueError, match="must be like .* Received: .* Correct it") as error:
            fetch(address)
        assert repr(address) in str(error.value)
        assert file_names(cache) == []

    def test_password(self):
        with pytest.raises(ValueError, match="a user or a password") as error:
            fetch("https://me:secret@host/a")
        assert "secret" not in str(error.value)

    @pytest.mark.parametrize("checksum", ["", "abc", "g" * 64, sha256(b"") + "0"])
    def test_invalid_checksum(self, server, checksum):
        with pytest.raises(ValueError, match="64 hexadecimal digits. Received: "):
            fetch(server.address, checksum)
        assert server.requests == []


class TestRedirects:
    def test_followed(self, server):
        server.redirects = {"/a.hdf5": "/b", "/b": server.address}
        server.drops = [1000]
        path = fetch(f"{server.root}/a.hdf5")
        assert path.name == "a.hdf5"
        assert path.read_bytes() == CONTENT
        assert server.ranges() == [(None, None)] * 3 + [("bytes=1000-", '"1"')] * 3

    @pytest.mark.parametrize(
        "target",
        [
            "file:///etc/passwd",
            "FILE:///etc/passwd",
            "ftp://127.0.0.1/a",
            "data:,x",
            "//[",
            "http://host:port/a",
            "/a",
        ],
    )
    def test_not_followed(self, server, cache, target):
        server.redirects = {"/a": target}
        with pytest.raises(DownloadError, match=MESSAGE):
            fetch(f"{server.root}/a")
        assert len(server.requests) < 10
        assert file_names(cache) == []

    @pytest.mark.parametrize(
        "old, new, is_followed",
        [
            ("http", "http", True),
            ("http", "https", True),
            ("https", "https", True),
            ("https", "http", False),
            ("http", "ftp", False),
            ("https", "file", False),
        ],
    )
    def test_schemes(self, old, new, is_followed):
        request = urllib.request.Request(f"{old}://host/a")
        arguments = request, io.BytesIO(), 302, "Found", {}, f"{new}://host/b"
        if is_followed:
            redirected = download._Redirects().redirect_request(*arguments)
            assert redirected.full_url == f"{new}://host/b"
        else:
            with pytest.raises(urllib.error.HTTPError, match="not followed") as error:
                download._Redirects().redirect_request(*arguments)
            error.value.close()


@pytest.mark.parametrize(
    "source, expected",
    [
        ("http://host/a", True),
        ("HTTPS://host/a", True),
        ("https:/host/a", False),
        ("ftp://host/a", False),
        ("a/http://host", False),
        ("model", False),
        (b"http://host/a", False),
        (pathlib.Path("model"), False),
        (("http://host/a", "http://host/b"), False),
        (None, False),
    ],
)
def test_is_address(source, expected):
    assert is_address(source) is expected


class Terminal(io.StringIO):
    def isatty(self):
        return True


class TestProgress:
    def test_bar_in_a_terminal(self, server, monkeypatch):
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setenv("TERM", "xterm")
        server.drops = [1000]
        fetch(server.address.replace("weights", "weights[red]"))
        assert "weights[red].hdf5" in sys.stderr.getvalue()
        assert "300.0/300.0 kB" in sys.stderr.getvalue()

    @pytest.mark.parametrize(
        "stream, progress", [(Terminal(), False), (io.StringIO(), True), (None, True)]
    )
    def test_no_bar(self, server, monkeypatch, stream, progress):
        monkeypatch.setattr(sys, "stderr", stream)
        fetch(server.address, progress=progress)
        assert stream is None or stream.getvalue() == ""
