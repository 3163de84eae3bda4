"""The byte alphabet of ELMo: 256 bytes, two sentence marks, two word marks, one filler.

Numbers are those of bilm-tf (`bilm/data.py`, class UnicodeCharsVocabulary) before its shift; every
id that leaves this package is one higher, so that 0 is free to say "no token here".
"""

from collections.abc import Iterable

import numpy as np

from elmo_keras.text.word_lists import clean_words

BEGIN_SENTENCE = 256
END_SENTENCE = 257
BEGIN_WORD = 258
END_WORD = 259
FILLER = 260  # behind the end of the word, up to `max_characters`
SHIFT = 1

NUM_CHARACTERS = 262  # 0 (no token) and the 261 above, shifted
MIN_CHARACTERS = 3  # begin of word, one byte, end of word

BEGIN_TOKEN = "<S>"
END_TOKEN = "</S>"


def boundary_ids(max_characters):
    """The rows of character ids that stand before and after every sentence.

    Args:
        max_characters: int. Length of a row.

    Returns:
        Two int32 arrays of shape `(max_characters,)`: begin and end of sentence, shifted.
    """
    rows = np.full((2, max_characters), FILLER, dtype="int32")
    rows[:, 0] = BEGIN_WORD
    rows[:, 1] = BEGIN_SENTENCE, END_SENTENCE
    rows[:, 2] = END_WORD
    begin, end = rows + SHIFT
    return begin, end


def character_ids(words: Iterable[str], max_characters: int) -> np.ndarray:
    """The rows of character ids of words, in numpy: equal to those of the layer `CharacterIds`.

    Args:
        words: iterable of str (or bytes, which need not be UTF-8).
        max_characters: int. Length of a row.

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
    length = np.array([len(word) for word in encoded], "int64").reshape(-1, 1)
    # numpy fills fixed sizes up with zeros.
    characters = np.array(encoded, dtype=f"S{room}").view("uint8").reshape(-1, room)
    characters = characters.astype("int32")  # the marks are beyond 255
    rows = np.full((len(words), max_characters), FILLER, dtype="int32")
    rows[:, 0] = BEGIN_WORD
    place = np.arange(room)
    rows[:, 1:-1] = np.where(place < length, characters, FILLER)
    np.put_along_axis(rows, length + 1, END_WORD, axis=1)
    rows += SHIFT
    marks = dict(zip((BEGIN_TOKEN, END_TOKEN), boundary_ids(max_characters)))
    for number, word in enumerate(words):
        if word in marks:
            rows[number] = marks[word]
        elif not word:
            rows[number] = 0
    return rows
