"""CoNLL-2000: chunks, the phrases of a shallow parse."""

from elmo_keras.datasets._columns import parse_columns
from elmo_keras.datasets._held_out import tenth_of
from elmo_keras.datasets._source import Source, read_source
from elmo_keras.datasets.splits import Split, Splits

_ADDRESS = (
    "https://raw.githubusercontent.com/nltk/nltk_data/"
    "5db857e6f7df11eabb5e5665836db9ec8df07e28/packages/corpora/conll2000.zip"
)
_SHA256 = {
    "train": "82033cd7a72b209923a98007793e8f9de3abc1c8b79d646c50648eb949b87cea",
    "test": "73b7b1e565fa75a1e22fe52ecdf41b6624d6f59dacb591d44252bf4d692b1628",
}


def load_conll2000() -> Splits:
    """Loads CoNLL-2000: sentences of the Wall Street Journal and their chunks.

    There are 8,038 sentences for training, 898 for development and 2,012 for testing. The 11 types
    of chunks are phrases such as `NP`, `VP` and `PP`.

    The published data set has no development set. This one is about a tenth of the 8,936 training
    sentences: those whose CRC-32, with one space between words, is a multiple of 10. It is the same
    on every machine, and a sentence that occurs twice is in only one of the two parts. Concatenate
    the parts to train on all sentences.

    The files are downloaded once and kept in the Keras cache. If the environment variable
    `ELMO_KERAS_DATA` names a folder, they are read from
    `chunk_conll2000/{train,test}.txt` in that folder instead.

    Returns:
        `Splits` of `(sentences, labels)`: a sentence is a list of words, and its labels are a list
        with one BIO tag for each word: `"B-NP"` for the first word of a noun phrase, `"I-NP"` for
        the following ones, `"O"` outside of chunks.

    Raises:
        FileNotFoundError: if a file is not in the folder that `ELMO_KERAS_DATA` names.
        DatasetUnavailable: if `ELMO_KERAS_DATA` is not set and a file cannot be downloaded.
        ValueError: if a file has other content.

    Example:

    ```python
    from elmo_keras import datasets

    train, dev, test = datasets.load_conll2000()
    words, tags = train.sentences[0], train.labels[0]
    ```

    References:
        - [Tjong Kim Sang and Buchholz, 2000](https://aclanthology.org/W00-0726/)
    """
    labeled = list(zip(*parse_columns(read_source(_source("train")), 3, " ")))
    train = [(words, tags) for words, tags in labeled if not _is_dev(words)]
    dev = [(words, tags) for words, tags in labeled if _is_dev(words)]
    test = Split(*parse_columns(read_source(_source("test")), 3, " "))
    return Splits(_to_split(train), _to_split(dev), test)


def _source(name: str) -> Source:
    return Source(f"chunk_conll2000/{name}.txt", _ADDRESS, _SHA256[name], member=f"{name}.txt")


def _is_dev(words: list[str]) -> bool:
    return tenth_of(" ".join(words)) == 0


def _to_split(labeled: list[tuple[list[str], list[str]]]) -> Split:
    return Split([words for words, _ in labeled], [tags for _, tags in labeled])
