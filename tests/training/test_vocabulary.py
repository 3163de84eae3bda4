"""The vocabulary of a corpus, against a plain count."""

import collections
import os
import random
import warnings

import numpy as np
import pytest

from elmo_keras.text.word_vocabulary import WordVocabulary
from elmo_keras.training import Corpus, VocabularyReport, build_vocabulary, write_vocabulary
from elmo_keras.training import vocabulary as module
from elmo_keras.training.vocabulary import warn_if_unsorted

SPECIAL_TOKENS = ["<S>", "</S>", "<UNK>"]


def corpus_of(folder, sentences):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "text").write_text("".join(f"{' '.join(words)}\n" for words in sentences), "utf-8")
    return Corpus(folder / "text", "whitespace")


def zipf(seed=0, sentences=400, words=300):
    """Sentences whose word `w<rank>` is about `1 / (rank + 1)` as frequent as the first one."""
    rng = np.random.default_rng(seed)
    p = 1 / np.arange(1, words + 1)
    ranks = rng.choice(words, (sentences, 8), p=p / p.sum())
    return [[f"w{rank:03}" for rank in row] for row in ranks]


def test_counts_by_brute_force(tmp_path):
    sentences = zipf()
    order = collections.Counter(word for sentence in sentences for word in sentence)
    first = list(dict.fromkeys(word for sentence in sentences for word in sentence))
    expected = sorted(order, key=lambda word: (-order[word], first.index(word)))
    assert len(set(order.values())) < len(order)  # There are ties.
    corpus = corpus_of(tmp_path, sentences)
    vocabulary, report = build_vocabulary(corpus)
    assert isinstance(vocabulary, WordVocabulary)
    assert vocabulary.tokens == SPECIAL_TOKENS + expected
    assert report.coverage == 1.0
    for size in (4, 50, 53, len(order) + 3, len(order) + 4):
        vocabulary, report = build_vocabulary(corpus, size=size)
        kept = expected[: size - 3]
        assert vocabulary.tokens == SPECIAL_TOKENS + kept
        assert report.size == len(kept) + 3 == len(vocabulary)
        covered = sum(order[word] for word in kept)
        assert report.coverage == pytest.approx(covered / (8 * len(sentences)))
    vocabulary, report = build_vocabulary(corpus, min_count=5)
    frequent = [word for word in expected if order[word] >= 5]
    assert vocabulary.tokens == SPECIAL_TOKENS + frequent
    assert 4 in order.values() and 5 in order.values()
    assert report.size == len(frequent) + 3
    assert report.distinct == len(order)


def test_ties_are_in_the_order_of_their_first_occurrence(tmp_path):
    corpus = corpus_of(tmp_path, [["d", "c"], ["b", "b", "a"], ["c", "a"]])
    assert build_vocabulary(corpus)[0].tokens == [*SPECIAL_TOKENS, "c", "b", "a", "d"]


def test_report_by_hand(tmp_path):
    # Bytes: 1, 8, 9, 23, 24, 28, 29, 48 and 49; é has two, 東 three.
    words = ["a", "é" * 4, "x" * 9, "x" * 23, "東" * 8, "x" * 28, "é" * 14 + "x", "y" * 48]
    words.append("y" * 49)
    text = "\n".join([" ".join(words), "", "  ", "a a a", "a \ufffd"])
    (tmp_path / "text").write_bytes(text.encode() + b" \xff\xfe\n")
    _, report = build_vocabulary(Corpus(tmp_path / "text", "whitespace"), size=4)
    # After the nine words, `a` occurs five times in all, U+FFFD once and twice in one word.
    assert report == VocabularyReport(
        sentences=3,
        tokens=15,
        distinct=11,
        size=4,
        coverage=5 / 15,
        longest=49,
        cut={10: 7 / 15, 25: 5 / 15, 30: 3 / 15, 50: 1 / 15},
        undecodable=2,
    )


def test_special_tokens_in_the_text_are_not_counted(tmp_path):
    corpus = corpus_of(tmp_path, [["<S>", "a", "</S>"], ["<UNK>", "b", "a", "<UNK>"]])
    vocabulary, report = build_vocabulary(corpus, size=4)
    assert vocabulary.tokens == [*SPECIAL_TOKENS, "a"]
    assert (report.tokens, report.distinct, report.sentences) == (3, 2, 2)
    assert report.coverage == pytest.approx(2 / 3)
    corpus = corpus_of(tmp_path, [["<UNK>"]])
    vocabulary, report = build_vocabulary(corpus)
    assert vocabulary.tokens == SPECIAL_TOKENS
    assert (report.tokens, report.coverage, report.longest) == (0, 0.0, 0)


def test_rare_words_are_forgotten_where_there_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_COUNTED", 40)
    rng = random.Random(0)
    frequent = [f"f{number}" for number in range(10)]
    sentences = [rng.choices(frequent, k=20) + [f"rare{number}"] for number in range(300)]
    counts = collections.Counter(word for sentence in sentences for word in sentence)
    vocabulary, report = build_vocabulary(corpus_of(tmp_path, sentences), size=13)
    assert vocabulary.tokens[:3] == SPECIAL_TOKENS
    frequencies = [counts[word] for word in vocabulary.tokens[3:]]
    assert set(vocabulary.tokens[3:]) == set(frequent)
    assert frequencies == sorted(frequencies, reverse=True)
    # The counter holds at most that many words, and the sums count every token.
    assert 20 <= report.distinct <= 41
    assert report.tokens == 300 * 21
    assert report.coverage == pytest.approx(20 / 21)


@pytest.mark.parametrize("text", ["", "\n \n\t\n"], ids=["nothing", "white space"])
def test_a_corpus_without_words(tmp_path, text):
    (tmp_path / "text").write_text(text)
    with pytest.raises(ValueError, match="no token in .*text. Check the files"):
        build_vocabulary(Corpus(tmp_path / "text", "whitespace"))


@pytest.mark.parametrize("options", [{"size": 3}, {"size": 0}, {"min_count": 0}], ids=str)
def test_out_of_range(tmp_path, options):
    with pytest.raises(ValueError, match="`size` must be more than 3 and `min_count` at least 1"):
        build_vocabulary(corpus_of(tmp_path, [["a"]]), **options)


# === Order ===


def quiet(vocabulary, corpus):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_unsorted(vocabulary, corpus)


def test_a_sorted_vocabulary_is_in_order(tmp_path):
    corpus = corpus_of(tmp_path / "a", zipf())
    quiet(build_vocabulary(corpus)[0], corpus)
    quiet(build_vocabulary(corpus, size=60)[0], corpus)
    # The vocabulary of another corpus, and one with many more words.
    other = corpus_of(tmp_path / "b", zipf(seed=1))
    quiet(build_vocabulary(other)[0], corpus)
    many = [*build_vocabulary(other)[0].tokens, *(f"other{number}" for number in range(3000))]
    quiet(WordVocabulary(many), corpus)


@pytest.mark.parametrize("seed", range(5))
def test_a_vocabulary_of_another_order(tmp_path, seed):
    corpus = corpus_of(tmp_path, zipf())
    words = build_vocabulary(corpus)[0].tokens[3:]
    rng = random.Random(seed)
    # Like an alphabetical order: independent of the frequencies.
    alphabet = sorted(words, key=lambda word: rng.random())
    with pytest.warns(UserWarning, match="sorted by falling frequency.*elmo-keras vocabulary"):
        warn_if_unsorted(WordVocabulary([*SPECIAL_TOKENS, *alphabet]), corpus)


def test_the_reversed_order(tmp_path):
    corpus = corpus_of(tmp_path, zipf())
    words = build_vocabulary(corpus)[0].tokens[3:]
    with pytest.warns(UserWarning, match="sorted by falling frequency"):
        warn_if_unsorted(WordVocabulary([*SPECIAL_TOKENS, *reversed(words)]), corpus)


def test_a_vocabulary_with_none_of_the_words(tmp_path):
    corpus = corpus_of(tmp_path, zipf())
    with pytest.warns(UserWarning, match="holds none of the words.*all of them will be <UNK>"):
        warn_if_unsorted(WordVocabulary([*SPECIAL_TOKENS, "other"]), corpus)


def test_few_words_are_no_sample(tmp_path):
    corpus = corpus_of(tmp_path, [["b", "b", "a"]])
    quiet(WordVocabulary([*SPECIAL_TOKENS, "a", "b"]), corpus)


# === Writing ===


def test_write_vocabulary(tmp_path):
    path = tmp_path / "new/folder/vocabulary.txt"
    vocabulary = WordVocabulary([*SPECIAL_TOKENS, "é", "東京", "a\u2028b", "\r"])
    write_vocabulary(vocabulary, path)
    assert path.read_bytes() == "<S>\n</S>\n<UNK>\né\n東京\na\u2028b\n\r\n".encode()
    write_vocabulary(WordVocabulary([*SPECIAL_TOKENS, "b"]), str(path))
    assert path.read_bytes() == b"<S>\n</S>\n<UNK>\nb\n"
    assert [child.name for child in path.parent.iterdir()] == ["vocabulary.txt"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_leaves_the_previous_file(tmp_path, monkeypatch, failing):
    path = tmp_path / "vocabulary.txt"
    path.write_text("before")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match="No space left"):
        write_vocabulary(WordVocabulary([*SPECIAL_TOKENS, "b"]), path)
    assert path.read_text() == "before"
    assert [child.name for child in tmp_path.iterdir()] == ["vocabulary.txt"]
