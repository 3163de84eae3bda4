from typing import NamedTuple


class Perplexity(NamedTuple):
    """The perplexities of a language model: how many words it hesitates between, on average.

    Attributes:
        forward: float, of the forward direction: `exp` of the mean negative log-probability of a
            word, the end of its sentence among the words.
        backward: float, of the backward direction, the begin among them.
        mean: float, of both together: `exp` of the mean of the two means.
        words: int. Words predicted by each direction.
    """

    forward: float
    backward: float
    mean: float
    words: int
