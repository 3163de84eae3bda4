"""Bounded reading of JSON, and checked values."""

import json
import re

import pytest

from elmo_keras.files import safe_json
from elmo_keras.files.safe_json import MAX_DEPTH, MAX_FILTERS, MAX_SIZE, Reader


@pytest.fixture
def load(tmp_path):
    """Returns a function that writes bytes into a file and loads them."""

    def load_bytes(data):
        path = tmp_path / "options.json"
        path.write_bytes(data)
        return safe_json.load(path, "options")

    return load_bytes


def nested(depth):
    return b"[" * depth + b"1" + b"]" * depth


class TestLoad:
    def test_content(self, load):
        content = {"a": [1, 2.5, None, True], "naïve": {"b": "東京"}}
        assert load(json.dumps(content, ensure_ascii=False).encode()) == content

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            safe_json.load(tmp_path / "absent.json", "options")

    @pytest.mark.parametrize(
        "data",
        [b"", b"{", b"{'a': 1}", b'{"a": 1} more', b"\xff", b"9" * 5000, nested(100_000)],
        ids=["empty", "open", "quotes", "more", "not utf-8", "digits", "recursion"],
    )
    def test_invalid(self, load, tmp_path, data):
        path = re.escape(str(tmp_path / "options.json"))
        message = f"^{path} must be a JSON file of options. Received: .*Fetch the file again.$"
        with pytest.raises(ValueError, match=message):
            load(data)

    def test_folder(self, tmp_path):
        with pytest.raises(ValueError, match="must be a JSON file of options. Received: "):
            safe_json.load(tmp_path, "options")

    def test_depth(self, load):
        assert load(nested(MAX_DEPTH)) == json.loads(nested(MAX_DEPTH))
        with pytest.raises(ValueError, match=f"nested more than {MAX_DEPTH} levels deep"):
            load(nested(MAX_DEPTH + 2))

    def test_size(self, load, monkeypatch):
        monkeypatch.setattr(safe_json, "MAX_BYTES", 2**20)
        assert load(b"1".rjust(2**20)) == 1
        with pytest.raises(ValueError, match="a file of more than 1 MiB"):
            load(b"1".rjust(2**20 + 1))


READER = Reader("options.json", "the options of a model")


def assert_refused(read, value, must_be):
    """Asserts that a method of the reader refuses a value, with an error that names its key."""
    with pytest.raises(ValueError) as error:
        read({"key": value}, "key", "lstm.")
    text = repr(value)
    assert str(error.value) == (
        f"In options.json, lstm.key must be {must_be}. Received: {text}. Check that the file is "
        "the options of a model."
    )


class TestSection:
    def test_valid(self):
        assert READER.section({"key": {"a": 1}}, "key") == {"a": 1}

    @pytest.mark.parametrize("value", [None, 1, "x", [1], True])
    def test_invalid(self, value):
        assert_refused(READER.section, value, "an object")

    def test_missing(self):
        with pytest.raises(ValueError, match="key must be an object. Received: None"):
            READER.section({}, "key")


class TestInteger:
    @pytest.mark.parametrize("value, expected", [(1, 1), (7.0, 7), (MAX_SIZE, MAX_SIZE)])
    def test_valid(self, value, expected):
        actual = READER.integer({"key": value}, "key")
        assert actual == expected
        assert type(actual) is int

    @pytest.mark.parametrize(
        "value", [0, -1, 1.5, True, "7", [], float("nan"), float("-inf"), float("-1e308")]
    )
    def test_invalid(self, value):
        assert_refused(READER.integer, value, "a whole number of at least 1")

    @pytest.mark.parametrize("value", [MAX_SIZE + 1, 1e308, float("inf")])
    def test_too_large(self, value):
        must_be = f"a whole number of at least 1 and at most {MAX_SIZE}"
        assert_refused(READER.integer, value, must_be)

    def test_bounds(self):
        def read(value):
            return READER.integer({"key": value}, "key", lowest=0, highest=9)

        assert [read(0), read(9)] == [0, 9]
        for value in (-1, 10):
            with pytest.raises(ValueError, match="a whole number of at least 0"):
                read(value)

    @pytest.mark.parametrize("parent", [{}, {"key": None}])
    def test_default(self, parent):
        assert READER.integer(parent, "key", default=3) == 3
        with pytest.raises(ValueError, match="Received: None"):
            READER.integer(parent, "key")


class TestPositive:
    @pytest.mark.parametrize("value", [3, 0.5, MAX_SIZE])
    def test_valid(self, value):
        actual = READER.positive({"key": value}, "key")
        assert actual == value
        assert type(actual) is float

    @pytest.mark.parametrize("parent", [{}, {"key": None}])
    def test_missing(self, parent):
        assert READER.positive(parent, "key") is None

    @pytest.mark.parametrize(
        "value", [0, -1, True, "3", [], float("nan"), float("inf"), MAX_SIZE + 1]
    )
    def test_invalid(self, value):
        assert_refused(READER.positive, value, "a positive number or null")


class TestBoolean:
    @pytest.mark.parametrize(
        "value, expected",
        [(True, True), (False, False), ("true", True), ("False", False), (None, False)],
    )
    def test_valid(self, value, expected):
        assert READER.boolean({"key": value}, "key") is expected

    def test_missing(self):
        assert READER.boolean({}, "key") is False

    @pytest.mark.parametrize("value", [0, 1, 1.0, "yes", "", [], {}])
    def test_invalid(self, value):
        assert_refused(READER.boolean, value, "true or false")


class TestChoice:
    def test_valid(self):
        assert READER.choice({"key": "relu"}, "key", "", ["relu", "tanh"]) == "relu"

    @pytest.mark.parametrize("value", [None, "sigmoid", "RELU", 1, ["relu"], {}])
    def test_invalid(self, value):
        def read(parent, key, prefix):
            return READER.choice(parent, key, prefix, ["relu", "tanh"])

        assert_refused(read, value, "'relu' or 'tanh'")


class TestFilters:
    @staticmethod
    def read(parent, key, prefix=""):
        return READER.filters(parent, key, prefix, max_characters=50)

    def test_valid(self):
        assert self.read({"key": [[1, 32], [50, 64]]}, "key") == [(1, 32), (50, 64)]
        most = [[1, MAX_SIZE]] * MAX_FILTERS
        assert self.read({"key": most}, "key") == [(1, MAX_SIZE)] * MAX_FILTERS

    @pytest.mark.parametrize(
        "value",
        [
            None,
            [],
            {},
            "1x2",
            [1, 2],
            [[1]],
            [[1, 2, 3]],
            [[0, 2]],
            [[1, -2]],
            [[1, 2.0]],
            [[True, 2]],
            [[1, "2"]],
            [[1, MAX_SIZE + 1]],
        ],
    )
    def test_invalid(self, value):
        assert_refused(self.read, value, "a list of pairs [width, number]")

    def test_too_many(self):
        with pytest.raises(ValueError, match="a list of pairs"):
            self.read({"key": [[1, 2]] * (MAX_FILTERS + 1)}, "key")

    def test_wider_than_a_word(self):
        assert_refused(self.read, [[1, 2], [51, 2]], "no wider than 'max_characters_per_token'")


@pytest.mark.parametrize("length, is_cut", [(298, False), (299, True)])
def test_errors_show_the_beginning_of_long_values(length, is_cut):
    message = str(READER.error("key", "short", "x" * length))
    assert ("..." in message) is is_cut
    assert len(message) < 450
