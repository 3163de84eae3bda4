from collections.abc import Iterable

import keras
import numpy as np

from elmo_keras.layers.token_encoder import TokenEncoder
from elmo_keras.text.vocabulary import Vocabulary
from elmo_keras.text.word_ids import WordIds


@keras.saving.register_keras_serializable(package="elmo_keras")
class WordEmbedding(TokenEncoder):
    """Token vectors out of a table, one row a word: the front end of biLMs that read words.

    Also what stands in place of a character CNN whose vectors have been computed for a fixed
    vocabulary (bilm-tf's `dump_token_embeddings`).

    Args:
        num_words: int. Words in the table.
        dim: int. Size of a word's vector.
        vocabulary: list of str, or one str with a word a line: the words in the order of the
            table's rows. `None`, the default, is for models that are only given ids; the first
            three rows are then those of `begin`, `end` and `unknown`, as bilm-tf has them.
        begin: str. The word that begins a sentence. Defaults to `"<S>"`.
        end: str. The word that ends a sentence. Defaults to `"</S>"`.
        unknown: str. The word that stands for those not in the vocabulary. Defaults to `"<UNK>"`.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Input shape:
        `(batch, time)` int: a word's row plus one, 0 as padding, as `elmo_keras.text.WordIds`
        makes them.

    Output shape:
        `(batch, time, dim)` float.

    Raises:
        ValueError: if the vocabulary has another number of words, or lacks `begin`, `end` or
            `unknown`: without them bilm-tf would silently cut sentences or take a wrong word.

    Example:

    >>> import elmo_keras
    >>> words = ["<S>", "</S>", "<UNK>", "the", "cat"]
    >>> encoder = elmo_keras.layers.WordEmbedding(5, 6, vocabulary=words)
    >>> elmo = elmo_keras.ElmoLayer(
    ...     encoder, elmo_keras.layers.BiLSTMStack(units=16, projection_dim=6)
    ... )
    >>> elmo([["the", "cat"]]).shape
    TensorShape([1, 2, 12])

    References:
        - bilm-tf, `bilm/model.py`, `_build_word_embeddings`; `bilm/data.py`, TokenBatcher
    """

    def __init__(
        self,
        num_words,
        dim,
        vocabulary=None,
        begin="<S>",
        end="</S>",
        unknown="<UNK>",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_words = num_words
        self.dim = dim
        self.begin, self.end, self.unknown = begin, end, unknown
        self._has_vocabulary = vocabulary is not None
        self._vocabulary = Vocabulary(vocabulary if self._has_vocabulary else [begin, end, unknown])
        known = len(self._vocabulary)
        missing = [mark for mark in (begin, end, unknown) if mark not in self._vocabulary]
        is_whole = known == num_words if self._has_vocabulary else known <= num_words
        if not is_whole or missing:
            raise ValueError(
                f"`vocabulary` must hold {num_words} words, {begin!r}, {end!r} and {unknown!r} "
                f"among them. Received: {known} words"
                f"{' without ' + ', '.join(missing) if missing else ''}. It must be the file that "
                "the model was trained with."
            )

    @property
    def vocabulary(self):
        """The words in the order of the table's rows, list of str, or `None`."""
        return self._vocabulary.tokens if self._has_vocabulary else None

    @property
    def ids_shape(self):
        return ()

    @property
    def ids_limit(self):
        return self.num_words + 1

    @property
    def output_dim(self):
        return self.dim

    def boundary_ids(self):
        indices = (self._vocabulary.token_to_index(token) for token in (self.begin, self.end))
        return tuple(np.array(index + 1, dtype="int32") for index in indices)

    def text_layer(self):
        if not self._has_vocabulary:
            return None
        return WordIds(self._vocabulary.text, unknown=self.unknown, name="word_ids")

    def numpy_ids(self, words: Iterable[str]) -> np.ndarray:
        """The ids of words, as `text_layer()` makes them, without TensorFlow.

        Args:
            words: iterable of str. bytes are read as UTF-8.

        Returns:
            `(len(words),)` int32; 0 for an empty word.

        Raises:
            ValueError: if the layer has no vocabulary, if `words` is a bare str, or if one of them
                is not text.

        Example:

        >>> import elmo_keras
        >>> words = ["<S>", "</S>", "<UNK>", "the", "cat"]
        >>> encoder = elmo_keras.layers.WordEmbedding(5, 6, vocabulary=words)
        >>> encoder.numpy_ids(["the", "dog", "cat"]).tolist()
        [4, 3, 5]
        """
        if not self._has_vocabulary:
            raise ValueError(
                "A WordEmbedding needs its vocabulary to make ids of words. Received: one without "
                "a vocabulary, which takes ids alone. Load or build it with `vocabulary`, the "
                "file of words that it was trained with."
            )
        return self._vocabulary.tokens_to_ids(
            words, self._vocabulary.token_to_index(self.unknown) + 1
        )

    def build(self, input_shape):
        self.embedding = keras.layers.Embedding(
            self.num_words + 1, self.dim, dtype=self.dtype_policy, name="embedding"
        )
        self.build_part(self.embedding, input_shape)
        self.keep_frozen()

    def call(self, ids):
        self.check_range(ids)
        return self.embedding(ids)  # (batch, time, dim)

    def encode(self, ids):
        """The vectors of words that are different already; nothing is checked.

        Args:
            ids: `(words,)` int. Zeros are padding.

        Returns:
            `(words, dim)` float.
        """
        return self.embedding(ids)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_words": self.num_words,
                "dim": self.dim,
                "vocabulary": self._vocabulary.text if self._has_vocabulary else None,
                "begin": self.begin,
                "end": self.end,
                "unknown": self.unknown,
            }
        )
        return config
