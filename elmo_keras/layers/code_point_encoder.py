from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from elmo_keras.layers.char_cnn import PUBLISHED_FILTERS, CharCNN
from elmo_keras.layers.token_encoder import TokenEncoder
from elmo_keras.text.code_point_ids import CodePointIds


@keras.saving.register_keras_serializable(package="elmo_keras")
class CodePointEncoder(TokenEncoder):
    """Token vectors from a table of words and a CNN over code points: ELMoForManyLangs' front end.

    ```
    c = highway(...highway(activation(max_over_positions(conv_k(embedding[characters])))))
    y = W_projection [word_embedding[word]; c] + b_projection
    ```

    Its dictionaries are part of it: a model that is saved or exported needs no files beside it.
    The filler behind a word has a row of the table like any character, and takes part in the
    convolutions: the program means it to be zero, and leaves it at a random vector of length 1.

    Args:
        characters: the dictionary of characters, as in `elmo_keras.text.CodePointIds`, or `None`:
            no CNN.
        words: the dictionary of words, or `None`: no table of words.
        num_characters: int or `None`. Rows of the table of characters. Defaults to `None`, as many
            as the dictionary has. The program drops entries whose key is white space and keeps
            their rows, so that there may be more.
        num_words: int or `None`. The same for words.
        filters: list of `(width, number)` pairs. Defaults to the published ones, 2,048 in all.
        char_embedding_dim: int. Size of a character's vector. Defaults to `50`.
        word_embedding_dim: int. Size of a word's vector. Defaults to `100`.
        num_highways: int. Highway layers. Defaults to `2`.
        projection_dim: int. Size of a token's vector. Defaults to `512`.
        activation: str or callable. Applied after the maximum over positions. Defaults to
            `"relu"`.
        max_characters: int. Ids of a token's characters. Defaults to `50`.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Input shape:
        `(batch, time, ids)` int, as `elmo_keras.text.CodePointIds` makes them.

    Output shape:
        `(batch, time, projection_dim)` float.

    Example:

    >>> import elmo_keras
    >>> marks = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
    >>> encoder = elmo_keras.layers.CodePointEncoder(
    ...     characters=[*marks, "我", "吃"], filters=[(1, 4), (2, 8)], projection_dim=6
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
        characters=None,
        words=None,
        num_characters=None,
        num_words=None,
        filters=PUBLISHED_FILTERS,
        char_embedding_dim=50,
        word_embedding_dim=100,
        num_highways=2,
        projection_dim=512,
        activation="relu",
        max_characters=50,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.ids_layer = CodePointIds(characters, words, max_characters, name="code_point_ids")
        sizes = {"characters": num_characters, "words": num_words}
        for name, size in sizes.items():
            dictionary = getattr(self.ids_layer, name)
            known = 0 if dictionary is None else len(dictionary)
            sizes[name] = known if size is None else size
            if sizes[name] < known:
                raise ValueError(
                    f"There must be a row for each entry of the dictionary of {name}. Received: "
                    f"{known} entries and num_{name}={size}."
                )
        self.num_characters, self.num_words = sizes["characters"], sizes["words"]
        self.filters = tuple((int(width), int(number)) for width, number in filters)
        self.char_embedding_dim = char_embedding_dim
        self.word_embedding_dim = word_embedding_dim
        self.num_highways = num_highways
        self.projection_dim = projection_dim
        self.activation = keras.activations.get(activation)
        self.max_characters = max_characters

    @property
    def has_characters(self):
        """Whether there is a CNN over characters."""
        return self.ids_layer.characters is not None

    @property
    def has_words(self):
        """Whether there is a table of words."""
        return self.ids_layer.words is not None

    @property
    def ids_shape(self):
        return self.ids_layer.ids_shape

    @property
    def ids_limit(self):
        limits = [self.num_words + 1] if self.has_words else []
        if self.has_characters:
            limits += [self.num_characters + 1] * self.max_characters
        return np.array(limits, dtype="int32")

    @property
    def output_dim(self):
        return self.projection_dim

    def boundary_ids(self):
        return self.ids_layer.boundary_ids()

    def text_layer(self):
        return self.ids_layer

    def numpy_ids(self, words: Iterable[str]) -> np.ndarray:
        """The ids of words, as `text_layer()` makes them, without TensorFlow.

        Args:
            words: iterable of str. bytes are read as UTF-8.

        Returns:
            `(len(words), *ids_shape)` int32, one row a word: the id of the word, if there is a
            table of words, then those of its characters, if there is a CNN. Zeros for an empty
            word.

        Raises:
            ValueError: if `words` is a bare str, or if one of them is not text.

        Example:

        >>> import elmo_keras
        >>> marks = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
        >>> encoder = elmo_keras.layers.CodePointEncoder(
        ...     characters=[*marks, "我", "吃"], filters=[(1, 4)], max_characters=5
        ... )
        >>> encoder.numpy_ids(["吃我", "x"]).tolist()
        [[6, 8, 7, 5, 4], [6, 3, 5, 4, 4]]
        """
        return self.ids_layer.numpy_ids(words)

    def build(self, input_shape):
        dtype = self.dtype_policy
        dim = 0
        self.char_cnn = self.word_embedding = None
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

    def call(self, ids):
        self.check_range(ids)
        return self._project(ids, self.char_cnn)  # (batch, time, projection_dim)

    def encode(self, ids):
        """The vectors of words that are different already; nothing is checked.

        Args:
            ids: `(words, *ids_shape)` int, at least one word. Rows of zeros are padding.

        Returns:
            `(words, projection_dim)` float.
        """
        return self._project(ids, self.char_cnn.encode if self.has_characters else None)

    def _project(self, ids, char_cnn):
        """The projection of the parts of a word; `char_cnn` is applied to its characters."""
        x = []
        if self.has_words:
            x.append(self.word_embedding(ids[..., 0]))
        if self.has_characters:
            x.append(char_cnn(ids[..., 1:] if self.has_words else ids))
        x = ops.concatenate(x, axis=-1) if len(x) > 1 else x[0]  # words first
        return self.projection(x)

    def get_config(self):
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
