"""ChnSentiCorp: Chinese reviews and their sentiment."""

import re

from elmo_keras.datasets._source import Source, read_source
from elmo_keras.datasets.splits import Split, Splits

_ADDRESS = (
    "https://raw.githubusercontent.com/ymcui/Chinese-BERT-wwm/"
    "f6410cbd89c49dee8a42a7f7d94d9cca87b431aa/data/chnsenticorp/chnsenticorp.zip"
)
_SHA256 = {
    "train": "0b2653c23e5c79f539472e90cb10522f0ada4b80d3da95572d8b48fda47d5b33",
    "dev": "d129e443eac08ce7643013dad496a8edf282be39cac1a4f2ad080818b296b331",
    "test": "34f9d71eba6096cd8689e18913d28cf9a5f3c18a6c2804cd13304a321738c4bc",
}
_HEADER = "label\ttext_a"
_LABELS = {"0": "negative", "1": "positive"}
_NO_TEXT = re.compile(r"\W+")


def load_chnsenticorp() -> Splits:
    """Loads ChnSentiCorp: Chinese reviews of hotels, books and computers, positive or negative.

    There are 7,578 reviews for training, 1,200 for development and 1,200 for testing, in raw text.

    The published training set has 9,600 reviews, but more than a quarter of the development and
    test sets occur in it, and many reviews occur in it twice. This training set omits the reviews
    that equal one of the other two sets without punctuation and spaces, and keeps only the first of
    equal reviews. So results are lower than those on the published training set.

    The files are downloaded once and kept in the Keras cache. If the environment variable
    `ELMO_KERAS_DATA` names a folder, they are read from
    `zh_chnsenticorp/{train,dev,test}.tsv` in that folder instead.

    Returns:
        `Splits` of `(sentences, labels)`: lists of strings. A label is `"negative"` or
        `"positive"`.

    Raises:
        FileNotFoundError: if a file is not in the folder that `ELMO_KERAS_DATA` names.
        DatasetUnavailable: if `ELMO_KERAS_DATA` is not set and a file cannot be downloaded.
        ValueError: if a file has other content.

    Example:

    ```python
    from elmo_keras import datasets

    train, dev, test = datasets.load_chnsenticorp()
    reviews, labels = train
    ```

    References:
        - [Tan and Zhang, 2008](https://doi.org/10.1016/j.eswa.2007.05.028)
        - [The files](https://github.com/ymcui/Chinese-BERT-wwm)
    """
    dev, test = (_parse(read_source(_source(name))) for name in ("dev", "test"))
    held_out = {_letters(review) for review, _ in dev + test}
    train: dict[str, str] = {}
    for review, label in _parse(read_source(_source("train"))):
        if _letters(review) not in held_out:
            train.setdefault(review, label)
    return Splits(_to_split(list(train.items())), _to_split(dev), _to_split(test))


def _source(name: str) -> Source:
    return Source(f"zh_chnsenticorp/{name}.tsv", _ADDRESS, _SHA256[name], member=f"{name}.tsv")


def _letters(review: str) -> str:
    """Removes punctuation and spaces, in which copies of a review differ."""
    return _NO_TEXT.sub("", review)


def _parse(content: bytes) -> list[tuple[str, str]]:
    """Returns the text and the label of each review."""
    reviews = []
    # `splitlines` would also split at characters that occur inside reviews.
    header, *lines = content.decode("utf-8").split("\n")
    for line in lines:
        if not line:
            continue
        label, _, review = line.partition("\t")
        if header != _HEADER or label not in _LABELS or not review:
            raise ValueError(
                f"The file must have the header {_HEADER!r} and lines of 0 or 1, a tab and a "
                f"review. Received: header={header!r}, line={line!r}. Get the file again from its "
                "public address."
            )
        reviews.append((review, _LABELS[label]))
    return reviews


def _to_split(reviews: list[tuple[str, str]]) -> Split:
    return Split([review for review, _ in reviews], [label for _, label in reviews])
