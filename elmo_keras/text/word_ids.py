"""The layer that turns tokens into ids of whole words."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from elmo_keras.text.text_layer import TokenIdsLayer
from elmo_keras.text.vocabulary import Vocabulary
from elmo_keras.utils.optional_module import tensorflow as tf


@keras.saving.register_keras_serializable(package="elmo_keras")
class WordIds(TokenIdsLayer):
    """Turns tokens into ids of whole words, for a table of word vectors.

    The id of a word is its index in the vocabulary plus one; 0 is padding.

    Args:
        vocabulary: list of str, or one str with one word per line: the words in the order of their
            ids; `""` for an id without a word.
        unknown: str or `None`. The word of the vocabulary whose id other words get; `None`, the
            default, gives them the id after the last one, `len(vocabulary) + 1`.
        **kwargs: Layer keyword arguments, like `name`.

    Input shape:
        `(batch, time)` string, `""` as padding on the right. Python lists of lists of str too.

    Output shape:
        `(batch, time)` int32, with at least one time step.

    Raises:
        ValueError: if a word appears twice, or `unknown` is not in the vocabulary.

    Example:

    >>> import elmo_keras
    >>> ids = elmo_keras.text.WordIds(["the", "cat"])([["the", "dog"], ["cat"]])
    >>> ids.numpy().tolist()
    [[1, 3], [2, 0]]
    """

    def __init__(
        self, vocabulary: str | Iterable[str], unknown: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._vocabulary = Vocabulary(vocabulary)
        if unknown is not None and unknown not in self._vocabulary:
            raise ValueError(
                "`unknown` must be a word of the vocabulary, or None. "
                f"Received: unknown={unknown!r}. Add it to the vocabulary, or pass None."
            )
        self.unknown = unknown
        self._table: Any = None

    @property
    def vocabulary(self) -> list[str]:
        """The words, list of str."""
        return self._vocabulary.tokens

    @property
    def unknown_id(self) -> int:
        """The id of words that are not in the vocabulary."""
        return self._vocabulary.token_to_index(self.unknown, len(self._vocabulary)) + 1

    def numpy_ids(self, words: Iterable[str | bytes]) -> np.ndarray:
        """Returns the ids of words as a numpy array, without TensorFlow.

        Args:
            words: iterable of str.

        Returns:
            `(len(words),)` int32; 0 for an empty word.

        Raises:
            ValueError: if `words` is a bare str, or if one of them is not text.
        """
        return self._vocabulary.tokens_to_ids(words, self.unknown_id)

    def _token_ids(self, tokens: Any) -> Any:
        if self._table is None:
            self._table = self._vocabulary.table(default=self.unknown_id - 1)
        ids = self._table.lookup(tokens) + 1
        return tf.where(tf.equal(tokens, ""), 0, ids)  # (batch, time)

    def compute_output_spec(self, tokens: Any) -> Any:
        return keras.KerasTensor(tokens.shape, dtype="int32")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update({"vocabulary": self._vocabulary.text, "unknown": self.unknown})
        return config
