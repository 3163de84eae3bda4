"""Fixtures of the tests with untrusted files."""

import shutil

import pytest

from tests import small_models
from tests.untrusted.jail import Jail
from tests.untrusted.models import FORMATS, TENSORFLOW, Model, write_preset


@pytest.fixture(scope="module")
def jail(tmp_path_factory):
    good = tmp_path_factory.mktemp("good")
    write_preset(good)
    jail = Jail(tmp_path_factory.mktemp("jail"), good)
    yield jail
    jail.close()


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Returns a function from a format to the directory of its model, which is written once."""
    root = tmp_path_factory.mktemp("originals")

    def original(format):
        if format in TENSORFLOW and not small_models.IS_TENSORFLOW:
            pytest.skip("TensorFlow reads its checkpoints")
        if not (root / format).exists():
            FORMATS[format][0](root / format)
        return root / format

    return original


@pytest.fixture
def model(originals, tmp_path, jail):
    """Returns a function from a format to a `Model`, a fresh copy."""

    def copied(format):
        directory = tmp_path / "model"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(originals(format), directory)
        return Model(format, directory, jail)

    return copied
