from collections.abc import Iterable

import keras
import numpy as np

from elmo_keras.text.text_layer import TextLayer, at_least_one_step
from elmo_keras.text.vocabulary import Vocabulary
from elmo_keras.utils.optional_module import tensorflow as tf


@keras.saving.register_keras_serializable(package="elmo_keras")
class WordIds(TextLayer):
    """Tokens to the ids of whole words, which a table of word vectors is read with.

    A word's id is its place in the vocabulary plus one, so that padding is 0.

    Args:
        vocabulary: list of str, or one str with a word a line: the words in the order of their
            ids; `""` for an id that no word has.
        unknown: str or `None`. The word of the vocabulary whose id other words get; `None`, the
            default, gives them the id behind the last one, `len(vocabulary) + 1`.
        **kwargs: Layer keyword arguments, like `name`.

    Input shape:
        `(batch, time)` string, `""` as padding on the right. Python lists of lists of str too.

    Output shape:
        `(batch, time)` int32, with at least one time step.

    Raises:
        ValueError: if a word comes twice, or `unknown` is not in the vocabulary.

    Example:

    >>> import elmo_keras
    >>> ids = elmo_keras.text.WordIds(["the", "cat"])([["the", "dog"], ["cat"]])
    >>> ids.numpy().tolist()
    [[1, 3], [2, 0]]
    """

    def __init__(self, vocabulary, unknown=None, **kwargs):
        super().__init__(**kwargs)
        self._vocabulary = Vocabulary(vocabulary)
        if unknown is not None and unknown not in self._vocabulary:
            raise ValueError(
                "`unknown` must be a word of the vocabulary, or None. "
                f"Received: unknown={unknown!r}"
            )
        self.unknown = unknown
        self._table = None

    @property
    def vocabulary(self):
        """The words, list of str."""
        return self._vocabulary.tokens

    @property
    def unknown_id(self):
        """The id of a word that the vocabulary lacks."""
        return self._vocabulary.number_of(self.unknown, len(self._vocabulary)) + 1

    def numpy_ids(self, words: Iterable[str]) -> np.ndarray:
        """The ids of words as a numpy array, without TensorFlow.

        Args:
            words: iterable of str.

        Returns:
            `(len(words),)` int32; 0 for an empty word.

        Raises:
            ValueError: if `words` is a bare str, or if one of them is not text.
        """
        return self._vocabulary.ids_of(words, self.unknown_id)

    def call(self, tokens):
        self.check_text(tokens, rank=2, form="tokens of shape (batch, time), dtype string")
        tokens = at_least_one_step(tokens)
        if self._table is None:
            self._table = self._vocabulary.table(default=self.unknown_id - 1)
        ids = self._table.lookup(tokens) + 1
        return tf.where(tf.equal(tokens, ""), 0, ids)  # (batch, time)

    def compute_output_spec(self, tokens):
        return keras.KerasTensor(tokens.shape, dtype="int32")

    def get_config(self):
        config = super().get_config()
        config.update({"vocabulary": self._vocabulary.text, "unknown": self.unknown})
        return config
