"""Wrong and unbounded values in `options.json`."""

import json

import pytest

from tests import small_models
from tests.untrusted.changes import DEPTHS, MANY, REMOVED, VALUES, changed, dotted, paths_of
from tests.untrusted.jail import assert_loaded
from tests.untrusted.models import OPTIONS

pytestmark = pytest.mark.slow


# Valid values by path: bilm-tf and AllenNLP have defaults for missing keys.
FINE = {
    "lstm.n_layers": ["null", REMOVED],
    "lstm.cell_clip": ["null", REMOVED],
    "lstm.proj_clip": ["null", REMOVED],
    "lstm.use_skip_connections": ["null", "true", REMOVED],
    "char_cnn.n_characters": ["null", REMOVED],
    "n_tokens_vocab": [*VALUES, REMOVED],
}


CHARACTER_PATHS = [("characters", path) for path in paths_of(OPTIONS)]
WORD_PATHS = [("words", ("n_tokens_vocab",))]


@pytest.mark.parametrize("format, path", CHARACTER_PATHS + WORD_PATHS, ids=dotted)
@pytest.mark.parametrize("name", [*VALUES, REMOVED])
def test_values_of_options(model, format, path, name):
    target = model(format)
    file = target.directory / "options.json"
    file.write_text(json.dumps(changed(json.loads(file.read_text()), path, name)))
    if name in FINE.get(dotted(path), []):
        assert_loaded(target.load())
    else:
        target.assert_refused(str(target.directory))


NUMBERS = [
    ("lstm.n_layers", MANY),
    ("lstm.dim", MANY),
    ("lstm.projection_dim", MANY),
    ("lstm.projection_dim", 2**31),
    ("char_cnn.n_highway", MANY),
    ("char_cnn.embedding.dim", MANY),
    ("char_cnn.n_characters", MANY),
    ("char_cnn.max_characters_per_token", MANY),
    ("char_cnn.filters", [[1, MANY], [2, 8]]),
    ("char_cnn.filters", [[MANY, 4], [2, 8]]),
    ("char_cnn.filters", [[1, 4]] * 10**5),
    ("char_cnn.filters", ["14", "28"]),
    ("char_cnn.filters", {"14": 0, "28": 0}),
    ("char_cnn.filters", [[1.9, 4], [2, 8]]),
    ("lstm.dim", int("9" * 4000)),
]


@pytest.mark.parametrize("key, value", NUMBERS, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("longest", [50, 10**6])
def test_unbounded_numbers(model, key, value, longest):
    """A large `max_characters_per_token`, which no weight depends on, must not permit them."""
    target = model("characters")
    options = small_models.options(n_layers=1, max_characters_per_token=longest)
    *parents, last = key.split(".")
    part = options
    for parent in parents:
        part = part[parent]
    part[last] = value
    (target.directory / "options.json").write_text(json.dumps(options))
    target.assert_refused(str(target.directory))


def test_more_digits_than_python_reads(model):
    target = model("characters")
    text = (target.directory / "options.json").read_text()
    (target.directory / "options.json").write_text(text.replace("16", "9" * 5000))
    target.assert_refused("options.json must be a JSON file")


@pytest.mark.parametrize(
    "format, file", [("characters", "options.json"), ("preset", "config.json")]
)
def test_json_nested_deeply(model, format, file):
    """JSON that Python can just parse must not be too deep to be printed in an error."""
    target = model(format)
    for depth in DEPTHS:
        for key in ("lstm", "registered_name"):
            text = f'{{"{key}": {"[" * depth + "]" * depth}}}'
            (target.directory / file).write_text(text)
            target.assert_refused(file)
