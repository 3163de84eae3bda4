"""The loss of a window, against `score` and against other windows."""

import keras
import numpy as np
import pytest

from elmo_keras import training
from elmo_keras.text import byte_alphabet
from elmo_keras.training.window_loss import window_loss, zero_states
from elmo_keras.training.windows import Windows
from tests.training import small_run


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return small_run.write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def model(corpus):
    return small_run.make_model(corpus)


def test_states_are_carried_from_window_to_window(corpus, model):
    """The losses of short windows add up to those of a long one, in each direction."""
    # With several rows, the order of sentences would depend on the size of the windows.
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


def test_the_loss_equals_the_score(model, tmp_path):
    """The pretraining loss of a sentence is the negative of its score."""
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


def test_fresh_starts(corpus, model):
    """Rows with a fresh start begin at zero states, the other rows carry theirs."""
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
