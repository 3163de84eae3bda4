"""The order of a teacher's sentences: each once in a pass, by the seed, restored anywhere."""

import json

import numpy as np
import pytest

import elmo_keras
from elmo_keras import training
from elmo_keras.text.word_vocabulary import WordVocabulary
from elmo_keras.training.teacher_sentences import check_tokenization, teacher_sentences
from tests.training import small_run
from tests.training.small_teacher import SmallTeacher, write_shards


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return small_run.write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module", params=["shards", "live"])
def source(request, corpus, tmp_path_factory):
    if request.param == "shards":
        return write_shards(corpus, tmp_path_factory.mktemp("targets"))
    return training.LiveTeacher(SmallTeacher(), corpus, components=4)


def equal(one, other):
    return all(
        a.tokens == b.tokens
        and np.array_equal(a.vectors, b.vectors)
        and np.array_equal(a.has_target, b.has_target)
        for a, b in zip(one, other, strict=True)
    )


def test_a_pass_holds_each_sentence_once(source, corpus):
    sentences = teacher_sentences(source, batch_size=8)
    for _ in range(2):
        read = [item.tokens for _ in range(30) for item in sentences.next_batch()]
        assert sorted(read) == sorted(corpus)


def test_the_order_depends_on_the_seed_and_the_pass(source):
    first, same, other = (teacher_sentences(source, 8, seed) for seed in (0, 0, 1))
    batch = first.next_batch()
    assert equal(batch, same.next_batch())
    assert [item.tokens for item in batch] != [item.tokens for item in other.next_batch()]
    for _ in range(29):
        first.next_batch()
    assert [item.tokens for item in batch] != [item.tokens for item in first.next_batch()]


@pytest.mark.parametrize("batch_size", [7, 500])
def test_a_restored_state_gives_the_same_batches(source, batch_size):
    sentences = teacher_sentences(source, batch_size)
    states, plain, batches = [], [], []
    for _ in range(80):
        plain.append(sentences.state())
        states.append(json.dumps(plain[-1]))
        batches.append(sentences.next_batch())
    # Reading on has not changed a state that was returned before.
    assert [json.dumps(state) for state in plain] == states
    assert {len(batch) for batch in batches} == {batch_size}
    for start in (0, 1, 33, 34, 35, 70):
        for other in (teacher_sentences(source, batch_size), sentences):
            other.restore(json.loads(states[start]))
            for batch in batches[start : start + 9]:
                assert equal(other.next_batch(), batch)


def test_batches_of_shards_have_similar_lengths(corpus, tmp_path):
    sentences = teacher_sentences(write_shards(corpus, tmp_path), 8)
    spread = [np.ptp([len(item.tokens) for item in sentences.next_batch()]) for _ in range(30)]
    assert np.mean(spread) < 1.5  # in random order about 8


def test_a_live_teacher_gives_the_vectors_of_shards(corpus, tmp_path):
    shards = write_shards(corpus, tmp_path, dtype="float16")
    live = training.LiveTeacher(SmallTeacher(), corpus, components=4)
    assert live.projection.digest == shards.projection.digest
    stored = {tuple(shards[index].tokens): shards[index] for index in range(len(shards))}
    for item in teacher_sentences(live, 50).next_batch():
        one = stored[tuple(item.tokens)]
        assert one.has_target.tolist() == item.has_target.tolist()
        there = item.has_target
        np.testing.assert_allclose(item.vectors[there], one.vectors[there], atol=4e-3)


def test_another_source_is_refused():
    with pytest.raises(ValueError, match="must be TeacherShards or a LiveTeacher. Received"):
        teacher_sentences(SmallTeacher(), 8)


def vocabulary_of(corpus):
    return WordVocabulary(training.build_vocabulary(corpus)[0].tokens)


def test_the_same_tokenization_is_accepted(source, corpus):
    check_tokenization(source, corpus, vocabulary_of(corpus))


def test_another_tokenization_is_refused(source, corpus, tmp_path):
    (tmp_path / "text").write_text("one ##two ##three\n" * 20)
    other = training.Corpus(tmp_path / "text", "whitespace")
    with pytest.raises(ValueError, match="0% of their tokens are in the vocabulary, and 100%"):
        check_tokenization(source, other, vocabulary_of(other))


def test_another_case_is_refused(tmp_path):
    pytest.importorskip("tensorflow")
    (tmp_path / "text").write_text("w1 w2 w3\n" * 20)
    lower = training.Corpus(tmp_path / "text", elmo_keras.text.Tokenizer("words", lowercase=True))
    cased = training.Corpus(tmp_path / "text", "words")
    shards = write_shards(lower, tmp_path / "targets")
    with pytest.raises(ValueError, match="'words, lowercase' and, for the corpus, 'words'"):
        check_tokenization(shards, cased, vocabulary_of(cased))


def test_another_tokenizer_is_refused(corpus, tmp_path):
    pytest.importorskip("tensorflow")
    (tmp_path / "text").write_text("w1 w2 w3\n" * 20)
    words = training.Corpus(tmp_path / "text", "words")
    chinese = training.Corpus(tmp_path / "text", "chinese_characters")
    shards = write_shards(words, tmp_path / "targets")
    with pytest.raises(ValueError, match="'words' and, for the corpus, 'chinese_characters'"):
        check_tokenization(shards, chinese, vocabulary_of(words))
