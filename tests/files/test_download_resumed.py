"""Interrupted downloads, which the next request resumes."""

import json
import re
import socket
import types

import pytest

from elmo_keras.files import download
from elmo_keras.files.download import DownloadError, fetch
from tests.files.downloads import (
    CONTENT,
    DATE,
    OTHER_CONTENT,
    file_names,
    interrupt_download,
    sha256,
)

pytestmark = pytest.mark.usefixtures("cache")

ETAG, OTHER_ETAG, WEAK_ETAG = '"1"', '"2"', 'W/"1"'
FROM_START = (None, None)
FROM_1000 = ("bytes=1000-", ETAG)


def test_within_a_call(server, cache):
    server.drops = [100_000, 50_000, 0]
    assert fetch(server.address).read_bytes() == CONTENT
    assert server.ranges() == [
        FROM_START,
        ("bytes=100000-", ETAG),
        ("bytes=150000-", ETAG),
        ("bytes=150000-", ETAG),
    ]
    assert file_names(cache) == ["weights.hdf5"]


def test_by_the_next_call(server, cache):
    message = interrupt_download(server, 100_000, 50_000)
    assert server.address in message
    assert "150000 of 300000 bytes" in message
    assert re.search("must be reachable.* Received: .* local file.* the next call resumes", message)
    assert file_names(cache) == ["weights.hdf5.part", "weights.hdf5.part.json"]
    assert fetch(server.address, sha256(CONTENT)).read_bytes() == CONTENT
    assert server.ranges() == [("bytes=150000-", ETAG)]
    assert file_names(cache) == ["weights.hdf5"]


def test_a_call_makes_at_most_four_requests(server):
    server.drops = [10, 10, 10, 10, 10]
    with pytest.raises(DownloadError, match="40 of 300000 bytes.* resumes"):
        fetch(server.address)
    assert len(server.requests) == 4


def test_pauses(server, monkeypatch):
    pauses = []
    monkeypatch.setattr(download, "_PAUSES", (3, 4, 5))
    monkeypatch.setattr(download, "time", types.SimpleNamespace(sleep=pauses.append))
    interrupt_download(server, 1000)
    assert pauses == [0, 3, 4, 5]


def test_lost_connection(server, monkeypatch):
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


# === Versions ===


@pytest.mark.parametrize(
    "validators, if_range",
    [
        ({"Last-Modified": DATE}, DATE),
        ({"ETag": WEAK_ETAG, "Last-Modified": DATE}, DATE),
        ({"ETag": ETAG}, ETAG),
    ],
)
def test_validators(server, validators, if_range):
    server.validators = validators
    interrupt_download(server, 1000)
    assert fetch(server.address).read_bytes() == CONTENT
    assert server.ranges() == [("bytes=1000-", if_range)]


@pytest.mark.parametrize("validators", [{}, {"ETag": WEAK_ETAG}])
class TestWithoutValidator:
    def test_within_a_call(self, server, validators):
        server.validators = validators
        server.drops = [1000]
        assert fetch(server.address).read_bytes() == CONTENT
        assert server.ranges() == [FROM_START] * 2

    def test_by_the_next_call(self, server, validators):
        server.validators = validators
        assert "resumes" not in interrupt_download(server, 1000)
        assert fetch(server.address).read_bytes() == CONTENT
        assert server.ranges() == [FROM_START]


@pytest.mark.parametrize("sidecar", [None, "", "{", "[]", "{}", "1", '{"etag": 1}'])
def test_damaged_sidecar(server, cache, sidecar):
    interrupt_download(server, 1000)
    (path,) = cache.rglob("*.part.json")
    assert json.loads(path.read_text())["etag"] == ETAG
    path.unlink()
    if sidecar is not None:
        path.write_text(sidecar)
    assert fetch(server.address).read_bytes() == CONTENT
    assert server.ranges() == [FROM_START]


def test_another_version(server):
    interrupt_download(server, 1000)
    server.content, server.validators = OTHER_CONTENT, {"ETag": OTHER_ETAG}
    assert fetch(server.address).read_bytes() == OTHER_CONTENT
    assert server.ranges() == [FROM_1000]


@pytest.mark.parametrize(
    "content, validators",
    [
        (OTHER_CONTENT, {"ETag": OTHER_ETAG}),
        (OTHER_CONTENT, {"Last-Modified": "later"}),
        (OTHER_CONTENT + b"x", {}),
    ],
    ids=["etag", "date", "length"],
)
def test_another_version_from_a_server_that_ignores_if_range(server, content, validators):
    interrupt_download(server, 1000)
    server.content, server.validators, server.ignores_if_range = content, validators, True
    assert fetch(server.address).read_bytes() == content
    assert server.ranges() == [FROM_1000, FROM_START]


# === Answers to a request for a range ===


def test_server_without_ranges(server):
    interrupt_download(server, 1000)
    server.ignores_range = True
    assert fetch(server.address).read_bytes() == CONTENT
    assert server.ranges() == [FROM_1000]


@pytest.mark.parametrize("content_range", ["bytes 999-299999/", "bytes 0-299999/", "x 1000-1/"])
def test_another_range(server, content_range):
    interrupt_download(server, 1000)
    server.content_range = content_range
    assert fetch(server.address).read_bytes() == CONTENT
    assert server.ranges() == [FROM_1000, FROM_START]


@pytest.mark.parametrize(
    "ignores_if_range, expected",
    [(False, [FROM_1000]), (True, [FROM_1000, FROM_START])],
)
def test_new_version_without_more_bytes(server, ignores_if_range, expected):
    """A server that ignores `If-Range` answers with status 416."""
    interrupt_download(server, 1000)
    server.content, server.validators = OTHER_CONTENT[:1000], {"ETag": OTHER_ETAG}
    server.ignores_if_range = ignores_if_range
    assert fetch(server.address).read_bytes() == OTHER_CONTENT[:1000]
    assert server.ranges() == expected


def test_error_status(server):
    interrupt_download(server, 1000)
    server.statuses = [500]
    with pytest.raises(DownloadError, match="HTTP 500"):
        fetch(server.address)
    assert fetch(server.address).read_bytes() == CONTENT
    assert server.ranges() == [FROM_1000] * 2
