"""The log, the lines and the numbers of a run's progress."""

import json
import math

import numpy as np
import pytest

from elmo_keras.training import run_checkpoint
from elmo_keras.training.progress import LOG, PretrainingProgress
from tests.training import small_run
from tests.training.small_run import log_of


def make_progress(folder, lines=None, **options):
    """Progress of a run of five steps of ten words, summed up every two steps."""
    report = (lambda line: None) if lines is None else lines.append
    options = {"first_step": 0, "log_every": 2, "report": report} | options
    return PretrainingProgress(folder, num_steps=5, batch_tokens=10, **options)


def add_steps(progress, steps):
    """Adds steps whose losses for a word are `step` forward and `step + 1` backward."""
    for step in steps:
        sums = 10 * np.array([step, step + 1], "float32")
        progress.add_step(step, sums, norm=float(step), learning_rate=0.5)


def logged(folder):
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def test_a_line_sums_up_steps(tmp_path):
    lines = []
    with make_progress(tmp_path, lines) as progress:
        add_steps(progress, range(5))
        progress.add_validation(5, forward=2.0, backward=3.0, mean=2.5)
    *steps, validation = logged(tmp_path)
    assert [line["step"] for line in steps] == [2, 4, 5]  # the last step always
    assert [line["tokens"] for line in steps] == [20, 40, 50]
    assert [line["loss"] for line in steps] == pytest.approx([1.0, 3.0, 4.5])
    assert steps[0]["forward_perplexity"] == pytest.approx(math.exp(0.5))
    assert steps[0]["backward_perplexity"] == pytest.approx(math.exp(1.5))
    assert [line["gradient_norm"] for line in steps] == pytest.approx([0.5, 2.5, 4.0])
    assert validation["validation_perplexity"] == 2.5
    assert len(lines) == 4 and "validation perplexity 2.50" in lines[-1]
    assert lines[0].startswith("step 2/5  20 tokens")


def test_pending_steps_are_part_of_the_next_line(tmp_path):
    first = make_progress(tmp_path)
    add_steps(first, range(3))
    pending = json.loads(json.dumps(first.pending))
    second = make_progress(tmp_path, first_step=3, pending=pending)
    add_steps(second, range(3, 5))
    (tmp_path / "whole").mkdir()
    add_steps(make_progress(tmp_path / "whole"), range(5))
    names = ("step", "loss", "gradient_norm")
    actual, expected = (
        [[line[name] for name in names] for line in logged(folder)]
        for folder in (tmp_path, tmp_path / "whole")
    )
    assert actual == expected


def test_lines_after_the_first_step_are_dropped(tmp_path):
    add_steps(make_progress(tmp_path), range(5))
    with open(tmp_path / LOG, "a") as file:
        file.write('{"step": 2, "tok')  # a killed process
    make_progress(tmp_path, first_step=4)
    assert [line["step"] for line in logged(tmp_path)] == [2, 4]


def test_only_the_chief_writes(tmp_path):
    lines = []
    progress = make_progress(tmp_path, lines, is_chief=False)
    add_steps(progress, range(5))
    assert len(lines) == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_lines_that_sum_up_steps_are_the_same_after_a_kill(tmp_path, monkeypatch):
    settings = {"log_every": 7}
    small_run.run(tmp_path / "whole", 30, settings)
    save = run_checkpoint.save

    def save_and_die(checkpoint, directory):
        save(checkpoint, directory)
        if checkpoint.state["step"] == 12:
            raise RuntimeError("killed")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(run_checkpoint, "save", save_and_die)
        small_run.run(tmp_path / "parts", 30, settings)
    small_run.run(tmp_path / "parts", 30, settings)
    assert log_of(tmp_path / "parts") == log_of(tmp_path / "whole")
