"""Rows of character ids, in numpy and in TensorFlow."""

import numpy as np
import pytest

from elmo_keras.text.character_rows import (
    numpy_rows,
    set_special_rows,
    tensor_rows,
    with_special_rows,
)

BEGIN, END, FILLER = 91, 92, 99

# Characters of words that are short, empty and as long as the row; values after the end are noise.
CHARACTERS = np.array([[5, 6, 77], [77, 77, 77], [1, 2, 3]], "int32")
LENGTHS = np.array([[2], [0], [3]], "int32")
ROWS = [
    [BEGIN, 5, 6, END, FILLER],
    [BEGIN, END, FILLER, FILLER, FILLER],
    [BEGIN, 1, 2, 3, END],
]

BOUNDARIES = {"<S>": np.array([1, 2, 3], "int32"), "</S>": np.array([4, 5, 6], "int32")}
WORDS = ["a", "<S>", "", "</S>", "<s>"]
PLAIN = np.arange(10, 25, dtype="int32").reshape(5, 3)
WITH_SPECIAL_ROWS = [[10, 11, 12], [1, 2, 3], [0, 0, 0], [4, 5, 6], [22, 23, 24]]


@pytest.fixture
def tf():
    return pytest.importorskip("tensorflow", reason="the layers need TensorFlow")


def test_numpy_rows():
    rows = numpy_rows(CHARACTERS, LENGTHS, BEGIN, END, FILLER)
    assert rows.dtype == np.int32
    assert rows.tolist() == ROWS


def test_numpy_rows_of_no_words():
    rows = numpy_rows(CHARACTERS[:0], LENGTHS[:0], BEGIN, END, FILLER)
    assert rows.shape == (0, 5)


def test_tensor_rows(tf):
    rows = tensor_rows(tf.constant(CHARACTERS), tf.constant(LENGTHS), BEGIN, END, FILLER)
    assert rows.dtype == "int32"
    assert rows.numpy().tolist() == ROWS


def test_set_special_rows():
    rows = PLAIN.copy()
    set_special_rows(rows, WORDS, BOUNDARIES)
    assert rows.tolist() == WITH_SPECIAL_ROWS


def test_special_rows_of_bytes():
    """Bytes are words that are not UTF-8: only empty ones are special."""
    rows = PLAIN[:2].copy()
    set_special_rows(rows, [b"\xff", b""], BOUNDARIES)
    assert rows.tolist() == [[10, 11, 12], [0, 0, 0]]


def test_with_special_rows(tf):
    rows = with_special_rows(tf.constant(PLAIN), tf.constant(WORDS), BOUNDARIES)
    assert rows.numpy().tolist() == WITH_SPECIAL_ROWS


def test_with_special_rows_of_sentences(tf):
    rows, tokens = tf.constant(PLAIN[np.newaxis]), tf.constant([WORDS])
    assert with_special_rows(rows, tokens, BOUNDARIES).numpy().tolist() == [WITH_SPECIAL_ROWS]
