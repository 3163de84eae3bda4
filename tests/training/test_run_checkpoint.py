"""The checkpoint of a run: it is read as it was written, and replaced as a whole."""

import os

import numpy as np
import pytest

from elmo_keras.training import run_checkpoint
from elmo_keras.training.run_checkpoint import RunCheckpoint
from tests.training import small_run
from tests.training.small_run import log_of


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    arrays = {
        "weights/kernel": np.arange(6, dtype="float32").reshape(2, 3),
        "weights/bias": np.zeros(0, "float16"),
        "step": np.array(3),
    }
    state = {"step": 3, "text": "é 東京", "place": [1, None, {"a": 0.1}]}
    run_checkpoint.save(RunCheckpoint({}, {}), tmp_path)
    run_checkpoint.save(RunCheckpoint(arrays, state), tmp_path)
    actual = run_checkpoint.load(tmp_path)
    assert actual.state == state
    assert actual.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert actual.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(actual.arrays[name], array)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.h5"]


def test_a_new_run_has_no_checkpoint(tmp_path):
    assert run_checkpoint.load(tmp_path) is None


@pytest.mark.slow
def test_a_damaged_checkpoint(tmp_path):
    small_run.run(tmp_path, 4)
    path = tmp_path / "run/checkpoint.h5"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="checkpoint.h5 must be a checkpoint.*Remove it"):
        small_run.run(tmp_path, 8)


@pytest.mark.parametrize("failing", [pytest.param("fsync", marks=pytest.mark.slow), "replace"])
def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path, monkeypatch, whole_run, failing):
    small_run.run(tmp_path, 8)
    kept = (tmp_path / "run/checkpoint.h5").read_bytes()

    usual = getattr(os, failing)

    def full(*arguments):
        # A resumed run rewrites its log as well.
        path = arguments[-1] if failing == "replace" else f"/proc/self/fd/{arguments[0]}"
        if "checkpoint.h5" in os.path.realpath(path):
            raise OSError(28, "No space left on device")
        return usual(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, full)
        with pytest.raises(OSError, match="No space left.*previous one is whole"):
            small_run.run(tmp_path, 16)
    assert (tmp_path / "run/checkpoint.h5").read_bytes() == kept
    assert not list((tmp_path / "run").glob(".*partial"))
    small_run.run(tmp_path, 30)
    assert log_of(tmp_path) == whole_run[0]
