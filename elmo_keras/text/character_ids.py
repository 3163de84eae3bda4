import keras

from elmo_keras.text import byte_alphabet as alphabet
from elmo_keras.text.text_layer import TextLayer, at_least_one_step
from elmo_keras.utils.optional_module import tensorflow as tf


@keras.saving.register_keras_serializable(package="elmo_keras")
class CharacterIds(TextLayer):
    """Tokens to the character ids that a byte-level `CharCNN` reads.

    A token becomes one row: begin-of-word mark, its UTF-8 bytes, end-of-word mark, filler up to
    `max_characters`; everything shifted by one, so that padding is a row of zeros. A token of more
    than `max_characters - 2` bytes is cut there, as in the published programs even inside a
    multi-byte character. The tokens `<S>` and `</S>` become the rows of the sentence boundaries,
    again as in the published programs; `Tokenizer("words")` never makes such tokens out of text.

    Args:
        max_characters: int, at least 3. Length of a row. Defaults to `50`, the published value.
        boundaries: bool. Whether to put a begin-of-sentence row before and an end-of-sentence row
            behind the tokens, as a language model's data has them. `ElmoLayer` adds its own, so
            leave it off in front of one. Defaults to `False`.
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

    def __init__(self, max_characters=50, boundaries=False, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(max_characters, int) or max_characters < alphabet.MIN_CHARACTERS:
            raise ValueError(
                f"`max_characters` must be an int of at least {alphabet.MIN_CHARACTERS} (two word "
                f"marks and a byte). Received: max_characters={max_characters}"
            )
        self.max_characters = max_characters
        self.boundaries = boundaries

    def call(self, tokens):
        self.check_text(tokens, rank=2, form="tokens of shape (batch, time), dtype string")
        tokens = at_least_one_step(tokens)
        if self.boundaries:
            tokens = self._with_boundaries(tokens)

        words, places = tf.unique(tf.reshape(tokens, (-1,)))
        ids = tf.gather(self._ids(words), tf.reshape(places, tf.shape(tokens)))
        ids.set_shape([None, None, self.max_characters])
        return ids  # (batch, time, max_characters)

    def _ids(self, words):
        """The rows `(words, max_characters)` of `(words,)` string."""
        room = self.max_characters - 2
        length = tf.minimum(tf.strings.length(words), room)[:, tf.newaxis]  # in bytes
        characters = tf.cast(tf.io.decode_raw(words, "uint8", fixed_length=room), "int32")
        place = tf.range(room + 1)  # (room + 1,)
        characters = tf.pad(characters, [[0, 0], [0, 1]])  # (words, room + 1)
        characters = tf.where(place == length, alphabet.END_WORD, characters)
        characters = tf.where(place > length, alphabet.FILLER, characters)
        begin_word = tf.fill(tf.shape(length), alphabet.BEGIN_WORD)
        ids = tf.concat([begin_word, characters], axis=-1) + alphabet.SHIFT

        begin, end = alphabet.boundary_ids(self.max_characters)
        ids = tf.where(tf.equal(words, alphabet.BEGIN_TOKEN)[:, tf.newaxis], begin, ids)
        ids = tf.where(tf.equal(words, alphabet.END_TOKEN)[:, tf.newaxis], end, ids)
        return tf.where(tf.equal(words, "")[:, tf.newaxis], 0, ids)

    def _with_boundaries(self, tokens):
        length = tf.reduce_sum(tf.cast(tf.not_equal(tokens, ""), "int32"), axis=1, keepdims=True)
        tokens = tf.pad(tokens, [[0, 0], [1, 1]], constant_values="")
        place = tf.range(tf.shape(tokens)[1])
        tokens = tf.where(place == 0, alphabet.BEGIN_TOKEN, tokens)
        return tf.where(place == length + 1, alphabet.END_TOKEN, tokens)

    def compute_output_shape(self, input_shape):
        batch, time = input_shape
        if self.boundaries and time is not None:
            time = max(time, 1) + 2
        return (batch, time, self.max_characters)

    def compute_output_spec(self, tokens):
        return keras.KerasTensor(self.compute_output_shape(tokens.shape), dtype="int32")

    def get_config(self):
        config = super().get_config()
        config.update({"max_characters": self.max_characters, "boundaries": self.boundaries})
        return config
