"""Pretraining of other front ends than bytes: the loss, and a run in parts."""

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import BidirectionalLanguageModel, layers, training
from elmo_keras.training import command, run_checkpoint
from elmo_keras.training.model_sizes import MODEL_SIZES
from elmo_keras.training.window_loss import window_loss, zero_states
from elmo_keras.training.windows import Windows
from tests import small_models
from tests.training import small_run
from tests.training.small_run import equal, log_of, weights_of
from tests.training.small_teacher import write_shards

SPECIAL_TOKENS = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
FRONT_ENDS = {
    "code points": lambda: layers.CodePointEncoder(
        [*SPECIAL_TOKENS, *"w0123456"],
        filters=[(2, 4)],
        num_highways=1,
        projection_dim=6,
        max_characters=6,
    ),
    "both": lambda: layers.CodePointEncoder(
        [*SPECIAL_TOKENS, *"w0123456"],
        ["<oov>", "<bos>", "<eos>", "w1", "w2"],
        filters=[(1, 4)],
        num_highways=0,
        projection_dim=6,
        max_characters=6,
    ),
    "words": lambda: layers.WordEmbedding(6, 6, ["</S>", "<UNK>", "<S>", "w0", "w1", "w2"]),
}


@pytest.fixture(params=[pytest.param("code points", marks=pytest.mark.slow), "both", "words"])
def make(request):
    """A function that makes the model of one front end, always with the same weights."""

    def make(corpus):
        keras.utils.set_random_seed(1)
        elmo = elmo_keras.ElmoLayer(
            FRONT_ENDS[request.param](), small_models.bilstm(num_layers=1), tokenizer="whitespace"
        )
        words, _ = training.build_vocabulary(corpus)
        return BidirectionalLanguageModel(elmo, words.tokens)

    return make


def run(make, folder, steps):
    corpus = small_run.write_corpus(folder / "corpus")
    model = make(corpus)
    options = small_run.make_options(steps)
    return training.pretrain(model, corpus, folder / "run", options, log_every=1)


def test_a_run_in_parts_is_the_same(make, tmp_path):
    whole = run(make, tmp_path / "whole", 6)
    initial = weights_of(make(small_run.write_corpus(tmp_path / "whole/corpus")))
    moved = [not np.array_equal(*pair) for pair in zip(initial, weights_of(whole), strict=True)]
    assert all(moved)
    for steps in (2, 6):
        parts = run(make, tmp_path / "parts", steps)
    assert log_of(tmp_path / "parts") == log_of(tmp_path / "whole")
    assert equal(weights_of(parts), weights_of(whole))
    preset = BidirectionalLanguageModel.from_preset(tmp_path / "parts/run/preset")
    sentences = [["w1", "w2", "never"], ["w7"]]
    np.testing.assert_allclose(preset.score(sentences), whole.score(sentences), rtol=1e-6)


@pytest.mark.slow
def test_a_teacher(make, tmp_path):
    """Every front end learns from a teacher; a run in parts is the same."""
    for name, parts in (("whole", (6,)), ("parts", (2, 6))):
        corpus = small_run.write_corpus(tmp_path / name / "corpus")
        shards = write_shards(corpus, tmp_path / name / "targets")
        for steps in parts:
            options = small_run.make_options(steps)
            model = make(corpus)
            folder = tmp_path / name / "run"
            training.pretrain(model, corpus, folder, options, log_every=1, teacher=shards)
    one, other = (
        run_checkpoint.load(tmp_path / name / "run").arrays for name in ("whole", "parts")
    )
    assert np.abs(one["weights/teacher/kernel"]).max() > 0
    assert equal(*([arrays[name] for name in sorted(one)] for arrays in (one, other)))


@pytest.mark.parametrize("pad_words", [False, True])
def test_the_loss_equals_the_score(make, tmp_path, pad_words):
    """The pretraining loss of a sentence is the negative of its score."""
    sentence = ["w1", "<S>", "never-seen", "<bos>", "w2"]
    (tmp_path / "text").write_text(" ".join(sentence) + "\n")
    model = make(small_run.write_corpus(tmp_path / "corpus"))
    corpus = training.Corpus(tmp_path / "text", "whitespace")
    encoder = model.elmo.token_encoder
    windows = Windows(
        *(corpus, model.word_vocabulary, encoder),
        batch_size=1,
        window=6,
        num_negatives=1000,
        dropout=0.0,
        pad_words=pad_words,
    )
    _, sums, _ = window_loss(model, batch_size=1)(next(windows), zero_states(model, 1))
    sums = keras.ops.convert_to_numpy(sums)
    np.testing.assert_allclose(-model.score([sentence])[0], sums, rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["char_and_word", pytest.param("char_only_legacy", marks=pytest.mark.slow)]
)
def test_taking_on_a_model_of_elmo_for_many_langs(data, tmp_path, name):
    pytest.importorskip("torch", reason="torch reads ELMoForManyLangs")
    source = data / "elmo_for_many_langs" / name
    corpus = small_run.write_corpus(tmp_path / "corpus")
    words, _ = training.build_vocabulary(corpus)
    training.write_vocabulary(words, tmp_path / "words")

    options = {"batch_size": 2, "window": 5, "num_negatives": 16, "learning_rate": 1e-5}
    given = {"source": source, "vocabulary": tmp_path / "words", "tokens": 20, "options": options}
    for _ in range(2):  # The second call finds a finished run.
        command.pretrain_from_text(corpus, tmp_path / "run", MODEL_SIZES["mini"], **given)
    given = elmo_keras.ElmoLayer.from_preset(source, output="top")
    tuned = elmo_keras.ElmoLayer.from_preset(tmp_path / "run/preset", output="top")
    ids = given.token_encoder.numpy_ids(["w1", "a", "我"])[None]
    change = np.abs(small_models.to_numpy(tuned(ids)) - small_models.to_numpy(given(ids))).max()
    assert 0 < change < 1e-2  # two small steps
