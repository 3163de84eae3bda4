"""A local HTTP server with selectable faults, and helpers for the files of a download."""

import contextlib
import hashlib
import http.server
import random
import re
import threading
import time

import pytest

from elmo_keras.files.download import DownloadError, fetch

CONTENT = random.Random(0).randbytes(300_000)
OTHER_CONTENT = random.Random(1).randbytes(300_000)
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def file_names(cache):
    """Returns the names of the files in the cache, without lock files."""
    names = [path.name for path in cache.rglob("*") if path.is_file()]
    return sorted(name for name in names if not name.endswith(".lock"))


class FileServer(http.server.ThreadingHTTPServer):
    """Serves one file at every path, and records the requests; a context manager.

    Attributes:
        root: address of the server.
        address: address of the file.
        content: bytes of the file.
        validators: headers that identify the version of the file.
        requests: headers of all requests so far.
        drops: for each of the next answers, the number of bytes to send before it breaks off.
        statuses: statuses of the next answers.
        redirects: targets of redirects, by path.
        raw: bytes to send instead of an answer.
        delay: seconds before each answer.
        sends_length: whether answers have a `Content-Length`.
        ignores_range: whether to send the whole file to every request.
        ignores_if_range: whether to send a range of any version.
        content_range: beginning of the `Content-Range`, if not the right one.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = f"http://127.0.0.1:{self.server_port}"
        self.address = f"{self.root}/models/weights.hdf5?download=1"
        self.content = CONTENT
        self.validators = {"ETag": '"1"', "Last-Modified": DATE}
        self.requests = []
        self.drops = []
        self.statuses = []
        self.redirects = {}
        self.raw = None
        self.delay = 0
        self.sends_length = True
        self.ignores_range = self.ignores_if_range = False
        self.content_range = None

    def __enter__(self):
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return super().__enter__()

    def __exit__(self, *arguments):
        self.shutdown()
        self._thread.join()
        super().__exit__(*arguments)

    def ranges(self):
        """Returns the headers `Range` and `If-Range` of all requests."""
        return [(headers.get("Range"), headers.get("If-Range")) for headers in self.requests]


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests.append(dict(self.headers))
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
            content_range = server.content_range or f"bytes {start}-{len(server.content) - 1}/"
            self.send_header("Content-Range", f"{content_range}{len(server.content)}")
        for key, value in server.validators.items():
            self.send_header(key, value)
        if server.sends_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        drop = server.drops.pop(0) if server.drops else None
        with contextlib.suppress(ConnectionError):  # The client may have closed the connection.
            self.wfile.write(body[:drop])

    def start(self):
        """Returns the position of the first byte to send."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        is_same_version = self.headers.get("If-Range") in self.server.validators.values()
        if match is None or self.server.ignores_range:
            return 0
        return int(match[1]) if is_same_version or self.server.ignores_if_range else 0

    def log_message(self, *_):
        pass


def interrupt_download(server, *drops):
    """Calls `fetch`, whose answers break off, and returns its error message.

    Args:
        server: the FileServer. Its record of requests is cleared.
        *drops: numbers of bytes that the first answers send; further answers send none.
    """
    server.drops = [*drops, 0, 0, 0][:4]
    with pytest.raises(DownloadError) as error:
        fetch(server.address)
    server.requests.clear()
    return str(error.value)
