"""Partial downloads: received bytes, and the version that they belong to."""

import http.client
import json

import pytest

from elmo_keras.files.partial_download import PartialDownload, validator_of, version_of

VERSION = {"etag": '"1"', "length": "300"}


@pytest.fixture
def target(tmp_path):
    return tmp_path / "weights.hdf5"


@pytest.fixture
def partial(target):
    """A partial download of three bytes."""
    partial = PartialDownload(target)
    partial.begin(VERSION)
    partial.path.write_bytes(b"abc")
    return partial


def names(path):
    return sorted(file.name for file in path.parent.iterdir())


def test_files(partial, target):
    assert names(target) == ["weights.hdf5.part", "weights.hdf5.part.json"]
    assert json.loads((target.parent / "weights.hdf5.part.json").read_text()) == VERSION


def test_kept_by_the_next_process(partial, target):
    assert partial.kept() == PartialDownload(target).kept() == (3, VERSION)


def test_nothing_is_kept_at_first(target):
    assert PartialDownload(target).kept() == (0, {})


def test_begin_discards_bytes_of_an_earlier_version(partial):
    partial.begin({"etag": '"2"'})
    assert not partial.path.exists()
    assert partial.kept() == (0, {})
    partial.path.write_bytes(b"x")
    assert partial.kept() == (1, {"etag": '"2"'})


@pytest.mark.parametrize("version", [{}, {"length": "300"}, {"etag": 'W/"1"'}])
def test_without_a_validator_nothing_is_kept(target, version):
    partial = PartialDownload(target)
    partial.begin(version)
    partial.path.write_bytes(b"abc")
    assert partial.kept() == (0, {})


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"etag": 1}', '{"etag": null}', "\udc80"])
def test_damaged_description(partial, target, text):
    sidecar = target.with_name("weights.hdf5.part.json")
    sidecar.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert partial.kept() == (0, {})


def test_finish(partial, target):
    partial.finish(target)
    assert target.read_bytes() == b"abc"
    assert names(target) == ["weights.hdf5"]
    assert partial.kept() == (0, {})


def test_discard(partial, target):
    partial.discard()
    assert names(target) == []
    partial.discard()  # The files may be missing.


def headers(**values):
    message = http.client.HTTPMessage()
    for name, value in values.items():
        message[name.replace("_", "-")] = value
    return message


@pytest.mark.parametrize(
    "values, length, expected",
    [
        ({}, None, {}),
        ({}, 0, {"length": "0"}),
        ({"ETag": '"1"'}, 300, VERSION),
        (
            {"etag": '"1"', "last_modified": "Monday"},
            None,
            {"etag": '"1"', "last_modified": "Monday"},
        ),
        ({"ETag": "", "Content_Type": "text/plain"}, None, {}),
    ],
)
def test_version_of(values, length, expected):
    assert version_of(headers(**values), length) == expected


@pytest.mark.parametrize(
    "version, expected",
    [
        ({}, None),
        ({"length": "300"}, None),
        ({"etag": '"1"'}, '"1"'),
        ({"etag": '"1"', "last_modified": "Monday"}, '"1"'),
        ({"last_modified": "Monday"}, "Monday"),
        ({"etag": 'W/"1"', "last_modified": "Monday"}, "Monday"),
        ({"etag": 'W/"1"'}, None),
    ],
)
def test_validator_of(version, expected):
    assert validator_of(version) == expected
