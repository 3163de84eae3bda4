"""The layer that turns tokens into the ids of their bytes."""

from typing import Any

import keras

from elmo_keras.text import byte_alphabet as alphabet
from elmo_keras.text.character_rows import tensor_rows, with_special_rows
from elmo_keras.text.special_tokens import BEGIN_TOKEN, END_TOKEN
from elmo_keras.text.text_layer import TokenIdsLayer
from elmo_keras.utils.optional_module import tensorflow as tf


@keras.saving.register_keras_serializable(package="elmo_keras")
class CharacterIds(TokenIdsLayer):
    """Turns tokens into character ids, the input of a `CharCNN` over bytes.

    A token becomes one row: the begin of the word, its UTF-8 bytes, the end of the word, and filler
    up to `max_characters`. All ids are shifted by one, so that padding is a row of zeros. A token
    of more than `max_characters - 2` bytes is cut there, even inside a multi-byte character, as in
    bilm-tf and AllenNLP. The tokens `<S>` and `</S>` become the rows of the sentence boundaries, as
    in bilm-tf and AllenNLP; `Tokenizer("words")` never creates these tokens from text.

    Args:
        max_characters: int, at least 3. Length of a row. Defaults to `50`, the published value.
        boundaries: bool. Whether to add a begin-of-sentence row before and an end-of-sentence row
            after the tokens, as a language model's data has them. `ElmoLayer` adds its own
            boundaries, so leave this off before one. Defaults to `False`.
        **kwargs: Layer keyword arguments, like `name`.

    Input shape:
        `(batch, time)` string, `""` as padding on the right. Python lists of lists of str too.

    Output shape:
        `(batch, time, max_characters)` int32, with `boundaries` `(batch, time + 2, ...)`. There is
        always at least one time step.

    Example:

    >>> import elmo_keras
    >>> ids = elmo_keras.text.CharacterIds(max_characters=5)([["cat", "a"]])
    >>> ids.numpy().tolist()
    [[[259, 100, 98, 117, 260], [259, 98, 260, 261, 261]]]

    References:
        - bilm-tf, `bilm/data.py`, UnicodeCharsVocabulary and Batcher
        - [Peters et al., 2018](https://arxiv.org/abs/1802.05365)
    """

    def __init__(self, max_characters: int = 50, boundaries: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(max_characters, int) or max_characters < alphabet.MIN_CHARACTERS:
            raise ValueError(
                f"`max_characters` must be an int of at least {alphabet.MIN_CHARACTERS} (the begin "
                "and the end of a word, and a byte). Received: "
                f"max_characters={max_characters}. Use 50, the value of the published models."
            )
        self.max_characters = max_characters
        self.boundaries = boundaries

    def _token_ids(self, tokens: Any) -> Any:
        if self.boundaries:
            tokens = self._with_boundaries(tokens)
        words, indices = tf.unique(tf.reshape(tokens, (-1,)))
        ids = tf.gather(self._word_ids(words), tf.reshape(indices, tf.shape(tokens)))
        ids.set_shape([None, None, self.max_characters])
        return ids  # (batch, time, max_characters)

    def _word_ids(self, words: Any) -> Any:
        """The rows `(words, max_characters)` of `(words,)` string."""
        room = self.max_characters - 2
        lengths = tf.minimum(tf.strings.length(words), room)[:, tf.newaxis]  # in bytes
        characters = tf.cast(tf.io.decode_raw(words, "uint8", fixed_length=room), "int32")
        begin, end, filler = alphabet.BEGIN_WORD, alphabet.END_WORD, alphabet.FILLER
        ids = tensor_rows(characters, lengths, begin, end, filler) + alphabet.SHIFT
        return with_special_rows(ids, words, alphabet.boundary_rows(self.max_characters))

    def _with_boundaries(self, tokens: Any) -> Any:
        lengths = tf.reduce_sum(tf.cast(tf.not_equal(tokens, ""), "int32"), axis=1, keepdims=True)
        tokens = tf.pad(tokens, [[0, 0], [1, 1]], constant_values="")
        position = tf.range(tf.shape(tokens)[1])
        tokens = tf.where(position == 0, BEGIN_TOKEN, tokens)
        return tf.where(position == lengths + 1, END_TOKEN, tokens)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, time = input_shape
        if self.boundaries and time is not None:
            time = max(time, 1) + 2
        return (batch, time, self.max_characters)

    def compute_output_spec(self, tokens: Any) -> Any:
        return keras.KerasTensor(self.compute_output_shape(tokens.shape), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update({"max_characters": self.max_characters, "boundaries": self.boundaries})
        return config
