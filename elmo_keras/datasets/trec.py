"""The TREC questions and their types."""

import re
import zlib

from elmo_keras.datasets._source import Source, read_source
from elmo_keras.datasets.splits import Split, Splits

_ADDRESS = {
    "train": "https://cogcomp.seas.upenn.edu/Data/QA/QC/train_5500.label",
    "test": "https://cogcomp.seas.upenn.edu/Data/QA/QC/TREC_10.label",
}
# Of what `_to_utf8` gives.
_SHA256 = {
    "train": "016243a7ddb380241c94eabcf073a210b9a83a2e772347cb5ed844722a192faf",
    "test": "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
}
_LINE = re.compile(r"(([A-Z]+):[a-z]+) (\S.*)")


def load_trec(fine: bool = False) -> Splits:
    """Loads TREC: questions, and what kind of thing each asks for.

    4,924 questions to train on, 528 for development, 500 to test on. They keep their case and are
    tokenised, with one space between tokens. There are 6 coarse types: `"ABBR"`, `"DESC"`,
    `"ENTY"`, `"HUM"`, `"LOC"` and `"NUM"`, and 50 fine ones such as `"LOC:city"`, of which 42
    occur among the test questions.

    The data set has no part for development. Here it is a tenth of the 5,452 training questions,
    the same on every call and every machine: those whose CRC-32 is a multiple of 10, so that a
    question that stands there twice is in one of the two parts only. Put the parts together to
    train on all.

    The files are downloaded once and kept in the Keras cache, unless the environment variable
    `ELMO_KERAS_DATA` names a folder: then they are `qc_trec/TREC.{train,test}` there, in UTF-8 or
    in latin-1.

    Args:
        fine: bool. Whether labels are the fine types. Defaults to `False`: the coarse ones.

    Returns:
        `Splits` of `(sentences, labels)`: lists of strings.

    Raises:
        FileNotFoundError: If a file is not in the folder that `ELMO_KERAS_DATA` names.
        DatasetUnavailable: If no folder is named and a file cannot be downloaded.
        ValueError: If a file does not hold what it must.

    Example:

    ```python
    from elmo_keras import datasets

    train, dev, test = datasets.load_trec()
    sentences, labels = train
    ```

    References:
        - [Li and Roth, 2002](https://aclanthology.org/C02-1150/)
    """
    train, dev = Split([], []), Split([], [])
    for sentence, label in zip(*_parse(read_source(_source("train")), fine)):
        split = dev if zlib.crc32(sentence.encode("utf-8")) % 10 == 0 else train
        split.sentences.append(sentence)
        split.labels.append(label)
    return Splits(train, dev, _parse(read_source(_source("test")), fine))


def _source(name: str) -> Source:
    return Source(f"qc_trec/TREC.{name}", _ADDRESS[name], _SHA256[name], _to_utf8)


def _to_utf8(content: bytes) -> bytes:
    """Encodes in UTF-8 what may be in latin-1, as the public file is for the sake of one letter."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1").encode("utf-8")
    return content


def _parse(content: bytes, fine: bool) -> Split:
    sentences, labels = [], []
    # Not `splitlines`, which also splits at characters that may stand inside a sentence.
    for line in content.decode("utf-8").split("\n"):
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(
                "A line must be a type and a question, such as `LOC:city Where is it ?`. "
                f"Received: line={line!r}. Get the file again from its public address."
            )
        fine_label, coarse_label, sentence = match.groups()
        sentences.append(sentence)
        labels.append(fine_label if fine else coarse_label)
    return Split(sentences, labels)
