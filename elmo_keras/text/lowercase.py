"""Lowercasing by the rules of Unicode, in a TensorFlow graph and in Python."""

from elmo_keras.utils.optional_module import tensorflow as tf


def lowercase(tokens):
    """Tokens in lower case, padding where it was.

    Args:
        tokens: string tensor of any shape, `""` as padding.

    Returns:
        A string tensor of that shape.

    Example:

    >>> lowercase([["The", "ÄRGER"]]).numpy().tolist() == [["the".encode(), "ärger".encode()]]
    True
    """
    lowered = tf.strings.lower(tokens, encoding="utf-8")
    # It stops at NUL bytes; a token that begins with one must not turn into padding.
    return tf.where(tf.equal(lowered, ""), tokens, lowered)


def lowercase_word(word: str | bytes) -> str | bytes:
    """A word in lower case, equal to the result of `lowercase`, without TensorFlow.

    Args:
        word: str; bytes that are not UTF-8 stay as they are.

    Example:

    >>> lowercase_word("ÄRGER")
    'ärger'
    """
    if isinstance(word, bytes):
        return word
    return word.partition("\0")[0].lower() or word
