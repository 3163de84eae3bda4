"""Lowercasing by the rules of Unicode, in TensorFlow and in plain Python."""

import re
from typing import Any

from elmo_keras.utils.optional_module import tensorflow as tf

# TensorFlow lowercases by Unicode 13. Python knows later versions, up to 15.1 in Python 3.13. A run
# of characters without those whose case, or whose effect on a final sigma, was defined later:
_UNICODE_13_RUN = re.compile(
    "[^\u0888-\u089f\u08c9-\u08d2\u0c3c\u0ece\u180f\u1ac1-\u1ace\u1dfa\u2c2f\u2c5f\ua7c0\ua7c1"
    "\ua7d0-\ua7f4\ufbc2\U00010570-\U000105bc\U00010780-\U000107ba\U00010efd-\U00010eff"
    "\U00010f82-\U00010f85\U00011070-\U00011074\U000110c2\U00011241\U00011f00-\U00011f42"
    "\U00013439-\U00013455\U0001aff0-\U0001affe\U0001cf00-\U0001cf46\U0001df00-\U0001df2a"
    "\U0001e030-\U0001e08f\U0001e2ae\U0001e4eb-\U0001e4ef]+"
)


def lowercase(tokens: Any) -> Any:
    """Converts tokens to lower case; padding stays padding.

    Args:
        tokens: string tensor of any shape, `""` as padding.

    Returns:
        A string tensor of the same shape.

    Example:

    >>> lowercase([["The", "ÄRGER"]]).numpy().tolist() == [["the".encode(), "ärger".encode()]]
    True
    """
    lowered = tf.strings.lower(tokens, encoding="utf-8")
    # The op stops at NUL bytes; a token that begins with one must not turn into padding.
    return tf.where(tf.equal(lowered, ""), tokens, lowered)


def lowercase_word(word: str | bytes) -> str | bytes:
    """Converts a word to lower case without TensorFlow, with the same result as `lowercase`.

    Args:
        word: str, or bytes that need not be UTF-8.

    Returns:
        The word in lower case. Bytes that are not UTF-8 become U+FFFD. The word ends before its
        first NUL character; a word that begins with NUL is returned unchanged.

    Example:

    >>> lowercase_word("ÄRGER")
    'ärger'
    """
    text = word.decode("utf-8", "replace") if isinstance(word, bytes) else word
    text = text.partition("\0")[0]
    lowered = text.lower() if text.isascii() else _UNICODE_13_RUN.sub(_lower_run, text)
    return lowered or word


def _lower_run(run: re.Match[str]) -> str:
    return run[0].lower()
