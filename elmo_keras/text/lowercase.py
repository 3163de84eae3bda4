"""Lowercasing as Unicode has it, in a graph."""

from elmo_keras._optional import tensorflow as tf


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
