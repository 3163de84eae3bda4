import contextlib
import hashlib
import http.server
import io
import json
import pathlib
import random
import re
import socket
import subprocess
import sys
import threading
import time
import types
import urllib.error
import urllib.request

import pytest

from elmo_keras.files import download
from elmo_keras.files.download import DownloadError, fetch, is_address

PACKAGE = pathlib.Path(download.__file__).parents[1]
CONTENT = random.Random(0).randbytes(300_000)
OTHER = random.Random(1).randbytes(300_000)
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the server's attributes say, and keeps the headers of what it is asked."""

    def do_GET(self):
        server = self.server
        server.asked.append(dict(self.headers))
        time.sleep(server.delay)
        if self.path in server.redirects:
            self.send_response(302)
            self.send_header("Location", server.redirects[self.path])
            self.end_headers()
            return
        status = server.statuses.pop(0) if server.statuses else 200
        if status != 200:
            self.send_error(status)
            return
        if server.raw is not None:
            self.wfile.write(server.raw)
            return
        start = self.start()
        if start >= len(server.content):
            self.send_error(416)
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            said = server.content_range or f"bytes {start}-{len(server.content) - 1}/"
            self.send_header("Content-Range", f"{said}{len(server.content)}")
        for key, value in server.validators.items():
            self.send_header(key, value)
        if server.says_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        drop = server.drops.pop(0) if server.drops else None
        with contextlib.suppress(ConnectionError):  # Who asked may have no use for it.
            self.wfile.write(body[:drop])

    def start(self):
        """The first byte to send: of another version all is sent, unless `If-Range` is ignored."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        is_same = self.headers.get("If-Range") in self.server.validators.values()
        if match is None or self.server.ignores_range:
            return 0
        return int(match[1]) if is_same or self.server.ignores_if_range else 0

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content = CONTENT
        server.validators = {"ETag": '"1"', "Last-Modified": DATE}
        server.asked = []
        server.drops = []  # of each answer, how many bytes are sent before it breaks off
        server.statuses = []
        server.redirects = {}
        server.says_length = True
        server.ignores_range = server.ignores_if_range = False
        server.content_range = server.raw = None
        server.delay = 0
        server.root = f"http://127.0.0.1:{server.server_port}"
        server.address = f"{server.root}/models/weights.hdf5?download=1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "_PAUSES", (0, 0, 0))
    return tmp_path / "elmo_keras" / "checkpoints"


def files(cache):
    """The names of the files in the cache, but for those of the locks."""
    names = [path.name for path in cache.rglob("*") if path.is_file()]
    return sorted(name for name in names if not name.endswith(".lock"))


def ranges(server):
    """What was asked for, request by request."""
    return [(headers.get("Range"), headers.get("If-Range")) for headers in server.asked]


def interrupted(server, *drops):
    """A download that breaks off in one call, after so many bytes of each answer."""
    server.drops = [*drops, 0, 0, 0][:4]
    with pytest.raises(DownloadError) as error:
        fetch(server.address)
    server.asked.clear()
    return str(error.value)


class TestOnce:
    @pytest.mark.parametrize("checksum", [None, sha256(CONTENT), sha256(CONTENT).upper()])
    def test_is_downloaded_once(self, server, cache, checksum):
        path = fetch(server.address, checksum)
        assert path.read_bytes() == CONTENT
        assert fetch(server.address, checksum) == path
        assert ranges(server) == [(None, None)]
        folder = sha256(server.address.encode())[:16]
        assert path == cache / folder / "weights.hdf5"
        assert files(cache) == ["weights.hdf5"]

    def test_home(self, server, tmp_path, monkeypatch):
        monkeypatch.delenv("KERAS_HOME")
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        path = fetch(server.address)
        assert path.parents[3] == tmp_path / "home" / ".keras"
        monkeypatch.setenv("KERAS_HOME", "~/other")
        assert fetch(server.address).parents[3] == tmp_path / "home" / "other"

    def test_addresses_with_one_name(self, server):
        paths = {fetch(f"{server.root}/{folder}/weights.hdf5") for folder in "abc"}
        assert len(paths) == len(server.asked) == 3

    def test_cache_that_is_read_only(self, server, monkeypatch):
        path = fetch(server.address)
        monkeypatch.setattr(download, "filelock", None)
        assert fetch(server.address, sha256(CONTENT)) == path

    def test_damaged_copy_is_downloaded_again(self, server, cache):
        path = fetch(server.address)
        path.write_bytes(b"half")
        assert fetch(server.address, sha256(CONTENT)) == path
        assert path.read_bytes() == CONTENT
        assert ranges(server) == [(None, None)] * 2
        server.content = OTHER
        path.write_bytes(b"half")
        with pytest.raises(ValueError, match="sha256"):
            fetch(server.address, sha256(CONTENT))
        assert len(server.asked) == 3
        assert files(cache) == []

    @pytest.mark.parametrize("resumed", [False, True])
    def test_wrong_checksum(self, server, cache, resumed):
        if resumed:
            interrupted(server, 1000)
        with pytest.raises(
            ValueError, match="must have the sha256 .* Received: .* Call again"
        ) as e:
            fetch(server.address, sha256(OTHER))
        assert sha256(OTHER) in str(e.value)
        assert f"Received: sha256={sha256(CONTENT)}" in str(e.value)
        assert not isinstance(e.value, OSError)
        assert files(cache) == []
        assert fetch(server.address, sha256(CONTENT)).read_bytes() == CONTENT

    def test_empty_file_and_unknown_length(self, server):
        server.says_length = False
        assert fetch(server.address).read_bytes() == CONTENT
        server.content = b" "
        assert fetch(f"{server.root}/a").read_bytes() == b" "

    def test_two_processes(self, server):
        """One downloads, the other waits for it."""
        server.delay = 0.3
        code = (
            "import sys, types; package = types.ModuleType('elmo_keras'); "
            "package.__path__ = sys.argv[1:2]; sys.modules['elmo_keras'] = package; "
            "presets = types.ModuleType('elmo_keras.presets'); "
            "presets.__path__ = [sys.argv[1] + '/presets']; "
            "sys.modules['elmo_keras.presets'] = presets; "
            "from elmo_keras.files import download; print(download.fetch(sys.argv[2])); "
            "sys.exit('keras' in sys.modules)"
        )
        command = [sys.executable, "-c", code, str(PACKAGE), server.address]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        outputs = [process.communicate()[0].decode().strip() for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        assert outputs == [str(fetch(server.address))] * 2
        assert len(server.asked) == 1

    def test_two_threads(self, server):
        server.delay = 0.1
        threads = [threading.Thread(target=fetch, args=[server.address]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.asked) == 1
        assert fetch(server.address).read_bytes() == CONTENT


class TestResumed:
    def test_within_a_call(self, server, cache):
        server.drops = [100_000, 50_000, 0]
        assert fetch(server.address).read_bytes() == CONTENT
        etag = '"1"'
        assert ranges(server) == [
            (None, None),
            ("bytes=100000-", etag),
            ("bytes=150000-", etag),
            ("bytes=150000-", etag),
        ]
        assert files(cache) == ["weights.hdf5"]

    def test_by_the_next_call(self, server, cache):
        message = interrupted(server, 100_000, 50_000)
        assert "150000 of 300000 bytes" in message
        assert re.search(
            "must be reachable.* Received: .* local file.* the next call resumes", message
        )
        assert server.address in message
        assert files(cache) == ["weights.hdf5.part", "weights.hdf5.part.json"]
        assert fetch(server.address, sha256(CONTENT)).read_bytes() == CONTENT
        assert ranges(server) == [("bytes=150000-", '"1"')]
        assert files(cache) == ["weights.hdf5"]

    def test_at_most_four_requests_in_a_call(self, server):
        server.drops = [10, 10, 10, 10, 10]
        with pytest.raises(DownloadError, match="40 of 300000 bytes.* resumes"):
            fetch(server.address)
        assert len(server.asked) == 4

    @pytest.mark.parametrize(
        "validators, sent",
        [
            ({"Last-Modified": DATE}, DATE),
            ({"ETag": 'W/"1"', "Last-Modified": DATE}, DATE),
            ({"ETag": '"1"'}, '"1"'),
        ],
    )
    def test_validators(self, server, validators, sent):
        server.validators = validators
        interrupted(server, 1000)
        assert fetch(server.address).read_bytes() == CONTENT
        assert ranges(server) == [("bytes=1000-", sent)]

    @pytest.mark.parametrize("validators", [{}, {"ETag": 'W/"1"'}])
    def test_without_a_validator(self, server, validators):
        server.validators = validators
        server.drops = [1000]
        assert fetch(server.address).read_bytes() == CONTENT
        assert ranges(server) == [(None, None)] * 2
        server.address += "&again"
        assert "resumes" not in interrupted(server, 1000)
        assert fetch(server.address).read_bytes() == CONTENT
        assert ranges(server) == [(None, None)]

    @pytest.mark.parametrize("sidecar", [None, "", "{", "[]", "{}", "1", '{"etag": 1}'])
    def test_damaged_sidecar(self, server, cache, sidecar):
        interrupted(server, 1000)
        (path,) = cache.rglob("*.part.json")
        assert json.loads(path.read_text())["etag"] == '"1"'
        path.unlink()
        if sidecar is not None:
            path.write_text(sidecar)
        assert fetch(server.address).read_bytes() == CONTENT
        assert ranges(server) == [(None, None)]

    def test_server_without_ranges(self, server):
        interrupted(server, 1000)
        server.ignores_range = True
        assert fetch(server.address).read_bytes() == CONTENT
        assert ranges(server) == [("bytes=1000-", '"1"')]

    def test_another_version(self, server):
        interrupted(server, 1000)
        server.content, server.validators = OTHER, {"ETag": '"2"'}
        assert fetch(server.address).read_bytes() == OTHER
        assert ranges(server) == [("bytes=1000-", '"1"')]

    @pytest.mark.parametrize(
        "content, validators",
        [(OTHER, {"ETag": '"2"'}), (OTHER, {"Last-Modified": "later"}), (OTHER + b"x", {})],
    )
    def test_another_version_from_a_server_that_ignores_if_range(self, server, content, validators):
        interrupted(server, 1000)
        server.content, server.validators, server.ignores_if_range = content, validators, True
        assert fetch(server.address).read_bytes() == content
        assert ranges(server) == [("bytes=1000-", '"1"'), (None, None)]

    @pytest.mark.parametrize("content_range", ["bytes 999-299999/", "bytes 0-299999/", "x 1000-1/"])
    def test_another_range(self, server, content_range):
        interrupted(server, 1000)
        server.content_range = content_range
        assert fetch(server.address).read_bytes() == CONTENT
        assert ranges(server) == [("bytes=1000-", '"1"'), (None, None)]

    def test_nothing_is_left_to_send(self, server):
        interrupted(server, 1000)
        server.content, server.validators = OTHER[:1000], {"ETag": '"2"'}
        assert fetch(server.address).read_bytes() == OTHER[:1000]
        assert ranges(server) == [("bytes=1000-", '"1"')]
        server.address += "&again"
        server.content = CONTENT
        interrupted(server, 1000)
        server.content, server.ignores_if_range = OTHER[:1000], True
        assert fetch(server.address).read_bytes() == OTHER[:1000]
        assert ranges(server) == [("bytes=1000-", '"2"'), (None, None)]

    def test_server_that_goes_away(self, server, monkeypatch):
        server.drops = [1000]
        connect = socket.create_connection
        calls = []

        def connect_once(*args, **kwargs):
            calls.append(args)
            if len(calls) > 1:
                raise OSError("gone")
            return connect(*args, **kwargs)

        monkeypatch.setattr(socket, "create_connection", connect_once)
        with pytest.raises(
            DownloadError, match=r"Received: no connection \(gone\).* 1000 bytes .* resumes"
        ):
            fetch(server.address)
        assert len(calls) == 4

    def test_pauses(self, server, monkeypatch):
        pauses = []
        monkeypatch.setattr(download, "_PAUSES", (3, 4, 5))
        monkeypatch.setattr(download, "time", types.SimpleNamespace(sleep=pauses.append))
        interrupted(server, 1000)
        assert pauses == [0, 3, 4, 5]


MESSAGE = "must be reachable.* Received: .* pass the path of the local file"


class TestErrors:
    @pytest.mark.parametrize("status", [403, 404, 416, 500, 503])
    def test_status(self, server, cache, status):
        server.statuses = [status]
        with pytest.raises(DownloadError, match=MESSAGE) as error:
            fetch(server.address)
        assert isinstance(error.value, OSError)
        assert server.address in str(error.value)
        assert f"Received: HTTP {status} " in str(error.value)
        assert len(server.asked) == 1
        assert files(cache) == []
        assert fetch(server.address).read_bytes() == CONTENT

    def test_status_when_resuming(self, server):
        interrupted(server, 1000)
        server.statuses = [500]
        with pytest.raises(DownloadError, match="HTTP 500"):
            fetch(server.address)
        assert fetch(server.address).read_bytes() == CONTENT
        assert ranges(server) == [("bytes=1000-", '"1"')] * 2

    def test_nobody_there(self, cache, monkeypatch):
        monkeypatch.setattr(download, "_PAUSES", (60, 60, 60))
        with socket.socket() as taken:  # Bound but not listening: connections are refused.
            taken.bind(("127.0.0.1", 0))
            with pytest.raises(DownloadError, match=MESSAGE) as error:
                fetch(f"http://127.0.0.1:{taken.getsockname()[1]}/weights.hdf5")
        assert "refused" in str(error.value)
        assert files(cache) == []

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
        assert len(server.asked) == requests

    def test_silence(self, server, monkeypatch):
        monkeypatch.setattr(download, "_TIMEOUT", 0.05)
        server.delay = 0.3
        with pytest.raises(DownloadError, match=MESSAGE) as error:
            fetch(server.address)
        assert "timed out" in str(error.value)

    def test_disk_error_is_not_one_of_the_network(self, server, cache, monkeypatch):
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
        assert files(cache) == []

    def test_password(self):
        with pytest.raises(ValueError, match="a user or a password") as error:
            fetch("https://me:secret@host/a")
        assert "secret" not in str(error.value)

    @pytest.mark.parametrize("checksum", ["", "abc", "g" * 64, sha256(b"") + "0"])
    def test_invalid_checksum(self, server, checksum):
        with pytest.raises(ValueError, match="64 hexadecimal digits. Received: "):
            fetch(server.address, checksum)
        assert server.asked == []


class TestRedirects:
    def test_is_followed(self, server):
        server.redirects = {"/a.hdf5": "/b", "/b": server.address}
        server.drops = [1000]
        path = fetch(f"{server.root}/a.hdf5")
        assert path.name == "a.hdf5"
        assert path.read_bytes() == CONTENT
        assert ranges(server) == [(None, None)] * 3 + [("bytes=1000-", '"1"')] * 3

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
    def test_is_not_followed(self, server, cache, target):
        server.redirects = {"/a": target}
        with pytest.raises(DownloadError, match=MESSAGE):
            fetch(f"{server.root}/a")
        assert len(server.asked) < 10
        assert files(cache) == []

    @pytest.mark.parametrize(
        "old, new, follows",
        [
            ("http", "http", True),
            ("http", "https", True),
            ("https", "https", True),
            ("https", "http", False),
            ("http", "ftp", False),
            ("https", "file", False),
        ],
    )
    def test_schemes(self, old, new, follows):
        request = urllib.request.Request(f"{old}://host/a")
        arguments = request, io.BytesIO(), 302, "Found", {}, f"{new}://host/b"
        if follows:
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
    def test_terminal(self, server, monkeypatch):
        monkeypatch.setattr(sys, "stderr", Terminal())
        monkeypatch.setenv("TERM", "xterm")
        server.drops = [1000]
        fetch(server.address.replace("weights", "weights[red]"))
        assert "weights[red].hdf5" in sys.stderr.getvalue()
        assert "300.0/300.0 kB" in sys.stderr.getvalue()

    @pytest.mark.parametrize(
        "stream, progress", [(Terminal(), False), (io.StringIO(), True), (None, True)]
    )
    def test_silent(self, server, monkeypatch, stream, progress):
        monkeypatch.setattr(sys, "stderr", stream)
        fetch(server.address, progress=progress)
        assert stream is None or stream.getvalue() == ""
