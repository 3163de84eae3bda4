"""The Stanford Sentiment Treebank with two classes."""

import functools
import re

from elmo_keras.datasets._source import Source, read_source
from elmo_keras.datasets.splits import Split, Splits

_ADDRESS = (
    "https://raw.githubusercontent.com/munikarmanish/RNTN/"
    "12bb731ba9fbdcdf2368b8515a241773f2b97547/trees/{}.txt"
)
_SHA256 = {
    "train": "e2f3f41b0b1e6d4dddc0effe3bfc2d27ed8928079aa9a03d652311614fc5feb7",
    "dev": "0e9336aed6e4730e19f58d00a77b3f0297efdb755f7b5e598c98a05e3f97ea40",
    "test": "6e54806dee95cf80cd918e7dfb3f6770f6df24bf826f289a4d1f709e1c8f6761",
}
# Very negative, negative, (neutral), positive, very positive.
_LABELS = {"0": "negative", "1": "negative", "3": "positive", "4": "positive"}
_TREE = re.compile(r"\(([0-4]) .+\)")
# Skips leaves that contain a no-break space (numbers with fractions, in three training sentences),
# as the derived files sst2/*.tsv do, which the tests compare with.
_LEAF = re.compile(r"\([0-4] ([^()\s]+)\)")
_ESCAPES = (("-LRB-", "("), ("-RRB-", ")"), ("\\/", "/"), ("\\*", "*"))


def load_sst2() -> Splits:
    """Loads SST-2: positive and negative sentences of film reviews.

    The data set holds the sentences of the Stanford Sentiment Treebank, without phrases and neutral
    sentences: 6,920 for training, 872 for development and 1,821 for testing. They are cased and
    tokenized, with one space between tokens. (GLUE's SST-2 also holds phrases and is in lower case,
    so results are not comparable.) In three training sentences, a token such as `8 1/2` that
    contains a no-break space is omitted.

    The files are downloaded once and kept in the Keras cache. If the environment variable
    `ELMO_KERAS_DATA` names a folder, they are read from `sent_sst/trees/{train,dev,test}.txt` in
    that folder instead.

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

    train, dev, test = datasets.load_sst2()
    sentences, labels = train
    ```

    References:
        - [Socher et al., 2013](https://aclanthology.org/D13-1170)
    """
    dev = read_source(_source("dev"))
    # The public train.txt is the original file followed by the lines of dev.txt.
    train = read_source(_source("train")._replace(prepare=functools.partial(_drop_end, end=dev)))
    test = read_source(_source("test"))
    return Splits(_parse(train), _parse(dev), _parse(test))


def _source(name: str) -> Source:
    return Source(f"sent_sst/trees/{name}.txt", _ADDRESS.format(name), _SHA256[name])


def _drop_end(content: bytes, end: bytes) -> bytes:
    """Removes the lines of `end` from the end of `content`, if it ends in them."""
    return (content.rstrip(b"\n") + b"\n").removesuffix(end)


def _parse(content: bytes) -> Split:
    sentences, labels = [], []
    # `splitlines` would also split at characters that occur inside sentences.
    for line in content.decode("utf-8").split("\n"):
        if not line:
            continue
        root, sentence = _parse_tree(line)
        if root in _LABELS:
            sentences.append(sentence)
            labels.append(_LABELS[root])
    return Split(sentences, labels)


def _parse_tree(line: str) -> tuple[str, str]:
    """Returns the root's label and the sentence of a tree such as `(3 (2 So) (3 good))`."""
    tree = _TREE.fullmatch(line)
    leaves = _LEAF.findall(line)
    if tree is None or not leaves or line.count("(") != line.count(")"):
        raise ValueError(
            "A line must be a tree in brackets with labels 0 to 4, such as `(3 (2 So) (3 good))`. "
            f"Received: line={line!r}. Get the file again from its public address."
        )
    sentence = " ".join(leaves)
    for escape, text in _ESCAPES:
        sentence = sentence.replace(escape, text)
    return tree.group(1), sentence
