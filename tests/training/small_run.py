"""A run of pretraining small enough for tests, the same in every process.

`python -m tests.training.small_run FOLDER STEPS SECONDS [STRATEGY]` sleeps SECONDS after every
step, so that a test can kill it in time.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import keras
import numpy as np

from elmo_keras import BidirectionalLanguageModel, ElmoLayer, training
from elmo_keras.training.command import strategy_scope
from elmo_keras.training.progress import LOG
from tests import small_models
from tests.fresh_process import ROOT

BATCH_SIZE, WINDOW = 4, 5


def write_corpus(folder, sentences=120, words=40, seed=0):
    """Writes files of random sentences whose words follow Zipf's law; returns their corpus."""
    if folder.exists() and list(folder.glob("shard-*")):
        return training.Corpus(folder, "whitespace")  # other processes may be reading it
    rng = np.random.default_rng(seed)
    names = [f"w{number}" for number in range(words)]
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(2):
        lines = [
            " ".join(names[min(int(rank) - 1, words - 1)] for rank in rng.zipf(1.5, length))
            for length in rng.integers(1, 12, sentences)
        ]
        (folder / f"shard-{shard}.txt").write_text("\n".join(lines) + "\n")
    return training.Corpus(folder, "whitespace")


def make_elmo(units=16, **options):
    """A model that is traced quickly: one layer of LSTMs and one filter width."""
    return ElmoLayer(
        small_models.char_cnn(filters=[(2, 4)], num_highways=0, **options),
        small_models.bilstm(num_layers=1, units=units, **options),
        tokenizer="whitespace",
        **options,
    )


def make_model(corpus, **options):
    keras.utils.set_random_seed(1)
    words, _ = training.build_vocabulary(corpus)
    return BidirectionalLanguageModel(make_elmo(**options), words.tokens)


def make_options(steps, **options):
    return training.PretrainingOptions(
        **{
            "tokens": steps * BATCH_SIZE * WINDOW,
            "batch_size": BATCH_SIZE,
            "window": WINDOW,
            "num_negatives": 16,
            "warmup": 3,
            "decay": 0.0,
            "learning_rate": 0.01,
        }
        | options
    )


def run(folder, steps, settings=None, scope=None, **options):
    """Starts or resumes a run in a folder, and returns the model."""
    corpus = write_corpus(folder / "corpus")
    settings = {"log_every": 1, "checkpoint_every": 4} | (settings or {})
    with scope or contextlib.nullcontext():
        return training.pretrain(
            make_model(corpus), corpus, folder / "run", make_options(steps, **options), **settings
        )


def log_of(folder):
    """The losses and norms of a run, step by step."""
    lines = (folder / "run" / LOG).read_text().splitlines()
    lines = [json.loads(line) for line in lines]
    return [
        (line["step"], line["forward_perplexity"], line["backward_perplexity"], line["loss"])
        + (line["gradient_norm"], line["learning_rate"])
        for line in lines
        if "loss" in line
    ]


def weights_of(model):
    """The weights of a model as numpy arrays."""
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def equal(one, other):
    """Whether two lists of arrays are equal to the bit."""
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def start(folder, steps, seconds):
    """Starts `run` in another process, which sleeps after every step."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.small_run", str(folder), str(steps), str(seconds)],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_after(process, folder, lines, seconds):
    """Kills a run `seconds` after its log has `lines`; returns whether it was still running."""
    path = folder / "run" / LOG
    while process.poll() is None and len(path.read_text().splitlines() if path.exists() else ()) < (
        lines
    ):
        time.sleep(0.002)
    time.sleep(seconds)
    was_running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return was_running


def main():
    folder, steps, seconds = pathlib.Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    scope = strategy_scope(sys.argv[4]) if len(sys.argv) > 4 else None
    run(folder, steps, {"report": lambda line: time.sleep(seconds)}, scope)


if __name__ == "__main__":
    main()
