"""The perplexities of a language model."""

from typing import NamedTuple


class Perplexity(NamedTuple):
    """The perplexities of a bidirectional language model.

    A perplexity is `exp` of the mean negative log-probability of a word.

    Attributes:
        forward: float. Perplexity of the forward direction, which also predicts the end of each
            sentence.
        backward: float. Perplexity of the backward direction, which also predicts the begin of
            each sentence.
        mean: float. Geometric mean of the two perplexities.
        num_words: int. Number of words that each direction predicts.
    """

    forward: float
    backward: float
    mean: float
    num_words: int
