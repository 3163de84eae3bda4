"""Checks for lists of words that are turned into ids without TensorFlow."""

from collections.abc import Iterable

from elmo_keras.text.containers import to_batch
from elmo_keras.text.conversion import clean


def clean_words(words: Iterable[str | bytes]) -> list[str | bytes]:
    """Converts words to valid Unicode, as the text layers do; see `text.conversion.clean`.

    Args:
        words: iterable of str, or of bytes.

    Returns:
        list of str; bytes that are not UTF-8 stay bytes.

    Raises:
        ValueError: if `words` is a bare str or a table, or if one of them is not text.

    Example:

    >>> clean_words(["a", b"b", "\\ud800"])
    ['a', 'b', '\ufffd']
    """
    words = to_batch(words, "`words`")
    if isinstance(words, (str, bytes)) or not hasattr(words, "__iter__"):
        raise ValueError(
            f"`words` must be a list of str. Received: {words!r}. Put a single word into a list."
        )
    cleaned = []
    for index, word in enumerate(words):
        if not isinstance(word, (str, bytes)):
            raise ValueError(
                f"`words` must be a list of str. Received: {word!r} of type "
                f"{type(word).__name__} at index {index}. Pass the words of several sentences as "
                "one flat list."
            )
        cleaned.append(clean(word))
    return cleaned
