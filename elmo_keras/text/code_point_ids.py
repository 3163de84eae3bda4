import functools
from collections.abc import Iterable

import keras
import numpy as np

from elmo_keras.text.text_layer import TextLayer, at_least_one_step
from elmo_keras.text.vocabulary import Vocabulary
from elmo_keras.text.word_lists import clean_words
from elmo_keras.utils.optional_module import tensorflow as tf

BEGIN_SENTENCE, END_SENTENCE = "<bos>", "<eos>"
BEGIN_WORD, END_WORD = "<bow>", "<eow>"
UNKNOWN, FILLER = "<oov>", "<pad>"
MARKS = (BEGIN_SENTENCE, END_SENTENCE, BEGIN_WORD, END_WORD, UNKNOWN, FILLER)


@keras.saving.register_keras_serializable(package="elmo_keras")
class CodePointIds(TextLayer):
    """Tokens to the ids that ELMoForManyLangs reads: of the word, and of its code points.

    A token becomes one row: its number in the dictionary of words, then word mark, the numbers of
    its characters, word mark, filler up to `max_characters`; everything plus one, so that padding
    is a row of zeros. A token of more than `max_characters - 2` code points is cut there, before
    its word is looked up. Words and characters that the dictionaries lack are `<oov>`. The tokens
    `<bos>` and `<eos>` become the boundaries of a sentence, as in the program.

    The mark in front of a word is the number of `<eow>`, the one behind it that of `<bow>`: the
    program has them the wrong way round, in training and in use, and its weights know no other.

    Args:
        characters: list of str, or one str with an entry a line: the dictionary of characters in
            the order of its numbers, `""` for a number without one; `None` for a model that reads
            words alone. It must hold the marks `<bos>`, `<eos>`, `<bow>`, `<eow>`, `<oov>`,
            `<pad>`.
        words: the same for words, with `<bos>`, `<eos>` and `<oov>`; `None` for a model that reads
            characters alone.
        max_characters: int, at least 3. Ids of a token's characters. Defaults to `50`.
        **kwargs: Layer keyword arguments, like `name`.

    Input shape:
        `(batch, time)` string, `""` as padding on the right. Python lists of lists of str too.

    Output shape:
        `(batch, time, ids)` int32, with at least one time step; `ids` are 1 for the word, if there
        are words, and `max_characters`, if there are characters.

    Raises:
        ValueError: if a dictionary lacks a mark, or holds an entry twice.

    Example:

    >>> import elmo_keras
    >>> marks = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
    >>> ids = elmo_keras.text.CodePointIds(marks + ["a", "é"], max_characters=5)([["éa", "x"]])
    >>> ids.numpy().tolist()
    [[[6, 8, 7, 5, 4], [6, 3, 5, 4, 4]]]

    References:
        - ELMoForManyLangs, `elmoformanylangs/frontend.py`, `create_one_batch`
        - [Che et al., 2018](https://aclanthology.org/K18-2005/)
    """

    def __init__(self, characters=None, words=None, max_characters=50, **kwargs):
        super().__init__(**kwargs)
        self.max_characters = max_characters
        self._characters = _dictionary(characters, MARKS, "characters")
        self._words = _dictionary(words, (BEGIN_SENTENCE, END_SENTENCE, UNKNOWN), "words")
        if self._characters is None and self._words is None:
            raise ValueError(
                "There must be `characters`, `words` or both. Received: characters=None, words=None"
            )
        if not isinstance(max_characters, int) or max_characters < 3:
            raise ValueError(
                "`max_characters` must be an int of at least 3 (two word marks and a character). "
                f"Received: max_characters={max_characters}"
            )
        self._character_table = self._word_table = None

    @property
    def characters(self):
        """The dictionary of characters, list of str, or `None`."""
        return None if self._characters is None else self._characters.tokens

    @property
    def words(self):
        """The dictionary of words, list of str, or `None`."""
        return None if self._words is None else self._words.tokens

    @property
    def ids_shape(self):
        """The shape of one token's ids."""
        size = 0 if self._words is None else 1
        return (size if self._characters is None else size + self.max_characters,)

    def boundary_ids(self):
        """The rows of ids that stand before and after every sentence."""
        return tuple(self._boundary(mark) for mark in (BEGIN_SENTENCE, END_SENTENCE))

    def _boundary(self, mark):
        row = [] if self._words is None else [self._words.number_of(mark)]
        if self._characters is not None:
            word = [self._characters.number_of(c) for c in (END_WORD, mark, BEGIN_WORD)]
            filler = self._characters.number_of(FILLER)
            row += [*word, *[filler] * (self.max_characters - len(word))]
        return np.array(row, dtype="int32") + 1

    def numpy_ids(self, words: Iterable[str]) -> np.ndarray:
        """The ids of words, made in numpy; equal to those of the call.

        Args:
            words: iterable of str (or bytes, which need not be UTF-8).

        Returns:
            `(words, ids)` int32. The row of an empty word, which is padding, is zeros.

        Raises:
            ValueError: if `words` is a bare str, or if one of them is not text.
        """
        words = [
            word.decode("utf-8", "replace") if isinstance(word, bytes) else word
            for word in clean_words(words)
        ]
        cut = [word[: self.max_characters - 2] for word in words]
        parts = []
        if self._words is not None:
            unknown = self._words.number_of(UNKNOWN)
            numbers = np.array([self._words.number_of(word, unknown) for word in cut], "int32")
            parts.append(numbers.reshape(-1, 1))
        if self._characters is not None:
            parts.append(self._numpy_numbers(cut))
        ids = np.concatenate(parts, axis=1) + 1
        marks = dict(zip((BEGIN_SENTENCE, END_SENTENCE), self.boundary_ids()))
        for place, word in enumerate(words):
            if word in marks:
                ids[place] = marks[word]
            elif not word:
                ids[place] = 0
        return ids

    def _numpy_numbers(self, words):
        """The numbers `(words, max_characters)` of the characters of cut words."""
        begin, end, filler = map(self._characters.number_of, (END_WORD, BEGIN_WORD, FILLER))
        room = self.max_characters - 2
        length = np.array([len(word) for word in words], "int64").reshape(-1, 1)
        # numpy stores a str of fixed length as its code points and fills it up with zeros.
        code_points = np.array(words, dtype=f"U{room}").view("uint32").reshape(-1, room)
        table = self._code_point_numbers
        numbers = np.full((len(words), self.max_characters), filler, dtype="int32")
        numbers[:, 0] = begin
        known = table[np.minimum(code_points, len(table) - 1)]
        numbers[:, 1:-1] = np.where(np.arange(room) < length, known, filler)
        np.put_along_axis(numbers, length + 1, end, axis=1)
        return numbers

    @functools.cached_property
    def _code_point_numbers(self):
        """The number of each code point; the last entry is for all higher ones."""
        single = [entry for entry in self._characters.tokens if len(entry) == 1]
        table = np.full(
            max(map(ord, single), default=0) + 2, self._characters.number_of(UNKNOWN), "int32"
        )
        for entry in single:
            table[ord(entry)] = self._characters.number_of(entry)
        return table

    def call(self, tokens):
        self.check_text(tokens, rank=2, form="tokens of shape (batch, time), dtype string")
        tokens = at_least_one_step(tokens)
        # Cut first, as the program does; a cut word is looked up as it is then.
        room = self.max_characters - 2
        characters = tf.strings.unicode_split(tf.reshape(tokens, [-1]), "UTF-8")[:, :room]
        parts = []
        if self._words is not None:
            words = tf.reshape(tf.strings.reduce_join(characters, axis=-1), tf.shape(tokens))
            parts.append(self._word_numbers(words)[..., tf.newaxis])
        if self._characters is not None:
            numbers = self._character_numbers(characters)  # (batch * time, max_characters)
            parts.append(tf.reshape(numbers, [*tf.unstack(tf.shape(tokens)), self.max_characters]))
        ids = tf.concat(parts, axis=-1) + 1
        for mark, row in zip((BEGIN_SENTENCE, END_SENTENCE), self.boundary_ids()):
            ids = tf.where(tf.equal(tokens, mark)[..., tf.newaxis], row, ids)
        ids = tf.where(tf.equal(tokens, "")[..., tf.newaxis], 0, ids)
        ids.set_shape([None, None, *self.ids_shape])
        return ids  # (batch, time, ids)

    def _word_numbers(self, words):
        if self._word_table is None:
            self._word_table = self._words.table(self._words.number_of(UNKNOWN))
        return self._word_table.lookup(words)

    def _character_numbers(self, characters):
        if self._character_table is None:
            self._character_table = self._characters.table(self._characters.number_of(UNKNOWN))
        begin, end, filler = map(self._characters.number_of, (END_WORD, BEGIN_WORD, FILLER))
        length = tf.cast(characters.row_lengths(), "int32")[:, tf.newaxis]
        numbers = self._character_table.lookup(
            characters.to_tensor(default_value="", shape=[None, self.max_characters - 2])
        )
        place = tf.range(self.max_characters - 1)
        numbers = tf.pad(numbers, [[0, 0], [0, 1]])
        numbers = tf.where(place == length, end, numbers)
        numbers = tf.where(place > length, filler, numbers)
        return tf.concat([tf.fill(tf.shape(length), begin), numbers], axis=-1)

    def compute_output_spec(self, tokens):
        return keras.KerasTensor((*tokens.shape, *self.ids_shape), dtype="int32")

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "characters": None if self._characters is None else self._characters.text,
                "words": None if self._words is None else self._words.text,
                "max_characters": self.max_characters,
            }
        )
        return config


def _dictionary(entries, marks, name):
    if entries is None:
        return None
    vocabulary = Vocabulary(entries)
    missing = [mark for mark in marks if mark not in vocabulary]
    if missing:
        raise ValueError(
            f"`{name}` must hold the marks {', '.join(marks)}. Received: a dictionary without "
            f"{', '.join(missing)}."
        )
    return vocabulary
