"""Pretraining: what it learns, what it leaves, and that a killed run is the same run."""

import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import backend, training
from elmo_keras.text import byte_alphabet
from elmo_keras.training import pretraining, run_checkpoint
from elmo_keras.training.window_loss import window_loss, zero_states
from elmo_keras.training.windows import Windows
from tests.fresh_process import ROOT
from tests.training import small_run


def log_of(folder):
    """The losses and norms of a run, step by step."""
    lines = (folder / "run" / training.progress.LOG).read_text().splitlines()
    lines = [json.loads(line) for line in lines]
    return [
        (line["step"], line["forward_perplexity"], line["backward_perplexity"], line["loss"])
        + (line["gradient_norm"], line["learning_rate"])
        for line in lines
        if "loss" in line
    ]


def weights_of(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 30 steps that nobody stopped: its log and its weights."""
    folder = tmp_path_factory.mktemp("whole")
    model = small_run.run(folder, 30)
    return log_of(folder), weights_of(model)


@pytest.mark.slow
def test_a_run_twice_is_the_same(whole, tmp_path):
    model = small_run.run(tmp_path, 30)
    assert log_of(tmp_path) == whole[0]
    assert len(whole[0]) == 30
    assert equal(weights_of(model), whole[1])


def test_a_run_in_parts_is_the_same(whole, tmp_path):
    for steps in (7, 19, 19, 30):
        model = small_run.run(tmp_path, steps)
    assert log_of(tmp_path) == whole[0]
    assert equal(weights_of(model), whole[1])


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


def start(folder, steps, seconds):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.training.small_run", str(folder), str(steps), str(seconds)],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_after(process, folder, lines, seconds):
    """Kills a run some time after so many lines are in its log; whether it was still running."""
    path = folder / "run" / training.progress.LOG
    while process.poll() is None and len(path.read_text().splitlines() if path.exists() else ()) < (
        lines
    ):
        time.sleep(0.002)
    time.sleep(seconds)
    was_running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return was_running


@pytest.mark.slow
def test_a_killed_run_is_the_same(whole, tmp_path):
    assert kill_after(start(tmp_path, 30, 0.03), tmp_path, 9, 0.0)
    left = run_checkpoint.load(tmp_path / "run").state["step"]
    assert 4 <= left < 30
    model = small_run.run(tmp_path, 30)
    assert log_of(tmp_path) == whole[0]
    assert equal(weights_of(model), whole[1])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_kills_at_random_moments(tmp_path):
    """Each start is killed somewhere; in the end the run is the one that nobody killed."""
    model = small_run.run(tmp_path / "whole", 300)
    random = np.random.default_rng()
    killed, folder = 0, tmp_path / "killed"
    while killed < 10:
        # Now before the first checkpoint of the start, now during a save, now between steps.
        done = len(log_of(folder)) if (folder / "run" / training.progress.LOG).exists() else 0
        lines = min(done + int(random.integers(0, 20)), 290)
        process = start(folder, 300, 0.005)
        assert kill_after(process, folder, lines, random.uniform(0, 0.05))
        killed += 1
    again = small_run.run(folder, 300)
    assert log_of(folder) == log_of(tmp_path / "whole")
    assert equal(weights_of(again), weights_of(model))


@pytest.mark.slow
def test_an_interrupt_saves_the_step(whole, tmp_path):
    lines = []

    def report(line):
        lines.append(line)
        if len(lines) == 10:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="step 10 is saved"):
        small_run.run(tmp_path, 30, {"report": report})
    assert run_checkpoint.load(tmp_path / "run").state["step"] == 10
    small_run.run(tmp_path, 30)
    assert log_of(tmp_path) == whole[0]


def test_it_learns_and_leaves_a_model(tmp_path):
    corpus = small_run.write_corpus(tmp_path / "corpus")
    sentences = list(corpus)[:50]
    lines = []
    settings = {
        "validation": sentences,
        "validate_every": 100,
        "log_every": 50,
        "report": lines.append,
    }
    before = small_run.make_model(corpus).perplexity(sentences)
    model = small_run.run(tmp_path, 250, settings)
    after = model.perplexity(sentences)
    # No model of words drawn by themselves can do better than their entropy, about 14 here.
    assert after.forward < 0.6 * before.forward and after.backward < 0.6 * before.backward
    logged = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    validated = [line for line in logged if "validation_perplexity" in line]
    assert [line["step"] for line in validated] == [100, 200, 250]
    assert validated[-1]["validation_forward_perplexity"] == pytest.approx(after.forward, rel=1e-6)
    assert any("tokens/s" in line and "left" in line for line in lines)
    assert any(path.is_file() for path in (tmp_path / "run/tensorboard").iterdir())

    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path / "run/preset")
    again = elmo_keras.BidirectionalLanguageModel.from_preset(tmp_path / "run/preset")
    np.testing.assert_allclose(again.score(sentences), model.score(sentences), rtol=1e-6)
    np.testing.assert_array_equal(elmo([["w1"]]), model.to_elmo_layer()([["w1"]]))


@pytest.mark.slow
def test_adagrad_and_the_full_softmax(tmp_path):
    options = {"optimizer": "adagrad", "learning_rate": 0.2, "num_negatives": 100, "dropout": 0.0}
    small_run.run(tmp_path, 60, **options)
    log = log_of(tmp_path)
    assert log[-1][3] < 0.9 * log[0][3]


@pytest.mark.slow
def test_the_norm_is_clipped(tmp_path):
    """With a tiny `max_norm` and plain accumulators, weights hardly move at all."""
    options = {"optimizer": "adagrad", "warmup": 0, "learning_rate": 1.0}
    corpus = small_run.write_corpus(tmp_path / "corpus")
    first = weights_of(small_run.make_model(corpus))
    small = weights_of(small_run.run(tmp_path / "a", 1, max_norm=1e-3, **options))
    moved = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(first, small)))
    # Accumulators begin at 1: the step is the clipped gradient but for its own square.
    assert moved == pytest.approx(1e-3, rel=1e-2)


def test_states_go_on_from_window_to_window(tmp_path):
    """The losses of short windows add up to those of a long one, in each direction."""
    corpus = small_run.write_corpus(tmp_path / "corpus")
    model = small_run.make_model(corpus)
    # Of several rows, the next sentence goes to who is done first: that depends on the windows.
    options = {"batch_size": 1, "num_negatives": 1000, "dropout": 0.0}
    options["encoder"] = model.elmo.token_encoder
    loss = window_loss(model, batch_size=1)
    states, sums = zero_states(model, 1), 0
    short = Windows(corpus, model.word_vocabulary, window=4, **options)
    for _, batch in zip(range(5), short):
        _, part, states = loss(batch, states)
        sums = sums + keras.ops.convert_to_numpy(part)
    long = next(Windows(corpus, model.word_vocabulary, window=20, **options))
    _, whole, final = loss(long, zero_states(model, 1))
    np.testing.assert_allclose(sums, keras.ops.convert_to_numpy(whole), rtol=1e-5)
    for one, other in zip(states, final):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_window_is_a_sentence_to_the_model(tmp_path):
    """What training makes small is what `score` gives: the same states, words and order."""
    corpus = small_run.write_corpus(tmp_path / "corpus")
    model = small_run.make_model(corpus)
    sentence = ["w1", "w0", "never-seen", "w7"]
    (tmp_path / "one").mkdir()
    (tmp_path / "one/text").write_text(" ".join(sentence) + "\n")
    windows = Windows(
        training.Corpus(tmp_path / "one/text", "whitespace"),
        model.word_vocabulary,
        model.elmo.token_encoder,
        batch_size=1,
        window=5,
        num_negatives=1000,
        dropout=0.0,
    )
    _, sums, _ = window_loss(model, batch_size=1)(next(windows), zero_states(model, 1))
    np.testing.assert_allclose(-model.score([sentence])[0], sums, rtol=1e-5)


def test_fresh_starts(tmp_path):
    """A row that starts anew reads as if nothing had been before, the others go on."""
    corpus = small_run.write_corpus(tmp_path / "corpus")
    model = small_run.make_model(corpus)
    options = {"num_negatives": 1000, "dropout": 0.0, "shuffle": False}
    encoder = model.elmo.token_encoder
    windows = Windows(
        corpus,
        model.word_vocabulary,
        encoder,
        batch_size=200,
        window=4,
        fresh_starts=0.3,
        **options,
    )
    begin = byte_alphabet.boundary_ids(50)
    state = [np.ones_like(x) for x in zero_states(model, 200)]
    first, batch = next(windows), next(windows)
    assert 0.2 < 1 - batch.carry.mean() < 0.4
    assert not np.array_equal(first.carry, batch.carry)
    read = batch.ids[batch.inputs]  # (2, rows, steps, 50)
    for direction in range(2):
        assert (read[direction, ~batch.carry, 0] == begin[direction]).all()
        assert not (read[direction, batch.carry, 0] == begin[direction]).all()
    loss = window_loss(model, batch_size=200)
    _, _, new = loss(batch, state)
    _, _, from_zeros = loss(batch._replace(carry=np.zeros(200, bool)), state)
    _, _, carried = loss(batch._replace(carry=np.ones(200, bool)), state)
    for x, zero, other in zip(new, from_zeros, carried):
        x, zero, other = map(keras.ops.convert_to_numpy, (x, zero, other))
        np.testing.assert_array_equal(x[:, :, ~batch.carry], zero[:, :, ~batch.carry])
        np.testing.assert_array_equal(x[:, :, batch.carry], other[:, :, batch.carry])
        assert np.abs(zero - other).max() > 1e-3


def test_a_step_of_every_precision(tmp_path):
    corpus = small_run.write_corpus(tmp_path / "corpus")
    doubles = () if keras.backend.backend() == "jax" else ("float64",)
    for dtype in ("mixed_bfloat16", *doubles):
        model = elmo_keras.BidirectionalLanguageModel(
            elmo_keras.ElmoLayer(
                small_run.small_models.char_cnn(dtype=dtype),
                small_run.small_models.bilstm(dtype=dtype),
                dtype=dtype,
            ),
            training.build_vocabulary(corpus)[0].tokens,
        )
        encoder = model.elmo.token_encoder
        windows = Windows(
            corpus, model.word_vocabulary, encoder, batch_size=2, window=3, dropout_shape=(2, 6)
        )
        optimizer = small_run.make_options(1).make_optimizer()
        step = backend.training_step(
            window_loss(model, 2, 0.1), model.trainable_weights, optimizer, 10.0
        )
        sums, norm, states = step(next(windows), zero_states(model, 2))
        # The softmax in float32 at least, whatever the products are in.
        assert keras.backend.standardize_dtype(sums.dtype) == (
            "float64" if dtype == "float64" else "float32"
        )
        for array in (norm, sums):
            assert np.all(np.isfinite(keras.ops.convert_to_numpy(array)))


def test_another_configuration_is_refused(tmp_path):
    small_run.run(tmp_path, 8)
    kept = (tmp_path / "run/checkpoint.h5").read_bytes()
    with pytest.raises(ValueError, match="dropout was 0.1 and is 0.2.*another directory"):
        small_run.run(tmp_path, 12, dropout=0.2)
    corpus = small_run.write_corpus(tmp_path / "corpus")
    model = small_run.make_model(corpus, units=17)
    with pytest.raises(ValueError, match="was of shape .* and is"):
        training.pretrain(model, corpus, tmp_path / "run", small_run.make_options(12))
    other = elmo_keras.BidirectionalLanguageModel(
        small_run.make_elmo(), ["<S>", "</S>", "<UNK>", "w1"]
    )
    with pytest.raises(ValueError, match="vocabulary was '.* words, sha1"):
        training.pretrain(other, corpus, tmp_path / "run", small_run.make_options(12))
    assert (tmp_path / "run/checkpoint.h5").read_bytes() == kept


@pytest.mark.slow
def test_a_damaged_checkpoint(tmp_path):
    small_run.run(tmp_path, 4)
    path = tmp_path / "run/checkpoint.h5"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="checkpoint.h5 must be a checkpoint.*Remove it"):
        small_run.run(tmp_path, 8)


@pytest.mark.parametrize("failing", [pytest.param("fsync", marks=pytest.mark.slow), "replace"])
def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path, monkeypatch, whole, failing):
    small_run.run(tmp_path, 8)
    kept = (tmp_path / "run/checkpoint.h5").read_bytes()

    usual = getattr(os, failing)

    def full(*arguments):
        # The log is written as a whole, too, when a run is resumed.
        path = arguments[-1] if failing == "replace" else f"/proc/self/fd/{arguments[0]}"
        if "checkpoint.h5" in os.path.realpath(path):
            raise OSError(28, "No space left on device")
        return usual(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(run_checkpoint.os, failing, full)
        with pytest.raises(OSError, match="No space left.*previous one is whole"):
            small_run.run(tmp_path, 16)
    assert (tmp_path / "run/checkpoint.h5").read_bytes() == kept
    assert not list((tmp_path / "run").glob(".*partial"))
    small_run.run(tmp_path, 30)
    assert log_of(tmp_path) == whole[0]


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops(tmp_path, monkeypatch):
    small_run.run(tmp_path, 8)
    kept = (tmp_path / "run/checkpoint.h5").read_bytes()
    usual = window_loss

    def broken(model, rows, dropout):
        loss = usual(model, rows, dropout)
        return lambda batch, states: [x * float("nan") for x in loss(batch, states)[:2]] + [states]

    monkeypatch.setattr(pretraining, "window_loss", broken)
    with pytest.raises(FloatingPointError, match="finite.*in step 8.*non_finite_batch.npz"):
        small_run.run(tmp_path, 30)
    assert (tmp_path / "run/checkpoint.h5").read_bytes() == kept
    with np.load(tmp_path / "run/non_finite_batch.npz") as batch:
        assert batch["step"] == 8 and batch["inputs"].shape == (2, 4, 5)


@pytest.mark.slow
def test_a_tiny_learning_corpus(tmp_path):
    """One line, one word: the corpus goes round."""
    (tmp_path / "text").write_text("word\n")
    corpus = training.Corpus(tmp_path / "text", "whitespace")
    words, _ = training.build_vocabulary(corpus)
    model = elmo_keras.BidirectionalLanguageModel(small_run.make_elmo(), words.tokens)
    options = small_run.make_options(40, dropout=0.0)
    training.pretrain(model, corpus, tmp_path / "run", options)
    assert model.perplexity([["word"]]).mean < 2


def test_an_empty_corpus(tmp_path):
    (tmp_path / "text").write_text("\n\n")
    corpus = training.Corpus(tmp_path / "text", "whitespace")
    model = elmo_keras.BidirectionalLanguageModel(
        small_run.make_elmo(), ["<S>", "</S>", "<UNK>", "word"]
    )
    with pytest.raises(ValueError, match="must hold sentences"):
        training.pretrain(model, corpus, tmp_path / "run", small_run.make_options(4))


@pytest.mark.slow
def test_a_frozen_part_stays(tmp_path):
    corpus = small_run.write_corpus(tmp_path / "corpus")
    model = small_run.make_model(corpus)
    model.elmo.token_encoder.trainable = False
    before = weights_of(model.elmo.token_encoder)
    training.pretrain(model, corpus, tmp_path / "run", small_run.make_options(5))
    assert equal(weights_of(model.elmo.token_encoder), before)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 0}, "`batch_size` must be a positive int. Received: batch_size=0"),
        ({"dropout": 1.0}, "`dropout` must be a number from 0 to below 1"),
        ({"optimizer": "sgd"}, "`optimizer` must be one of"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be a positive number"),
        ({"tokens": 1.5}, "`tokens` must be a positive int"),
        ({"warmup": -1}, "`warmup` must be an int of at least 0"),
        ({"decay": True}, "`decay` must be a number"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        training.PretrainingOptions(**{"tokens": 100} | options)


def test_the_learning_rate():
    options = training.PretrainingOptions(tokens=12800, warmup=4, decay=0.5, learning_rate=1.0)
    assert options.steps == 10
    rates = [options.learning_rate_at(step) for step in range(10)]
    np.testing.assert_allclose(rates, [0.2, 0.4, 0.6, 0.8, 1, 1, 0.8, 0.6, 0.4, 0.2])
