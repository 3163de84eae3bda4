"""Windows of the two streams of words that a bidirectional language model reads."""

import itertools
import math
import zlib
from typing import NamedTuple

import numpy as np

from elmo_keras.layers.token_encoder import TokenEncoder
from elmo_keras.text.bucketing import bucket
from elmo_keras.text.word_vocabulary import SPECIALS, WordVocabulary
from elmo_keras.training.corpus import Corpus
from elmo_keras.training.log_uniform_sampler import LogUniformSampler

# Dropout rates are multiples of this.
_RESOLUTION = 2**-16
_BEGINNING = {"pass": 0, "file": 0, "line": 0, "sentence": 0}
# The boundaries of a sentence among its words. They are no str: a word of the corpus that is
# written like a boundary is a word, which only some token encoders take for the boundary.
_BEGIN, _END = (None, "begin"), (None, "end")


class Batch(NamedTuple):
    """What one training step is given. Direction 0 reads forward, 1 backward.

    Attributes:
        ids: `(words, *ids_shape)` int32, the token encoder's ids of the distinct words of the
            windows, sentence boundaries among them.
        inputs: `(2, rows, steps)` int32, the words read: their places in `ids`.
        targets: `(2, rows, steps)` int32, the words to predict: their numbers in the vocabulary.
        log_expected: `(2, rows, steps)` float32, of each target, see `LogUniformSampler`; or
            `None` for the full softmax.
        negatives: `(number,)` int32, or `None`.
        negatives_log_expected: `(number,)` float32, or `None`.
        carry: `(rows,)` bool, whether a row's LSTM states go on; else they begin at zeros.
        keep: `(2, layers + 1, rows, steps, dim)` bool, what dropout leaves of the inputs of each
            layer and of the last one's output; or `None` without dropout.
    """

    ids: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray
    log_expected: np.ndarray | None
    negatives: np.ndarray | None
    negatives_log_expected: np.ndarray | None
    carry: np.ndarray
    keep: np.ndarray | None

    def of_rows(self, rows: slice, pad_words: bool = False) -> "Batch":
        """The part of a batch that some of its rows are, with their own distinct words."""
        inputs = self.inputs[:, rows]
        words, places = np.unique(inputs, return_inverse=True)
        return self._replace(
            ids=_padded(self.ids[words], pad_words),
            inputs=places.astype("int32").reshape(inputs.shape),
            targets=self.targets[:, rows],
            log_expected=None if self.log_expected is None else self.log_expected[:, rows],
            carry=self.carry[rows],
            keep=None if self.keep is None else self.keep[:, :, rows],
        )


def _padded(ids, pad_words):
    """Ids with rows of zeros after them, up to one of few numbers of rows."""
    missing = bucket(len(ids)) - len(ids) if pad_words else 0
    return np.pad(ids, [[0, missing], *[[0, 0]] * (ids.ndim - 1)])


class Windows:
    """Batches of consecutive windows of a corpus, without end, as bilm-tf cuts them.

    Each row is a stream of sentences one behind the other; where its sentence ends, a row takes
    the corpus' next one. The backward stream of a row holds the same sentences, each from its end.
    A batch is the next `steps` words of every row: LSTM states go on from batch to batch.

    Lines are shuffled within blocks of some thousand, files among each other, anew in each pass.

    All that is random comes from here, made of the seed and the number of the batch alone: the
    negatives and the dropout too. A step is thus a function of its batch, on every backend, on any
    number of devices, and after a restart.

    Args:
        corpus: `Corpus`.
        vocabulary: `WordVocabulary`.
        encoder: `TokenEncoder` that the ids of the words are for.
        rows: int. Streams. Defaults to `64`.
        steps: int. Words of a window. Defaults to `20`.
        num_negatives: int. Words of the sampled softmax; where the vocabulary is no larger, the
            softmax is full. Defaults to `2048`.
        dropout: float. Defaults to `0.1`.
        fresh_starts: float. The share of windows at whose begin a row leaves its sentence, takes
            the next one, and starts from zero states. Defaults to `0.0`.
        keep_shape: `(layers, dim)` of the LSTMs, for the dropout.
        seed: int. Defaults to `0`.
        shuffle: bool. Defaults to `True`.
        pad_words: bool. Whether to fill `ids` up to few different sizes, for where a new
            size means a new compilation. Defaults to `False`.

    Raises:
        ValueError: if the corpus holds no sentence.
    """

    def __init__(
        self,
        corpus: Corpus,
        vocabulary: WordVocabulary,
        encoder: TokenEncoder,
        rows: int = 64,
        steps: int = 20,
        num_negatives: int = 2048,
        dropout: float = 0.1,
        fresh_starts: float = 0.0,
        keep_shape: tuple[int, int] = (2, 128),
        seed: int = 0,
        shuffle: bool = True,
        pad_words: bool = False,
    ):
        self.corpus, self.encoder = corpus, encoder
        begin, end, self._unknown = map(vocabulary.number_of, SPECIALS)
        self._numbers = {word: number for number, word in enumerate(vocabulary.tokens)}
        self._numbers |= {_BEGIN: begin, _END: end}
        self.rows, self.steps = rows, steps
        self.sampler = None
        if num_negatives < len(vocabulary):
            self.sampler = LogUniformSampler(len(vocabulary), num_negatives)
        self.dropout, self.keep_shape = dropout, keep_shape
        self.fresh_starts = fresh_starts
        self.seed, self.shuffle, self.pad_words = seed, shuffle, pad_words
        self.number = 0  # of the next batch
        self.streams = [_Stream(None, 0) for _ in range(rows)]
        self._place = dict(_BEGINNING)
        self._sentences = self._read()

    @property
    def tokens(self) -> int:
        """Words of one direction in a batch."""
        return self.rows * self.steps

    @property
    def passes(self) -> int:
        """How often the corpus has been read to its end."""
        return self._place["pass"]

    def state(self) -> dict:
        """Where the windows are, ready for JSON; to be given to `restore`."""
        return {
            "number": self.number,
            "place": dict(self._place),
            "streams": [(stream.tokens, stream.offset) for stream in self.streams],
        }

    def restore(self, state: dict) -> None:
        """Goes on behind the batch after which `state` was taken.

        Raises:
            ValueError: if the state is that of windows of another number of rows.
        """
        if len(state["streams"]) != self.rows:
            raise ValueError(
                f"The state must be that of windows of as many rows, {self.rows}. "
                f"Received: one of {len(state['streams'])}."
            )
        self.number = state["number"]
        self.streams = [_Stream(tokens, offset) for tokens, offset in state["streams"]]
        self._place = dict(state["place"])
        self._sentences = self._read()

    def __iter__(self):
        return self

    def __next__(self) -> Batch:
        random = np.random.default_rng([self.seed, self.number])
        self.number += 1
        carry = random.random(self.rows) >= self.fresh_starts
        read, predicted = ([], []), ([], [])
        for stream, goes_on in zip(self.streams, carry):
            if not goes_on:
                stream.end()
            self._cut(stream, read, predicted)

        shape = (2, self.rows, self.steps)
        places = {}
        inputs = [places.setdefault(word, len(places)) for word in itertools.chain(*read)]
        numbers, unknown = self._numbers, self._unknown
        targets = [numbers.get(word, unknown) for word in itertools.chain(*predicted)]
        targets = np.array(targets, "int32").reshape(shape)
        return Batch(
            _padded(self._ids(places), self.pad_words),
            np.array(inputs, "int32").reshape(shape),
            targets,
            *self._negatives(targets, random),
            carry,
            self._keep(random),
        )

    def _ids(self, places):
        """The ids `(words, *ids_shape)` of words and boundaries, a dict of their places."""
        boundaries = {
            places[mark]: row
            for mark, row in zip((_BEGIN, _END), self.encoder.boundary_ids())
            if mark in places
        }
        words = ["" if place in boundaries else word for word, place in places.items()]
        ids = self.encoder.numpy_ids(words)
        for place, row in boundaries.items():
            ids[place] = row
        return ids

    def _cut(self, stream, read, predicted):
        """Appends the next `steps` words of a row to what each direction reads and predicts."""
        left = self.steps
        while left:
            if stream.is_over:
                stream.begin(next(self._sentences))
            begin = stream.offset
            stream.offset = end = min(begin + left, len(stream.forward) - 1)
            left -= end - begin
            for direction, words in enumerate((stream.forward, stream.backward)):
                read[direction].extend(words[begin:end])
                predicted[direction].extend(words[begin + 1 : end + 1])

    def _negatives(self, targets, random):
        if self.sampler is None:
            return None, None, None
        words, draws = self.sampler.sample(random)
        log_expected = self.sampler.log_expected
        return log_expected(targets, draws), words, log_expected(words, draws)

    def _keep(self, random):
        if not self.dropout:
            return None
        layers, dim = self.keep_shape
        shape = (2, layers + 1, self.rows, self.steps, dim)
        number = math.prod(shape)
        draws = random.integers(0, 2**64, -(-number // 4), dtype="uint64").view("uint16")[:number]
        return (draws >= round(self.dropout / _RESOLUTION)).reshape(shape)

    def _read(self):
        """The corpus' sentences from `_place` on, which is kept behind the last one given."""
        place, files = self._place, self.corpus.files
        while True:
            is_whole, is_empty = place == _BEGINNING | {"pass": place["pass"]}, True
            order = self._order(len(files), "files")
            for position in range(place["file"], len(files)):
                file = int(order[position])
                for block in self.corpus.blocks(file, place["line"]):
                    sentences = block.sentences
                    order_of_lines = self._order(len(sentences), file, block.line)
                    for number in range(place["sentence"], len(sentences)):
                        place["sentence"], is_empty = number + 1, False
                        yield sentences[order_of_lines[number]]
                    place |= {"line": block.next_line or 0, "sentence": 0}
                place |= {"file": position + 1, "line": 0}
            if is_whole and is_empty:
                raise self.corpus.without_tokens()
            place |= _BEGINNING | {"pass": place["pass"] + 1}

    def _order(self, number, *what):
        """A permutation that depends on the seed, on the pass, and on what is permuted."""
        if not self.shuffle:
            return range(number)
        key = [self.seed, self._place["pass"], *what]
        key = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in key]
        return np.random.default_rng(key).permutation(number)


class _Stream:
    """One row: the sentence that it is in, and how many of its words have been read."""

    def __init__(self, tokens, offset):
        self.begin(tokens, offset)

    def begin(self, tokens, offset=0):
        self.tokens, self.offset = tokens, offset
        self.forward = [] if tokens is None else [_BEGIN, *tokens, _END]
        self.backward = self.forward[::-1]

    @property
    def is_over(self):
        return self.offset >= len(self.forward) - 1

    def end(self):
        """Leaves the sentence as it is."""
        self.begin(None)
