"""The Stanford Sentiment Treebank with two classes."""

import functools
import re
from collections.abc import Iterator

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
# The beginning of a subtree, with its label and mostly the token of a leaf; or its end.
_NODE = re.compile(r"\(([0-4]) (?:([^()\s]+)(?=\)))?|\)")
_ESCAPES = (("-LRB-", "("), ("-RRB-", ")"), ("\\/", "/"), ("\\*", "*"))


def load_sst2(phrases: bool = False) -> Splits:
    """Loads SST-2: positive and negative sentences of film reviews, or phrases of them.

    The data set holds the sentences of the Stanford Sentiment Treebank, without phrases and neutral
    sentences: 6,920 for training, 872 for development and 1,821 for testing. They are cased and
    tokenized, with one space between tokens. In three training sentences, a token such as `8 1/2`
    that contains a no-break space is omitted.

    With `phrases=True`, the training set holds all distinct phrases of the training trees that are
    not neutral, sentences included: 77,614. Phrases that are a whole sentence of the development or
    test set, in any case of letters, are omitted. The other two sets stay the same. GLUE's SST-2
    has phrases, too, but 67,349 of them, in lower case, and the labels of its test set are not
    public. Its development set has the same 872 sentences.

    The files are downloaded once and kept in the Keras cache. If the environment variable
    `ELMO_KERAS_DATA` names a folder, they are read from `sent_sst/trees/{train,dev,test}.txt` in
    that folder instead.

    Args:
        phrases: bool. Whether to train on phrases. Defaults to `False`: on sentences.

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
    splits = Splits(_parse(train), _parse(dev), _parse(test))
    if not phrases:
        return splits
    excluded = {sentence.lower() for sentence in (*splits.dev.sentences, *splits.test.sentences)}
    return splits._replace(train=_parse_phrases(train, excluded))


def _source(name: str) -> Source:
    return Source(f"sent_sst/trees/{name}.txt", _ADDRESS.format(name), _SHA256[name])


def _drop_end(content: bytes, end: bytes) -> bytes:
    """Removes the lines of `end` from the end of `content`, if it ends in them."""
    return (content.rstrip(b"\n") + b"\n").removesuffix(end)


def _parse(content: bytes) -> Split:
    sentences, labels = [], []
    for line in _lines(content):
        root, sentence = _parse_tree(line)
        if root in _LABELS:
            sentences.append(sentence)
            labels.append(_LABELS[root])
    return Split(sentences, labels)


def _parse_phrases(content: bytes, excluded: set[str]) -> Split:
    """Returns the distinct phrases with a label, without those in `excluded`, in lower case."""
    label_of: dict[str, str] = {}
    for line in _lines(content):
        _parse_tree(line)  # checks the line
        for label, phrase in _subtrees(line):
            # No phrase has two labels other than neutral in the published files.
            if phrase and label in _LABELS and phrase.lower() not in excluded:
                label_of.setdefault(phrase, _LABELS[label])
    return Split(list(label_of), list(label_of.values()))


def _lines(content: bytes) -> list[str]:
    # `splitlines` would also split at characters that occur inside sentences.
    return [line for line in content.decode("utf-8").split("\n") if line]


def _subtrees(line: str) -> Iterator[tuple[str, str]]:
    """Yields the label and the phrase of every subtree, leaves included, the root last."""
    leaves: list[str] = []
    open_nodes: list[tuple[str, int]] = []  # the label and the number of leaves before the node
    for node in _NODE.finditer(line):
        label, leaf = node.groups()
        if label is not None:
            open_nodes.append((label, len(leaves)))
            leaves += [leaf] if leaf else []
        else:
            label, start = open_nodes.pop()
            yield label, _join(leaves[start:])


def _join(leaves: list[str]) -> str:
    """Joins tokens with spaces, and undoes the escapes of the Penn Treebank."""
    sentence = " ".join(leaves)
    for escape, text in _ESCAPES:
        sentence = sentence.replace(escape, text)
    return sentence


def _parse_tree(line: str) -> tuple[str, str]:
    """Returns the root's label and the sentence of a tree such as `(3 (2 So) (3 good))`."""
    tree = _TREE.fullmatch(line)
    leaves = _LEAF.findall(line)
    if tree is None or not leaves or line.count("(") != line.count(")"):
        raise ValueError(
            "A line must be a tree in brackets with labels 0 to 4, such as `(3 (2 So) (3 good))`. "
            f"Received: line={line!r}. Get the file again from its public address."
        )
    return tree.group(1), _join(leaves)
