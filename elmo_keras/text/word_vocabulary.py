"""The vocabulary of a language model."""

from collections.abc import Iterable

import numpy as np

from elmo_keras.text.special_tokens import SPECIAL_TOKENS, UNKNOWN_TOKEN
from elmo_keras.text.vocabulary import Vocabulary


class WordVocabulary(Vocabulary):
    """The words that a language model predicts, including `<S>`, `</S>` and `<UNK>`.

    Args:
        words: list of str, or one str with one word per line, in the order of their indices.

    Raises:
        ValueError: if a special token is missing, or if a word is empty or appears twice. bilm-tf
            does not check this and would use a wrong word.

    Example:

    >>> vocabulary = WordVocabulary(["<S>", "</S>", "<UNK>", "the", "cat"])
    >>> vocabulary.tokens_to_indices(["the", "dog"])
    array([3, 2], dtype=int32)
    """

    def __init__(self, words: str | Iterable[str]) -> None:
        super().__init__(words)
        missing = [word for word in SPECIAL_TOKENS if word not in self]
        if missing or "" in self.tokens:
            raise ValueError(
                f"A language model's vocabulary must hold {', '.join(SPECIAL_TOKENS)}, and no "
                f"empty word. Received: {len(self):,} words"
                f"{' without ' + ', '.join(missing) if missing else ', including an empty one'}. "
                "Build one with `elmo-keras vocabulary`, or write the three special tokens on the "
                "first three lines."
            )
        self.unknown_index: int = self.token_to_index(UNKNOWN_TOKEN)

    def tokens_to_indices(self, words: Iterable[str]) -> np.ndarray:
        """Returns the indices of words; the index of `<UNK>` for all other words.

        Args:
            words: iterable of str.

        Returns:
            `(words,)` int32.
        """
        indices = (self._indices.get(word, self.unknown_index) for word in words)
        return np.fromiter(indices, "int32")
