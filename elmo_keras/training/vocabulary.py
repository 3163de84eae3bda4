"""Vocabularies: counting the words of a corpus, and checking the order of a vocabulary."""

import dataclasses
import itertools
import os
import warnings
from collections import Counter

import numpy as np

from elmo_keras.files import vocabulary_file
from elmo_keras.text.special_tokens import SPECIAL_TOKENS
from elmo_keras.text.word_vocabulary import WordVocabulary
from elmo_keras.training.corpus import Corpus
from elmo_keras.utils.progress_bar import ProgressBar

# Above this number of distinct words, the rarest half is dropped from the count.
MAX_COUNTED = 5_000_000
# Number of sentences that `warn_if_unsorted` reads.
_SAMPLE = 5_000
# Values of `max_characters` whose effect the report states.
_MAX_CHARACTERS = (10, 25, 30, 50)


@dataclasses.dataclass(frozen=True)
class VocabularyReport:
    """Statistics of a corpus and of the vocabulary built from it.

    Args:
        sentences: int. Number of sentences.
        tokens: int. Number of tokens.
        distinct: int. Number of distinct words; if there are more than `MAX_COUNTED`, the number
            of words that were still counted at the end.
        size: int. Words of the vocabulary, `<S>`, `</S>` and `<UNK>` included.
        coverage: float. Share of the tokens that are in the vocabulary. The other tokens are
            predicted as `<UNK>`, but read by their characters.
        longest: int. Length of the longest word in bytes.
        cut: dict of `max_characters` (10, 25, 30 and 50) to the share of tokens longer than
            `max_characters - 2` bytes, which are cut.
        undecodable: int. Number of bytes that are not UTF-8.
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
    corpus: Corpus, size: int = 30_000, min_count: int = 1, progress: bool = False
) -> tuple[WordVocabulary, VocabularyReport]:
    """Builds a vocabulary of `<S>`, `</S>`, `<UNK>` and the most frequent words of a corpus.

    Words are sorted by falling frequency, as the log-uniform sampler requires; words of the same
    frequency are in the order of their first occurrence.

    Args:
        corpus: `Corpus`; it is read once.
        size: int. Maximum number of words, special tokens included. Defaults to `30_000`.
        min_count: int. Minimum number of times a word occurs. Defaults to `1`.
        progress: bool. Whether to show a progress bar. Defaults to `False`.

    Returns:
        `WordVocabulary` and `VocabularyReport`.

    Raises:
        ValueError: if the corpus holds no token, or an argument is out of range.

    Example:

    ```python
    corpus = elmo_keras.training.Corpus("wiki/*.txt", split_sentences=True)
    vocabulary, report = elmo_keras.training.build_vocabulary(corpus, size=100_000)
    print(f"{report.coverage:.1%} of the tokens are in the vocabulary.")
    ```
    """
    if size <= len(SPECIAL_TOKENS) or min_count < 1:
        raise ValueError(
            f"`size` must be more than {len(SPECIAL_TOKENS)} and `min_count` at least 1. "
            f"Received: size={size}, min_count={min_count}. Increase them."
        )
    counts: Counter[str] = Counter()
    sentences, total = 0, 0
    with ProgressBar("Counting", "sentences", enabled=progress) as bar:
        for tokens in corpus:
            counts.update(tokens)
            sentences += 1
            total += len(tokens)
            bar.advance(1, tokens=len(tokens))
            if len(counts) > MAX_COUNTED:
                counts = _drop_rarest_half(counts)
    if not counts:
        raise corpus.empty_error()
    for word in SPECIAL_TOKENS:
        total -= counts.pop(word, 0)
    frequent = counts.most_common(size - len(SPECIAL_TOKENS))
    chosen = {word: count for word, count in frequent if count >= min_count}
    lengths: Counter[int] = Counter()
    for word, count in counts.items():
        lengths[len(word.encode("utf-8", "replace"))] += count
    report = VocabularyReport(
        sentences=sentences,
        tokens=total,
        distinct=len(counts),
        size=len(SPECIAL_TOKENS) + len(chosen),
        coverage=sum(chosen.values()) / max(total, 1),
        longest=max(lengths, default=0),
        cut={
            limit: sum(n for length, n in lengths.items() if length > limit - 2) / max(total, 1)
            for limit in _MAX_CHARACTERS
        },
        undecodable=corpus.undecodable,
    )
    return WordVocabulary([*SPECIAL_TOKENS, *chosen]), report


def write_vocabulary(vocabulary: WordVocabulary, path: str | os.PathLike[str]) -> None:
    """Writes a vocabulary file, one word per line; replaces an existing file atomically.

    Args:
        vocabulary: `WordVocabulary`.
        path: path of the file; its directory is created if absent.

    Raises:
        OSError: if the file cannot be written. An existing file is then unchanged.
    """
    vocabulary_file.write(vocabulary.tokens, path)


def warn_if_unsorted(vocabulary: WordVocabulary, corpus: Corpus) -> None:
    """Warns if a vocabulary is not sorted by falling frequency in the corpus.

    The sampled softmax draws words by their rank. With another order, such as the alphabet's, it
    draws rare words too often, and the full-softmax perplexity of the trained model is poor.

    Args:
        vocabulary: `WordVocabulary`.
        corpus: `Corpus`; some thousand sentences of it are read.
    """
    sample = itertools.islice(corpus, _SAMPLE)
    counts = Counter(itertools.chain.from_iterable(sample))
    ranks = np.array([vocabulary.token_to_index(word, -1) for word in counts])
    frequencies = np.array(list(counts.values()))[ranks >= 0]
    ranks = np.log1p(ranks[ranks >= 0])
    if not len(ranks):
        warnings.warn(
            "The vocabulary must hold words of the corpus. Received: a vocabulary that holds none "
            "of the words, so that all of them will be <UNK>. Check that it was built with the "
            "tokenizer of this corpus.",
            stacklevel=2,
        )
        return
    # If frequent words have low ranks, the mean log rank of tokens is far below the mean log rank
    # of distinct words.
    if len(ranks) > 20 and np.average(ranks, weights=frequencies) > 0.9 * ranks.mean():
        warnings.warn(
            "The vocabulary must be sorted by falling frequency, because the sampled softmax draws "
            "words by rank. Received: a vocabulary whose first words are not frequent in the "
            "corpus. Build it with `elmo-keras vocabulary`.",
            stacklevel=2,
        )


def _drop_rarest_half(counts: Counter[str]) -> Counter[str]:
    return Counter(dict(counts.most_common(MAX_COUNTED // 2)))
