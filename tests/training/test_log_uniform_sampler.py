"""LogUniformSampler, against TensorFlow's sampler and against plain draws."""

import math

import numpy as np
import pytest

from elmo_keras.training.log_uniform_sampler import LogUniformSampler


def probability(word, size):
    return math.log((word + 2) / (word + 1)) / math.log(size + 1)


@pytest.mark.parametrize("draws", [1, 2, 17, 100_000])
@pytest.mark.parametrize("size", [2, 5, 1000])
def test_log_expected_by_hand(size, draws):
    sampler = LogUniformSampler(size, 1)
    words = np.array([0, size - 1, size // 2, 0])
    assert sum(probability(word, size) for word in range(size)) == pytest.approx(1)
    # Without repetition, the expected count of a word is the probability of at least one draw.
    expected = [math.log(1 - (1 - probability(word, size)) ** draws) for word in words]
    actual = sampler.log_expected(words, draws)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
    assert sampler.log_expected(words.reshape(2, 2), draws).shape == (2, 2)


def test_log_expected_of_rare_words_keeps_its_digits():
    """A subtraction from 1 in float32 would leave no digit of one in 800,000."""
    size = 793_471
    actual = LogUniformSampler(size, 1).log_expected(np.array([size - 1]), 1)
    np.testing.assert_allclose(actual, math.log(probability(size - 1, size)), rtol=1e-6)


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
    assert len(samples) > 1  # The generator is advanced.


def by_hand(size, number, random):
    """Draws words one after the other until enough are different, with numpy's own choice."""
    p = [probability(word, size) for word in range(size)]
    order = random.choice(size, 40 * number, p=p)
    words = []
    for draws, word in enumerate(order, 1):
        if word not in words:
            words.append(int(word))
        if len(words) == number:
            return words, draws
    raise AssertionError("too few draws")


def shares(samples, size):
    """The share of the samples that hold each word."""
    return np.bincount(np.ravel(samples), minlength=size) / len(samples)


def test_frequencies_and_draws_by_monte_carlo():
    size, number, times = 30, 8, 4000
    sampler, random = LogUniformSampler(size, number), np.random.default_rng(1)
    samples = [sampler.sample(random) for _ in range(times)]
    plain = [by_hand(size, number, random) for _ in range(times)]
    actual, expected = shares([s.words for s in samples], size), shares([w for w, _ in plain], size)
    spread = np.sqrt(2 * expected * (1 - expected) / times)
    assert np.all(np.abs(actual - expected) < 4.5 * spread)
    draws, expected = np.array([s.draws for s in samples]), np.array([d for _, d in plain])
    spread = math.sqrt((draws.var() + expected.var()) / times)
    assert abs(draws.mean() - expected.mean()) < 4 * spread
    # The words are in the order of their draws, so that the first one is a plain draw.
    first = np.bincount([s.words[0] for s in samples], minlength=size) / times
    p = np.array([probability(word, size) for word in range(size)])
    assert np.all(np.abs(first - p) < 4.5 * np.sqrt(p * (1 - p) / times))
    # The mean of the expected counts is the share of the samples with the word.
    mean = np.mean([np.exp(sampler.log_expected(np.arange(size), d)) for d in draws], axis=0)
    assert np.all(np.abs(mean - actual) < 0.06)
    assert mean.sum() == pytest.approx(number, rel=0.05)


def test_frequencies_and_draws_equal_those_of_tensorflow():
    tf = pytest.importorskip("tensorflow", reason="compares with its sampler")
    size, number, times = 200, 40, 400
    sampler, random = LogUniformSampler(size, number), np.random.default_rng(2)
    classes = np.arange(size).reshape(1, -1)

    @tf.function
    def draw():
        return tf.random.log_uniform_candidate_sampler(classes, size, number, True, size, seed=3)

    tensorflow_words, tensorflow_draws = [], []
    for _ in range(times):
        words, expected, expected_of_words = (x.numpy() for x in draw())
        # TensorFlow's number of draws follows from the expected count of one word.
        word = size // 2
        draws = math.log1p(-float(expected[0, word])) / math.log1p(-probability(word, size))
        assert abs(draws - round(draws)) < 0.01
        draws = round(draws)
        actual = np.exp(sampler.log_expected(classes, draws))
        np.testing.assert_allclose(actual, expected, rtol=2e-4)
        actual = np.exp(sampler.log_expected(words, draws))
        np.testing.assert_allclose(actual, expected_of_words, rtol=2e-4)
        tensorflow_words.append(words)
        tensorflow_draws.append(draws)
    samples = [sampler.sample(random) for _ in range(times)]
    actual, expected = shares([s.words for s in samples], size), shares(tensorflow_words, size)
    mean = (actual + expected) / 2
    spread = np.sqrt(2 * mean * (1 - mean) / times)
    assert np.all(np.abs(actual - expected) < 4.5 * spread + 1e-9)
    actual, expected = np.array([s.draws for s in samples]), np.array(tensorflow_draws)
    spread = math.sqrt((actual.var() + expected.var()) / times)
    assert abs(actual.mean() - expected.mean()) < 4 * spread


@pytest.mark.parametrize("size, number", [(10, 10), (10, 11), (10, 0), (10, -1), (0, 0)])
def test_out_of_range(size, number):
    with pytest.raises(
        ValueError, match=f"num_sampled={number}, vocabulary_size={size}. Use the full softmax"
    ):
        LogUniformSampler(size, number)
