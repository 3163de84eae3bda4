"""WNUT-17: rare and emerging entities."""

from elmo_keras.datasets._columns import parse_columns
from elmo_keras.datasets._source import Source, read_source
from elmo_keras.datasets.splits import Split, Splits

_ADDRESS = (
    "https://raw.githubusercontent.com/leondz/emerging_entities_17/"
    "e52a2d2a71ac1a051ca2d532eef28653c5c02603/{}"
)
_FILES = {
    "train": "wnut17train.conll",
    "dev": "emerging.dev.conll",
    "test": "emerging.test.annotated",
}
_SHA256 = {
    "train": "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5",
    "dev": "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8",
    "test": "2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0",
}


def load_wnut17() -> Splits:
    """Loads WNUT-17: user-generated text and the named entities in it.

    The sentences come from Twitter (training), YouTube (development), Reddit and Stack Exchange
    (testing): 3,394, 1,009 and 1,287. Entities of the test set are rarely in the training set. The
    6 types are `corporation`, `creative-work`, `group`, `location`, `person` and `product`.

    The files are downloaded once and kept in the Keras cache. If the environment variable
    `ELMO_KERAS_DATA` names a folder, they are read from
    `ner_wnut17/{train,dev,test}.conll` in that folder instead.

    Returns:
        `Splits` of `(sentences, labels)`: a sentence is a list of words, and its labels are a list
        with one BIO tag for each word: `"B-person"` for the first word of a person, `"I-person"`
        for the following ones, `"O"` outside of entities.

    Raises:
        FileNotFoundError: if a file is not in the folder that `ELMO_KERAS_DATA` names.
        DatasetUnavailable: if `ELMO_KERAS_DATA` is not set and a file cannot be downloaded.
        ValueError: if a file has other content.

    Example:

    ```python
    from elmo_keras import datasets

    train, dev, test = datasets.load_wnut17()
    words, tags = train.sentences[0], train.labels[0]
    ```

    References:
        - [Derczynski et al., 2017](https://aclanthology.org/W17-4418/)
        - [The data set, CC BY 4.0](https://github.com/leondz/emerging_entities_17)
    """
    return Splits(*(_load(name) for name in Splits._fields))


def _source(name: str) -> Source:
    return Source(f"ner_wnut17/{name}.conll", _ADDRESS.format(_FILES[name]), _SHA256[name])


def _load(name: str) -> Split:
    return Split(*parse_columns(read_source(_source(name)), 2))
