import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest


def pytest_addoption(parser):
    parser.addoption("--run-slow", action="store_true", help="run the tests marked slow, too")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--run-slow"):
        return
    skip = pytest.mark.skip(reason="slow: run with --run-slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def random_seed():
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def shared():
    """The folder of reference checkpoints and corpora that lies beside a developer's checkout."""
    path = pathlib.Path(__file__).parents[2] / "shared"
    if not path.is_dir():
        pytest.skip(f"The reference data is absent: no folder {path}")
    return path
