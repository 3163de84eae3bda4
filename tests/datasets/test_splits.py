"""The return types of the loaders."""

from elmo_keras.datasets import Split, Splits


def test_unpacking():
    parts = [Split([f"{name} sentence"], [name]) for name in ("train", "dev", "test")]
    splits = Splits(*parts)
    train, dev, test = splits
    assert [train, dev, test] == [splits.train, splits.dev, splits.test] == parts
    sentences, labels = test
    assert (sentences, labels) == (["test sentence"], ["test"])
    assert (sentences, labels) == (test.sentences, test.labels)
