"""The byte alphabet of ELMo: 256 bytes, two sentence boundaries, two word boundaries and filler.

The constants are the ids of bilm-tf (`bilm/data.py`, class UnicodeCharsVocabulary) before its
shift. Ids that leave this module are one higher, so that 0 is free for padding.
"""

from collections.abc import Iterable

import numpy as np

from elmo_keras.text.character_rows import numpy_rows, set_special_rows
from elmo_keras.text.special_tokens import BEGIN_TOKEN, END_TOKEN
from elmo_keras.text.word_lists import clean_words

BEGIN_SENTENCE = 256
END_SENTENCE = 257
BEGIN_WORD = 258
END_WORD = 259
FILLER = 260  # after the end of the word, up to `max_characters`
SHIFT = 1

NUM_CHARACTERS = 262  # 0 (padding) and the 261 ids above, shifted
MIN_CHARACTERS = 3  # begin of word, one byte, end of word


def boundary_ids(max_characters: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of character ids that stand before and after each sentence.

    Args:
        max_characters: length of a row.

    Returns:
        Two int32 arrays of shape `(max_characters,)`, shifted: the begin and the end of a sentence.
    """
    sentence_ids = np.array([[BEGIN_SENTENCE], [END_SENTENCE]])
    characters = np.pad(sentence_ids, [(0, 0), (0, max_characters - MIN_CHARACTERS)])
    begin, end = numpy_rows(characters, np.ones((2, 1), int), BEGIN_WORD, END_WORD, FILLER) + SHIFT
    return begin, end


def boundary_rows(max_characters: int) -> dict[str, np.ndarray]:
    """Returns the rows of `boundary_ids` by their tokens, `<S>` and `</S>`.

    Args:
        max_characters: length of a row.
    """
    return dict(zip((BEGIN_TOKEN, END_TOKEN), boundary_ids(max_characters)))


def character_ids(words: Iterable[str | bytes], max_characters: int) -> np.ndarray:
    """Returns the character ids of words, without TensorFlow; equal to those of `CharacterIds`.

    Args:
        words: iterable of str (or bytes, which need not be UTF-8).
        max_characters: length of a row.

    Returns:
        `(words, max_characters)` int32. The row of an empty word, which is padding, is zeros.

    Raises:
        ValueError: if `words` is a bare str, or if one of them is not text.

    Example:

    >>> character_ids(["cat", ""], max_characters=5).tolist()
    [[259, 100, 98, 117, 260], [0, 0, 0, 0, 0]]
    """
    words = clean_words(words)
    room = max_characters - 2
    encoded = [word if isinstance(word, bytes) else word.encode() for word in words]
    encoded = [word[:room] for word in encoded]
    lengths = np.array([len(word) for word in encoded], "int64").reshape(-1, 1)
    # numpy pads strings of fixed size with zeros.
    characters = np.array(encoded, dtype=f"S{room}").view("uint8").reshape(-1, room)
    characters = characters.astype("int32")  # The boundaries are above 255.
    rows = numpy_rows(characters, lengths, BEGIN_WORD, END_WORD, FILLER) + SHIFT
    set_special_rows(rows, words, boundary_rows(max_characters))
    return rows
