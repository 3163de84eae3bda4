"""Words that a text layer and its numpy counterpart could read in different ways."""

import pytest

ODD_WORDS = [
    *("", "a", "cat", "é", "我", "🙂", "👨\u200d👩", "\ufffd", "\u0301", "\U0010ffff", "\ue000"),
    *("x" * 3, "x" * 8, "x" * 9, "x" * 47, "x" * 48, "x" * 49, "x" * 1000, "🙂" * 60, "é" * 25),
    *("<S>", "</S>", "<s>", "<UNK>", "<unk>", "<S>x", "<bos>", "<eos>", "<bow>", "<pad>", "<oov>"),
    *("a\x00", "\x00", "\x00" * 60, "\x00a", "a\x00b", " ", "\u3000", "\t", "\r", "\x7f", "\ufeff"),
    # Lone surrogates, pairs, and a pair that a cut splits.
    *("\ud800", "\udfff", "a\ud83d", "\ud83d\ude42", "\ude42\ud83d", "x" * 7 + "\ud83d\ude42"),
    # Bytes: UTF-8, and other bytes.
    *(b"a", "é".encode(), b"<S>", b"<bos>", b"\xff", b"a\xc3", b"\xe2\x82", b"\xed\xa0\x80"),
    *(b"\xf4\x90\x80\x80", b"\xc0\x80a", b"\xf0\x9f\x99", b"x" * 60 + b"\xff", "é".encode() * 30),
]


def to_bytes(word):
    """The bytes of a word in a string tensor; those of a str are valid Unicode."""
    if isinstance(word, bytes):
        return word
    return word.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def to_column(words):
    """The words as a string tensor `(words, 1)`: each word is a sentence."""
    tf = pytest.importorskip("tensorflow", reason="text layers need TensorFlow")
    return tf.constant([[to_bytes(word)] for word in words])
