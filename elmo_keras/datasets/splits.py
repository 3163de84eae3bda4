"""What every data set loader returns."""

from typing import NamedTuple


class Split(NamedTuple):
    """The sentences of one part of a data set and their labels, in the same order.

    Args:
        sentences: list. Strings where a sentence has one label, lists of words where every word
            has one.
        labels: list. Strings, or lists of strings as long as the lists of words.
    """

    sentences: list[str] | list[list[str]]
    labels: list[str] | list[list[str]]


class Splits(NamedTuple):
    """A data set in its three parts.

    Args:
        train: Split. To fit a model on.
        dev: Split. To choose a model by.
        test: Split. To report a model's figure on.

    Example:

    ```python
    from elmo_keras import datasets

    train, dev, test = datasets.load_own_sentiment()
    sentences, labels = train
    ```
    """

    train: Split
    dev: Split
    test: Split
