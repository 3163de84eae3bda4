"""The perplexities of a language model."""

from typing import NamedTuple


class Perplexity(NamedTuple):
    """The perplexities of a bidirectional language model.

    A perplexity is `exp` of the mean negative log-probability of a word.

    Attributes:
        forward: float, of the forward direction; the end of each sentence counts as a word.
        backward: float, of the backward direction; the begin of each sentence counts as a word.
        mean: float, of both: `exp` of the mean of the two mean negative log-probabilities.
        num_words: int. Number of words that each direction predicts.
    """

    forward: float
    backward: float
    mean: float
    num_words: int
