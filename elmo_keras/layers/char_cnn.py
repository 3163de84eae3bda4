"""The character CNN: ELMo's token vectors, independent of context."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from elmo_keras import backend
from elmo_keras.layers.highway import Highway
from elmo_keras.layers.token_encoder import TokenEncoder
from elmo_keras.text import byte_alphabet as alphabet
from elmo_keras.text.character_ids import CharacterIds

PUBLISHED_FILTERS = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))


@keras.saving.register_keras_serializable(package="elmo_keras")
class CharCNN(TokenEncoder):
    """Token vectors from characters, independent of context: the first layer of ELMo.

    Character vectors are convolved with filters of several widths. Of each filter, the largest
    value over all positions of the token is kept, including positions of the filler, as in bilm-tf
    and AllenNLP. Highway layers and a linear projection follow.

    ```
    e = embedding[ids]
    f = activation(max_over_positions(conv_k(e)))   for each filter k, concatenated
    y = W_projection highway(...highway(f)) + b_projection
    ```

    Each distinct token of a batch is computed once, except on JAX and under XLA, where shapes must
    not depend on values.

    Args:
        filters: list of `(width, number)` pairs: a width in characters, and the number of filters
            of that width. Defaults to the published ones, 2,048 filters in total.
        char_embedding_dim: int. Size of a character vector. Defaults to `16`.
        num_highways: int. Number of highway layers. Defaults to `1`.
        projection_dim: int or `None`. Size of a token vector; `None` leaves out the projection.
            Defaults to `128`.
        activation: str or callable. Applied after the maximum over positions. Defaults to
            `"relu"`.
        max_characters: int. Number of ids per token. Defaults to `50`.
        num_characters: int. Number of different ids, including 0 for padding. Defaults to `262`,
            the byte alphabet.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Input shape:
        `(batch, time, max_characters)` int, from `elmo_keras.text.CharacterIds`.

    Output shape:
        `(batch, time, projection_dim)` float. The vectors of padded tokens are arbitrary.

    Raises:
        ValueError: if `filters`, `activation` or `max_characters` has a wrong value; in a call, if
            ids are out of range.

    Example:

    >>> import elmo_keras
    >>> ids = elmo_keras.text.CharacterIds()([["The", "cat"]])
    >>> elmo_keras.layers.CharCNN(filters=[(1, 4), (2, 8)], projection_dim=6)(ids).shape
    TensorShape([1, 2, 6])

    References:
        - [Kim et al., 2016](https://arxiv.org/abs/1508.06615)
        - [Peters et al., 2018](https://arxiv.org/abs/1802.05365)
        - bilm-tf, `bilm/model.py`, `_build_word_char_embeddings`
    """

    def __init__(
        self,
        filters: Sequence[Sequence[int]] = PUBLISHED_FILTERS,
        char_embedding_dim: int = 16,
        num_highways: int = 1,
        projection_dim: int | None = 128,
        activation: str | Callable[..., Any] = "relu",
        max_characters: int = 50,
        num_characters: int = alphabet.NUM_CHARACTERS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = tuple((int(width), int(number)) for width, number in filters)
        widest = max((width for width, _ in self.filters), default=0)
        if not self.filters or min(min(pair) for pair in self.filters) < 1:
            raise ValueError(
                "`filters` must be pairs (width, number) of positive ints. "
                f"Received: filters={filters}. Leave it out for the published filters."
            )
        if max_characters < max(widest, alphabet.MIN_CHARACTERS):
            raise ValueError(
                "`max_characters` must be at least the widest filter and at least "
                f"{alphabet.MIN_CHARACTERS}. Received: max_characters={max_characters}, widest "
                f"filter {widest}. Use 50, the value of the published models."
            )
        self.char_embedding_dim = char_embedding_dim
        self.num_highways = num_highways
        self.projection_dim = projection_dim
        self.activation = _activation(activation)
        self.max_characters = max_characters
        self.num_characters = num_characters

    @property
    def ids_shape(self) -> tuple[int, ...]:
        return (self.max_characters,)

    @property
    def ids_limit(self) -> int:
        return self.num_characters

    @property
    def num_filters(self) -> int:
        """Number of filters of all widths, the size of a token vector before the projection."""
        return sum(number for _, number in self.filters)

    @property
    def output_dim(self) -> int:
        return self.projection_dim or self.num_filters

    def boundary_ids(self) -> tuple[np.ndarray, np.ndarray]:
        return alphabet.boundary_ids(self.max_characters)

    def text_layer(self) -> CharacterIds:
        return CharacterIds(self.max_characters, name="character_ids")

    def numpy_ids(self, words: Iterable[str | bytes]) -> np.ndarray:
        """Returns the character ids of words, without TensorFlow; equal to those of `text_layer()`.

        Args:
            words: iterable of str (or bytes, which need not be UTF-8).

        Returns:
            `(len(words), max_characters)` int32, one row for each word; zeros for an empty word.

        Raises:
            ValueError: if `words` is a bare str, or if one of them is not text.

        Example:

        >>> import elmo_keras
        >>> encoder = elmo_keras.layers.CharCNN(filters=[(1, 4)], max_characters=5)
        >>> encoder.numpy_ids(["cat", "a"]).tolist()
        [[259, 100, 98, 117, 260], [259, 98, 260, 261, 261]]
        """
        return alphabet.character_ids(words, self.max_characters)

    def build(self, input_shape: Any) -> None:
        dtype = self.dtype_policy
        self.char_embedding = keras.layers.Embedding(
            self.num_characters,
            self.char_embedding_dim,
            embeddings_initializer=keras.initializers.RandomUniform(-1.0, 1.0),
            dtype=dtype,
            name="char_embedding",
        )
        self.convolutions = [
            keras.layers.Conv1D(number, width, dtype=dtype, name=f"convolution_{i}")
            for i, (width, number) in enumerate(self.filters)
        ]
        self.highways = [
            Highway(dtype=dtype, name=f"highway_{i}") for i in range(self.num_highways)
        ]
        self.projection = None
        if self.projection_dim:
            self.projection = keras.layers.Dense(
                self.projection_dim, dtype=dtype, name="projection"
            )

        self.build_part(self.char_embedding, (None, self.max_characters))
        for convolution in self.convolutions:
            self.build_part(convolution, (None, self.max_characters, self.char_embedding_dim))
        for layer in [*self.highways, *([self.projection] if self.projection else [])]:
            self.build_part(layer, (None, None, self.num_filters))
        self.keep_frozen()

    def call(self, ids: Any) -> Any:
        self.check_range(ids)
        batch, time = ops.shape(ids)[0], ops.shape(ids)[1]
        rows = ops.reshape(ids, (-1, self.max_characters))  # (batch * time, max_characters)
        # TensorFlow's convolution needs at least one row, also for an empty batch.
        rows = ops.pad(rows, [[0, 1], [0, 0]])
        rows, places = backend.distinct(rows)
        x = self.encode(rows)  # (tokens, output_dim)
        if places is not None:
            x = ops.take(x, places, axis=0)  # (batch * time + 1, output_dim)
        return ops.reshape(x[:-1], (batch, time, self.output_dim))

    def encode(self, characters: Any) -> Any:
        """Computes the vectors of distinct words, without any checks.

        Args:
            characters: `(words, max_characters)` int, at least one word. Rows of zeros are padding.

        Returns:
            `(words, output_dim)` float.
        """
        if backend.has_dynamic_shapes(characters):
            x = self._convolve_by_length(characters)
        else:
            x = self._convolve(characters)  # (tokens, num_filters)
        for highway in self.highways:
            x = highway(x)
        return self.projection(x) if self.projection else x

    def _convolve(self, characters: Any) -> Any:
        """Returns each filter's largest value over all positions, `(tokens, num_filters)`."""
        characters = self.char_embedding(characters)  # (tokens, characters, char_embedding_dim)
        x = [self.activation(_largest(layer, characters)) for layer in self.convolutions]
        return ops.concatenate(x, axis=-1)

    def _convolve_by_length(self, characters: Any) -> Any:
        """Does the same for short and long tokens separately, without most of the filler.

        After the end of a token, every window of a filter contains only filler and has the same
        value. One such window is kept, so the largest value over all windows does not change.
        """
        differs = ops.not_equal(characters, characters[:, -1:])
        ends = ops.max(ops.where(differs, ops.arange(1, self.max_characters + 1), 0), axis=1)
        widest = max(width for width, _ in self.filters)
        ends = ops.minimum(ends + widest, self.max_characters)
        order = ops.argsort(ends)
        ends = ops.take(ends, order)  # ascending

        # The split with the fewest positions in total. A single token is in both parts.
        number = ops.size(ends)
        shorter = ops.arange(1, number + 1)
        shorter = ops.argmin(shorter * ends + (number - shorter) * ends[-1]) + 1
        longer = ops.minimum(shorter, number - 1)
        parts = [(order[:shorter], ends[shorter - 1]), (order[longer:], ends[-1])]
        x = [self._convolve(ops.take(characters, rows, axis=0)[:, :end]) for rows, end in parts]
        return ops.take(ops.concatenate(x, axis=0), ops.argsort(order), axis=0)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "filters": [list(pair) for pair in self.filters],
                "char_embedding_dim": self.char_embedding_dim,
                "num_highways": self.num_highways,
                "projection_dim": self.projection_dim,
                "activation": keras.activations.serialize(self.activation),
                "max_characters": self.max_characters,
                "num_characters": self.num_characters,
            }
        )
        return config


def _largest(convolution: keras.layers.Conv1D, characters: Any) -> Any:
    """Returns each filter's largest value over all positions, including filler.

    The bias is added after the maximum, to `(tokens, filters)` values instead of `(tokens,
    positions, filters)`. Rounding is monotonic, so the result is the same.
    """
    kernel, bias = (
        ops.cast(weight, characters.dtype) for weight in (convolution.kernel, convolution.bias)
    )
    return ops.max(convolution.convolution_op(characters, kernel), axis=1) + bias


def _activation(identifier: str | Callable[..., Any]) -> Callable[..., Any]:
    try:
        return keras.activations.get(identifier)
    except ValueError as error:
        raise ValueError(
            "`activation` must be a callable or the name of a Keras activation. "
            f"Received: activation={identifier!r}. Published models use 'relu' or 'tanh'."
        ) from error
