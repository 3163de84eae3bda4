"""The byte alphabet of ELMo: 256 bytes, two sentence marks, two word marks, one filler.

Numbers are those of bilm-tf (`bilm/data.py`, class UnicodeCharsVocabulary) before its shift; every
id that leaves this package is one higher, so that 0 is free to say "no token here".
"""

import numpy as np

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
