"""What `elmo-keras vocabulary` and `elmo-keras pretrain` do, as functions."""

import contextlib
import itertools
import json
import os
import pathlib
import re
from collections.abc import Callable

import keras

from elmo_keras.files import vocabulary_file
from elmo_keras.files.atomic_write import text_content, write_atomically
from elmo_keras.models.bidirectional_language_model import BidirectionalLanguageModel
from elmo_keras.text.word_vocabulary import WordVocabulary
from elmo_keras.training.corpus import Corpus
from elmo_keras.training.model_sizes import (
    SIZES,
    Size,
    elmo_of_size,
    parameters_of,
    training_memory,
)
from elmo_keras.training.pretraining import pretrain
from elmo_keras.training.pretraining_options import PretrainingOptions
from elmo_keras.training.vocabulary import VocabularyReport, build_vocabulary, write_vocabulary
from elmo_keras.utils.optional_module import tensorflow as tf

STRATEGIES = ("none", "mirrored", "multi_worker")
WORDS, CORPUS_SIZE = "vocabulary.txt", "corpus.json"


def use_threads() -> None:
    """Gives each direction of the biLM its own half of the cores, where TensorFlow runs on them.

    Two LSTMs side by side, each with small matrices, are faster so than one after the other with
    all cores (by a fifth, on two). To be called before TensorFlow's first op; whoever has set
    numbers of threads, in the program or in `TF_NUM_INTRAOP_THREADS`, keeps them.
    """
    if keras.backend.backend() != "tensorflow" or "TF_NUM_INTRAOP_THREADS" in os.environ:
        return
    threads = tf.config.threading
    if threads.get_intra_op_parallelism_threads() == 0:
        # TensorFlow has begun already: it then has its own numbers.
        with contextlib.suppress(RuntimeError):
            threads.set_intra_op_parallelism_threads(max(1, (os.cpu_count() or 1) // 2))
            threads.set_inter_op_parallelism_threads(2)


def size_of(
    name: str,
    units: int | None = None,
    projection_dim: int | None = None,
    filters: str | None = None,
) -> Size:
    """One of `SIZES` by its name, with other numbers where they are given.

    Args:
        name: of the size.
        units: int or `None`.
        projection_dim: int or `None`.
        filters: as `"1x16,2x32"`, width and number of each, or `None`.
    """
    if name not in SIZES:
        raise ValueError(f"`size` must be one of {', '.join(SIZES)}. Received: size={name!r}")
    size = SIZES[name]
    if filters is not None:
        pairs = [re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", part) for part in filters.split(",")]
        if not all(pairs):
            raise ValueError(
                "`filters` must be widths and numbers, like 1x16,2x32,3x64. "
                f"Received: filters={filters!r}"
            )
        size = size._replace(filters=tuple((int(pair[1]), int(pair[2])) for pair in pairs))
    return size._replace(
        units=units or size.units, projection_dim=projection_dim or size.projection_dim
    )


def make_strategy(name: str):
    """A context: the scope of a tf.distribute strategy, or nothing for `"none"`.

    Raises:
        ValueError: for another name, or where TensorFlow is not the backend.
    """
    if name not in STRATEGIES:
        raise ValueError(f"`strategy` must be one of {STRATEGIES}. Received: strategy={name!r}")
    if name == "none":
        return contextlib.nullcontext()
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "tf.distribute strategies need the TensorFlow backend. "
            f"Received: strategy={name!r} on {keras.backend.backend()}."
        )
    if name == "mirrored":
        return tf.distribute.MirroredStrategy().scope()
    return tf.distribute.MultiWorkerMirroredStrategy().scope()


def describe(report: VocabularyReport):
    """What a vocabulary's report says, as lines for people."""
    yield (
        f"{report.sentences:,} sentences, {report.tokens:,} tokens, {report.distinct:,} different"
    )
    yield f"vocabulary of {report.size:,} words: {report.coverage:.2%} of the tokens"
    cut = ", ".join(f"{share:.3%} at {most}" for most, share in report.cut.items())
    yield f"longest word {report.longest} bytes; tokens that max_characters cuts: {cut}"
    if report.undecodable:
        yield f"{report.undecodable:,} bytes are not UTF-8, and were read as U+FFFD"


def describe_model(size: Size, num_words: int, batch_size: int = 64):
    """How large a model and its training will be, as lines for people."""
    number = parameters_of(size, num_words)
    memory = training_memory(size, num_words, batch_size)
    yield (
        f"LSTMs of {size.units:,} units projected to {size.projection_dim:,}, softmax over "
        f"{num_words:,} words: {number / 1e6:,.1f} M weights; training in batches of {batch_size} "
        f"takes about {memory / 2**30:,.1f} GiB"
    )


def run(
    corpus: Corpus,
    directory: pathlib.Path,
    size: Size,
    max_characters: int = 50,
    source=None,
    vocabulary=None,
    num_words: int = 30_000,
    tokens: int | None = None,
    epochs: float = 1.0,
    validation: Corpus | None = None,
    validation_sentences: int = 2000,
    dtype: str = "float32",
    text_tokenizer=None,
    strategy: str = "none",
    options: dict | None = None,
    report: Callable[[str], None] = lambda line: None,
    **settings,
) -> BidirectionalLanguageModel:
    """Pretrains a biLM from text files; see `pretrain`.

    The seed of the options covers the initial weights too: those of a new biLM, and those of the
    new softmax of a `source` without one. It is set with `keras.utils.set_random_seed`, so that
    later random numbers of this process depend on it.

    Args:
        corpus: `Corpus`.
        directory: of the run.
        size: `Size` of a new biLM.
        max_characters: int. Ids of a word, of a new biLM.
        source: what to go on from instead, as in `BidirectionalLanguageModel.from_preset`.
        vocabulary: path of a file of words; `None` builds one, or takes that of `source`.
        num_words: int. Words of a vocabulary that is built.
        tokens: int or `None`. How many to train on; `None` for `epochs`.
        epochs: float. Passes over the corpus, whose tokens are counted first.
        validation: `Corpus` or `None`.
        validation_sentences: int. Of it, at most, evenly spread.
        dtype: str. Of the computation.
        text_tokenizer: what the model is to split raw text with; `None` for the corpus' own.
        strategy: one of `STRATEGIES`.
        options: the other arguments of `PretrainingOptions`.
        report: what takes lines for people.
        **settings: the other arguments of `pretrain`.
    """
    if tokens is None and not epochs > 0:
        raise ValueError(f"`epochs` must be positive. Received: epochs={epochs}")
    options = dict(options or {})
    first = PretrainingOptions(tokens=tokens or 1, **options)  # what is wrong is said before work
    scope = make_strategy(strategy)
    words = None
    if source is None or vocabulary is not None:
        words = _words(corpus, directory, vocabulary, num_words, report)
        for line in describe_model(size, len(words), first.batch_size) if source is None else ():
            report(line)
    if tokens is None:
        tokens = max(1, round(epochs * _count(corpus, directory, report)))
    held_out = None if validation is None else _sample(validation, validation_sentences)
    elmo_options = {"dtype": dtype, "tokenizer": text_tokenizer or corpus.tokenizer}
    with scope:
        keras.utils.set_random_seed(first.seed % 2**32)  # numpy takes no larger seed
        if source is None:
            elmo = elmo_of_size(size, max_characters, **elmo_options)
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
            **settings,
        )


def _words(corpus, directory, vocabulary, num_words, report):
    """The words of the softmax: from a file, from an earlier start of the run, or counted."""
    path = directory / WORDS if vocabulary is None else pathlib.Path(vocabulary)
    if vocabulary is not None or path.exists():
        return WordVocabulary(vocabulary_file.read(path)).tokens
    report("Counts the words of the corpus.")
    words, found = build_vocabulary(corpus, num_words)
    for line in describe(found):
        report(line)
    write_vocabulary(words, path)
    _write_count(directory, found.tokens + found.sentences)
    return words.tokens


def _count(corpus, directory, report):
    """Words of one pass that each direction predicts, sentence marks among them."""
    path = directory / CORPUS_SIZE
    if not path.exists():
        report("Counts the tokens of the corpus.")
        _write_count(directory, sum(len(tokens) + 1 for tokens in corpus))
    return json.loads(path.read_text(encoding="utf-8"))["tokens"]


def _write_count(directory, tokens):
    text = json.dumps({"tokens": tokens}) + "\n"
    write_atomically(directory / CORPUS_SIZE, text_content(text).write)


def _sample(corpus, number):
    """At most so many sentences, evenly spread over the corpus."""
    total = sum(1 for _ in corpus)
    every = max(1, -(-total // number))
    return list(itertools.islice(corpus, 0, None, every))
