"""Counting the words of a corpus."""

import collections
import dataclasses
import itertools
import warnings

import numpy as np

from elmo_keras.files.atomic_write import write_words
from elmo_keras.text.word_vocabulary import SPECIALS, WordVocabulary
from elmo_keras.training.corpus import Corpus

# Counts are thinned out beyond this many different words: rare ones are forgotten.
MAX_COUNTED = 5_000_000
_SAMPLE = 5_000  # sentences that an order of words is judged by


@dataclasses.dataclass(frozen=True)
class VocabularyReport:
    """What a corpus holds, and how much of it a vocabulary covers.

    Attributes:
        sentences: int.
        tokens: int.
        distinct: int. Different words; of more than `MAX_COUNTED`, those still known at the end.
        size: int. Words of the vocabulary, `<S>`, `</S>` and `<UNK>` among them.
        coverage: float. Share of the tokens that the vocabulary holds; the others are `<UNK>` where
            they are to be predicted. What is read is characters: nothing is lost there.
        longest: int. Bytes of the longest word.
        cut: dict of the share of tokens that `max_characters` of 10, 25, 30 and 50 cut off (a word
            has room for two bytes less).
        undecodable: int. Bytes that are not UTF-8.
    """

    sentences: int
    tokens: int
    distinct: int
    size: int
    coverage: float
    longest: int
    cut: dict[int, float]
    undecodable: int


def build_vocabulary(
    corpus: Corpus, size: int = 30_000, min_count: int = 1
) -> tuple[WordVocabulary, VocabularyReport]:
    """The most frequent words of a corpus by falling frequency, behind `<S>`, `</S>`, `<UNK>`.

    The log-uniform sampler relies on that order. Words of one frequency stand in the order of
    their first coming.

    Args:
        corpus: `Corpus`, read once.
        size: int. Words at most, the three among them. Defaults to `30_000`.
        min_count: int. Words that come less often are left out. Defaults to `1`.

    Returns:
        The vocabulary, and a report.

    Raises:
        ValueError: if the corpus holds no token, or an argument is out of range.
    """
    if size <= len(SPECIALS) or min_count < 1:
        raise ValueError(
            f"`size` must be more than {len(SPECIALS)} and `min_count` at least 1. "
            f"Received: size={size}, min_count={min_count}"
        )
    counts, sentences, total = collections.Counter(), 0, 0
    for tokens in corpus:
        counts.update(tokens)
        sentences += 1
        total += len(tokens)
        if len(counts) > MAX_COUNTED:
            counts = _without_rarest(counts)
    if not counts:
        raise corpus.without_tokens()
    for word in SPECIALS:
        total -= counts.pop(word, 0)
    chosen = [(word, n) for word, n in counts.most_common(size - len(SPECIALS)) if n >= min_count]
    lengths = collections.Counter()
    for word, n in counts.items():
        lengths[len(word.encode("utf-8", "replace"))] += n
    report = VocabularyReport(
        sentences=sentences,
        tokens=total,
        distinct=len(counts),
        size=len(SPECIALS) + len(chosen),
        coverage=sum(n for _, n in chosen) / max(total, 1),
        longest=max(lengths, default=0),
        cut={
            most: sum(n for length, n in lengths.items() if length > most - 2) / max(total, 1)
            for most in (10, 25, 30, 50)
        },
        undecodable=corpus.undecodable,
    )
    return WordVocabulary([*SPECIALS, *(word for word, _ in chosen)]), report


def write_vocabulary(vocabulary: WordVocabulary, path) -> None:
    """Writes the words, one a line; an existing file is there until the new one is whole.

    Raises:
        OSError: if the file cannot be written. An existing one is then unchanged.
    """
    write_words(vocabulary.tokens, path)


def check_order(vocabulary: WordVocabulary, corpus: Corpus) -> None:
    """Warns if a vocabulary's order is far from that of falling frequency.

    The sampled softmax draws words by their place. With words in the order of the alphabet, say,
    it learns, but from the wrong words, and perplexities of full softmax come out poor.
    """
    sample = itertools.islice(corpus, _SAMPLE)
    counts = collections.Counter(itertools.chain.from_iterable(sample))
    ranks = np.array([vocabulary.number_of(word, -1) for word in counts])
    frequencies = np.array(list(counts.values()))[ranks >= 0]
    ranks = np.log1p(ranks[ranks >= 0])
    if not len(ranks):
        warnings.warn(
            "The vocabulary holds none of the words of the corpus: all of them will be <UNK>. "
            "Check that it was built with the tokenizer of this corpus.",
            stacklevel=2,
        )
        return
    # Where frequent words have low numbers, the mean log rank of tokens is far below that of words.
    if len(ranks) > 20 and np.average(ranks, weights=frequencies) > 0.9 * ranks.mean():
        warnings.warn(
            "The vocabulary must be sorted by falling frequency: the sampled softmax draws words "
            "by their place. Received: one whose first words are not the corpus' frequent ones. "
            "Build it with `elmo-keras vocabulary`.",
            stacklevel=2,
        )


def _without_rarest(counts):
    """Half of the different words, the more frequent ones."""
    return collections.Counter(dict(counts.most_common(MAX_COUNTED // 2)))
