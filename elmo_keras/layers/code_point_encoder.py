"""The front end of ELMoForManyLangs."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from elmo_keras.layers.char_cnn import PUBLISHED_FILTERS, CharCNN
from elmo_keras.layers.token_encoder import TokenEncoder
from elmo_keras.text.code_point_ids import CodePointIds


@keras.saving.register_keras_serializable(package="elmo_keras")
class CodePointEncoder(TokenEncoder):
    """Token vectors from a word table and a CNN over code points, as in ELMoForManyLangs.

    ```
    c = highway(...highway(activation(max_over_positions(conv_k(embedding[characters])))))
    y = W_projection [word_embedding[word]; c] + b_projection
    ```

    The dictionaries are part of the layer, so a saved or exported model needs no other files. The
    filler after a word takes part in the convolutions like any character. ELMoForManyLangs means
    its vector to be zero, but leaves it at a random vector of norm 1.

    Args:
        characters: the character dictionary, as in `elmo_keras.text.CodePointIds`. Defaults to
            `None`, no CNN.
        words: the word dictionary, as in `elmo_keras.text.CodePointIds`. Defaults to `None`, no
            word table.
        num_characters: int or `None`. Number of rows of the character table. Defaults to `None`,
            the size of the dictionary. ELMoForManyLangs drops dictionary entries that are white
            space but keeps their rows, so a table may have more rows than the dictionary.
        num_words: int or `None`. Number of rows of the word table. Defaults to `None`, the size of
            the dictionary.
        filters: list of `(width, number)` pairs, see `CharCNN`. Defaults to the published ones,
            2,048 filters in total.
        char_embedding_dim: int. Size of a character vector. Defaults to `50`.
        word_embedding_dim: int. Size of a word vector. Defaults to `100`.
        num_highways: int. Number of highway layers. Defaults to `2`.
        projection_dim: int. Size of a token vector. Defaults to `512`.
        activation: str or callable. Applied after the maximum over positions. Defaults to
            `"relu"`.
        max_characters: int. Number of character ids per token. Defaults to `50`.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Input shape:
        `(batch, time, ids)` int, from `elmo_keras.text.CodePointIds`.

    Output shape:
        `(batch, time, projection_dim)` float. The vectors of padded tokens are arbitrary.

    Raises:
        ValueError: if both dictionaries are missing, if one lacks a special token, or if a table
            has fewer rows than its dictionary has entries; in a call, if ids are out of range.

    Example:

    >>> import elmo_keras
    >>> special_tokens = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
    >>> encoder = elmo_keras.layers.CodePointEncoder(
    ...     characters=[*special_tokens, "我", "吃"], filters=[(1, 4), (2, 8)], projection_dim=6
    ... )
    >>> stack = elmo_keras.layers.BiLSTMStack(units=16, projection_dim=6, forget_bias=0.0)
    >>> elmo_keras.ElmoLayer(encoder, stack)([["我", "吃"]]).shape
    TensorShape([1, 2, 12])

    References:
        - [Che et al., 2018](https://aclanthology.org/K18-2005/)
        - ELMoForManyLangs, `elmoformanylangs/modules/token_embedder.py`
    """

    def __init__(
        self,
        characters: str | Iterable[str] | None = None,
        words: str | Iterable[str] | None = None,
        num_characters: int | None = None,
        num_words: int | None = None,
        filters: Sequence[Sequence[int]] = PUBLISHED_FILTERS,
        char_embedding_dim: int = 50,
        word_embedding_dim: int = 100,
        num_highways: int = 2,
        projection_dim: int = 512,
        activation: str | Callable[..., Any] = "relu",
        max_characters: int = 50,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.ids_layer = CodePointIds(characters, words, max_characters, name="code_point_ids")
        self.num_characters = _num_rows("characters", self.ids_layer.characters, num_characters)
        self.num_words = _num_rows("words", self.ids_layer.words, num_words)
        self.filters = tuple((int(width), int(number)) for width, number in filters)
        self.char_embedding_dim = char_embedding_dim
        self.word_embedding_dim = word_embedding_dim
        self.num_highways = num_highways
        self.projection_dim = projection_dim
        self.activation = keras.activations.get(activation)
        self.max_characters = max_characters

    @property
    def has_characters(self) -> bool:
        """Whether there is a CNN over characters."""
        return self.ids_layer.characters is not None

    @property
    def has_words(self) -> bool:
        """Whether there is a word table."""
        return self.ids_layer.words is not None

    @property
    def ids_shape(self) -> tuple[int, ...]:
        return self.ids_layer.ids_shape

    @property
    def ids_limit(self) -> np.ndarray:
        limits = [self.num_words + 1] if self.has_words else []
        if self.has_characters:
            limits += [self.num_characters + 1] * self.max_characters
        return np.array(limits, dtype="int32")

    @property
    def output_dim(self) -> int:
        return self.projection_dim

    def boundary_ids(self) -> tuple[np.ndarray, np.ndarray]:
        return self.ids_layer.boundary_ids()

    def text_layer(self) -> CodePointIds:
        return self.ids_layer

    def numpy_ids(self, words: Iterable[str | bytes]) -> np.ndarray:
        """Returns the ids of words, without TensorFlow; equal to those of `text_layer()`.

        Args:
            words: iterable of str (or bytes, which are decoded as UTF-8).

        Returns:
            `(len(words), *ids_shape)` int32, one row for each word: the id of the word, if there
            is a word table, then the ids of its characters, if there is a CNN. The row of an empty
            word is zeros.

        Raises:
            ValueError: if `words` is a bare str, or if one of them is not text.

        Example:

        >>> import elmo_keras
        >>> special_tokens = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
        >>> encoder = elmo_keras.layers.CodePointEncoder(
        ...     characters=[*special_tokens, "我", "吃"], filters=[(1, 4)], max_characters=5
        ... )
        >>> encoder.numpy_ids(["吃我", "x"]).tolist()
        [[6, 8, 7, 5, 4], [6, 3, 5, 4, 4]]
        """
        return self.ids_layer.numpy_ids(words)

    def build(self, input_shape: Any) -> None:
        dtype = self.dtype_policy
        dim = 0
        self.char_cnn: CharCNN | None = None
        self.word_embedding: keras.layers.Embedding | None = None
        if self.has_characters:
            self.char_cnn = CharCNN(
                self.filters,
                self.char_embedding_dim,
                self.num_highways,
                projection_dim=None,
                activation=self.activation,
                max_characters=self.max_characters,
                num_characters=self.num_characters + 1,  # 0 is padding
                dtype=dtype,
                name="char_cnn",
            )
            self.build_part(self.char_cnn, (None, None, self.max_characters))
            dim += self.char_cnn.output_dim
        if self.has_words:
            self.word_embedding = keras.layers.Embedding(
                self.num_words + 1, self.word_embedding_dim, dtype=dtype, name="word_embedding"
            )
            self.build_part(self.word_embedding, (None, None))
            dim += self.word_embedding_dim
        self.projection = keras.layers.Dense(self.projection_dim, dtype=dtype, name="projection")
        self.build_part(self.projection, (None, None, dim))
        self.keep_frozen()

    def call(self, ids: Any) -> Any:
        self.check_range(ids)
        return self._project(ids, self.char_cnn)  # (batch, time, projection_dim)

    def encode(self, ids: Any) -> Any:
        """Computes the vectors of distinct words, without any checks.

        Args:
            ids: `(words, *ids_shape)` int, at least one word. Rows of zeros are padding.

        Returns:
            `(words, projection_dim)` float.
        """
        return self._project(ids, None if self.char_cnn is None else self.char_cnn.encode)

    def _project(self, ids: Any, char_cnn: Callable[[Any], Any] | None) -> Any:
        """Projects the word vectors and the results of `char_cnn`, concatenated."""
        x = []
        if self.word_embedding is not None:
            x.append(self.word_embedding(ids[..., 0]))
        if char_cnn is not None:
            x.append(char_cnn(ids[..., 1:] if self.has_words else ids))
        x = ops.concatenate(x, axis=-1) if len(x) > 1 else x[0]  # words first
        return self.projection(x)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        dictionaries = self.ids_layer.get_config()
        config.update(
            {
                "characters": dictionaries["characters"],
                "words": dictionaries["words"],
                "num_characters": self.num_characters if self.has_characters else None,
                "num_words": self.num_words if self.has_words else None,
                "filters": [list(pair) for pair in self.filters],
                "char_embedding_dim": self.char_embedding_dim,
                "word_embedding_dim": self.word_embedding_dim,
                "num_highways": self.num_highways,
                "projection_dim": self.projection_dim,
                "activation": keras.activations.serialize(self.activation),
                "max_characters": self.max_characters,
            }
        )
        return config


def _num_rows(name: str, dictionary: list[str] | None, number: int | None) -> int:
    """Returns the number of rows of a table, which defaults to the size of its dictionary."""
    known = 0 if dictionary is None else len(dictionary)
    if number is not None and number < known:
        raise ValueError(
            f"There must be a row for each entry of the dictionary of {name}. Received: {known} "
            f"entries and num_{name}={number}. Leave `num_{name}` out, or pass the number of rows "
            "of the trained table."
        )
    return known if number is None else number
