"""WiC: the word in context."""

from typing import NamedTuple

from elmo_keras.datasets._held_out import tenth_of
from elmo_keras.datasets._source import Source, read_source
from elmo_keras.datasets.splits import Split, Splits
from elmo_keras.datasets.word_pair import WordPair

_ADDRESS = (
    "https://raw.githubusercontent.com/Wenxin-Jiang/CS577-NLP/"
    "17fb8ca981698024599b423ad140f1ac36608529/HW2/WiC_dataset/{0}/{0}.{1}.txt"
)
_SHA256 = {
    ("train", "data"): "3a56ff8285ca9703d6c91dfb7cc79760171899c560bb6a8698fa4559a71b160d",
    ("train", "gold"): "3f614ca12c03a90fecc34471d8ae666f924a3c657b5620fcfb46d9b2b50bb7b2",
    ("dev", "data"): "1c360246ffa3904fc1d8f6f16bb7ae0d7980a1a27e9200e9b43c32fd35af11e7",
    ("dev", "gold"): "665ee959c2cf7db2a4255b7a049bdfa165b970482145cfd2ac456007d4dcf1d6",
}
_LABELS = {"F": "different", "T": "same"}


def load_wic() -> Splits:
    """Loads WiC: pairs of sentences with a common word, which has the same sense in both or not.

    There are 4,854 pairs for training, 574 for development and 638 for testing, about half of them
    with the same sense. The sentences are cased and tokenized.

    The test set here is the published development set. The development set is about a tenth of the
    5,428 published training pairs: those whose word has a CRC-32 that is a multiple of 10, so that
    no word of it is a training word. A third of the words of the test set are training words.

    The files are downloaded once and kept in the Keras cache. If the environment variable
    `ELMO_KERAS_DATA` names a folder, they are read from
    `wsd_wic/{train,dev}.{data,gold}.txt` in that folder instead.

    Returns:
        `Splits` of `(sentences, labels)`: a list of `WordPair`, and a list of the strings `"same"`
        and `"different"`.

    Raises:
        FileNotFoundError: if a file is not in the folder that `ELMO_KERAS_DATA` names.
        DatasetUnavailable: if `ELMO_KERAS_DATA` is not set and a file cannot be downloaded.
        ValueError: if a file has other content.

    Example:

    ```python
    from elmo_keras import datasets

    train, dev, test = datasets.load_wic()
    word, sentences, positions = train.sentences[0]
    ```

    References:
        - [Pilehvar and Camacho-Collados, 2019](https://aclanthology.org/N19-1128/)
        - [The data set](https://pilehvar.github.io/wic/)
    """
    labeled, test = _load("train"), _load("dev")
    train = [example for example in labeled if tenth_of(example.pair.word) != 0]
    dev = [example for example in labeled if tenth_of(example.pair.word) == 0]
    return Splits(_to_split(train), _to_split(dev), _to_split(test))


class _Example(NamedTuple):
    pair: WordPair
    label: str


def _source(name: str, kind: str) -> Source:
    return Source(f"wsd_wic/{name}.{kind}.txt", _ADDRESS.format(name, kind), _SHA256[name, kind])


def _load(name: str) -> list[_Example]:
    data, gold = (_lines(read_source(_source(name, kind))) for kind in ("data", "gold"))
    if len(data) != len(gold):
        raise ValueError(
            f"`{name}.data.txt` and `{name}.gold.txt` must have one line for each pair. "
            f"Received: {len(data)} and {len(gold)} lines. Get the files again from their public "
            "address."
        )
    return [_parse(line, label) for line, label in zip(data, gold)]


def _lines(content: bytes) -> list[str]:
    # `splitlines` would also split at characters that occur inside sentences.
    return content.decode("utf-8").rstrip("\n").split("\n")


def _parse(line: str, label: str) -> _Example:
    try:
        word, _, indices, first, second = line.split("\t")
        first_index, second_index = map(int, indices.split("-"))
        sentences = first.split(" "), second.split(" ")
        pair = WordPair(word, sentences, (first_index, second_index))
        for sentence, position in zip(sentences, pair.positions):
            sentence[position]
        return _Example(pair, _LABELS[label])
    except (ValueError, LookupError) as error:
        raise ValueError(
            "A line must be a word, its part of speech, its index in both sentences such as `2-0`, "
            "and the sentences, with tabs between them, and its label T or F. "
            f"Received: line={line!r}, label={label!r}. Get the files again from their public "
            "address."
        ) from error


def _to_split(examples: list[_Example]) -> Split:
    return Split([example.pair for example in examples], [example.label for example in examples])
