"""The words that a language model predicts."""

import numpy as np

from elmo_keras.text import byte_alphabet
from elmo_keras.text.vocabulary import Vocabulary

UNKNOWN = "<UNK>"
SPECIALS = (byte_alphabet.BEGIN_TOKEN, byte_alphabet.END_TOKEN, UNKNOWN)


class WordVocabulary(Vocabulary):
    """The words of a language model's softmax, `<S>`, `</S>` and `<UNK>` among them.

    Args:
        words: list of str, or one str with a word a line: the words in the order of their numbers.

    Raises:
        ValueError: if one of the three is missing, or if a word is empty or comes twice. Without
            them bilm-tf would silently take a wrong word.

    Example:

    >>> vocabulary = WordVocabulary(["<S>", "</S>", "<UNK>", "the", "cat"])
    >>> vocabulary.numbers_of(["the", "dog"])
    array([3, 2], dtype=int32)
    """

    def __init__(self, words):
        super().__init__(words)
        missing = [word for word in SPECIALS if word not in self]
        if missing or "" in self.tokens:
            raise ValueError(
                f"A language model's vocabulary must hold {', '.join(SPECIALS)}, and no empty "
                f"word. Received: {len(self):,} words"
                f"{' without ' + ', '.join(missing) if missing else ', an empty one among them'}. "
                "Build one with `elmo-keras vocabulary`, or write the three in front."
            )
        self.unknown = self.number_of(UNKNOWN)

    def numbers_of(self, words):
        """The numbers of an iterable of words, int32; of those not in here, that of `<UNK>`."""
        return np.fromiter((self._numbers.get(word, self.unknown) for word in words), "int32")
