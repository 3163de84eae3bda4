"""The return types of the data set loaders."""

from typing import NamedTuple

from elmo_keras.datasets.word_pair import WordPair


class Split(NamedTuple):
    """The sentences of one part of a data set, and their labels in the same order.

    Args:
        sentences: list. Sentences as strings if a sentence has one label, or as lists of words if
            every word has a label, or as `WordPair` if a pair of sentences has a label.
        labels: list. One string per sentence or pair, or one list of strings per sentence with a
            label for each word.
    """

    sentences: list[str] | list[list[str]] | list[WordPair]
    labels: list[str] | list[list[str]]


class Splits(NamedTuple):
    """The three parts of a data set.

    Args:
        train: Split. The training set.
        dev: Split. The development set, to select a model with.
        test: Split. The test set, to report results on.

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
