"""The sample of a log-uniform softmax, against TensorFlow's and against brute force."""

import math

import numpy as np
import pytest

from elmo_keras.training.log_uniform_sampler import LogUniformSampler


def probability(word, size):
    return math.log((word + 2) / (word + 1)) / math.log(size + 1)


@pytest.mark.parametrize("size", [2, 5, 1000])
def test_log_expected_by_brute_force(size):
    sampler = LogUniformSampler(size, 1)
    words = np.array([0, size - 1, size // 2, 0])
    assert sum(probability(word, size) for word in range(size)) == pytest.approx(1)
    for draws in (1, 2, 17, 100_000):
        # The expected number of a word without repetition: that it comes at all.
        expected = [math.log(1 - (1 - probability(word, size)) ** draws) for word in words]
        got = sampler.log_expected(words, draws)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    assert sampler.log_expected(words.reshape(2, 2), 3).shape == (2, 2)


def test_log_expected_of_rare_words_keeps_its_digits():
    """One draw out of 800,000 words: a subtraction from 1 in float32 would leave none."""
    size = 793_471
    got = LogUniformSampler(size, 1).log_expected(np.array([size - 1]), 1)
    np.testing.assert_allclose(got, math.log(probability(size - 1, size)), rtol=1e-6)


@pytest.mark.parametrize("size, number", [(2, 1), (10, 9), (50, 20), (5000, 512)])
def test_a_sample(size, number):
    sampler = LogUniformSampler(size, number)
    for seed in range(20):
        words, draws = sampler.sample(np.random.default_rng(seed))
        assert words.dtype == np.int32 and words.shape == (number,)
        assert len(set(words.tolist())) == number
        assert words.min() >= 0 and words.max() < size
        assert type(draws) is int and draws >= number
        again = sampler.sample(np.random.default_rng(seed))
        np.testing.assert_array_equal(again.words, words)
        assert again.draws == draws
    random = np.random.default_rng(0)
    samples = {tuple(sampler.sample(random).words) for _ in range(20)}
    assert len(samples) > 1  # The generator goes on.


def by_hand(size, number, random):
    """Draws words one after the other until enough are different, with numpy's own choice."""
    p = [probability(word, size) for word in range(size)]
    order = random.choice(size, 40 * number, p=p)
    found = []
    for draws, word in enumerate(order, 1):
        if word not in found:
            found.append(int(word))
        if len(found) == number:
            return found, draws
    raise AssertionError("too few draws")


def shares(found, size):
    return np.bincount(np.ravel(found), minlength=size) / len(found)


def test_frequencies_and_draws_by_monte_carlo():
    size, number, times = 30, 8, 4000
    sampler, random = LogUniformSampler(size, number), np.random.default_rng(1)
    samples = [sampler.sample(random) for _ in range(times)]
    oracle = [by_hand(size, number, random) for _ in range(times)]
    ours, theirs = shares([s.words for s in samples], size), shares([w for w, _ in oracle], size)
    spread = np.sqrt(2 * theirs * (1 - theirs) / times)
    assert np.all(np.abs(ours - theirs) < 4.5 * spread)
    draws, expected = np.array([s.draws for s in samples]), np.array([d for _, d in oracle])
    spread = math.sqrt((draws.var() + expected.var()) / times)
    assert abs(draws.mean() - expected.mean()) < 4 * spread
    # In the order in which they came: the first one is a plain draw.
    first = np.bincount([s.words[0] for s in samples], minlength=size) / times
    p = np.array([probability(word, size) for word in range(size)])
    assert np.all(np.abs(first - p) < 4.5 * np.sqrt(p * (1 - p) / times))
    # What is taken as the expected number is how often a word comes, over all the draws.
    mean = np.mean([np.exp(sampler.log_expected(np.arange(size), d)) for d in draws], axis=0)
    assert np.all(np.abs(mean - ours) < 0.06)
    assert mean.sum() == pytest.approx(number, rel=0.05)


def test_as_tensorflow():
    tf = pytest.importorskip("tensorflow", reason="its sampler is the oracle")
    size, number, times = 200, 40, 400
    sampler, random = LogUniformSampler(size, number), np.random.default_rng(2)
    classes = np.arange(size).reshape(1, -1)

    @tf.function
    def draw():
        return tf.random.log_uniform_candidate_sampler(classes, size, number, True, size, seed=3)

    found, tries = [], []
    for _ in range(times):
        words, expected, expected_of_words = (x.numpy() for x in draw())
        # Which number of draws it had in mind, from the expectation of one word.
        word = size // 2
        draws = math.log1p(-float(expected[0, word])) / math.log1p(-probability(word, size))
        assert abs(draws - round(draws)) < 0.01
        draws = round(draws)
        got = np.exp(sampler.log_expected(classes, draws))
        np.testing.assert_allclose(got, expected, rtol=2e-4)
        got = np.exp(sampler.log_expected(words, draws))
        np.testing.assert_allclose(got, expected_of_words, rtol=2e-4)
        found.append(words)
        tries.append(draws)
    samples = [sampler.sample(random) for _ in range(times)]
    ours, theirs = shares([s.words for s in samples], size), shares(found, size)
    both = (ours + theirs) / 2
    assert np.all(np.abs(ours - theirs) < 4.5 * np.sqrt(2 * both * (1 - both) / times) + 1e-9)
    draws, tries = np.array([s.draws for s in samples]), np.array(tries)
    spread = math.sqrt((draws.var() + tries.var()) / times)
    assert abs(draws.mean() - tries.mean()) < 4 * spread


@pytest.mark.parametrize("size, number", [(10, 10), (10, 11), (10, 0), (10, -1), (0, 0)])
def test_out_of_range(size, number):
    with pytest.raises(
        ValueError, match=f"num_sampled={number}, vocabulary_size={size}. Use the full softmax"
    ):
        LogUniformSampler(size, number)
