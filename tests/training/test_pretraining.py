"""Pretraining: the loss falls, a stopped run is resumed to the same numbers, and its errors."""

import json
import os
import signal

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import backend, training
from elmo_keras.training import pretraining, run_checkpoint
from elmo_keras.training.progress import LOG
from elmo_keras.training.window_loss import window_loss, zero_states
from elmo_keras.training.windows import Windows
from tests.training import small_run
from tests.training.small_run import equal, kill_after, log_of, start, weights_of


@pytest.mark.slow
def test_a_run_twice_is_the_same(whole_run, tmp_path):
    model = small_run.run(tmp_path, 30)
    assert log_of(tmp_path) == whole_run[0]
    assert len(whole_run[0]) == 30
    assert equal(weights_of(model), whole_run[1])


def test_a_run_in_parts_is_the_same(whole_run, tmp_path):
    for steps in (7, 19, 19, 30):
        model = small_run.run(tmp_path, steps)
    assert log_of(tmp_path) == whole_run[0]
    assert equal(weights_of(model), whole_run[1])


@pytest.mark.slow
def test_a_killed_run_is_the_same(whole_run, tmp_path):
    assert kill_after(start(tmp_path, 30, 0.03), tmp_path, 9, 0.0)
    left = run_checkpoint.load(tmp_path / "run").state["step"]
    assert 4 <= left < 30
    model = small_run.run(tmp_path, 30)
    assert log_of(tmp_path) == whole_run[0]
    assert equal(weights_of(model), whole_run[1])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_kills_at_random_moments(tmp_path):
    """After ten kills the run equals one without a kill."""
    model = small_run.run(tmp_path / "whole", 300)
    random = np.random.default_rng()
    killed, folder = 0, tmp_path / "killed"
    while killed < 10:
        # Before the first checkpoint of the process, during a save, or between two steps.
        done = len(log_of(folder)) if (folder / "run" / LOG).exists() else 0
        lines = min(done + int(random.integers(0, 20)), 290)
        process = start(folder, 300, 0.005)
        assert kill_after(process, folder, lines, random.uniform(0, 0.05))
        killed += 1
    again = small_run.run(folder, 300)
    assert log_of(folder) == log_of(tmp_path / "whole")
    assert equal(weights_of(again), weights_of(model))


@pytest.mark.slow
def test_an_interrupt_saves_the_step(whole_run, tmp_path):
    lines = []

    def report(line):
        lines.append(line)
        if len(lines) == 10:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="step 10 is saved"):
        small_run.run(tmp_path, 30, {"report": report})
    assert run_checkpoint.load(tmp_path / "run").state["step"] == 10
    small_run.run(tmp_path, 30)
    assert log_of(tmp_path) == whole_run[0]


def test_the_perplexity_falls_and_a_preset_is_written(tmp_path):
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
    # The words are independent draws, so that the entropy bounds the perplexity: about 14.
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
    """With a tiny `max_norm`, weights hardly move."""
    options = {"optimizer": "adagrad", "warmup": 0, "learning_rate": 1.0}
    corpus = small_run.write_corpus(tmp_path / "corpus")
    first = weights_of(small_run.make_model(corpus))
    small = weights_of(small_run.run(tmp_path / "a", 1, max_norm=1e-3, **options))
    moved = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(first, small)))
    # Accumulators start at 1, so that the step is about the clipped gradient.
    assert moved == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float64"])
def test_a_step_of_every_precision(tmp_path, dtype):
    if dtype == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has float64 only where it is switched on")
    corpus = small_run.write_corpus(tmp_path / "corpus")
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
    # The softmax is computed in float32 at least.
    expected = "float64" if dtype == "float64" else "float32"
    assert keras.backend.standardize_dtype(sums.dtype) == expected
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
def test_a_loss_that_is_not_finite_stops(tmp_path, monkeypatch):
    small_run.run(tmp_path, 8)
    kept = (tmp_path / "run/checkpoint.h5").read_bytes()
    usual = window_loss

    def broken(*arguments):
        loss = usual(*arguments)
        return lambda batch, states: [x * float("nan") for x in loss(batch, states)[:2]] + [states]

    monkeypatch.setattr(pretraining, "window_loss", broken)
    with pytest.raises(FloatingPointError, match="finite.*in step 8.*non_finite_batch.npz"):
        small_run.run(tmp_path, 30)
    assert (tmp_path / "run/checkpoint.h5").read_bytes() == kept
    with np.load(tmp_path / "run/non_finite_batch.npz") as batch:
        assert batch["step"] == 8 and batch["inputs"].shape == (2, 4, 5)


@pytest.mark.slow
def test_a_corpus_of_one_word(tmp_path):
    """A corpus of one word is repeated."""
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
