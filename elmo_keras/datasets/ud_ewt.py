"""The English Web Treebank of Universal Dependencies, for part-of-speech tagging."""

from elmo_keras.datasets._source import Source, read_source
from elmo_keras.datasets.splits import Split, Splits

_ADDRESS = (
    "https://raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/"
    "15d613d8447b3478787d4c278730a1e48a945efb/en_ewt-ud-{}.conllu"
)
# Of the output of `_words_and_tags`: a file may differ in its comments, lemmas and syntax.
_SHA256 = {
    "train": "f66337dc7c394a1f497ddce9714c77f2bb296eb3721e01ed313d5a40eb5db6c9",
    "dev": "ac7b79f3411079d8dca268d824ce4b36e25c9ba839ccd64067024d2ac18fba8d",
    "test": "ead3f5bc8fe6026fa56cebf36b682bf79b165ff19762ad2bed0120039f6033ad",
}


def load_ud_ewt() -> Splits:
    """Loads UD English-EWT: sentences and the universal part-of-speech tags of their words.

    The sentences come from weblogs, newsgroups, emails, reviews and answers: 12,544 for training,
    2,001 for development and 2,077 for testing. Words are syntactic words: `don't` is the two words
    `do` and `n't`.

    The files are downloaded once and kept in the Keras cache. If the environment variable
    `ELMO_KERAS_DATA` names a folder, they are read from
    `pos_ud_en_ewt/en_ewt-ud-{train,dev,test}.conllu.gz` in that folder instead.

    Returns:
        `Splits` of `(sentences, labels)`: a sentence is a list of words, and its labels are a list
        with one tag such as `"NOUN"` for each word.

    Raises:
        FileNotFoundError: if a file is not in the folder that `ELMO_KERAS_DATA` names.
        DatasetUnavailable: if `ELMO_KERAS_DATA` is not set and a file cannot be downloaded.
        ValueError: if a file has other content.

    Example:

    ```python
    from elmo_keras import datasets

    train, dev, test = datasets.load_ud_ewt()
    words, tags = train.sentences[0], train.labels[0]
    ```

    References:
        - [Silveira et al., 2014](https://aclanthology.org/L14-1067/)
        - [The treebank, CC BY-SA 4.0](https://github.com/UniversalDependencies/UD_English-EWT)
    """
    return Splits(*(_parse(read_source(_source(name))) for name in ("train", "dev", "test")))


def _source(name: str) -> Source:
    return Source(
        f"pos_ud_en_ewt/en_ewt-ud-{name}.conllu.gz",
        _ADDRESS.format(name),
        _SHA256[name],
        _words_and_tags,
    )


def _words_and_tags(content: bytes) -> bytes:
    """Reduces CoNLL-U to the lines `word<TAB>tag`, with an empty line after each sentence."""
    lines: list[bytes] = []
    for line in content.split(b"\n"):
        columns = line.split(b"\t")
        if not line:
            lines.append(line)
        # Skips comments, multiword tokens (`1-2`) and empty nodes (`1.1`).
        elif columns[0].isdigit() and len(columns) == 10:
            lines.append(columns[1] + b"\t" + columns[3])
    return b"\n".join(lines)


def _parse(content: bytes) -> Split:
    sentences, labels = [], []
    for block in content.decode("utf-8").strip("\n").split("\n\n"):
        rows = [line.split("\t") for line in block.split("\n")]
        sentences.append([word for word, _ in rows])
        labels.append([tag for _, tag in rows])
    return Split(sentences, labels)
