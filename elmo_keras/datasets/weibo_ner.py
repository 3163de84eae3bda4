"""Weibo NER: entities in Chinese social media."""

from elmo_keras.datasets._columns import parse_columns
from elmo_keras.datasets._source import Source, read_source
from elmo_keras.datasets.splits import Split, Splits

_ADDRESS = (
    "https://raw.githubusercontent.com/hltcoe/golden-horse/"
    "7a73c08e45ed94312af4ef2d97cc35a47d029e99/data/weiboNER_2nd_conll.{}"
)
_SHA256 = {
    "train": "4e8954c54ab33b0afc9a8abb85715c47422645cc6d1b49fdb24540f4a427e997",
    "dev": "e72730d83aac680505280b6301c879b3ba470d29ac308979d48cdc58ee4907cc",
    "test": "faaf6c0ebde5348b935cfd5c89f0f22c9e0779d60667d8b5efbc647b6707d50e",
}


def load_weibo_ner() -> Splits:
    """Loads Weibo NER: Chinese microblog messages and the named and nominal entities in them.

    There are 1,350 messages for training, 270 for development and 270 for testing, with the revised
    annotations. The tokens are characters; the file's digit, a character's position in its word, is
    removed. The 8 types join an entity (`PER`, `ORG`, `GPE`, `LOC`) and a form: `NAM` for a name,
    `NOM` for a noun.

    The files are downloaded once and kept in the Keras cache. If the environment variable
    `ELMO_KERAS_DATA` names a folder, they are read from
    `zh_ner_weibo/weiboNER_2nd_conll.{train,dev,test}` in that folder instead.

    Returns:
        `Splits` of `(sentences, labels)`: a sentence is a list of characters, and its labels are a
        list with one BIO tag for each character, such as `"B-PER.NAM"`, `"I-PER.NAM"` or `"O"`.

    Raises:
        FileNotFoundError: if a file is not in the folder that `ELMO_KERAS_DATA` names.
        DatasetUnavailable: if `ELMO_KERAS_DATA` is not set and a file cannot be downloaded.
        ValueError: if a file has other content.

    Example:

    ```python
    from elmo_keras import datasets

    train, dev, test = datasets.load_weibo_ner()
    characters, tags = train.sentences[0], train.labels[0]
    ```

    References:
        - [Peng and Dredze, 2015](https://aclanthology.org/D15-1064/)
        - [The data set, annotations CC BY-SA 3.0](https://github.com/hltcoe/golden-horse)
    """
    return Splits(*(_load(name) for name in Splits._fields))


def _source(name: str) -> Source:
    return Source(f"zh_ner_weibo/weiboNER_2nd_conll.{name}", _ADDRESS.format(name), _SHA256[name])


def _load(name: str) -> Split:
    sentences, labels = parse_columns(read_source(_source(name)), 2)
    return Split([[_character(token) for token in row] for row in sentences], labels)


def _character(token: str) -> str:
    """Removes the digit, the position in a word, from the end of a token."""
    if len(token) < 2 or token[-1] not in "0123456789":
        raise ValueError(
            "A token must be a character and its position in a word, a digit. "
            f"Received: {token!r}. Get the file again from its public address."
        )
    return token[:-1]
