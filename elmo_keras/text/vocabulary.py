"""Vocabularies: lists of tokens, the index of each token, and its id.

An index is the position of a token in the list. An id is the index plus one; the id 0 is padding.
"""

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from elmo_keras.text.word_lists import clean_words
from elmo_keras.utils.optional_module import tensorflow as tf


class Vocabulary:
    """Tokens in the order of their indices.

    Args:
        tokens: list of str, or one str with one token per line, as `text` returns it. `""` marks an
            index without a token.

    Raises:
        ValueError: if a token appears twice, or contains a line break.

    Example:

    >>> vocabulary = Vocabulary(["the", "", "cat"])
    >>> len(vocabulary), vocabulary.token_to_index("cat"), vocabulary.text
    (3, 2, 'the\\n\\ncat')
    """

    def __init__(self, tokens: str | Iterable[str]) -> None:
        self.tokens = tokens.split("\n") if isinstance(tokens, str) else list(tokens)
        for index, token in enumerate(self.tokens):
            if not isinstance(token, str) or "\n" in token:
                raise ValueError(
                    "A vocabulary must hold str without line breaks. "
                    f"Received: {token!r} at index {index}. Remove that token."
                )
        if len(self._indices) != len(self.tokens) - self.tokens.count(""):
            twice = next(t for i, t in enumerate(self.tokens) if t and self._indices[t] != i)
            raise ValueError(
                "A vocabulary must hold each token once. "
                f"Received: {twice!r} at indices {self.tokens.index(twice)} and "
                f"{self._indices[twice]}. Remove one of them."
            )

    @functools.cached_property
    def _indices(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens) if token}

    @property
    def text(self) -> str:
        """All tokens in one str, one per line: the form that a layer's config holds."""
        return "\n".join(self.tokens)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._indices

    def token_to_index(self, token: Any, default: Any = None) -> Any:
        """Returns the index of a token, or `default` for a token that is not in the vocabulary.

        Args:
            token: str.
            default: int or `None`. Defaults to `None`.
        """
        return self._indices.get(token, default)

    def tokens_to_ids(self, words: Iterable[str | bytes], unknown_id: int) -> np.ndarray:
        """Returns the ids of words, without TensorFlow; equal to those of the layer `WordIds`.

        Args:
            words: iterable of str (or bytes).
            unknown_id: id of the words that are not in the vocabulary.

        Returns:
            `(words,)` int32: the index of each word plus one; 0 for an empty word, which is
            padding.

        Raises:
            ValueError: if `words` is a bare str, or if one of them is not text.

        Example:

        >>> Vocabulary(["the", "cat"]).tokens_to_ids(["cat", "dog", ""], unknown_id=3).tolist()
        [2, 3, 0]
        """
        indices: dict[Any, int] = self._indices
        unknown = unknown_id - 1
        ids = (indices.get(word, unknown) + 1 if word else 0 for word in clean_words(words))
        return np.fromiter(ids, "int32")

    @functools.cached_property
    def _keys_and_values(self) -> tuple[list[str], list[int]]:
        return list(self._indices), list(self._indices.values())

    def table(self, default: int) -> Any:
        """Creates a TensorFlow lookup table from tokens to indices.

        The table is a resource: a layer that is exported with it must hold it as an attribute.

        Args:
            default: value for tokens that are not in the vocabulary.

        Returns:
            A `tf.lookup.StaticHashTable`, string to int32.
        """
        keys, values = self._keys_and_values
        if not keys:
            keys, values = [""], [default]  # TensorFlow refuses a table without entries.
        # The first use may be inside a graph; the table must outlive that graph.
        with tf.init_scope():
            return tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    tf.constant(keys, "string", shape=(len(keys),)),
                    tf.constant(values, "int32", shape=(len(values),)),
                ),
                default_value=default,
            )
