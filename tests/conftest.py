"""Options and fixtures of all tests."""

import gc
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest

# Their asserts show values, as those of test modules do.
pytest.register_assert_rewrite("tests.check_layer", "tests.models.check_task")


def pytest_addoption(parser):
    parser.addoption("--run-slow", action="store_true", help="run slow tests, too")


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


@pytest.fixture(autouse=True, scope="module")
def release_programs():
    """Frees the programs that JAX has compiled for a module of tests.

    Each takes some ten memory maps of its process. Linux allows 65,530 of them by default, which
    the tests of all modules exceed: the process then dies.
    """
    yield
    if keras.backend.backend() == "jax":
        import jax

        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="session")
def shared():
    """The folder of corpora and larger checkpoints beside a developer's checkout."""
    path = pathlib.Path(__file__).parents[2] / "shared"
    if not path.is_dir():
        pytest.skip(f"The shared data is absent: there is no folder {path}")
    return path


@pytest.fixture(scope="session")
def data():
    """The folder of reference models with expected vectors, which is part of the repository."""
    return pathlib.Path(__file__).with_name("data")
