"""The TREC questions and their types."""

import re

from elmo_keras.datasets._held_out import tenth_of
from elmo_keras.datasets._source import Source, read_source
from elmo_keras.datasets.splits import Split, Splits

_ADDRESS = {
    "train": "https://cogcomp.seas.upenn.edu/Data/QA/QC/train_5500.label",
    "test": "https://cogcomp.seas.upenn.edu/Data/QA/QC/TREC_10.label",
}
# Of the output of `_to_utf8`.
_SHA256 = {
    "train": "016243a7ddb380241c94eabcf073a210b9a83a2e772347cb5ed844722a192faf",
    "test": "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
}
_LINE = re.compile(r"(([A-Z]+):[a-z]+) (\S.*)")


def load_trec(fine: bool = False) -> Splits:
    """Loads TREC: questions and the type of their answers.

    There are 4,924 questions for training, 528 for development and 500 for testing. They are cased
    and tokenized, with one space between tokens. The 6 coarse types are `"ABBR"`, `"DESC"`,
    `"ENTY"`, `"HUM"`, `"LOC"` and `"NUM"`. There are 50 fine types such as `"LOC:city"`, of which
    42 occur in the test set.

    The published data set has no development set. This one is about a tenth of the 5,452 training
    questions: those whose CRC-32 is a multiple of 10. It is the same on every machine, and a
    question that occurs twice is in only one of the two parts. Concatenate the parts to train on
    all questions.

    The files are downloaded once and kept in the Keras cache. If the environment variable
    `ELMO_KERAS_DATA` names a folder, they are read from `qc_trec/TREC.{train,test}` in that folder
    instead, in UTF-8 or Latin-1.

    Args:
        fine: bool. Whether to return the fine types as labels. Defaults to `False`: the coarse
            types.

    Returns:
        `Splits` of `(sentences, labels)`: lists of strings.

    Raises:
        FileNotFoundError: if a file is not in the folder that `ELMO_KERAS_DATA` names.
        DatasetUnavailable: if `ELMO_KERAS_DATA` is not set and a file cannot be downloaded.
        ValueError: if a file has other content.

    Example:

    ```python
    from elmo_keras import datasets

    train, dev, test = datasets.load_trec()
    sentences, labels = train
    ```

    References:
        - [Li and Roth, 2002](https://aclanthology.org/C02-1150/)
    """
    questions = _parse(read_source(_source("train")), fine)
    train = [question for question in questions if not _is_dev(question)]
    dev = [question for question in questions if _is_dev(question)]
    test = _parse(read_source(_source("test")), fine)
    return Splits(_to_split(train), _to_split(dev), _to_split(test))


def _source(name: str) -> Source:
    return Source(f"qc_trec/TREC.{name}", _ADDRESS[name], _SHA256[name], _to_utf8)


def _to_utf8(content: bytes) -> bytes:
    """Converts Latin-1 to UTF-8: one letter of the public file is in Latin-1."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1").encode("utf-8")
    return content


def _parse(content: bytes, fine: bool) -> list[tuple[str, str]]:
    """Returns the sentence and the label of each question."""
    questions = []
    # `splitlines` would also split at characters that occur inside sentences.
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
        questions.append((sentence, fine_label if fine else coarse_label))
    return questions


def _is_dev(question: tuple[str, str]) -> bool:
    sentence, _ = question
    return tenth_of(sentence) == 0


def _to_split(questions: list[tuple[str, str]]) -> Split:
    return Split([sentence for sentence, _ in questions], [label for _, label in questions])
