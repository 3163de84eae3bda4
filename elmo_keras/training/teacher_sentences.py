"""Sentences with targets, in the order in which pretraining reads them."""

import itertools
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from elmo_keras.text.word_vocabulary import WordVocabulary
from elmo_keras.training.corpus import Corpus
from elmo_keras.training.projection import Projection, cut_sentences, fit_to_corpus
from elmo_keras.training.sentence_stream import SentenceStream
from elmo_keras.training.teacher import Teacher, check_targets
from elmo_keras.training.teacher_shards import SentenceTargets, TeacherShards

# Batches that are shuffled and sorted by length together, so that batches hold little padding.
_GROUP = 50
# Sentences of a text from which its tokenization and the length of its sentences are estimated.
_SAMPLE = 500


class TeacherSentences(Protocol):
    """An endless source of batches of sentences with targets.

    Attributes:
        num_components: int. Size of a target.
        batch_size: int. Number of sentences in a batch.
        mean_tokens: float. Mean number of tokens of a sentence.
        description: str. Identifies the targets, for the check of a resumed run.
    """

    num_components: int
    batch_size: int
    mean_tokens: float
    description: str

    def next_batch(self) -> list[SentenceTargets]:
        """Returns the next sentences."""

    def state(self) -> dict[str, Any]:
        """Returns the position as JSON-compatible data for `restore`."""

    def restore(self, state: dict[str, Any]) -> None:
        """Continues after the batch at which `state` was taken."""


class ShuffledShards:
    """The sentences of shards, shuffled as a whole in each pass; batches have similar lengths.

    The order depends only on the seed and the pass.

    Args:
        shards: `TeacherShards`.
        batch_size: int. Number of sentences in a batch.
        seed: int. Defaults to `0`.
    """

    def __init__(self, shards: TeacherShards, batch_size: int, seed: int = 0) -> None:
        self.shards, self.batch_size, self.seed = shards, batch_size, seed
        self.num_components = shards.num_components
        self.mean_tokens = shards.num_tokens / len(shards)
        self.description = f"shards, sha1 {shards.digest}"
        self._place = {"pass": 0, "batch": 0}
        self._batches = self._order(0)

    def _order(self, number: int) -> list[np.ndarray]:
        """Returns the indices of the sentences of each batch of a pass."""
        random = np.random.default_rng([self.seed, number])
        order = random.permutation(len(self.shards))
        # The last batch of a pass is filled with sentences of its beginning.
        order = np.resize(order, -(-len(order) // self.batch_size) * self.batch_size)
        batches: list[np.ndarray] = []
        for start in range(0, len(order), _GROUP * self.batch_size):
            group = order[start : start + _GROUP * self.batch_size]
            group = group[np.argsort(self.shards.lengths[group], kind="stable")]
            rows = group.reshape(-1, self.batch_size)
            batches.extend(rows[random.permutation(len(rows))])
        return batches

    def next_batch(self) -> list[SentenceTargets]:
        """See `TeacherSentences`."""
        if self._place["batch"] == len(self._batches):
            self.restore({"pass": self._place["pass"] + 1, "batch": 0})
        indices = self._batches[self._place["batch"]]
        self._place["batch"] += 1
        return [self.shards[int(index)] for index in indices]

    def state(self) -> dict[str, Any]:
        """See `TeacherSentences`."""
        return dict(self._place)

    def restore(self, state: dict[str, Any]) -> None:
        """See `TeacherSentences`."""
        if state["pass"] != self._place["pass"]:
            self._batches = self._order(state["pass"])
        self._place = dict(state)


class LiveTeacher:
    """A teacher that is asked during training, so that no targets are stored.

    Use shards instead if the text is read more than once: a teacher is slower than its student.

    Args:
        teacher: `Teacher`.
        corpus: `Corpus` of the sentences.
        components: int. Number of principal components to keep. Defaults to `128`.
        fit_tokens: int. Number of tokens that the components are fitted to. Defaults to `50_000`.
        max_length: int. Longer sentences are cut into parts of this many tokens. Defaults to `100`.
        projection: `Projection` that an earlier run was trained with, or `None`, the default, to
            fit one. A run is resumed only with the same projection, to the bit: keep it with
            `elmo_keras.training.projection.save_projection` where rounding may differ.

    Raises:
        ValueError: if the corpus is empty, or if the teacher's targets are not finite or have wrong
            shapes.

    Example:

    ```python
    teacher = elmo_keras.training.ElmoTeacher(elmo_keras.ElmoLayer.from_preset("elmo_large/"))
    teacher = elmo_keras.training.LiveTeacher(teacher, corpus)
    elmo_keras.training.pretrain(model, corpus, "run/", options, teacher=teacher)
    ```
    """

    def __init__(
        self,
        teacher: Teacher,
        corpus: Corpus,
        components: int = 128,
        fit_tokens: int = 50_000,
        max_length: int = 100,
        projection: Projection | None = None,
    ) -> None:
        self.teacher, self.corpus, self.max_length = teacher, corpus, max_length
        self.tokenizer: str = corpus.tokenizer.description
        self.projection = (
            fit_to_corpus(teacher, corpus, components, fit_tokens, max_length)
            if projection is None
            else projection
        )


class LiveSentences:
    """The sentences of a live teacher, shuffled as in `Windows`.

    Args:
        live: `LiveTeacher`.
        batch_size: int. Number of sentences in a batch.
        seed: int. Defaults to `0`.
    """

    def __init__(self, live: LiveTeacher, batch_size: int, seed: int = 0) -> None:
        self.live, self.batch_size = live, batch_size
        self.num_components = live.projection.matrix.shape[1]
        files = ", ".join(path.name for path in live.corpus.files)
        self.description = (
            f"live, projection sha1 {live.projection.digest}, sentences of at most "
            f"{live.max_length} tokens of {files}"
        )
        self._stream = SentenceStream(live.corpus, seed)
        self._left: list[list[str]] = []
        sample = cut_sentences(list(itertools.islice(live.corpus, _SAMPLE)), live.max_length)
        self.mean_tokens = sum(map(len, sample)) / max(len(sample), 1)

    def next_batch(self) -> list[SentenceTargets]:
        """See `TeacherSentences`."""
        while len(self._left) < self.batch_size:
            self._left += cut_sentences([next(self._stream)], self.live.max_length)
        sentences, self._left = self._left[: self.batch_size], self._left[self.batch_size :]
        targets = check_targets(self.live.teacher.targets(sentences), sentences)
        vectors = self.live.projection(targets.vectors).astype("float32")
        ends = np.cumsum([len(tokens) for tokens in sentences])[:-1]
        parts = zip(sentences, np.split(vectors, ends), np.split(targets.has_target, ends))
        return [SentenceTargets(*part) for part in parts]

    def state(self) -> dict[str, Any]:
        """See `TeacherSentences`."""
        return {"place": self._stream.state(), "left": list(self._left)}

    def restore(self, state: dict[str, Any]) -> None:
        """See `TeacherSentences`."""
        self._stream.restore(state["place"])
        self._left = [list(tokens) for tokens in state["left"]]


def teacher_sentences(
    source: TeacherShards | LiveTeacher, batch_size: int, seed: int = 0
) -> TeacherSentences:
    """Creates the source of a teacher's sentences.

    Args:
        source: `TeacherShards` or `LiveTeacher`.
        batch_size: int. Number of sentences in a batch.
        seed: int. Defaults to `0`.

    Raises:
        ValueError: if `source` is neither.
    """
    if isinstance(source, TeacherShards):
        return ShuffledShards(source, batch_size, seed)
    if isinstance(source, LiveTeacher):
        return LiveSentences(source, batch_size, seed)
    raise ValueError(
        "`teacher` must be TeacherShards or a LiveTeacher. "
        f"Received: {source!r} of type {type(source).__name__}. Write the targets once with "
        "`write_teacher_shards`, or wrap a teacher and its text in a `LiveTeacher`."
    )


def check_tokenization(
    source: TeacherShards | LiveTeacher, corpus: Corpus, vocabulary: WordVocabulary
) -> None:
    """Checks that a teacher's sentences are split into tokens as the corpus is.

    Text of the tokenizer "whitespace" was split before, so its words are compared as well: their
    share in the vocabulary must be at least half of the share of the corpus's words.

    Args:
        source: `TeacherShards` or `LiveTeacher`.
        corpus: `Corpus` of the language model.
        vocabulary: `WordVocabulary` of its softmax.

    Raises:
        ValueError: if the tokenization differs.
    """
    own = corpus.tokenizer.description
    is_split = any(name.startswith("whitespace") for name in (source.tokenizer, own))
    if source.tokenizer != own and not is_split:
        raise ValueError(
            "The teacher's sentences must be tokenized as the corpus. Received: the tokenizer "
            f"{source.tokenizer!r} and, for the corpus, {own!r}. Write the targets with the "
            f"tokenizer {own!r}."
        )
    sentences: Iterable[list[str]]
    if isinstance(source, TeacherShards):
        step = max(1, len(source) // _SAMPLE)
        sentences = (source[index].tokens for index in range(0, len(source), step))
    else:
        sentences = itertools.islice(source.corpus, _SAMPLE)
    share = _known_share(sentences, vocabulary)
    corpus_share = _known_share(itertools.islice(corpus, _SAMPLE), vocabulary)
    if share < corpus_share / 2:
        raise ValueError(
            "The teacher's sentences must be of the language and tokenization of the corpus. "
            f"Received: {share:.0%} of their tokens are in the vocabulary, and {corpus_share:.0%} "
            "of the corpus's. Write the targets for text that is tokenized as the corpus."
        )


def _known_share(sentences: Iterable[list[str]], vocabulary: WordVocabulary) -> float:
    """Returns the share of tokens that are in a vocabulary."""
    known = set(vocabulary.tokens)
    tokens = [token for sentence in sentences for token in sentence]
    return sum(token in known for token in tokens) / max(len(tokens), 1)
