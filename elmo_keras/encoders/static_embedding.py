"""Word vectors without context, as a Keras layer."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from elmo_keras import backend
from elmo_keras.encoders.text_encoder import TextEncoder, check_bool
from elmo_keras.files.static_vectors import read_static_vectors
from elmo_keras.layers.composite import serialize_part
from elmo_keras.layers.masking import FillPadding
from elmo_keras.layers.weight_loading import given_weights
from elmo_keras.text.conversion import refuse_spaces
from elmo_keras.text.lowercase import lowercase as to_lowercase
from elmo_keras.text.lowercase import lowercase_word
from elmo_keras.text.tokenizer import Tokenizer
from elmo_keras.text.word_ids import WordIds
from elmo_keras.text.word_lists import clean_words


@keras.saving.register_keras_serializable(package="elmo_keras")
class StaticEmbedding(TextEncoder):
    """Word vectors without context: word2vec, fastText or GloVe.

    The layer accepts the inputs of an `ElmoLayer` and splits sentences in the same way. It is a
    baseline for an ElmoLayer, or its complement: the models of the ELMo paper concatenate both.
    `from_file` reads the vectors.

    Note on masking: the output has a Keras mask, and padded positions are exactly 0. A word outside
    of the vocabulary also has a zero vector, but is not masked.

    Args:
        vocabulary: list of str, or one str with one word a line: the words in the order of the
            vectors, `""` for a vector without a word.
        dim: int. Size of a vector.
        tokenizer: `elmo_keras.text.Tokenizer` for raw sentences, or the name of its method.
            Defaults to `"words"`.
        lowercase: bool. Whether to look words up in lower case, for vectors of lowercased text.
            Inputs of ids are not changed. Defaults to `False`.
        allow_spaces: bool. Whether tokens outside of the vocabulary may contain white space.
            Defaults to `False`: such a token is an error, because it is most often a whole
            sentence. Words of the vocabulary may always contain spaces, as some GloVe words do.
        trainable: bool. Whether training changes the vectors. Defaults to `False`.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Input shape:
        One of three forms; on JAX and torch, models need the last one.
        - sentences: `(batch,)` string, split by the tokenizer; or a Python list of str
        - tokens: `(batch, time)` string, `""` as padding; or a list of lists of str
        - ids: `(batch, time)` int, from `elmo_keras.text.WordIds`: a word's index in the vocabulary
          plus one, 0 as padding, `len(vocabulary) + 1` for unknown words

    Output shape:
        `(batch, time, dim)` float.

    Raises:
        ValueError: if the vocabulary is empty or has a word twice, if text is not a batch, or if
            ids have a wrong shape or are out of range. A TensorFlow graph and a SavedModel raise an
            InvalidArgumentError for the range. XLA and JAX's jit cannot check values.

    Example:

    >>> import elmo_keras, keras, pathlib
    >>> size = pathlib.Path("vectors.txt").write_bytes(b"the 0.5 1\\ncat 0 -2\\n")
    >>> static = elmo_keras.StaticEmbedding.from_file("vectors.txt")
    >>> static([["the", "dog"], ["cat"]]).numpy().tolist()
    [[[0.5, 1.0], [0.0, 0.0]], [[0.0, -2.0], [0.0, 0.0]]]

    Concatenated with ELMo:

    >>> elmo = elmo_keras.ElmoLayer(
    ...     elmo_keras.layers.CharCNN(filters=[(1, 4), (2, 8)], projection_dim=6),
    ...     elmo_keras.layers.BiLSTMStack(units=16, projection_dim=6),
    ... )
    >>> sentences = keras.Input((), dtype="string")
    >>> keras.layers.Concatenate()([elmo(sentences), static(sentences)]).shape
    (None, None, 14)

    References:
        - [Mikolov et al., 2013](https://arxiv.org/abs/1310.4546)
        - [Pennington et al., 2014](https://aclanthology.org/D14-1162/)
        - [Bojanowski et al., 2017](https://arxiv.org/abs/1607.04606)
        - [Peters et al., 2018](https://arxiv.org/abs/1802.05365), on the concatenation with ELMo
    """

    def __init__(
        self,
        vocabulary: list[str] | str,
        dim: int,
        tokenizer: Tokenizer | str = "words",
        lowercase: bool = False,
        allow_spaces: bool = False,
        trainable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(trainable=trainable, **kwargs)
        check_bool("allow_spaces", allow_spaces)
        if not isinstance(dim, int) or isinstance(dim, bool) or dim < 1:
            raise ValueError(
                f"`dim` must be a positive int. Received: dim={dim!r}. Pass the size of a vector."
            )
        self.text_layer = WordIds(vocabulary, name="word_ids")
        if not any(self.vocabulary):
            raise ValueError(
                "`vocabulary` must hold at least one word. "
                f"Received: {len(self.vocabulary)} entries without a word. Pass the words of the "
                "vectors."
            )
        self.dim = dim
        self.tokenizer = tokenizer if isinstance(tokenizer, Tokenizer) else Tokenizer(tokenizer)
        self.lowercase = lowercase
        self.allow_spaces = allow_spaces
        self.supports_masking = True
        self.fill_padding = FillPadding(dtype=self.dtype_policy, name="fill_padding")

    @property
    def vocabulary(self) -> list[str]:
        """The words in the order of the vectors, list of str."""
        return self.text_layer.vocabulary

    @property
    def ids_shape(self) -> tuple[int, ...]:
        return ()  # one id for each token

    @property
    def ids_limit(self) -> int:
        return len(self.vocabulary) + 2  # padding and unknown words

    @property
    def output_dim(self) -> int:
        return self.dim

    def numpy_ids(self, words: Iterable[str]) -> np.ndarray:
        words = clean_words(words)
        if self.lowercase:
            words = [lowercase_word(word) for word in words]
        return self.text_layer.numpy_ids(words)

    def build(self, input_shape: Any) -> None:
        # Zeros, because the vectors are loaded. As in a file, only words have rows.
        self.embedding = keras.layers.Embedding(
            len(self.vocabulary),
            self.dim,
            embeddings_initializer="zeros",
            dtype=self.dtype_policy,
            name="embedding",
        )
        self.build_part(self.embedding, (None, None))
        self.keep_frozen()

    def call(self, inputs: Any) -> Any:
        ids = self._ids_of(inputs)
        last = len(self.vocabulary)
        backend.require(
            ops.all(ops.logical_and(ids >= 0, ids <= last + 1)),
            f"Ids must be in [0, {last + 1}]: 0 is padding, {last + 1} an unknown word. "
            "Received ids outside this range: make them with elmo_keras.text.WordIds of the same "
            "vocabulary.",
        )
        vectors = self.embedding(ops.clip(ids - 1, 0, last - 1))  # (batch, time, dim)
        is_known = ops.logical_and(ids >= 1, ids <= last)
        vectors = ops.where(is_known[..., None], vectors, ops.zeros_like(vectors))
        return self.fill_padding(vectors, mask=ops.not_equal(ids, 0))

    def _look_up(self, tokens: Any) -> Any:
        return self.text_layer(to_lowercase(tokens) if self.lowercase else tokens)

    def _refuse_spaces(self, tokens: Any) -> Any:
        return refuse_spaces(tokens, self._look_up(tokens) <= len(self.vocabulary))

    def compute_output_spec(self, inputs: Any) -> Any:
        batch, time, dim = self.compute_output_shape(inputs.shape)
        if time is not None and keras.backend.standardize_dtype(inputs.dtype) == "string":
            time = max(time, 1)  # The text layers return at least one step.
        return keras.KerasTensor((batch, time, dim), dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], input_shape[1] if len(input_shape) > 1 else None, self.dim)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None  # `fill_padding` has attached the mask to the output.

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike,
        words: Iterable[str] | None = None,
        max_words: int | None = None,
        dim: int | None = None,
        **options: Any,
    ) -> Self:
        """Loads the vectors of a file; see `files.static_vectors.read_static_vectors`.

        Args:
            path: path of a file of word2vec, fastText (`.vec`) or GloVe, also as `.gz`, `.bz2`
                or `.zip`.
            words: the words to keep; words that are not in the file are ignored. Defaults to
                `None`, all words.
            max_words: int. Maximum number of words, from the beginning of the file. Defaults to
                `None`, all words.
            dim: int. Size of the vectors, to select a file of a zip archive. Defaults to `None`.
            **options: arguments of `StaticEmbedding`: `lowercase`, `tokenizer`, `trainable`,
                `dtype` and so on.

        Returns:
            A StaticEmbedding, built.

        Raises:
            FileNotFoundError: if the file does not exist.
            ValueError: if the file has another format, is damaged, or contains none of the words.

        Example:

        ```python
        glove = elmo_keras.StaticEmbedding.from_file("glove.6B.zip", dim=100)
        ```
        """
        kept, vectors = read_static_vectors(path, words=words, max_words=max_words, dim=dim)
        # A vocabulary cannot hold a line break, and no token contains one: the word is dropped.
        kept = ["" if "\n" in word else word for word in kept]
        if not any(kept):
            raise ValueError(
                f"{path} must contain at least one of `words`. Received: `words` that are all "
                "missing from the file. Check their case, and the language of the vectors."
            )
        layer = cls(kept, vectors.shape[1], **options)

        def find(path: str, shape: Any, dtype: Any = None) -> Any:
            return ops.cast(backend.adopt(vectors), dtype or "float32")

        with given_weights(find):
            layer.build((None, None))
        return layer

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "vocabulary": self.text_layer.get_config()["vocabulary"],
                "dim": self.dim,
                "tokenizer": serialize_part(self.tokenizer),
                "lowercase": self.lowercase,
                "allow_spaces": self.allow_spaces,
            }
        )
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        config = dict(config)
        if isinstance(config.get("tokenizer"), dict):
            config["tokenizer"] = keras.saving.deserialize_keras_object(config["tokenizer"])
        return cls(**config)
