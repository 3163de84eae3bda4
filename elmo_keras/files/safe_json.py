"""Bounded reading of untrusted JSON files; errors name the key of a wrong value."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

# Far above any real config, far below a size that would exhaust memory.
MAX_BYTES = 64 * 2**20
MAX_DEPTH = 100  # of nested lists and objects
MAX_SIZE = 2**31 - 1  # of any dimension
MAX_FILTERS = 1000  # number of filter widths


def load(path: pathlib.Path, description: str) -> Any:
    """Parses a JSON file.

    Args:
        path: path of the file.
        description: expected content, as in "a JSON file of DESCRIPTION".

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if the file is not JSON, is too large, or is nested too deeply.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"a file of more than {MAX_BYTES // 2**20} MiB")
        content = json.loads(path.read_text(encoding="utf-8"))
        _check_depth(content)
        return content
    except FileNotFoundError:
        raise
    except (ValueError, RecursionError, OSError) as error:  # JSONDecodeError, UnicodeDecodeError
        raise ValueError(
            f"{path} must be a JSON file of {description}. Received: {error}. Fetch the file again."
        ) from error


def _check_depth(content: Any) -> None:
    level = [content]
    for _ in range(MAX_DEPTH + 1):
        level = [child for value in level for child in _children(value)]
    if level:
        raise ValueError(f"values nested more than {MAX_DEPTH} levels deep")


def _children(value: Any) -> Sequence[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else ()


class Reader:
    """Reads checked values from parsed JSON.

    A method's `prefix` is the path of the parent object, such as `"lstm."`, for errors.

    Args:
        source: name of the file, for errors.
        expected: description of the expected file, as in "Check that the file is EXPECTED".

    Example:

    >>> reader = Reader("options.json", "the options of a biLM")
    >>> reader.integer({"dim": 512}, "dim", prefix="lstm.")
    512
    >>> reader.integer({"dim": "x"}, "dim", prefix="lstm.")
    Traceback (most recent call last):
    ...
    ValueError: In options.json, lstm.dim must be a whole number of at least 1. Received: 'x'. ...
    """

    def __init__(self, source: str, expected: str) -> None:
        self._source, self._expected = source, expected

    def section(self, parent: Mapping[str, Any], key: str, prefix: str = "") -> dict[str, Any]:
        """Returns a nested object."""
        value = parent.get(key)
        if not isinstance(value, dict):
            raise self.error(prefix + key, "an object", value)
        return value

    def integer(
        self,
        parent: Mapping[str, Any],
        key: str,
        prefix: str = "",
        default: int | None = None,
        lowest: int = 1,
        highest: int = MAX_SIZE,
    ) -> int:
        """Returns an integer in `[lowest, highest]`; `default` for a missing key or null."""
        value: Any = parent.get(key)
        value = default if value is None else value
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        # NaN and infinity fail the remainder test.
        if not is_number or value % 1 != 0 or not lowest <= value <= highest:
            must_be = f"a whole number of at least {lowest}"
            if is_number and value > highest:
                must_be += f" and at most {highest}"
            raise self.error(prefix + key, must_be, value)
        return int(value)

    def positive(self, parent: Mapping[str, Any], key: str, prefix: str = "") -> float | None:
        """Returns a positive number; `None` for a missing key or null."""
        value = parent.get(key)
        if value is None:
            return None
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not 0 < value <= MAX_SIZE:
            raise self.error(prefix + key, "a positive number or null", value)
        return float(value)

    def boolean(self, parent: Mapping[str, Any], key: str, prefix: str = "") -> bool:
        """Returns a bool, or the value of "true" or "false"; `False` for a missing key or null."""
        value: Any = parent.get(key)
        known = {None: False, False: False, True: True, "true": True, "false": False}
        value = value.lower() if isinstance(value, str) else value
        if not isinstance(value, (bool, str, type(None))) or value not in known:
            raise self.error(prefix + key, "true or false", value)
        return known[value]

    def choice(
        self, parent: Mapping[str, Any], key: str, prefix: str, choices: Sequence[str]
    ) -> str:
        """Returns one of the given strings."""
        value: Any = parent.get(key)
        if value not in choices:
            raise self.error(prefix + key, " or ".join(map(repr, choices)), value)
        return value

    def filters(
        self, parent: Mapping[str, Any], key: str, prefix: str, max_characters: int
    ) -> list[tuple[int, int]]:
        """Returns convolution filters: a list of (width, count)."""
        value: Any = parent.get(key)
        is_right = (
            isinstance(value, list)
            and 0 < len(value) <= MAX_FILTERS
            and all(isinstance(pair, list) and len(pair) == 2 for pair in value)
            and all(type(size) is int and 0 < size <= MAX_SIZE for pair in value for size in pair)
        )
        if not is_right:
            raise self.error(prefix + key, "a list of pairs [width, number]", value)
        if max(width for width, _ in value) > max_characters:
            raise self.error(prefix + key, "no wider than 'max_characters_per_token'", value)
        return [(width, count) for width, count in value]

    def error(self, key: str, must_be: str, received: Any) -> ValueError:
        """Returns the error for a wrong value.

        Args:
            key: path of the value in the file.
            must_be: description of a correct value.
            received: the wrong value.
        """
        text = repr(received)
        text = text if len(text) <= 300 else text[:300] + "..."
        return ValueError(
            f"In {self._source}, {key} must be {must_be}. Received: {text}. Check that the file "
            f"is {self._expected}."
        )
