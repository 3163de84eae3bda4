"""The work of `elmo-keras vocabulary` and `elmo-keras pretrain`, as functions."""

import contextlib
import itertools
import json
import os
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import keras

from elmo_keras.files import vocabulary_file
from elmo_keras.files.atomic_write import text_content, write_atomically
from elmo_keras.models.bidirectional_language_model import BidirectionalLanguageModel
from elmo_keras.text.tokenizer import Tokenizer
from elmo_keras.text.word_vocabulary import WordVocabulary
from elmo_keras.training.corpus import Corpus
from elmo_keras.training.model_sizes import (
    MODEL_SIZES,
    ModelSize,
    build_elmo,
    count_parameters,
    estimate_training_memory,
)
from elmo_keras.training.pretraining import pretrain
from elmo_keras.training.pretraining_options import PretrainingOptions
from elmo_keras.training.teacher_command import teacher_source
from elmo_keras.training.vocabulary import VocabularyReport, build_vocabulary, write_vocabulary
from elmo_keras.utils.optional_module import tensorflow as tf

STRATEGIES = ("none", "mirrored", "multi_worker")
VOCABULARY, CORPUS_SIZE = "vocabulary.txt", "corpus.json"


def set_thread_counts() -> None:
    """Sets TensorFlow's thread counts so that the two directions of the biLM run in parallel.

    Each direction gets half of the cores. Because their matrices are small, this is faster than
    one direction after the other on all cores (by a fifth, on two cores). Call this before
    TensorFlow's first operation. Thread counts that the program or `TF_NUM_INTRAOP_THREADS` has
    set are kept.
    """
    if keras.backend.backend() != "tensorflow" or "TF_NUM_INTRAOP_THREADS" in os.environ:
        return
    threads = tf.config.threading
    if threads.get_intra_op_parallelism_threads() == 0:
        # TensorFlow refuses to change the counts after its first operation.
        with contextlib.suppress(RuntimeError):
            threads.set_intra_op_parallelism_threads(max(1, (os.cpu_count() or 1) // 2))
            threads.set_inter_op_parallelism_threads(2)


def model_size(
    name: str,
    units: int | None = None,
    projection_dim: int | None = None,
    filters: str | None = None,
) -> ModelSize:
    """Returns one of `MODEL_SIZES`, with some of its values replaced.

    Args:
        name: str. Key of `MODEL_SIZES`.
        units: int or `None`, LSTM cells per layer and direction.
        projection_dim: int or `None`, LSTM projection size.
        filters: str or `None`, the character CNN's filters as `"WIDTHxCOUNT,..."`, for example
            `"1x16,2x32"`.

    Raises:
        ValueError: for an unknown name or malformed filters.

    Example:

    >>> from elmo_keras.training.command import model_size
    >>> model_size("mini", units=256, filters="1x16,2x32")
    ModelSize(units=256, projection_dim=128, filters=((1, 16), (2, 32)), num_highways=1)
    """
    if name not in MODEL_SIZES:
        raise ValueError(
            f"`size` must be one of {', '.join(MODEL_SIZES)}. Received: size={name!r}. Choose one, "
            "and change single values with `units`, `projection` and `filters`."
        )
    size = MODEL_SIZES[name]
    if filters is not None:
        size = size._replace(filters=_parse_filters(filters))
    return size._replace(
        units=units or size.units, projection_dim=projection_dim or size.projection_dim
    )


def _parse_filters(filters: str) -> tuple[tuple[int, int], ...]:
    pairs = []
    for part in filters.split(","):
        match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", part)
        if match is None:
            raise ValueError(
                "`filters` must be pairs of a width and a count, like 1x16,2x32,3x64. "
                f"Received: filters={filters!r}, in which {part!r} is not a pair. Correct it."
            )
        pairs.append((int(match[1]), int(match[2])))
    return tuple(pairs)


def strategy_scope(name: str) -> contextlib.AbstractContextManager[Any]:
    """Creates a `tf.distribute` strategy and returns its scope, a context manager.

    Args:
        name: str. `"none"`, for a context without effect; `"mirrored"`, for all GPUs of this
            machine; or `"multi_worker"`, for several machines.

    Raises:
        ValueError: for another name, or if the Keras backend is not TensorFlow.
    """
    if name not in STRATEGIES:
        raise ValueError(
            f"`strategy` must be one of {STRATEGIES}. Received: strategy={name!r}. Choose one."
        )
    if name == "none":
        return contextlib.nullcontext()
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "`strategy` must be 'none' unless the Keras backend is TensorFlow. Received: "
            f"strategy={name!r} on {keras.backend.backend()}. Set KERAS_BACKEND=tensorflow."
        )
    if name == "mirrored":
        return tf.distribute.MirroredStrategy().scope()
    return tf.distribute.MultiWorkerMirroredStrategy().scope()


def describe_vocabulary(report: VocabularyReport) -> Iterator[str]:
    """Yields the lines of text that state a vocabulary's statistics."""
    yield (
        f"{report.sentences:,} sentences, {report.tokens:,} tokens, "
        f"{report.distinct:,} distinct words"
    )
    yield f"vocabulary of {report.size:,} words: {report.coverage:.2%} of the tokens"
    cut = ", ".join(f"{share:.3%} at {limit}" for limit, share in report.cut.items())
    yield f"longest word {report.longest} bytes; share of tokens cut by max_characters: {cut}"
    if report.undecodable:
        yield f"{report.undecodable:,} bytes are not UTF-8, and were read as U+FFFD"


def describe_model(size: ModelSize, num_words: int, batch_size: int = 64) -> Iterator[str]:
    """Yields the lines of text that state the size of a model and the memory of its training.

    Args:
        size: `ModelSize`.
        num_words: int. Words of the softmax.
        batch_size: int. Parallel text streams. Defaults to `64`.
    """
    weights = count_parameters(size, num_words)
    memory = estimate_training_memory(size, num_words, batch_size)
    yield (
        f"LSTMs of {size.units:,} units projected to {size.projection_dim:,}, softmax over "
        f"{num_words:,} words: {weights / 1e6:,.1f} M weights; training in batches of {batch_size} "
        f"takes about {memory / 2**30:,.1f} GiB"
    )


def pretrain_from_text(
    corpus: Corpus,
    directory: pathlib.Path,
    size: ModelSize,
    max_characters: int = 50,
    source: Any = None,
    vocabulary: str | os.PathLike[str] | None = None,
    num_words: int = 30_000,
    tokens: int | None = None,
    epochs: float = 1.0,
    validation: Corpus | None = None,
    validation_sentences: int = 2000,
    dtype: str = "float32",
    text_tokenizer: str | Tokenizer | None = None,
    strategy: str = "none",
    teacher: str | os.PathLike[str] | None = None,
    options: dict[str, Any] | None = None,
    report: Callable[[str], None] = lambda line: None,
    progress: bool = False,
    **settings: Any,
) -> BidirectionalLanguageModel:
    """Pretrains a bidirectional language model on text, from the vocabulary to the preset.

    `options["seed"]` also determines the initial weights of a new model, or of the new softmax for
    a `source` without one. It is set with `keras.utils.set_random_seed`, which affects all later
    random numbers of this process.

    Args:
        corpus: `Corpus`.
        directory: path of the run.
        size: `ModelSize` of a new model.
        max_characters: int. Character ids per word of a new model. Defaults to `50`.
        source: model to adapt instead of a new one, as in `BidirectionalLanguageModel.from_preset`.
            Defaults to `None`.
        vocabulary: path of a vocabulary file. Defaults to `None`: the vocabulary of `source`, or
            one built from the corpus.
        num_words: int. Maximum size of a vocabulary that is built. Defaults to `30_000`.
        tokens: int or `None`. Number of training tokens. Defaults to `None`, for `epochs`.
        epochs: float. Passes over the corpus, whose tokens are counted first. Defaults to `1.0`.
        validation: `Corpus` to compute the perplexity of, or `None`, the default.
        validation_sentences: int. Maximum number of its sentences, evenly spaced. Defaults to
            `2000`.
        dtype: str. Dtype policy of the model. Defaults to `"float32"`.
        text_tokenizer: tokenizer of the model for raw text. Defaults to `None`, for the tokenizer
            of the corpus.
        strategy: str. One of `STRATEGIES`. Defaults to `"none"`.
        teacher: path of the targets of a teacher, or of a teacher, see `teacher_source`. Defaults
            to `None`.
        options: dict of the other arguments of `PretrainingOptions`. Defaults to `None`.
        report: function that is called with each line of text for the user. By default, lines are
            discarded.
        progress: bool. Whether to show progress bars. Defaults to `False`.
        **settings: other arguments of `pretrain`.

    Returns:
        `BidirectionalLanguageModel`.

    Raises:
        ValueError: for arguments out of range, and as `pretrain` does.
        OSError: as `pretrain` does.
    """
    if tokens is None and not epochs > 0:
        raise ValueError(
            f"`epochs` must be positive. Received: epochs={epochs}. Use at least a small fraction."
        )
    options = dict(options or {})
    # Invalid options raise their error here, before the corpus is read.
    checked = PretrainingOptions(tokens=tokens or 1, **options)
    scope = strategy_scope(strategy)
    # An unusable teacher raises its error here, before the corpus is read.
    taught = (
        None if teacher is None else teacher_source(teacher, corpus, directory, report, strategy)
    )
    words: list[str] | None = None
    if source is None or vocabulary is not None:
        words = _load_or_build_words(corpus, directory, vocabulary, num_words, report, progress)
        if source is None:
            for line in describe_model(size, len(words), checked.batch_size):
                report(line)
    if tokens is None:
        tokens = max(1, round(epochs * _count_tokens(corpus, directory, report)))
    held_out = None if validation is None else _sample(validation, validation_sentences)
    elmo_options = {"dtype": dtype, "tokenizer": text_tokenizer or corpus.tokenizer}
    with scope:
        keras.utils.set_random_seed(checked.seed % 2**32)  # numpy takes no larger seed
        if source is None and words is not None:
            elmo = build_elmo(size, max_characters, **elmo_options)
            model = BidirectionalLanguageModel(elmo, words)
        else:
            model = BidirectionalLanguageModel.from_preset(source, words, **elmo_options)
        return pretrain(
            model,
            corpus,
            directory,
            PretrainingOptions(tokens=tokens, **options),
            validation=held_out,
            report=report,
            progress=progress,
            teacher=taught,
            **settings,
        )


def _load_or_build_words(
    corpus: Corpus,
    directory: pathlib.Path,
    vocabulary: str | os.PathLike[str] | None,
    num_words: int,
    report: Callable[[str], None],
    progress: bool,
) -> list[str]:
    """Returns the softmax's words: from the given file, from an earlier start, or counted."""
    path = directory / VOCABULARY if vocabulary is None else pathlib.Path(vocabulary)
    if vocabulary is not None or path.exists():
        return WordVocabulary(vocabulary_file.read(path)).tokens
    report("Counts the words of the corpus.")
    words, statistics = build_vocabulary(corpus, num_words, progress=progress)
    for line in describe_vocabulary(statistics):
        report(line)
    write_vocabulary(words, path)
    _write_corpus_size(directory, statistics.tokens + statistics.sentences)
    return words.tokens


def _count_tokens(corpus: Corpus, directory: pathlib.Path, report: Callable[[str], None]) -> int:
    """Counts the tokens that each direction predicts in a pass, sentence boundaries included."""
    path = directory / CORPUS_SIZE
    if not path.exists():
        report("Counts the tokens of the corpus.")
        _write_corpus_size(directory, sum(len(tokens) + 1 for tokens in corpus))
    return json.loads(path.read_text(encoding="utf-8"))["tokens"]


def _write_corpus_size(directory: pathlib.Path, tokens: int) -> None:
    text = json.dumps({"tokens": tokens}) + "\n"
    write_atomically(directory / CORPUS_SIZE, text_content(text).write)


def _sample(corpus: Corpus, limit: int) -> list[list[str]]:
    """Returns at most `limit` sentences, evenly spaced over the corpus."""
    total = sum(1 for _ in corpus)
    step = max(1, -(-total // limit))
    return list(itertools.islice(corpus, 0, None, step))
