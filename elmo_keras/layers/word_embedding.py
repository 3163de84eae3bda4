"""A table of word vectors as the front end of a biLM."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from elmo_keras.layers.token_encoder import TokenEncoder
from elmo_keras.text.special_tokens import BEGIN_TOKEN, END_TOKEN, UNKNOWN_TOKEN
from elmo_keras.text.vocabulary import Vocabulary
from elmo_keras.text.word_ids import WordIds


@keras.saving.register_keras_serializable(package="elmo_keras")
class WordEmbedding(TokenEncoder):
    """Token vectors from a table with one row per word: the front end of biLMs that read words.

    It also replaces a character CNN whose vectors were computed for a fixed vocabulary (bilm-tf's
    `dump_token_embeddings`).

    Args:
        num_words: int. Number of words in the table.
        dim: int. Size of a word vector.
        vocabulary: list of str, or one str with one word per line: the words in the order of the
            table's rows. Defaults to `None`, for a model that only receives ids; as in bilm-tf, its
            first three rows belong to `begin`, `end` and `unknown`.
        begin: str. The word that begins a sentence. Defaults to `"<S>"`.
        end: str. The word that ends a sentence. Defaults to `"</S>"`.
        unknown: str. The word that replaces words outside of the vocabulary. Defaults to `"<UNK>"`.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Input shape:
        `(batch, time)` int, from `elmo_keras.text.WordIds`: the row of a word plus one, 0 as
        padding.

    Output shape:
        `(batch, time, dim)` float.

    Raises:
        ValueError: if the vocabulary does not have `num_words` words, or lacks `begin`, `end` or
            `unknown`; bilm-tf would silently cut sentences or use a wrong word. In a call, if ids
            are out of range.

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
        num_words: int,
        dim: int,
        vocabulary: str | Iterable[str] | None = None,
        begin: str = BEGIN_TOKEN,
        end: str = END_TOKEN,
        unknown: str = UNKNOWN_TOKEN,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_words = num_words
        self.dim = dim
        self.begin, self.end, self.unknown = begin, end, unknown
        self._has_vocabulary = vocabulary is not None
        self._vocabulary = Vocabulary([begin, end, unknown] if vocabulary is None else vocabulary)
        known = len(self._vocabulary)
        missing = [token for token in (begin, end, unknown) if token not in self._vocabulary]
        is_whole = known == num_words if self._has_vocabulary else known <= num_words
        if not is_whole or missing:
            raise ValueError(
                f"`vocabulary` must hold {num_words} words, including {begin!r}, {end!r} and "
                f"{unknown!r}. Received: {known} words"
                f"{' without ' + ', '.join(missing) if missing else ''}. Pass the vocabulary that "
                "the model was trained with."
            )

    @property
    def vocabulary(self) -> list[str] | None:
        """The words in the order of the table's rows, list of str, or `None`."""
        return self._vocabulary.tokens if self._has_vocabulary else None

    @property
    def ids_shape(self) -> tuple[int, ...]:
        return ()

    @property
    def ids_limit(self) -> int:
        return self.num_words + 1

    @property
    def output_dim(self) -> int:
        return self.dim

    def boundary_ids(self) -> tuple[np.ndarray, np.ndarray]:
        begin, end = map(self._vocabulary.token_to_index, (self.begin, self.end))
        return np.array(begin + 1, dtype="int32"), np.array(end + 1, dtype="int32")

    def text_layer(self) -> WordIds | None:
        if not self._has_vocabulary:
            return None
        return WordIds(self._vocabulary.text, unknown=self.unknown, name="word_ids")

    def numpy_ids(self, words: Iterable[str | bytes]) -> np.ndarray:
        """Returns the ids of words, without TensorFlow; equal to those of `text_layer()`.

        Args:
            words: iterable of str (or bytes, which are decoded as UTF-8).

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
                "a vocabulary, which accepts only ids. Load or build it with `vocabulary`, the "
                "words that it was trained with."
            )
        return self._vocabulary.tokens_to_ids(
            words, self._vocabulary.token_to_index(self.unknown) + 1
        )

    def build(self, input_shape: Any) -> None:
        self.embedding = keras.layers.Embedding(
            self.num_words + 1, self.dim, dtype=self.dtype_policy, name="embedding"
        )
        self.build_part(self.embedding, input_shape)
        self.keep_frozen()

    def call(self, ids: Any) -> Any:
        self.check_range(ids)
        return self.embedding(ids)  # (batch, time, dim)

    def encode(self, ids: Any) -> Any:
        """Computes the vectors of distinct words, without any checks.

        Args:
            ids: `(words,)` int. Zeros are padding.

        Returns:
            `(words, dim)` float.
        """
        return self.embedding(ids)

    def get_config(self) -> dict[str, Any]:
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
