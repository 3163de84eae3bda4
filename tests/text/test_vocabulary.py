"""Vocabularies: indices and ids of tokens, in Python and as a TensorFlow table."""

import numpy as np
import pytest

from elmo_keras.text.vocabulary import Vocabulary

TOKENS = ["the", "", "é", "🙂"]


@pytest.fixture
def vocabulary():
    return Vocabulary(TOKENS)


def test_indices(vocabulary):
    assert [vocabulary.token_to_index(token) for token in ("the", "é", "🙂")] == [0, 2, 3]
    assert vocabulary.token_to_index("dog") is None
    assert vocabulary.token_to_index("dog", 7) == 7


def test_an_empty_token_has_no_index(vocabulary):
    assert "" not in vocabulary
    assert vocabulary.token_to_index("") is None


def test_membership_and_length(vocabulary):
    assert "é" in vocabulary and "dog" not in vocabulary
    assert len(vocabulary) == 4


@pytest.mark.parametrize("tokens", [TOKENS, tuple(TOKENS), iter(TOKENS), "the\n\né\n🙂"])
def test_forms(tokens):
    assert Vocabulary(tokens).tokens == TOKENS


@pytest.mark.parametrize("tokens", [TOKENS, ["", "a", ""], [""]], ids=str)
def test_text_round_trip(tokens):
    assert Vocabulary(Vocabulary(tokens).text).tokens == tokens


def test_several_empty_tokens_are_accepted():
    assert Vocabulary(["", "a", ""]).token_to_index("a") == 1


@pytest.mark.parametrize("unknown_id", [0, 5])
def test_tokens_to_ids(vocabulary, unknown_id):
    words = ["🙂", "dog", "", "the", "é".encode(), b"\xff", "The"]
    ids = vocabulary.tokens_to_ids(words, unknown_id)
    assert ids.dtype == np.int32
    assert ids.tolist() == [4, unknown_id, 0, 1, 3, unknown_id, unknown_id]


def test_ids_of_no_words(vocabulary):
    ids = vocabulary.tokens_to_ids([], unknown_id=5)
    assert ids.shape == (0,) and ids.dtype == np.int32


@pytest.mark.parametrize("words", ["the", ["the", 7]], ids=["str", "number"])
def test_bad_words(vocabulary, words):
    with pytest.raises(ValueError, match="`words` must be a list of str"):
        vocabulary.tokens_to_ids(words, unknown_id=5)


def test_the_table_has_the_same_indices(vocabulary):
    tf = pytest.importorskip("tensorflow", reason="the table is TensorFlow's")
    tokens = [*TOKENS, "dog"]
    expected = [vocabulary.token_to_index(token, -1) for token in tokens]
    actual = vocabulary.table(default=-1).lookup(tf.constant(tokens))
    assert actual.dtype == "int32"
    assert actual.numpy().tolist() == expected


def test_the_table_of_an_empty_vocabulary():
    tf = pytest.importorskip("tensorflow", reason="the table is TensorFlow's")
    assert Vocabulary([]).table(default=3).lookup(tf.constant(["a"])).numpy().tolist() == [3]


def test_a_table_that_a_graph_creates_outlives_it(vocabulary):
    tf = pytest.importorskip("tensorflow", reason="the table is TensorFlow's")
    tables = []

    @tf.function
    def look_up(tokens):
        tables.append(vocabulary.table(default=-1))
        return tables[-1].lookup(tokens)

    tokens = tf.constant(["é"])
    assert look_up(tokens).numpy().tolist() == [2]
    assert tables[0].lookup(tokens).numpy().tolist() == [2]


@pytest.mark.parametrize(
    "tokens, message",
    [
        (["a", "b", "a"], "each token once. Received: 'a' at indices 0 and 2. Remove one"),
        ("a\nb\na", "each token once. Received: 'a' at indices 0 and 2"),
        (["a\nb"], "without line breaks. Received: 'a\\\\nb' at index 0"),
        (["a", 7], "Received: 7 at index 1. Remove that token"),
        (["a", b"b"], "Received: b'b' at index 1"),
    ],
    ids=["a token twice", "a line twice", "line break", "number", "bytes"],
)
def test_bad_tokens(tokens, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(tokens)
