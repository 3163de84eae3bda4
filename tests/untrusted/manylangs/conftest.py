"""Fixtures of the tests with untrusted files of ELMoForManyLangs."""

import shutil

import pytest

from tests import foreign_checkpoints
from tests.untrusted.jail import Jail
from tests.untrusted.manylangs.models import ARRAYS, CHARACTERS, CONFIG, GENERATIONS, WORDS


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Returns the folder with one model per generation of torch files."""
    pytest.importorskip("torch", reason="torch reads and writes ELMoForManyLangs")
    root = tmp_path_factory.mktemp("originals")
    for name in GENERATIONS:
        is_legacy = name == "pickles"
        foreign_checkpoints.write_manylangs(
            root / name, CONFIG, ARRAYS, CHARACTERS, WORDS, is_legacy
        )
    return root


@pytest.fixture(scope="module")
def jail(originals, tmp_path_factory):
    jail = Jail(tmp_path_factory.mktemp("jail"), originals / "zip", imports="torch")
    yield jail
    jail.close()


@pytest.fixture
def model(originals, tmp_path):
    """Returns a function from a generation to a fresh copy of its model."""

    def copied(generation="zip"):
        return shutil.copytree(originals / generation, tmp_path / "model")

    return copied
