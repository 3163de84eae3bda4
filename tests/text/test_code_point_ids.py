import pytest

from elmo_keras.text import CodePointIds

pytest.importorskip("tensorflow", reason="strings need TensorFlow")

SPECIAL_TOKENS = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
BOS, EOS, OOV, PAD, BOW, EOW = range(1, 7)


@pytest.fixture(scope="module")
def layer():
    return CodePointIds(
        [*SPECIAL_TOKENS, "a", "🙂"], [*SPECIAL_TOKENS, "a", "aaa"], max_characters=5
    )


def test_ids_of_characters_and_words(layer):
    assert layer([["a", "aaaaa", "🙂x"], ["<bos>", "<pad>"], []]).numpy().tolist() == [
        [[7, EOW, 7, BOW, PAD, PAD], [8, EOW, 7, 7, 7, BOW], [OOV, EOW, 8, OOV, BOW, PAD]],
        [[BOS, EOW, BOS, BOW, PAD, PAD], [OOV, EOW, OOV, OOV, 7, BOW], [0] * 6],
        [[0] * 6] * 3,
    ]


def test_boundary_ids(layer):
    begin, end = layer.boundary_ids()
    assert begin.tolist() == [BOS, EOW, BOS, BOW, PAD, PAD]
    assert end.tolist() == [EOS, EOW, EOS, BOW, PAD, PAD]


def test_ids_of_words_alone():
    layer = CodePointIds(words=[*SPECIAL_TOKENS, "a"])
    assert layer([["a", "b"]]).numpy().tolist() == [[[7], [OOV]]]
