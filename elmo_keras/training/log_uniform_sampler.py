"""The log-uniform sampler of the sampled softmax."""

from typing import NamedTuple

import numpy as np


class LogUniformSample(NamedTuple):
    """Distinct words of a vocabulary.

    Attributes:
        words: `(num_sampled,)` int32. The words, as indices into the vocabulary.
        draws: int. Number of draws, repetitions included, until enough words were distinct.
    """

    words: np.ndarray
    draws: int


class LogUniformSampler:
    """Samples words without replacement, with log-uniform probabilities by rank (Zipf's law).

    The vocabulary must be sorted by falling frequency. A draw gives word `k` with the probability
    `log((k + 2) / (k + 1)) / log(vocabulary_size + 1)`.

    Args:
        vocabulary_size: int. Number of words in the vocabulary.
        num_sampled: int. Number of distinct words in a sample; smaller than `vocabulary_size`.

    Raises:
        ValueError: if `num_sampled` is out of range.

    Example:

    >>> import numpy as np
    >>> from elmo_keras.training.log_uniform_sampler import LogUniformSampler
    >>> sample = LogUniformSampler(vocabulary_size=1000, num_sampled=64).sample(
    ...     np.random.default_rng(0)
    ... )
    >>> sample.words.shape, sample.draws >= 64
    ((64,), True)

    References:
        - [Jean et al., 2015](https://arxiv.org/abs/1412.2007)
        - TensorFlow, `log_uniform_candidate_sampler` with `unique=True`, which bilm-tf uses
    """

    def __init__(self, vocabulary_size: int, num_sampled: int) -> None:
        if not 0 < num_sampled < vocabulary_size:
            raise ValueError(
                "`num_sampled` must be positive and smaller than the vocabulary. Received: "
                f"num_sampled={num_sampled}, vocabulary_size={vocabulary_size}. Use the full "
                "softmax instead."
            )
        self.vocabulary_size, self.num_sampled = vocabulary_size, num_sampled
        rank = np.arange(vocabulary_size, dtype="float64")
        self._log_missed = np.log1p(-np.log1p(1 / (rank + 1)) / np.log(vocabulary_size + 1))

    def sample(self, random: np.random.Generator) -> LogUniformSample:
        """Draws words until `num_sampled` of them are distinct.

        Args:
            random: numpy generator; its state advances.

        Returns:
            `LogUniformSample`, with the words in the order of their first draw.
        """
        words = np.zeros(0, "int64")
        first_draws = np.empty(self.vocabulary_size, "int64")
        while True:
            draws = random.random(2 * self.num_sampled)
            drawn = np.exp(draws * np.log(self.vocabulary_size + 1)).astype("int64") - 1
            words = np.concatenate([words, np.clip(drawn, 0, self.vocabulary_size - 1)])
            order = np.arange(len(words))
            # numpy keeps the last assignment to a word: in reverse order, its first draw.
            first_draws[words[::-1]] = order[::-1]
            first = np.flatnonzero(first_draws[words] == order)[: self.num_sampled]
            if len(first) == self.num_sampled:
                return LogUniformSample(words[first].astype("int32"), int(first[-1]) + 1)

    def log_expected(self, words: np.ndarray, draws: int) -> np.ndarray:
        """Computes the log of the expected count of words in a sample.

        Args:
            words: int array of any shape, indices into the vocabulary.
            draws: int. Number of draws of the sample.

        Returns:
            float32 array of the shape of `words`.
        """
        return np.log(-np.expm1(draws * self._log_missed[words])).astype("float32")
