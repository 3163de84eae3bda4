"""Several replicas and several processes end with the weights of one."""

import json
import os
import socket
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from elmo_keras import training
from elmo_keras.training import run_checkpoint
from elmo_keras.training.distribution import StrategyDistribution
from elmo_keras.training.progress import LOG
from tests.fresh_process import ROOT, run
from tests.training import small_run
from tests.training.small_run import kill_after, log_of
from tests.training.small_teacher import write_shards

STEPS = 12
ADAGRAD = {"optimizer": "adagrad", "learning_rate": 0.2}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One process, one device."""
    folder = tmp_path_factory.mktemp("alone")
    small_run.run(folder, STEPS)
    return folder


def check_same(folder, alone):
    """The checkpoints are equal to rounding: weights, optimizer, states; so are the losses."""
    one, other = (run_checkpoint.load(place / "run") for place in (folder, alone))
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        np.testing.assert_allclose(array, other.arrays[name], atol=1e-5, rtol=1e-4, err_msg=name)
    assert one.state["step"] == other.state["step"] == STEPS
    assert one.state["windows"] == other.state["windows"]
    np.testing.assert_allclose(log_of(folder), log_of(alone), rtol=1e-4)


def test_one_replica(alone, tmp_path):
    """As on a machine with one GPU."""
    scope = tf.distribute.MirroredStrategy(["CPU:0"]).scope()
    small_run.run(tmp_path, STEPS, scope=scope)
    check_same(tmp_path, alone)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_mirrored(alone, tmp_path):
    run(
        "import pathlib\n"
        "import tensorflow as tf\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "two = [tf.config.LogicalDeviceConfiguration()] * 2\n"
        "tf.config.set_logical_device_configuration(cpu, two)\n"
        "from tests.training import small_run\n"
        "strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])\n"
        "settings = {'validation': [['w1', 'w2'], ['w3']]}\n"
        "for steps in (5, given['steps']):\n"
        "    small_run.run(pathlib.Path(given['folder']), steps, settings, strategy.scope())\n"
        "full = {'num_negatives': 1000, 'dropout': 0.0}\n"
        "folder = pathlib.Path(given['folder'], 'full')\n"
        "small_run.run(folder, 2, None, strategy.scope(), **full)\n"
        "folder = pathlib.Path(given['folder'], 'adagrad')\n"
        "small_run.run(folder, 4, None, strategy.scope(), **given['adagrad'])\n"
        "result = strategy.num_replicas_in_sync",
        {"folder": str(tmp_path), "steps": STEPS, "adagrad": ADAGRAD},
        tmp_path,
    )
    check_same(tmp_path, alone)
    # One device updates only the rows of the words in its batch.
    small_run.run(tmp_path / "rows", 4, **ADAGRAD)
    np.testing.assert_allclose(log_of(tmp_path / "adagrad"), log_of(tmp_path / "rows"), rtol=1e-4)
    small_run.run(tmp_path / "alone", 2, num_negatives=1000, dropout=0.0)
    np.testing.assert_allclose(log_of(tmp_path / "full"), log_of(tmp_path / "alone"), rtol=1e-4)
    logged = (tmp_path / "run" / training.progress.LOG).read_text()
    assert "validation_perplexity" in logged


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_mirrored_with_a_teacher(tmp_path):
    """The sentences of a batch are divided among the replicas."""
    corpus = small_run.write_corpus(tmp_path / "alone/corpus")
    small_run.write_corpus(tmp_path / "two/corpus")
    shards = write_shards(corpus, tmp_path / "targets")
    small_run.run(tmp_path / "alone", STEPS, {"teacher": shards}, teacher_batch_size=10)
    run(
        "import pathlib\n"
        "import tensorflow as tf\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "two = [tf.config.LogicalDeviceConfiguration()] * 2\n"
        "tf.config.set_logical_device_configuration(cpu, two)\n"
        "from elmo_keras import training\n"
        "from tests.training import small_run\n"
        "strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])\n"
        "settings = {'teacher': training.TeacherShards(given['targets'])}\n"
        "folder = pathlib.Path(given['folder'])\n"
        "for steps in (5, given['steps']):\n"
        "    small_run.run(folder, steps, settings, strategy.scope(), teacher_batch_size=10)\n"
        "try:\n"
        "    small_run.run(folder, steps, settings, strategy.scope(), teacher_batch_size=7)\n"
        "except ValueError as error:\n"
        "    assert '`teacher_batch_size` must be a multiple of' in str(error)\n"
        "else:\n"
        "    raise AssertionError\n"
        "result = strategy.num_replicas_in_sync",
        {
            "folder": str(tmp_path / "two"),
            "targets": str(tmp_path / "targets"),
            "steps": STEPS,
        },
        tmp_path,
    )
    check_same(tmp_path / "two", tmp_path / "alone")
    names = "sentence_perplexity", "teacher_error", "teacher_sentence_error"
    one, other = (
        [json.loads(line) for line in (tmp_path / name / "run" / LOG).read_text().splitlines()]
        for name in ("two", "alone")
    )
    values = [
        [[line[name] for name in names] for line in lines if names[0] in line]
        for lines in (one, other)
    ]
    assert len(values[0]) == STEPS
    np.testing.assert_allclose(*values, rtol=1e-4)


def start_workers(folder, seconds):
    """Two processes on the loopback interface."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        workers = [f"127.0.0.1:{s.getsockname()[1]}" for s in (one, other)]
    processes = []
    for index in range(2):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.training.small_run"]
                + [str(folder), str(STEPS), str(seconds), "multi_worker"],
                cwd=ROOT,
                env={**os.environ, "TF_CONFIG": json.dumps(task), "TF_CPP_MIN_LOG_LEVEL": "2"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return processes


def finish(processes):
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_workers(alone, tmp_path):
    small_run.write_corpus(tmp_path / "corpus")
    finish(start_workers(tmp_path, 0.0))
    check_same(tmp_path, alone)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_worker(alone, tmp_path):
    """The other worker waits and is stopped; started again, both resume the run."""
    small_run.write_corpus(tmp_path / "corpus")
    chief, worker = start_workers(tmp_path, 0.3)
    assert kill_after(worker, tmp_path, 6, 0.0)
    chief.kill()
    chief.communicate()
    left = run_checkpoint.load(tmp_path / "run").state["step"]
    assert 4 <= left < STEPS
    finish(start_workers(tmp_path, 0.0))
    check_same(tmp_path, alone)


@pytest.mark.parametrize(
    "task, jobs, is_chief",
    [
        ((None, None), (), True),
        (("worker", 0), ("worker",), True),
        (("worker", 1), ("worker",), False),
        (("chief", 0), ("chief", "worker"), True),
        (("worker", 0), ("chief", "worker"), False),
    ],
    ids=["alone", "first worker", "second worker", "chief", "worker of a chief"],
)
def test_who_writes(task, jobs, is_chief):
    cluster = types.SimpleNamespace(jobs=list(jobs))
    resolver = types.SimpleNamespace(
        task_type=task[0], task_id=task[1], cluster_spec=lambda: cluster
    )
    strategy = types.SimpleNamespace(num_replicas_in_sync=2, cluster_resolver=resolver)
    assert StrategyDistribution(strategy, 4).is_chief == is_chief


def test_rows_that_do_not_divide():
    class Strategy:
        num_replicas_in_sync = 3

    with pytest.raises(ValueError, match="multiple of the number of replicas.*4 for 3"):
        StrategyDistribution(Strategy(), 4)
