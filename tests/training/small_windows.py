"""Small windows of random sentences, and an independent implementation of bilm-tf's windows."""

import gzip
import itertools

import numpy as np

from elmo_keras import layers
from elmo_keras.text.word_vocabulary import WordVocabulary
from elmo_keras.training import Corpus
from elmo_keras.training.windows import Windows

MAX_CHARACTERS = 20
ENCODER = layers.CharCNN(filters=[(1, 4)], max_characters=MAX_CHARACTERS)
WORDS = [f"w{number}" for number in range(30)]
# The vocabulary lacks every third word.
VOCABULARY = WordVocabulary(["<S>", "</S>", "<UNK>", *(w for n, w in enumerate(WORDS) if n % 3)])


def make_files(folder, sizes=(9, 1, 0, 14), seed=0, longest=12):
    """Writes files of `sizes` different sentences, with empty lines; the first one as gzip."""
    rng, files, seen = np.random.default_rng(seed), [], set()
    folder.mkdir(parents=True, exist_ok=True)
    for size in sizes:
        sentences = []
        while len(sentences) < size:
            sentence = tuple(rng.choice(WORDS, rng.integers(1, longest)).tolist())
            if sentence not in seen:
                seen.add(sentence)
                sentences.append(list(sentence))
        lines = [" ".join(words) + "\n" * rng.integers(1, 4) for words in sentences]
        data = "".join(lines).encode()
        path = folder / f"shard-{len(files)}"
        path.write_bytes(gzip.compress(data) if len(files) == 0 else data)
        files.append(sentences)
    return files


def make_windows(folder, vocabulary=VOCABULARY, encoder=ENCODER, **options):
    """Windows of three streams and five words."""
    small = {"batch_size": 3, "window": 5, "num_negatives": 7, "dropout_shape": (2, 4)}
    return Windows(Corpus(folder, "whitespace"), vocabulary, encoder, **small | options)


def take(windows, number):
    """The next batches."""
    return list(itertools.islice(windows, number))


def word_of(row):
    """The word that a row of character ids spells."""
    row = [x - 1 for x in row.tolist()]
    assert row[0] == 258
    middle = row[1 : row.index(259)]
    assert row[len(middle) + 2 :] == [260] * (len(row) - len(middle) - 2)
    marks = {(256,): "<S>", (257,): "</S>"}
    return marks.get(tuple(middle)) or bytes(middle).decode()


def words_of(batch):
    """The input words of a batch, `(2, rows, steps)`."""
    spelled = np.array([word_of(row) for row in batch.ids if row.any()], object)
    return spelled[batch.inputs]


def targets_of(batch, vocabulary=VOCABULARY):
    """The words that a batch predicts, `(2, rows, steps)`."""
    return np.array(vocabulary.tokens, object)[batch.targets]


def known(words):
    """The words that are predicted: `<UNK>` for those outside of the vocabulary."""
    return np.vectorize(lambda word: word if word in VOCABULARY else "<UNK>", otypes=[object])(
        words
    )


class ReferenceWindows:
    """bilm-tf's `_get_batch` (`bilm/data.py`) for both directions, with words instead of ids."""

    def __init__(self, sentences, rows, steps):
        self.rows, self.steps = rows, steps
        forward, backward = itertools.tee(sentences)
        self.directions = [
            ((["<S>", *sentence, "</S>"] for sentence in forward), [None] * rows),
            ((["</S>", *sentence[::-1], "<S>"] for sentence in backward), [None] * rows),
        ]

    def batch(self, carry=None):
        shape = (2, self.rows, self.steps)
        inputs, targets = np.full(shape, "", object), np.full(shape, "", object)
        for direction, (sentences, streams) in enumerate(self.directions):
            for row in range(self.rows):
                if carry is not None and not carry[row]:
                    streams[row] = None
                place = 0
                while place < self.steps:
                    if streams[row] is None or len(streams[row]) <= 1:
                        streams[row] = next(sentences)
                    number = min(len(streams[row]) - 1, self.steps - place)
                    inputs[direction, row, place : place + number] = streams[row][:number]
                    targets[direction, row, place : place + number] = streams[row][1 : number + 1]
                    place += number
                    streams[row] = streams[row][number:]
        return inputs, targets


def order_of(folder, number, **options):
    """The first `number` sentences in the order in which one stream reads them."""
    windows = make_windows(folder, batch_size=1, window=50, dropout=0.0, **options)
    sentences = []
    while len(sentences) <= number:
        for word in words_of(next(windows))[0, 0]:
            if word == "<S>":
                sentences.append([])
            else:
                sentences[-1].append(word)
    return sentences[:number]


def check_equal(one, other):
    """Two batches are equal in values and types."""
    for name, a, b in zip(one._fields, one, other, strict=True):
        assert (a is None) == (b is None), name
        if a is not None:
            assert a.dtype == b.dtype, name
            np.testing.assert_array_equal(a, b, err_msg=name)
