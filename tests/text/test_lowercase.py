"""`lowercase_word`, in Python, against `lowercase`, TensorFlow's op, for all of Unicode."""

import numpy as np
import pytest

from elmo_keras.text.lowercase import lowercase, lowercase_word

tf = pytest.importorskip("tensorflow", reason="the op is TensorFlow's")

# NUL ends a word, and the line feed separates the cases of one long text.
CHARACTERS = [
    chr(point)
    for point in range(0x110000)
    if point not in (0, ord("\n")) and not 0xD800 <= point < 0xE000
]
# Characters before and after every character, by name.
CONTEXTS = {
    "alone": ("", ""),
    "before a sigma": ("", "Σ"),
    "after a sigma": ("AΣ", ""),
    "between a letter and a sigma": ("A", "Σ"),
    "between a sigma and a letter": ("AΣ", "A"),
}
# Unicode 14 changed U+1734 (HANUNOO SIGN PAMUDPOD) to a spacing mark. For Python it separates a
# final sigma from the rest of the word; for TensorFlow, which follows Unicode 13, it does not.
DIFFERENCES = {
    "between a letter and a sigma": {"\u1734"},
    "between a sigma and a letter": {"\u1734"},
}


def by_tensorflow(words):
    return [word.decode() for word in lowercase(tf.constant(words)).numpy().tolist()]


@pytest.mark.parametrize("context", CONTEXTS)
def test_all_characters(context):
    """One text of all cases: the line feed ends a word for both."""
    before, after = CONTEXTS[context]
    text = before + f"{after}\n{before}".join(CHARACTERS) + after
    actual, expected = lowercase_word(text).split("\n"), by_tensorflow([text])[0].split("\n")
    cases = zip(CHARACTERS, actual, expected, strict=True)
    different = {character for character, one, other in cases if one != other}
    assert different == DIFFERENCES.get(context, set())


def test_words_one_by_one():
    """All characters with another lower case and all neighbours of a sigma, as single words."""
    changed = [character for character in CHARACTERS if character.lower() != character]
    assert len(changed) > 1300
    words = [*changed, "\n", "a\nΣ", "AΣ\n", "ΑΣ", "ΑΣ.", "Σ", "Σ'Α", "ΑΣ'Α", "İ", "I\u0307", "ẞ"]
    words += [f"{one}Σ{other}" for one in "A1'\u0301\u00ad \n" for other in "A1'\u0301\u00ad \n"]
    assert [lowercase_word(word) for word in words] == by_tensorflow(words)


@pytest.mark.parametrize("word", ["A\0B", "AΣ\0B", "\0", "\0A", "", "İ\0"], ids=ascii)
def test_a_word_ends_before_a_nul(word):
    assert lowercase_word(word) == by_tensorflow([word])[0]


@pytest.mark.parametrize(
    "data", [b"A\xff", b"\xc3", b"\xed\xa0\x80B", b"\xf4\x90\x80\x80", "ÄΣ".encode()], ids=ascii
)
def test_bytes(data):
    assert lowercase_word(data) == by_tensorflow([data])[0]


def test_padding_stays_padding():
    tokens = tf.constant([["THE", ""], ["\0A", ""]])
    actual = lowercase(tokens).numpy()
    np.testing.assert_array_equal(actual, np.array([[b"the", b""], [b"\0A", b""]], object))
