"""A small sentiment data set that comes with the package."""

from importlib import resources

from elmo_keras.datasets.splits import Split, Splits


def load_own_sentiment() -> Splits:
    """Loads short opinions on films, food, shops, software, weather, travel and books.

    The sentences were written for this project, for experiments and tests. They need no network
    and no licence, and a small model learns them in seconds. Half of them are positive. They are
    too few to measure the quality of a model: use `load_sst2` for that.

    Returns:
        `Splits` of `(sentences, labels)`: lists of strings. A label is `"negative"` or
        `"positive"`. There are 160 training, 40 development and 60 test sentences.

    Example:

    ```python
    from elmo_keras import datasets

    train, dev, test = datasets.load_own_sentiment()
    print(train.labels[0], train.sentences[0])
    ```
    """
    table = resources.files(__package__).joinpath("own_sentiment.tsv").read_text("utf-8")
    splits = Splits(Split([], []), Split([], []), Split([], []))
    for line in table.splitlines():
        name, label, sentence = line.split("\t")
        split = getattr(splits, name)
        split.sentences.append(sentence)
        split.labels.append(label)
    return splits
