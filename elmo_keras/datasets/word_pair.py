"""The form of an example of WiC."""

from typing import NamedTuple


class WordPair(NamedTuple):
    """Two sentences that both contain a word.

    Args:
        word: str. The word, in its base form.
        sentences: tuple of two lists of str. The tokens of the two sentences.
        positions: tuple of two ints. Index of the word in each sentence, where it may be inflected.

    Example:

    ```python
    from elmo_keras import datasets

    pair = datasets.WordPair("bank", (["The", "bank", "closed"], ["River", "banks"]), (1, 1))
    ```
    """

    word: str
    sentences: tuple[list[str], list[str]]
    positions: tuple[int, int]
