"""The teacher's error: equal to numpy's from ElmoLayer's vectors; runs with a teacher."""

import json

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import training
from elmo_keras.training import run_checkpoint
from elmo_keras.training.teacher_sentences import teacher_sentences
from elmo_keras.training.window_loss import build_teacher_map, window_loss, zero_states
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


def windows_with(corpus, shards, model, **options):
    return Windows(
        corpus,
        model.word_vocabulary,
        model.elmo.token_encoder,
        **{"batch_size": 6, "window": 5, "num_negatives": 16, "dropout": 0.0} | options,
        teacher=teacher_sentences(shards, 6),
    )


@pytest.mark.parametrize("pad_words", [False, True])
def test_the_error_equals_numpy(corpus, shards, pad_words):
    model = small_run.make_model(corpus)
    dense = build_teacher_map(model, 4)
    random = np.random.default_rng(0)
    kernel, bias = random.normal(size=dense.kernel.shape) / 4, random.normal(size=4)
    dense.set_weights([kernel, bias])
    batch = next(windows_with(corpus, shards, model, pad_words=pad_words))
    _, sums, _ = window_loss(model, 6, teacher_map=dense, teacher_weight=3.0)(
        batch, zero_states(model, 6)
    )
    elmo = elmo_keras.ElmoLayer(
        model.elmo.token_encoder, model.elmo.bilstm, output="all", tokenizer="whitespace"
    )
    errors = []
    for item in teacher_sentences(shards, 6).next_batch():
        layers = keras.ops.convert_to_numpy(elmo(elmo.padded_ids([item.tokens], len(item.tokens))))
        tokens, *others = np.moveaxis(layers[0], 1, 0)  # each (time, dim)
        tokens = tokens[:, : tokens.shape[1] // 2]  # The token layer holds each vector twice.
        predicted = np.concatenate([tokens, *others], axis=1) @ kernel + bias
        distances = np.sum((predicted - item.vectors) ** 2, axis=1)
        errors += [d for d, word in zip(distances, item.tokens) if has_target(word)]
    assert keras.ops.convert_to_numpy(sums)[3] == pytest.approx(np.mean(errors), rel=1e-4)


def test_the_error_joins_the_loss_of_the_language_model(corpus, shards):
    model = small_run.make_model(corpus)
    dense = build_teacher_map(model, 4)
    batch, states = next(windows_with(corpus, shards, model)), zero_states(model, 6)
    plain, sums, _ = window_loss(model, 6)(batch, states)
    joint, joint_sums, _ = window_loss(model, 6, 0.0, dense, 3.0, 2.0)(batch, states)
    joint, joint_sums, sums = map(keras.ops.convert_to_numpy, (joint, joint_sums, sums))
    plain = keras.ops.convert_to_numpy(plain)
    np.testing.assert_allclose(joint_sums[:2], sums, rtol=1e-6)
    word_loss, error, sentence_error = joint_sums[2:]
    norms = np.sum(batch.teacher_targets**2, axis=-1)  # the map is all zeros
    assert error == pytest.approx(np.sum(batch.teacher_weights * norms), rel=1e-5)
    predicted = (batch.teacher_inputs >= 0).sum() - 6
    share = predicted / (predicted + 30)
    language_model = plain / 5 * (1 - share) + word_loss * share
    assert joint == pytest.approx(
        5 * (language_model + 3.0 * (error + 2.0 * sentence_error)), rel=1e-5
    )


@pytest.mark.parametrize("num_negatives", [16, 1000])
def test_the_words_of_the_sentences_are_predicted(corpus, shards, num_negatives):
    """With the full softmax, the loss is the perplexity of the model, from zero states."""
    model = small_run.make_model(corpus)
    dense = build_teacher_map(model, 4)
    batch = next(windows_with(corpus, shards, model, num_negatives=num_negatives))
    losses = keras.ops.convert_to_numpy(
        window_loss(model, 6, 0.0, dense, 1.0)(batch, zero_states(model, 6))[1]
    )
    sentences = [item.tokens for item in teacher_sentences(shards, 6).next_batch()]
    full = np.log(model.perplexity(sentences).mean)
    if num_negatives == 1000:
        assert losses[2] == pytest.approx(full, rel=1e-5)
    else:  # a sampled softmax, close to the full one
        assert losses[2] == pytest.approx(full, rel=0.2)


def test_the_error_of_the_sentences_equals_numpy(corpus, shards):
    model = small_run.make_model(corpus)
    dense = build_teacher_map(model, 4)
    dense.set_weights([np.zeros(dense.kernel.shape), np.full(4, 0.3)])
    batch = next(windows_with(corpus, shards, model))
    sums = window_loss(model, 6, 0.0, dense, 1.0)(batch, zero_states(model, 6))[1]
    errors, counts = [], []
    for item in teacher_sentences(shards, 6).next_batch():
        vectors = item.vectors[item.has_target]
        counts.append(len(vectors))
        errors.append(np.sum((vectors.mean(axis=0) - 0.3) ** 2) if counts[-1] else 0.0)
    expected = np.average(errors, weights=counts)
    assert keras.ops.convert_to_numpy(sums)[4] == pytest.approx(expected, rel=1e-4)


def test_the_error_of_replicas_adds_up(corpus, shards):
    model = small_run.make_model(corpus)
    dense = build_teacher_map(model, 4)
    dense.set_weights([np.full(dense.kernel.shape, 0.1), np.ones(4)])
    batch = next(windows_with(corpus, shards, model))
    loss = window_loss(model, 6, 0.0, dense, 3.0)

    def sums_of(part, size):
        value, sums, _ = loss(part, zero_states(model, size))
        return np.append(*map(keras.ops.convert_to_numpy, (sums, value)))

    parts = [sums_of(batch.select_streams(slice(i, i + 3), pad), 3) for i, pad in ((0, 0), (3, 1))]
    np.testing.assert_allclose(sum(parts), sums_of(batch, 6), rtol=1e-5)


def test_more_sentences_than_streams_are_divided_in_the_same_proportion(corpus, shards):
    model = small_run.make_model(corpus)
    batch = next(windows_with(corpus, shards, model, batch_size=4))
    parts = [batch.select_streams(slice(start, start + 2)) for start in (0, 2)]
    for name in ("teacher_targets", "teacher_weights", "sentence_words", "sentence_log_expected"):
        arrays = [getattr(part, name) for part in parts]
        np.testing.assert_array_equal(np.concatenate(arrays, axis=1), getattr(batch, name))


def test_a_teacher_run_in_parts_is_the_same(shards, tmp_path):
    model = run(tmp_path / "whole", 20, shards)
    for steps in (3, 11, 20):
        again = run(tmp_path / "parts", steps, shards)
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
