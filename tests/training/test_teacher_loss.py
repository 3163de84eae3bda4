"""The teacher's error: equal to numpy's from ElmoLayer's vectors; runs with a teacher."""

import itertools
import json

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import training
from elmo_keras.training import run_checkpoint
from elmo_keras.training.teacher_sentences import teacher_sentences
from elmo_keras.training.window_loss import (
    TeacherTerm,
    build_teacher_map,
    window_loss,
    zero_states,
)
from elmo_keras.training.windows import Windows
from tests.training import small_run
from tests.training.small_run import equal, log_of, weights_of
from tests.training.small_teacher import SmallTeacher, has_target, write_shards


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return small_run.write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def shards(corpus, tmp_path_factory):
    return write_shards(corpus, tmp_path_factory.mktemp("targets"), dtype="float16")


def run(folder, steps, shards, **options):
    settings = {"teacher": shards, **options.pop("settings", {})}
    return small_run.run(folder, steps, settings, **options)


def windows_with(corpus, shards, model, sentences=6, **options):
    return Windows(
        corpus,
        model.word_vocabulary,
        model.elmo.token_encoder,
        **{"batch_size": 6, "window": 5, "num_negatives": 16, "dropout": 0.0} | options,
        teacher=teacher_sentences(shards, sentences),
    )


def make_term(model, kernel=0.0, bias=0.0, mean_tokens=7.0):
    """The teacher's part of the loss, with a map of given weights."""
    dense = build_teacher_map(model, 4)
    dense.set_weights([np.broadcast_to(kernel, dense.kernel.shape), np.broadcast_to(bias, 4)])
    return TeacherTerm(dense, 3.0, 2.0, 6, mean_tokens)


def sums_of(model, batch, term, streams=6):
    value, sums, _ = window_loss(model, 6, 0.0, term)(batch, zero_states(model, streams))
    return keras.ops.convert_to_numpy(value), keras.ops.convert_to_numpy(sums)


@pytest.mark.parametrize("pad_words", [False, True])
def test_the_error_equals_numpy(corpus, shards, pad_words):
    model = small_run.make_model(corpus)
    random = np.random.default_rng(0)
    shape = build_teacher_map(model, 4).kernel.shape
    kernel, bias = random.normal(size=shape) / 4, random.normal(size=4)
    batch = next(windows_with(corpus, shards, model, pad_words=pad_words))
    _, sums = sums_of(model, batch, make_term(model, kernel, bias))
    elmo = elmo_keras.ElmoLayer(
        model.elmo.token_encoder, model.elmo.bilstm, output="all", tokenizer="whitespace"
    )
    error = sentence_error = words = targets = 0
    for item in teacher_sentences(shards, 6).next_batch():
        layers = keras.ops.convert_to_numpy(elmo(elmo.padded_ids([item.tokens], len(item.tokens))))
        tokens, *others = np.moveaxis(layers[0], 1, 0)  # each (time, dim)
        tokens = tokens[:, : tokens.shape[1] // 2]  # The token layer holds each vector twice.
        difference = np.concatenate([tokens, *others], axis=1) @ kernel + bias - item.vectors
        difference = difference[[has_target(word) for word in item.tokens]]
        error += np.sum(difference**2)
        if len(difference):
            sentence_error += len(difference) * np.sum(difference.mean(axis=0) ** 2)
        words += len(item.tokens) + 1
        targets += len(difference)
    assert 0 < sentence_error < error
    np.testing.assert_allclose(sums[3:], [error, sentence_error, words, targets], rtol=1e-4)


def test_the_errors_join_the_loss_of_the_language_model(corpus, shards):
    model = small_run.make_model(corpus)
    batch = next(windows_with(corpus, shards, model))
    plain, sums = sums_of(model, batch, None)
    joint, joint_sums = sums_of(model, batch, make_term(model, 0.1, 0.2))
    np.testing.assert_allclose(joint_sums[:2], sums, rtol=1e-6)
    word_loss, error, sentence_error, _, _ = joint_sums[2:]
    # The expected numbers count, not those of the batch: every token of a text weighs the same.
    words, targets = 6 * (7.0 + 1), 6 * 7.0
    share = words / (words + 30)
    language_model = plain / 5 * (1 - share) + word_loss / (2 * words) * share
    teacher = 3.0 * (error + 2.0 * sentence_error) / targets
    assert joint == pytest.approx(5 * (language_model + teacher), rel=1e-5)


def test_the_words_of_the_sentences_are_predicted(corpus, shards):
    """With the full softmax, the loss is the logarithm of the model's perplexity."""
    model = small_run.make_model(corpus)
    sentences = [item.tokens for item in teacher_sentences(shards, 6).next_batch()]
    batch = next(windows_with(corpus, shards, model, num_negatives=1000))
    _, sums = sums_of(model, batch, make_term(model))
    expected = np.log(model.perplexity(sentences).mean)
    assert sums[2] / (2 * sums[5]) == pytest.approx(expected, rel=1e-5)


def test_the_sampled_softmax_of_the_sentences_equals_numpy(corpus, shards):
    model = small_run.make_model(corpus)
    random = np.random.default_rng(1)
    for weight in model.head.weights:  # The bias starts at 0.
        weight.assign(random.normal(size=weight.shape))
    batch = next(windows_with(corpus, shards, model))
    _, sums = sums_of(model, batch, make_term(model))
    softmax = model.head.softmax
    kernel, bias = map(keras.ops.convert_to_numpy, (softmax.kernel, softmax.bias))
    negatives, correction = batch.negatives, batch.negatives_log_expected
    # A word has one correction, in the windows, in the sample and in the sentences.
    pairs = [
        (batch.sentence_words, batch.sentence_log_expected),
        (negatives, correction),
        (batch.targets, batch.log_expected),
    ]
    expected = {}
    for words, values in pairs:
        expected |= dict(zip(words.ravel().tolist(), values.ravel()))
    total, dim = 0.0, kernel.shape[1]
    for item in teacher_sentences(shards, 6).next_batch():
        ids = model.elmo.padded_ids([item.tokens], len(item.tokens))
        y = keras.ops.convert_to_numpy(model.elmo(ids))[0]  # (time + 2, 2 * dim)
        words = [
            model.word_vocabulary.token_to_index(word) for word in ("<S>", *item.tokens, "</S>")
        ]
        for step, (one, other) in enumerate(itertools.pairwise(words)):
            for vector, word in ((y[step, :dim], other), (y[step + 1, dim:], one)):
                true = vector @ kernel[word] + bias[word] - expected[word]
                logits = kernel[negatives] @ vector + bias[negatives] - correction
                if word not in negatives:
                    logits = np.append(logits, true)
                total += np.log(np.sum(np.exp(logits))) - true
    assert sums[2] == pytest.approx(total, rel=1e-4)


def test_the_sums_of_replicas_add_up(corpus, shards):
    model = small_run.make_model(corpus)
    batch = next(windows_with(corpus, shards, model, sentences=12))
    term = make_term(model, 0.1, 1.0)._replace(sentences=12)
    parts = [
        sums_of(model, batch.select_streams(slice(i, i + 3), pad), term, streams=3)
        for i, pad in ((0, False), (3, True))
    ]
    whole = sums_of(model, batch, term)
    for index in range(2):
        np.testing.assert_allclose(sum(part[index] for part in parts), whole[index], rtol=1e-5)


def test_a_teacher_run_in_parts_is_the_same(shards, tmp_path):
    model = run(tmp_path / "whole", 20, shards, teacher_batch_size=9)
    for steps in (3, 11, 20):
        again = run(tmp_path / "parts", steps, shards, teacher_batch_size=9)
    one, other = (
        [json.loads(line) for line in (tmp_path / name / "run/log.jsonl").read_text().splitlines()]
        for name in ("whole", "parts")
    )
    names = "sentence_perplexity", "teacher_error", "teacher_sentence_error"
    assert [[line.get(name) for name in names] for line in one] == [
        [line.get(name) for name in names] for line in other
    ]
    assert log_of(tmp_path / "parts") == log_of(tmp_path / "whole")
    assert equal(weights_of(again), weights_of(model))
    one, other = (run_checkpoint.load(tmp_path / name / "run") for name in ("whole", "parts"))
    assert {"weights/teacher/kernel", "weights/teacher/bias"} < one.arrays.keys()
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(array, other.arrays[name])


def test_the_error_falls_and_the_language_model_learns(shards, tmp_path):
    lines = []
    model = run(tmp_path, 300, shards, settings={"report": lines.append, "log_every": 50})
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    errors = [line["teacher_error"] for line in log if "teacher_error" in line]
    assert errors[-1] < 0.4 * errors[0]
    assert log[-1 if "loss" in log[-1] else -2]["loss"] < 0.9 * log[0]["loss"]
    assert any("teacher error" in line for line in lines)
    # The map is not a part of the preset.
    again = elmo_keras.BidirectionalLanguageModel.from_preset(tmp_path / "run/preset")
    np.testing.assert_allclose(again.score([["w1"]]), model.score([["w1"]]), rtol=1e-6)


def test_a_live_teacher_is_resumed_to_the_same_numbers(tmp_path):
    def live(folder):
        corpus = small_run.write_corpus(folder / "corpus")
        return training.LiveTeacher(SmallTeacher(), corpus, components=4)

    model = run(tmp_path / "whole", 12, live(tmp_path / "whole"))
    for steps in (5, 12):
        again = run(tmp_path / "parts", steps, live(tmp_path / "parts"))
    assert equal(weights_of(again), weights_of(model))


def test_without_the_teacher_the_run_is_refused(corpus, shards, tmp_path):
    run(tmp_path, 4, shards)
    with pytest.raises(ValueError, match="weights/teacher/.* and is None"):
        small_run.run(tmp_path, 8)
    with pytest.raises(ValueError, match="teacher_weight was 3.0 and is 1.0"):
        run(tmp_path, 8, shards, teacher_weight=1.0)
    other = write_shards(corpus, tmp_path / "other", components=3)
    with pytest.raises(ValueError, match="teacher was 'shards, sha1"):
        run(tmp_path, 8, other)


def test_a_run_that_began_without_a_teacher_is_refused(shards, tmp_path):
    small_run.run(tmp_path, 4)
    with pytest.raises(ValueError, match="teacher_weight was None and is 3.0"):
        run(tmp_path, 8, shards)


def test_the_tokenization_is_checked_before_training(tmp_path, corpus):
    (tmp_path / "text").write_text("other tokens here\n" * 20)
    text = training.Corpus(tmp_path / "text", "whitespace")

    def codes(sentences):
        return [[[float(len(token)), 1.0] for token in tokens] for tokens in sentences]

    shards = training.write_teacher_shards(training.CallableTeacher(codes), text, tmp_path / "t")
    with pytest.raises(ValueError, match="language and tokenization of the corpus"):
        run(tmp_path, 4, shards)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("dtype", ["mixed_bfloat16"])
def test_a_step_of_lower_precision(corpus, shards, tmp_path, dtype):
    model = small_run.make_model(corpus, dtype=dtype)
    training.pretrain(model, corpus, tmp_path, small_run.make_options(3), teacher=shards)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert np.isfinite(log[0]["teacher_error"])
