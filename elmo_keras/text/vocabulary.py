"""Which id a token has, where ids are numbers in a list."""

import functools
from collections.abc import Iterable

import numpy as np

from elmo_keras.text.word_lists import clean_words
from elmo_keras.utils.optional_module import tensorflow as tf


class Vocabulary:
    """Tokens in the order of their numbers.

    Args:
        tokens: list of str, or one str with a token a line, as `text` gives it. `""` stands for a
            number that no token has.

    Raises:
        ValueError: if a token comes twice, or holds a line break.

    Example:

    >>> vocabulary = Vocabulary(["the", "", "cat"])
    >>> len(vocabulary), vocabulary.number_of("cat"), vocabulary.text
    (3, 2, 'the\\n\\ncat')
    """

    def __init__(self, tokens):
        self.tokens = tokens.split("\n") if isinstance(tokens, str) else list(tokens)
        for number, token in enumerate(self.tokens):
            if not isinstance(token, str) or "\n" in token:
                raise ValueError(
                    "A vocabulary must hold str without line breaks. "
                    f"Received: {token!r} as number {number}."
                )
        if len(self._numbers) != len(self.tokens) - self.tokens.count(""):
            twice = next(t for n, t in enumerate(self.tokens) if t and self._numbers[t] != n)
            raise ValueError(
                "A vocabulary must hold each token once. "
                f"Received: {twice!r} as numbers {self.tokens.index(twice)} and "
                f"{self._numbers[twice]}."
            )

    @functools.cached_property
    def _numbers(self):
        return {token: number for number, token in enumerate(self.tokens) if token}

    @property
    def text(self):
        """All of it in one str, a token a line: what a layer's config holds."""
        return "\n".join(self.tokens)

    def __len__(self):
        return len(self.tokens)

    def __contains__(self, token):
        return token in self._numbers

    def number_of(self, token, default=None):
        """The number of a token, or `default`."""
        return self._numbers.get(token, default)

    def ids_of(self, words: Iterable[str], unknown_id: int) -> np.ndarray:
        """The ids of words, in numpy: equal to those of the layer `WordIds`.

        Args:
            words: iterable of str (or bytes).
            unknown_id: int. The id of the words that are not in the vocabulary.

        Returns:
            `(words,)` int32: a word's number plus one; 0 for an empty word, which is padding.

        Raises:
            ValueError: if `words` is a bare str, or if one of them is not text.
        """
        numbers, unknown = self._numbers, unknown_id - 1
        ids = (numbers.get(word, unknown) + 1 if word else 0 for word in clean_words(words))
        return np.fromiter(ids, "int32")

    @functools.cached_property
    def _keys_and_values(self):
        numbers = self._numbers
        return list(numbers), list(numbers.values())

    def table(self, default):
        """A TensorFlow lookup table, tokens to their numbers and all others to `default`.

        It is a resource: whoever exports a model with it must hold it as an attribute.
        """
        keys, values = self._keys_and_values
        # Made where it is first used, which may be inside a graph; it outlives that graph.
        with tf.init_scope():
            return tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    tf.constant(keys, "string", shape=(len(keys),)),
                    tf.constant(values, "int32", shape=(len(values),)),
                ),
                default_value=default,
            )
