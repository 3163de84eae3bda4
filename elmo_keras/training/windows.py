"""Training batches: windows of the word streams that the two directions of a biLM read."""

import itertools
import math
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from elmo_keras.layers.token_encoder import TokenEncoder
from elmo_keras.text.bucketing import bucket
from elmo_keras.text.special_tokens import SPECIAL_TOKENS
from elmo_keras.text.word_vocabulary import WordVocabulary
from elmo_keras.training.corpus import Corpus
from elmo_keras.training.log_uniform_sampler import LogUniformSampler
from elmo_keras.training.sentence_stream import SentenceStream
from elmo_keras.training.teacher_sentences import TeacherSentences

# Dropout rates are rounded to multiples of this.
_RESOLUTION = 2**-16
# Sentence boundaries among the words of a sentence. They are tuples because a word of the corpus
# may be spelled like a boundary: whether it then is one depends on the token encoder.
_BEGIN, _END = (None, "begin"), (None, "end")
Word: TypeAlias = str | tuple[None, str]


# Fields of a batch with an axis of the teacher's sentences, the second one.
_OF_SENTENCES = (
    "teacher_inputs",
    "teacher_targets",
    "teacher_mask",
    "sentence_words",
    "sentence_log_expected",
)


class Batch(NamedTuple):
    """The input of one training step. Direction 0 reads forward, direction 1 backward.

    Attributes:
        ids: `(words, *ids_shape)` int32. Token encoder ids of the distinct words of the windows,
            sentence boundaries included.
        inputs: `(2, batch_size, window)` int32. The words to read, as indices into `ids`.
        targets: `(2, batch_size, window)` int32. The words to predict, as indices into the
            vocabulary.
        log_expected: `(2, batch_size, window)` float32. `LogUniformSampler.log_expected` of the
            targets, or `None` for the full softmax.
        negatives: `(num_negatives,)` int32. The sampled words, or `None` for the full softmax.
        negatives_log_expected: `(num_negatives,)` float32. `LogUniformSampler.log_expected` of the
            negatives, or `None` for the full softmax.
        carry: `(batch_size,)` bool. Whether a stream keeps its LSTM states; they start at zero
            otherwise.
        dropout_mask: `(2, num_layers + 1, batch_size, window, dim)` bool. The values to keep of
            each LSTM layer's input and of the last layer's output, or `None` without dropout.
        teacher_inputs: `(time, sentences)` int32. The words of the teacher's sentences with their
            boundaries, as indices into `ids`; -1 is padding. `None` without a teacher.
        teacher_targets: `(time, sentences, components)` float32, or `None`.
        teacher_mask: `(time, sentences)` bool, or `None`. Whether a word has a target.
        sentence_words: `(time, sentences)` int32. The words of the teacher's sentences with their
            boundaries, as indices into the vocabulary, or `None`.
        sentence_log_expected: `(time, sentences)` float32. `LogUniformSampler.log_expected` of
            `sentence_words`, or `None`.
    """

    ids: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray
    log_expected: np.ndarray | None
    negatives: np.ndarray | None
    negatives_log_expected: np.ndarray | None
    carry: np.ndarray
    dropout_mask: np.ndarray | None
    teacher_inputs: np.ndarray | None = None
    teacher_targets: np.ndarray | None = None
    teacher_mask: np.ndarray | None = None
    sentence_words: np.ndarray | None = None
    sentence_log_expected: np.ndarray | None = None

    def select_streams(self, streams: slice, pad_words: bool = False) -> "Batch":
        """Returns the batch of some of the streams; its `ids` are reduced to their words.

        The teacher's sentences are divided in the same proportion.

        Args:
            streams: slice of the axis of `batch_size`.
            pad_words: bool. Whether to pad `ids`, as in `Windows`. Defaults to `False`.
        """
        inputs = self.inputs[:, streams]
        words = np.unique(inputs)
        sentences: dict[str, np.ndarray] = {}
        if self.teacher_inputs is not None:
            ratio = self.teacher_inputs.shape[1] / len(self.carry)
            start, stop, _ = streams.indices(len(self.carry))
            columns = slice(round(start * ratio), round(stop * ratio))
            arrays = {name: getattr(self, name) for name in _OF_SENTENCES}
            sentences = {
                name: array[:, columns] for name, array in arrays.items() if array is not None
            }
            read = sentences["teacher_inputs"]
            words = np.union1d(words, read[read >= 0])
            places = np.searchsorted(words, read).astype("int32")
            sentences["teacher_inputs"] = np.where(read >= 0, places, -1)
        mask = self.dropout_mask
        return self._replace(
            ids=_pad_ids(self.ids[words], pad_words),
            inputs=np.searchsorted(words, inputs).astype("int32"),
            targets=self.targets[:, streams],
            log_expected=None if self.log_expected is None else self.log_expected[:, streams],
            carry=self.carry[streams],
            dropout_mask=None if mask is None else mask[:, :, streams],
            **sentences,
        )


def _pad_ids(ids: np.ndarray, pad_words: bool) -> np.ndarray:
    """Appends rows of zeros up to the next bucket size, if asked to."""
    missing = bucket(len(ids)) - len(ids) if pad_words else 0
    return np.pad(ids, [(0, missing), *[(0, 0)] * (ids.ndim - 1)])


class Windows:
    """An endless iterator of batches of consecutive windows of a corpus, cut as in bilm-tf.

    Each of the `batch_size` streams is a sequence of sentences. At the end of its sentence, a
    stream takes the next sentence of the corpus. The backward direction reads the same sentences,
    each from its end. A batch holds the next `window` words of every stream, so LSTM states can be
    carried from batch to batch.

    In each pass over the corpus, files are shuffled, and lines are shuffled within their blocks.
    With a teacher, a batch also holds whole sentences with targets.

    Every random choice depends only on the seed and the index of the batch, dropout and sampled
    words included. A training step is thus a function of its batch: it is the same on every
    backend, on any number of devices and after a restart.

    Args:
        corpus: `Corpus`.
        vocabulary: `WordVocabulary` of the softmax.
        encoder: `TokenEncoder` that the ids are for.
        batch_size: int. Number of parallel streams. Defaults to `64`.
        window: int. Words of each stream in a batch. Defaults to `20`.
        num_negatives: int. Words of the sampled softmax. If the vocabulary is not larger, the
            full softmax is used. Defaults to `2048`.
        dropout: float. Dropout rate. Defaults to `0.1`.
        fresh_starts: float. Share of windows at whose start a stream drops the rest of its
            sentence, takes the next one and resets its LSTM states. Defaults to `0.0`.
        dropout_shape: `(num_layers, dim)` of the LSTMs, for the dropout mask.
        seed: int. Defaults to `0`.
        shuffle: bool. Whether to shuffle files and lines. Defaults to `True`.
        pad_words: bool. Whether to pad `ids` to one of a few sizes, for backends that compile the
            step again for each new size. Defaults to `False`.
        teacher: `TeacherSentences`, or `None`, the default.

    Raises:
        ValueError: on iteration, if the corpus holds no sentence.
    """

    def __init__(
        self,
        corpus: Corpus,
        vocabulary: WordVocabulary,
        encoder: TokenEncoder,
        batch_size: int = 64,
        window: int = 20,
        num_negatives: int = 2048,
        dropout: float = 0.1,
        fresh_starts: float = 0.0,
        dropout_shape: tuple[int, int] = (2, 128),
        seed: int = 0,
        shuffle: bool = True,
        pad_words: bool = False,
        teacher: TeacherSentences | None = None,
    ) -> None:
        self.corpus, self.encoder, self.teacher = corpus, encoder, teacher
        begin, end, self._unknown = map(vocabulary.token_to_index, SPECIAL_TOKENS)
        self._targets: dict[Word, int] = {word: i for i, word in enumerate(vocabulary.tokens)}
        self._targets |= {_BEGIN: begin, _END: end}
        self.batch_size, self.window = batch_size, window
        self.sampler = None
        if num_negatives < len(vocabulary):
            self.sampler = LogUniformSampler(len(vocabulary), num_negatives)
        self.dropout, self.dropout_shape = dropout, dropout_shape
        self.fresh_starts = fresh_starts
        self.seed, self.pad_words = seed, pad_words
        self.batch_index = 0  # of the next batch
        self.streams = [_Stream(None, 0) for _ in range(batch_size)]
        self._sentences = SentenceStream(corpus, seed, shuffle)

    @property
    def tokens(self) -> int:
        """Number of words that each direction predicts in a batch."""
        return self.batch_size * self.window

    @property
    def passes(self) -> int:
        """Number of times that the corpus has been read to its end."""
        return self._sentences.passes

    def state(self) -> dict[str, Any]:
        """Returns the position in the corpus as JSON-compatible data for `restore`."""
        return {
            # Checkpoints of older runs hold this key.
            "number": self.batch_index,
            "place": self._sentences.state(),
            "streams": [(stream.tokens, stream.offset) for stream in self.streams],
        } | ({} if self.teacher is None else {"teacher": self.teacher.state()})

    def restore(self, state: dict[str, Any]) -> None:
        """Continues after the batch at which `state` was taken.

        Args:
            state: return value of `state`.

        Raises:
            ValueError: if the state has another number of streams.
        """
        if len(state["streams"]) != self.batch_size:
            raise ValueError(
                f"The state must have as many streams as the windows, {self.batch_size}. "
                f"Received: a state of {len(state['streams'])} streams. Use its `batch_size`."
            )
        self.batch_index = state["number"]
        self.streams = [_Stream(tokens, offset) for tokens, offset in state["streams"]]
        self._sentences.restore(state["place"])
        if self.teacher is not None:
            self.teacher.restore(state["teacher"])

    def __iter__(self) -> "Windows":
        return self

    def __next__(self) -> Batch:
        random = np.random.default_rng([self.seed, self.batch_index])
        self.batch_index += 1
        carry = random.random(self.batch_size) >= self.fresh_starts
        read: tuple[list[Word], list[Word]] = ([], [])
        predicted: tuple[list[Word], list[Word]] = ([], [])
        for stream, is_carried in zip(self.streams, carry):
            if not is_carried:
                stream.drop_sentence()
            self._cut(stream, read, predicted)

        shape = (2, self.batch_size, self.window)
        places: dict[Word, int] = {}
        inputs = [places.setdefault(word, len(places)) for word in itertools.chain(*read)]
        teacher_arrays = self._teacher_arrays(places)
        targets = self._indices(itertools.chain(*predicted)).reshape(shape)
        sample = self._sample(random, targets, teacher_arrays.get("sentence_words"))
        return Batch(
            ids=_pad_ids(self._ids(places), self.pad_words),
            inputs=np.array(inputs, "int32").reshape(shape),
            targets=targets,
            carry=carry,
            dropout_mask=self._dropout_mask(random),
            **sample,
            **teacher_arrays,
        )

    def _indices(self, words: Iterable[Word]) -> np.ndarray:
        """Returns the indices of words in the vocabulary, int32."""
        known, unknown = self._targets, self._unknown
        return np.array([known.get(word, unknown) for word in words], "int32")

    def _teacher_arrays(self, places: dict[Word, int]) -> dict[str, np.ndarray]:
        """Returns the fields of the teacher's next sentences; adds their words to `places`."""
        if self.teacher is None:
            return {}
        sentences = self.teacher.next_batch()
        time = 2 + max(len(tokens) for tokens, _, _ in sentences)
        time = bucket(time) if self.pad_words else time
        shape = time, len(sentences)
        inputs, mask = np.full(shape, -1, "int32"), np.zeros(shape, bool)
        indices = np.zeros(shape, "int32")
        targets = np.zeros((*shape, self.teacher.num_components), "float32")
        for row, (tokens, vectors, has_target) in enumerate(sentences):
            words: list[Word] = [_BEGIN, *tokens, _END]
            inputs[: len(words), row] = [places.setdefault(word, len(places)) for word in words]
            indices[: len(words), row] = self._indices(words)
            # The first step is the sentence boundary.
            targets[1 : len(tokens) + 1, row] = np.where(has_target[:, None], vectors, 0)
            mask[1 : len(tokens) + 1, row] = has_target
        return {
            "teacher_inputs": inputs,
            "teacher_targets": targets,
            "teacher_mask": mask,
            "sentence_words": indices,
        }

    def _ids(self, places: dict[Word, int]) -> np.ndarray:
        """Returns the ids `(words, *ids_shape)` of distinct words, given with their indices."""
        boundaries = {
            places[boundary]: row
            for boundary, row in zip((_BEGIN, _END), self.encoder.boundary_ids())
            if boundary in places
        }
        words = [word if isinstance(word, str) else "" for word in places]
        ids = self.encoder.numpy_ids(words)
        for place, row in boundaries.items():
            ids[place] = row
        return ids

    def _cut(
        self,
        stream: "_Stream",
        read: tuple[list[Word], list[Word]],
        predicted: tuple[list[Word], list[Word]],
    ) -> None:
        """Appends a stream's next window to the words that each direction reads and predicts."""
        left = self.window
        while left:
            if stream.is_over:
                stream.start(next(self._sentences))
            begin = stream.offset
            stream.offset = end = min(begin + left, len(stream.forward) - 1)
            left -= end - begin
            for direction, words in enumerate((stream.forward, stream.backward)):
                read[direction].extend(words[begin:end])
                predicted[direction].extend(words[begin + 1 : end + 1])

    def _sample(
        self, random: np.random.Generator, targets: np.ndarray, sentence_words: np.ndarray | None
    ) -> dict[str, np.ndarray | None]:
        """Samples words; returns the fields of the batch that the sampled softmax needs."""
        names = "log_expected", "negatives", "negatives_log_expected", "sentence_log_expected"
        if self.sampler is None:
            return dict.fromkeys(names)
        words, draws = self.sampler.sample(random)
        of_sentences = None
        if sentence_words is not None:
            of_sentences = self.sampler.log_expected(sentence_words, draws)
        log_expected = self.sampler.log_expected
        values = log_expected(targets, draws), words, log_expected(words, draws), of_sentences
        return dict(zip(names, values))

    def _dropout_mask(self, random: np.random.Generator) -> np.ndarray | None:
        if not self.dropout:
            return None
        num_layers, dim = self.dropout_shape
        shape = (2, num_layers + 1, self.batch_size, self.window, dim)
        size = math.prod(shape)
        # Each 64-bit draw gives four 16-bit ones.
        draws = random.integers(0, 2**64, -(-size // 4), dtype="uint64").view("uint16")[:size]
        return (draws >= round(self.dropout / _RESOLUTION)).reshape(shape)


class _Stream:
    """A stream's current sentence and the number of its words that have been read."""

    def __init__(self, tokens: list[str] | None, offset: int) -> None:
        self.start(tokens, offset)

    def start(self, tokens: list[str] | None, offset: int = 0) -> None:
        """Starts a sentence, at the given word."""
        self.tokens, self.offset = tokens, offset
        self.forward: list[Word] = [] if tokens is None else [_BEGIN, *tokens, _END]
        self.backward = self.forward[::-1]

    @property
    def is_over(self) -> bool:
        """Whether all words of the sentence have been read."""
        return self.offset >= len(self.forward) - 1

    def drop_sentence(self) -> None:
        """Leaves the rest of the sentence unread."""
        self.start(None)
