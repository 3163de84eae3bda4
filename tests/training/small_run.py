"""A run of pretraining small enough for tests, the same in every process.

As a program: `python -m tests.training.small_run FOLDER STEPS SECONDS [STRATEGY]`, which sleeps so
long after every step, for those who want to kill it in time.
"""

import contextlib
import pathlib
import sys
import time

import keras
import numpy as np

from elmo_keras import BidirectionalLanguageModel, ElmoLayer, training
from elmo_keras.training.command import strategy_scope
from tests import small_models

BATCH_SIZE, WINDOW = 4, 5


def write_corpus(folder, sentences=120, words=40, seed=0):
    """Files of random sentences, words by Zipf's law; their vocabulary, sorted."""
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
    """One layer of LSTMs and one of filters: quickly traced."""
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
    """Pretrains, or goes on, in a folder; the model."""
    corpus = write_corpus(folder / "corpus")
    settings = {"log_every": 1, "checkpoint_every": 4} | (settings or {})
    with scope or contextlib.nullcontext():
        return training.pretrain(
            make_model(corpus), corpus, folder / "run", make_options(steps, **options), **settings
        )


def main():
    folder, steps, seconds = pathlib.Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    scope = strategy_scope(sys.argv[4]) if len(sys.argv) > 4 else None
    run(folder, steps, {"report": lambda line: time.sleep(seconds)}, scope)


if __name__ == "__main__":
    main()
