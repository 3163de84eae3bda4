"""Changes that tests make to bytes, JSON values and arrays of a good file."""

import copy
import math

import numpy as np
import pytest

from tests.untrusted.jail import assert_loaded, assert_refused

MANY = 10**9
DEPTHS = [*range(930, 1000), 100_000]

DAMAGES = {
    "overwritten": lambda content, place: content[:place] + b"\xff" * 8 + content[place + 8 :],
    "lost": lambda content, place: content[:place] + content[place + 5 :],
}


def outcomes_of_damage(path, damage, load, named):
    """Damages a file at many places of its beginning, and returns the unexpected outcomes by place.

    A file whose weights are damaged but still finite numbers may load.
    """
    content = path.read_bytes()
    wrong = {}
    for place in np.linspace(0, min(len(content), 4000), 120, dtype=int).tolist():
        path.write_bytes(DAMAGES[damage](content, place))
        outcome = load()
        try:
            if outcome.result == "loaded":
                assert_loaded(outcome)
            else:
                assert_refused(outcome, named)
        except AssertionError:
            wrong[place] = outcome
    return wrong


VALUES = {
    "null": None,
    "text": "x",
    "minus one": -1,
    "zero": 0,
    "infinity": math.inf,
    "huge": 10**400,
    "list": [],
    "object": {},
    "true": True,
}
REMOVED = "removed"


def paths_of(content):
    """Yields the paths of all values in parsed JSON."""
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in pairs:
        yield (key,)
        if isinstance(value, dict | list):
            yield from ((key, *rest) for rest in paths_of(value))


def changed(content, path, name):
    """Returns a copy of parsed JSON with one of `VALUES` at a path, or with the path removed."""
    content = copy.deepcopy(content)
    part = content
    for key in path[:-1]:
        part = part[key]
    if name == REMOVED:
        del part[path[-1]]
    else:
        part[path[-1]] = VALUES[name]
    return content


def dotted(value):
    return ".".join(map(str, value)) if isinstance(value, tuple) else None


CHANGES = {
    "removed": lambda x: None,
    "transposed": lambda x: None if x.T.shape == x.shape else np.ascontiguousarray(x.T),
    "row more": lambda x: np.concatenate([x, x[:1]]) if x.ndim else None,
    "axis more": lambda x: x[np.newaxis],
    "integers": lambda x: np.ones(x.shape, "int32"),
    "text": lambda x: np.full(x.shape, b"1.5", object),
    "NaN": lambda x: np.full(x.shape, np.nan, "float32"),
    "huge": lambda x: np.full(x.shape, 1e300),
}
MORE_CHANGES = {
    "no rows": lambda x: x[:0] if x.ndim else None,
    "truth values": lambda x: np.ones(x.shape, "bool"),
    "complex": lambda x: x.astype("complex64"),
    "infinity": lambda x: np.full(x.shape, np.inf, "float32"),
}
every_change = pytest.mark.parametrize(
    "change",
    [pytest.param(change, id=name) for name, change in CHANGES.items()]
    + [
        pytest.param(change, id=name, marks=pytest.mark.slow)
        for name, change in MORE_CHANGES.items()
    ],
)
