"""The layer that turns tokens into the ids of their words and code points."""

import functools
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from elmo_keras.text.character_rows import (
    numpy_rows,
    set_special_rows,
    tensor_rows,
    with_special_rows,
)
from elmo_keras.text.text_layer import TokenIdsLayer
from elmo_keras.text.vocabulary import Vocabulary
from elmo_keras.text.word_lists import clean_words
from elmo_keras.utils.optional_module import tensorflow as tf

# The special tokens of ELMoForManyLangs.
BEGIN_SENTENCE, END_SENTENCE = "<bos>", "<eos>"
BEGIN_WORD, END_WORD = "<bow>", "<eow>"
UNKNOWN, FILLER = "<oov>", "<pad>"
WORD_SPECIAL_TOKENS = (BEGIN_SENTENCE, END_SENTENCE, UNKNOWN)
CHARACTER_SPECIAL_TOKENS = (BEGIN_SENTENCE, END_SENTENCE, BEGIN_WORD, END_WORD, UNKNOWN, FILLER)
# ELMoForManyLangs puts `<eow>` before each word and `<bow>` after it, in training and in use.
_FRAME = (END_WORD, BEGIN_WORD, FILLER)


@keras.saving.register_keras_serializable(package="elmo_keras")
class CodePointIds(TokenIdsLayer):
    """Turns tokens into the ids that ELMoForManyLangs reads: of the word and of its code points.

    A token becomes one row: the index of the word in the word dictionary, then `<eow>`, the indices
    of its characters, `<bow>`, and filler up to `max_characters`. All ids are one higher than the
    indices, so that padding is a row of zeros. A token of more than `max_characters - 2` code
    points is cut there, before its word is looked up. Words and characters that are not in the
    dictionaries are `<oov>`. The tokens `<bos>` and `<eos>` become the boundaries of a sentence, as
    in ELMoForManyLangs.

    `<eow>` stands before a word and `<bow>` after it, contrary to their names: ELMoForManyLangs
    swaps them in training and in use, and its weights depend on that order.

    Args:
        characters: list of str, or one str with one entry per line: the character dictionary in
            the order of its indices, `""` for an index without an entry; `None` for a model that
            reads only words. It must hold `<bos>`, `<eos>`, `<bow>`, `<eow>`, `<oov>` and
            `<pad>`.
        words: the word dictionary in the same form, with `<bos>`, `<eos>` and `<oov>`; `None` for a
            model that reads only characters.
        max_characters: int, at least 3. Length of a token's character ids. Defaults to `50`.
        **kwargs: Layer keyword arguments, like `name`.

    Input shape:
        `(batch, time)` string, `""` as padding on the right. Python lists of lists of str too.

    Output shape:
        `(batch, time, ids)` int32, with at least one time step. `ids` is the sum of 1, if there is
        a word dictionary, and `max_characters`, if there is a character dictionary.

    Raises:
        ValueError: if a dictionary lacks a special token, or holds an entry twice.

    Example:

    >>> import elmo_keras
    >>> special_tokens = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
    >>> layer = elmo_keras.text.CodePointIds([*special_tokens, "a", "é"], max_characters=5)
    >>> layer([["éa", "x"]]).numpy().tolist()
    [[[6, 8, 7, 5, 4], [6, 3, 5, 4, 4]]]

    References:
        - ELMoForManyLangs, `elmoformanylangs/frontend.py`, `create_one_batch`
        - [Che et al., 2018](https://aclanthology.org/K18-2005/)
    """

    def __init__(
        self,
        characters: str | Iterable[str] | None = None,
        words: str | Iterable[str] | None = None,
        max_characters: int = 50,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_characters = max_characters
        self._characters = _dictionary(characters, CHARACTER_SPECIAL_TOKENS, "characters")
        self._words = _dictionary(words, WORD_SPECIAL_TOKENS, "words")
        if self._characters is None and self._words is None:
            raise ValueError(
                "There must be `characters`, `words` or both. Received: characters=None, "
                "words=None. Pass the dictionaries of the model."
            )
        if not isinstance(max_characters, int) or max_characters < 3:
            raise ValueError(
                "`max_characters` must be an int of at least 3 (the begin and the end of a word, "
                f"and a character). Received: max_characters={max_characters}. Use 50, the value "
                "of the published models."
            )
        self._character_table: Any = None
        self._word_table: Any = None

    @property
    def characters(self) -> list[str] | None:
        """The character dictionary, list of str, or `None`."""
        return None if self._characters is None else self._characters.tokens

    @property
    def words(self) -> list[str] | None:
        """The word dictionary, list of str, or `None`."""
        return None if self._words is None else self._words.tokens

    @property
    def ids_shape(self) -> tuple[int, ...]:
        """The shape of one token's ids."""
        size = 0 if self._words is None else 1
        return (size if self._characters is None else size + self.max_characters,)

    def boundary_ids(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows of ids that stand before and after each sentence."""
        return self._boundary(BEGIN_SENTENCE), self._boundary(END_SENTENCE)

    def _boundary(self, token: str) -> np.ndarray:
        row = [] if self._words is None else [self._words.token_to_index(token)]
        if self._characters is not None:
            before, after, filler = map(self._characters.token_to_index, _FRAME)
            word = [before, self._characters.token_to_index(token), after]
            row += [*word, *[filler] * (self.max_characters - len(word))]
        return np.array(row, dtype="int32") + 1

    def _boundary_rows(self) -> dict[str, np.ndarray]:
        return dict(zip((BEGIN_SENTENCE, END_SENTENCE), self.boundary_ids()))

    def numpy_ids(self, words: Iterable[str | bytes]) -> np.ndarray:
        """Returns the ids of words as a numpy array, without TensorFlow; equal to the call's.

        Args:
            words: iterable of str (or bytes, which need not be UTF-8).

        Returns:
            `(words, ids)` int32. The row of an empty word, which is padding, is zeros.

        Raises:
            ValueError: if `words` is a bare str, or if one of them is not text.
        """
        whole = [
            word.decode("utf-8", "replace") if isinstance(word, bytes) else word
            for word in clean_words(words)
        ]
        cut = [word[: self.max_characters - 2] for word in whole]
        parts = []
        if self._words is not None:
            unknown = self._words.token_to_index(UNKNOWN)
            indices = [self._words.token_to_index(word, unknown) for word in cut]
            parts.append(np.array(indices, "int32").reshape(-1, 1))
        if self._characters is not None:
            parts.append(self._numpy_character_indices(cut, self._characters))
        ids = np.concatenate(parts, axis=1) + 1
        set_special_rows(ids, whole, self._boundary_rows())
        return ids

    def _numpy_character_indices(self, words: list[str], dictionary: Vocabulary) -> np.ndarray:
        """The indices `(words, max_characters)` of the characters of cut words."""
        room = self.max_characters - 2
        lengths = np.array([len(word) for word in words], "int64").reshape(-1, 1)
        # numpy stores a str of fixed length as its code points and pads it with zeros.
        code_points = np.array(words, dtype=f"U{room}").view("uint32").reshape(-1, room)
        table = self._code_point_indices
        characters = table[np.minimum(code_points, len(table) - 1)]
        return numpy_rows(characters, lengths, *map(dictionary.token_to_index, _FRAME))

    @functools.cached_property
    def _code_point_indices(self) -> np.ndarray:
        """The index of each code point; the last entry is for all higher code points."""
        dictionary = self._characters
        if dictionary is None:
            return np.zeros(0, "int32")
        single = [entry for entry in dictionary.tokens if len(entry) == 1]
        size = max(map(ord, single), default=0) + 2
        table = np.full(size, dictionary.token_to_index(UNKNOWN), "int32")
        for entry in single:
            table[ord(entry)] = dictionary.token_to_index(entry)
        return table

    def _token_ids(self, tokens: Any) -> Any:
        # Cut before the word is looked up, as ELMoForManyLangs does.
        room = self.max_characters - 2
        characters = tf.strings.unicode_split(tf.reshape(tokens, [-1]), "UTF-8")[:, :room]
        parts = []
        if self._words is not None:
            words = tf.reshape(tf.strings.reduce_join(characters, axis=-1), tf.shape(tokens))
            parts.append(self._word_indices(words, self._words)[..., tf.newaxis])
        if self._characters is not None:
            indices = self._character_indices(characters, self._characters)
            parts.append(tf.reshape(indices, [*tf.unstack(tf.shape(tokens)), self.max_characters]))
        ids = with_special_rows(tf.concat(parts, axis=-1) + 1, tokens, self._boundary_rows())
        ids.set_shape([None, None, *self.ids_shape])
        return ids  # (batch, time, ids)

    def _word_indices(self, words: Any, dictionary: Vocabulary) -> Any:
        if self._word_table is None:
            self._word_table = dictionary.table(dictionary.token_to_index(UNKNOWN))
        return self._word_table.lookup(words)

    def _character_indices(self, characters: Any, dictionary: Vocabulary) -> Any:
        """The indices `(batch * time, max_characters)` of ragged characters."""
        if self._character_table is None:
            self._character_table = dictionary.table(dictionary.token_to_index(UNKNOWN))
        lengths = tf.cast(characters.row_lengths(), "int32")[:, tf.newaxis]
        indices = self._character_table.lookup(
            characters.to_tensor(default_value="", shape=[None, self.max_characters - 2])
        )
        return tensor_rows(indices, lengths, *map(dictionary.token_to_index, _FRAME))

    def compute_output_spec(self, tokens: Any) -> Any:
        return keras.KerasTensor((*tokens.shape, *self.ids_shape), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "characters": None if self._characters is None else self._characters.text,
                "words": None if self._words is None else self._words.text,
                "max_characters": self.max_characters,
            }
        )
        return config


def _dictionary(
    entries: str | Iterable[str] | None, special_tokens: tuple[str, ...], name: str
) -> Vocabulary | None:
    if entries is None:
        return None
    vocabulary = Vocabulary(entries)
    missing = [token for token in special_tokens if token not in vocabulary]
    if missing:
        raise ValueError(
            f"`{name}` must hold the special tokens {', '.join(special_tokens)}. Received: a "
            f"dictionary without {', '.join(missing)}. Pass the dictionary that the model was "
            "trained with."
        )
    return vocabulary
