"""JSON files of strangers: read within bounds, and every wrong value named by its key."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

# Far above any real file of options, far below what would hurt.
MAX_BYTES = 64 * 2**20
MAX_SIZE = 2**31 - 1  # of any dimension
MAX_FILTERS = 1000  # kinds of them


def load(path: pathlib.Path, what: str) -> Any:
    """The content of a JSON file.

    Args:
        path: the file.
        what: what it should hold, in an error.

    Raises:
        ValueError: if it is no JSON, or far too large.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"a file of more than {MAX_BYTES // 2**20} MiB")
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (ValueError, RecursionError, OSError) as error:  # JSONDecodeError, UnicodeDecodeError
        raise ValueError(
            f"{path} must be a JSON file of {what}. Received: {error}. Fetch it again."
        ) from error


class Reader:
    """Takes values out of parsed JSON, each with its check.

    Args:
        source: what the file is called in an error.
        kind: what the file should be, in an error.
    """

    def __init__(self, source: str, kind: str):
        self._source, self._kind = source, kind

    def section(self, parent: dict, key: str, prefix: str = "") -> dict:
        """An object inside of another one."""
        value = parent.get(key)
        if not isinstance(value, dict):
            raise self.error(prefix + key, "an object", value)
        return value

    def integer(
        self,
        parent: dict,
        key: str,
        prefix: str = "",
        default: int | None = None,
        lowest: int = 1,
        highest: int = MAX_SIZE,
    ) -> int:
        """A whole number; `default` for an absent key or null."""
        value = parent.get(key)
        value = default if value is None else value
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        # nan and inf have no remainder 0
        if not is_number or value % 1 != 0 or not lowest <= value <= highest:
            must_be = f"a whole number of at least {lowest}"
            if is_number and value > highest:
                must_be += f" and at most {highest}"
            raise self.error(prefix + key, must_be, value)
        return int(value)

    def bound(self, parent: dict, key: str, prefix: str = "") -> float | None:
        """A positive number, or `None` for an absent key or null."""
        value = parent.get(key)
        if value is None:
            return None
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not 0 < value <= MAX_SIZE:
            raise self.error(prefix + key, "a positive number or null", value)
        return float(value)

    def boolean(self, parent: dict, key: str, prefix: str = "") -> bool:
        """A truth value, also as a str; `False` for an absent key or null."""
        value = parent.get(key)
        known = {None: False, False: False, True: True, "true": True, "false": False}
        value = value.lower() if isinstance(value, str) else value
        if not isinstance(value, (bool, str, type(None))) or value not in known:
            raise self.error(prefix + key, "true or false", value)
        return known[value]

    def choice(self, parent: dict, key: str, prefix: str, choices: Sequence[str]) -> str:
        """One of some names."""
        value = parent.get(key)
        if value not in choices:
            raise self.error(prefix + key, " or ".join(map(repr, choices)), value)
        return value

    def filters(
        self, parent: dict, key: str, prefix: str, max_characters: int
    ) -> list[tuple[int, int]]:
        """Convolutions: a list of pairs (width, number)."""
        value = parent.get(key)
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
        return [(width, number) for width, number in value]

    def error(self, key: str, must_be: str, received: Any) -> ValueError:
        """The ValueError that names a key, what it must be and what it is."""
        text = repr(received)
        text = text if len(text) <= 300 else text[:300] + "..."
        return ValueError(
            f"In {self._source}, {key} must be {must_be}. Received: {text}. Check that the file "
            f"is {self._kind}."
        )
