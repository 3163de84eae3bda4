"""Fixtures of the tests of pretraining."""

import pytest

from elmo_keras.training import corpus
from tests.training import small_run
from tests.training.small_run import log_of, weights_of


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a corpus have four lines."""
    monkeypatch.setattr(corpus, "BLOCK_LINES", 4)


@pytest.fixture
def needs_tensorflow():
    """Skips a test of a tokenizer that is a layer of TensorFlow."""
    pytest.importorskip("tensorflow", reason="this tokenizer needs TensorFlow")


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory):
    """The log and the weights of a run of 30 steps without a stop."""
    folder = tmp_path_factory.mktemp("whole")
    model = small_run.run(folder, 30)
    return log_of(folder), weights_of(model)
