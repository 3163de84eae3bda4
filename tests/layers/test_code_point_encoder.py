import numpy as np
import pytest

from elmo_keras import layers
from tests.check_layer import check_layer

SPECIAL_TOKENS = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]


@pytest.mark.parametrize(
    "dictionaries, size, weights",
    [
        ({"characters": [*SPECIAL_TOKENS, "a"], "words": [*SPECIAL_TOKENS, "the"]}, 11, 16),
        ({"characters": [*SPECIAL_TOKENS, "a"]}, 10, 15),
        ({"words": [*SPECIAL_TOKENS, "the"]}, 1, 3),
    ],
    ids=["both", "characters", "words"],
)
def test_keras_contract(tmp_path, dictionaries, size, weights):
    def make(**kwargs):
        return layers.CodePointEncoder(
            **dictionaries,
            filters=[(1, 4), (2, 8)],
            char_embedding_dim=3,
            word_embedding_dim=5,
            projection_dim=6,
            max_characters=10,
            **kwargs,
        )

    x = np.random.default_rng(0).integers(1, 8, (2, 3, size), dtype="int32")
    x[1, 1:] = 0
    check_layer(make, x, tmp_path, weights=weights, quantized=True)
    begin, end = make().boundary_ids()
    assert begin.shape == end.shape == (size,) and (begin != end).any()
    with pytest.raises(ValueError, match=r"Ids must be in \[0, 8\)"):
        make()(x + 8)


def test_numpy_ids_by_hand():
    """The word, then the characters; all ids plus one.

    ELMoForManyLangs swaps the begin and the end of a word.
    """
    encoder = layers.CodePointEncoder(
        [*SPECIAL_TOKENS, "a", "b"],
        ["<bos>", "<eos>", "<oov>", "ab"],
        filters=[(1, 4)],
        max_characters=6,
    )
    bos, eos, oov, pad, bow, eow, a, b = range(1, 9)
    expected = {
        "ab": [4, eow, a, b, bow, pad, pad],
        "b?": [3, eow, b, oov, bow, pad, pad],
        "abba": [3, eow, a, b, b, a, bow],
        "abbab": [3, eow, a, b, b, a, bow],
        "<bos>": [1, eow, bos, bow, pad, pad, pad],
        "<eos>": [2, eow, eos, bow, pad, pad, pad],
        "<S>": [3, eow, oov, oov, oov, bow, pad],
        "": [0] * 7,
    }
    assert encoder.numpy_ids(list(expected)).tolist() == list(expected.values())
    for mark, row in zip(("<bos>", "<eos>"), encoder.boundary_ids()):
        assert row.tolist() == expected[mark]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"characters": SPECIAL_TOKENS[:-1]}, "dictionary without <eow>"),
        ({}, "`characters`, `words` or both"),
        (
            {"characters": SPECIAL_TOKENS, "num_characters": 5},
            "a row for each entry of the dictionary of characters",
        ),
    ],
    ids=["no end of word", "no dictionary", "another size"],
)
def test_bad_dictionaries(options, message):
    with pytest.raises(ValueError, match=message):
        layers.CodePointEncoder(**options)
