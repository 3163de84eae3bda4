"""The words that a sampled softmax takes in place of all words."""

from typing import NamedTuple

import numpy as np


class Negatives(NamedTuple):
    """A sample of the vocabulary, without repetition.

    Attributes:
        words: `(number,)` int32, the numbers of the words.
        draws: int. How often it was drawn until there were as many different ones.
    """

    words: np.ndarray
    draws: int


class LogUniformSampler:
    """Draws words by their rank in a vocabulary of falling frequency, as Zipf's law has it.

    The probability of word `k` is `log((k + 2) / (k + 1)) / log(size + 1)`.

    Args:
        size: int. Words in the vocabulary.
        number: int. Words of a sample, fewer than `size`.

    References:
        - [Jean et al., 2015](https://arxiv.org/abs/1412.2007)
        - TensorFlow, `log_uniform_candidate_sampler` with `unique=True`, which bilm-tf uses
    """

    def __init__(self, size: int, number: int):
        if not 0 < number < size:
            raise ValueError(
                "`number` must be positive and smaller than the vocabulary. "
                f"Received: number={number}, size={size}. Take the full softmax instead."
            )
        self.size, self.number = size, number
        rank = np.arange(size, dtype="float64")
        self._log_missed = np.log1p(-np.log1p(1 / (rank + 1)) / np.log(size + 1))

    def sample(self, random: np.random.Generator) -> Negatives:
        """Draws until there are `number` different words."""
        words = np.zeros(0, "int64")
        places = np.empty(self.size, "int64")
        while True:
            draws = random.random(2 * self.number)
            drawn = np.exp(draws * np.log(self.size + 1)).astype("int64") - 1
            words = np.concatenate([words, np.clip(drawn, 0, self.size - 1)])
            order = np.arange(len(words))
            # Of a word that was drawn more than once, the assignment that comes last stays.
            places[words[::-1]] = order[::-1]
            first = np.flatnonzero(places[words] == order)[: self.number]
            if len(first) == self.number:
                return Negatives(words[first].astype("int32"), int(first[-1]) + 1)

    def log_expected(self, words: np.ndarray, draws: int) -> np.ndarray:
        """The log of how often words are expected in a sample of so many draws, float32."""
        return np.log(-np.expm1(draws * self._log_missed[words])).astype("float32")
