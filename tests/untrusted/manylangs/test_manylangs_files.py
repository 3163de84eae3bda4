"""ELMoForManyLangs: whole, truncated and missing files, JSON configs and dictionaries."""

import functools
import json
import zipfile

import numpy as np
import pytest

from tests import foreign_checkpoints
from tests.untrusted.changes import (
    DAMAGES,
    DEPTHS,
    MANY,
    REMOVED,
    VALUES,
    changed,
    dotted,
    outcomes_of_damage,
    paths_of,
)
from tests.untrusted.jail import assert_loaded, assert_refused
from tests.untrusted.manylangs.models import CONFIG, EMBEDDER, ENCODER, every_generation

pytestmark = pytest.mark.slow


@every_generation
@pytest.mark.parametrize("form", ["directory", "zip", "zip with a folder"])
def test_complete_and_damaged_models(model, jail, tmp_path, generation, form):
    directory = model(generation)

    def source():
        if form == "directory":
            return directory
        with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
            for file in directory.iterdir():
                top = directory.parent if form != "zip" else directory
                archive.write(file, file.relative_to(top))
        return tmp_path / "model.zip"

    assert_loaded(jail.load(source()))
    path = directory / ENCODER
    path.write_bytes(path.read_bytes()[:-2000])
    assert_refused(jail.load(source()), ENCODER)


FILES = ["config.json", "cnn_sample.json", EMBEDDER, ENCODER, "char.dic", "word.dic"]


@every_generation
@pytest.mark.parametrize("file", FILES)
def test_truncated_files(model, jail, generation, file):
    path = model(generation) / file
    content = path.read_bytes()
    for share in np.linspace(0, 0.99, 20):
        path.write_bytes(content[: int(share * len(content))])
        outcome = jail.load(path.parent)
        # A dictionary truncated after a line or within a number may be a valid, shorter one.
        if file.endswith(".dic") and outcome.result == "loaded":
            assert_loaded(outcome)
        else:
            is_of_both = file.endswith(".dic") and "The dictionaries in" in outcome.message
            assert_refused(outcome, str(path.parent) if is_of_both else f"{file} must")


@pytest.mark.slow
@every_generation
def test_files_truncated_at_every_byte(model, jail, generation):
    path = model(generation) / EMBEDDER
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        assert_refused(jail.load(path.parent), EMBEDDER)


@pytest.mark.slow
@every_generation
@pytest.mark.parametrize("file", ["cnn_sample.json", EMBEDDER, ENCODER, "char.dic"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_bytes(model, jail, generation, file, damage):
    directory = model(generation)
    load = functools.partial(jail.load, directory)
    assert outcomes_of_damage(directory / file, damage, load, str(directory)) == {}


@pytest.mark.parametrize("file", FILES)
def test_absent_files(model, jail, file):
    directory = model()
    (directory / file).unlink()
    assert_refused(jail.load(directory), file)


def test_a_directory_instead_of_a_file(model, jail):
    directory = model()
    (directory / ENCODER).unlink()
    (directory / ENCODER).mkdir()
    assert_refused(jail.load(directory), ENCODER)


# === JSON ===

OUTER = {"config_path": "/home/author/configs/cnn_sample.json", "max_epoch": 10}
UNUSED = ("max_epoch", "classifier", "dropout")
FINE = {
    "encoder.cell_clip": ["null", REMOVED],
    "encoder.proj_clip": ["null", REMOVED],
    "token_embedder.max_characters_per_token": ["null", REMOVED],
}
PATHS = [("config.json", path) for path in paths_of(OUTER)]
PATHS += [("cnn_sample.json", path) for path in paths_of(CONFIG)]


@pytest.mark.parametrize("file, path", PATHS, ids=dotted)
@pytest.mark.parametrize("name", [*VALUES, REMOVED])
def test_values_of_configs(model, jail, file, path, name):
    directory = model()
    content = OUTER if file == "config.json" else CONFIG
    (directory / file).write_text(json.dumps(changed(content, path, name)))
    outcome = jail.load(directory)
    if path[0] in UNUSED or name in FINE.get(dotted(path), []):
        assert_loaded(outcome)
    else:
        assert_refused(outcome, str(directory))


@pytest.mark.parametrize("file", ["config.json", "cnn_sample.json"])
def test_json_nested_deeply(model, jail, file):
    directory = model()
    for depth in DEPTHS:
        for key in ("encoder", "config_path"):
            text = f'{{"{key}": {"[" * depth + "]" * depth}}}'
            (directory / file).write_text(text)
            assert_refused(jail.load(directory), file)


NUMBERS = [
    ("encoder.n_layers", MANY),
    ("encoder.dim", MANY),
    ("encoder.projection_dim", MANY),
    ("token_embedder.n_highway", MANY),
    ("token_embedder.word_dim", MANY),
    ("token_embedder.char_dim", MANY),
    ("token_embedder.max_characters_per_token", MANY),
    ("token_embedder.filters", [[1, MANY], [2, 8]]),
    ("token_embedder.filters", [[MANY, 4], [2, 8]]),
    ("token_embedder.filters", [[1, 4]] * 10**5),
    ("token_embedder.name", "lstm"),
    ("encoder.name", "lstm"),
]


@pytest.mark.parametrize("key, value", NUMBERS, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize("longest", [50, 10**6])
def test_unbounded_numbers(model, jail, key, value, longest):
    directory = model()
    config = foreign_checkpoints.manylangs_config(n_layers=1, max_characters_per_token=longest)
    section, last = key.split(".")
    config[section][last] = value
    (directory / "cnn_sample.json").write_text(json.dumps(config))
    assert_refused(jail.load(directory), str(directory))


@pytest.mark.parametrize("name", ["", ".", "..", "config.json", "../x.json", "a\\..\\.", "\0"])
def test_paths_of_configs(model, jail, name):
    directory = model()
    (directory.parent / "x.json").write_text(json.dumps(CONFIG))
    (directory / "config.json").write_text(json.dumps({"config_path": f"/home/{name}"}))
    assert_refused(jail.load(directory), str(directory))


# === Dictionaries ===

LINE, NUMBERING = "an entry, a tab and its number on each line", "its entries from 0 on"
DICTIONARIES = {
    "large number": ("more\t100000000000", NUMBERING),
    "larger number": (f"more\t{10**30}", NUMBERING),
    "many digits": (f"more\t{'9' * 10**5}", NUMBERING),
    "negative number": ("more\t-1", LINE),
    "duplicate number": ("more\t3", "a different number for each entry"),
    "no number": ("more\tmore", LINE),
    "fraction": ("more\t9.0", LINE),
    "digits of another script": ("more\t٩٩", LINE),
    "three fields": ("more\tand more\t9", LINE),
    "empty line": ("", LINE),
    "missing row": ("more\t99", "There must be a row for each entry"),
    "not UTF-8": ("\udcff\t9", "UTF-8"),
}


@pytest.mark.parametrize("file", ["char.dic", "word.dic"])
@pytest.mark.parametrize("what", DICTIONARIES)
def test_hostile_dictionaries(model, jail, file, what):
    line, word = DICTIONARIES[what]
    path = model() / file
    path.write_bytes(path.read_bytes() + f"{line}\n".encode(errors="surrogateescape"))
    assert_refused(jail.load(path.parent), word)


@pytest.mark.parametrize("file", ["char.dic", "word.dic"])
def test_duplicate_entry(model, jail, file):
    """An entry must have one row: duplicates would let the file choose which row counts."""
    path = model() / file
    lines = path.read_text().splitlines()
    last = lines[-1].partition("\t")[2]
    path.write_text("\n".join([*lines[:-1], f"<pad>\t{last}"]) + "\n")
    assert_refused(jail.load(path.parent), file, "<pad>")


@pytest.mark.parametrize("file", ["char.dic", "word.dic"])
def test_dictionaries_without_special_tokens(model, jail, file):
    path = model() / file
    path.write_text("a\t0\nb\t1\n")
    assert_refused(jail.load(path.parent), "ictionaries", "<bos>")
