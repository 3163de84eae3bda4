"""Waimai: short Chinese reviews of food delivery."""

import csv
import io

from elmo_keras.datasets._held_out import tenth_of
from elmo_keras.datasets._source import Source, read_source
from elmo_keras.datasets.splits import Split, Splits

_SOURCE = Source(
    "zh_waimai/waimai_10k.csv",
    "https://raw.githubusercontent.com/SophonPlus/ChineseNlpCorpus/"
    "a0b781d72158bde242c0626c9e354d2b328865ff/datasets/waimai_10k/waimai_10k.csv",
    "b8b5c11c00b51578d35937fca56e03a126b45381f1ea4b22893237cb377a26fe",
)
_HEADER = ["label", "review"]
_LABELS = {"0": "negative", "1": "positive"}


def load_waimai() -> Splits:
    """Loads waimai_10k: short Chinese reviews of food delivery, positive or negative.

    There are 9,550 reviews for training, 1,212 for development and 1,225 for testing, in raw text.
    A third of them are positive.

    The data set is published in one part. The split is made here: the CRC-32 of a review modulo 10
    is 0 for the development set and 1 for the test set. It is the same on every machine, and a
    review that occurs twice is in only one part. No results of others hold for this split.

    The file is downloaded once and kept in the Keras cache. If the environment variable
    `ELMO_KERAS_DATA` names a folder, it is read from `zh_waimai/waimai_10k.csv` in that folder
    instead.

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

    train, dev, test = datasets.load_waimai()
    reviews, labels = train
    ```

    References:
        - [The file](https://github.com/SophonPlus/ChineseNlpCorpus)
    """
    names = {0: "dev", 1: "test"}
    splits = Splits(Split([], []), Split([], []), Split([], []))
    for review, label in _parse(read_source(_SOURCE)):
        split = getattr(splits, names.get(tenth_of(review), "train"))
        split.sentences.append(review)
        split.labels.append(label)
    return splits


def _parse(content: bytes) -> list[tuple[str, str]]:
    """Returns the text and the label of each review."""
    header, *rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""))
    for row in rows:
        if header != _HEADER or len(row) != 2 or row[0] not in _LABELS or not row[1].strip():
            raise ValueError(
                f"The file must have the columns {_HEADER}, and 0 or 1 as label. "
                f"Received: header={header}, row={row}. Get the file again from its public address."
            )
    return [(review, _LABELS[label]) for label, review in rows]
