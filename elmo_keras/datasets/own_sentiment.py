"""A small sentiment data set that comes with the package."""

from importlib import resources

from elmo_keras.datasets.splits import Split, Splits


def load_own_sentiment() -> Splits:
    """Loads short opinions on films, food, shops, software, weather, travel and books.

    The sentences were written for this project, to try things out and to test with: no network,
    no licence to mind, and a small model learns them in seconds. Half of them are positive. A
    figure on them says little of how good a model is: use `load_sst2` for that.

    Returns:
        `Splits` of `(sentences, labels)`: lists of strings. A label is `"negative"` or
        `"positive"`. 160 sentences to train on, 40 for development, 60 to test on.

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
