"""Windows: the ids, targets, negatives and dropout masks of a batch, and parts of it."""

import itertools
import json
import math

import numpy as np
import pytest

from elmo_keras import layers
from elmo_keras.text import byte_alphabet
from elmo_keras.text.bucketing import bucket
from tests.training.small_windows import (
    MAX_CHARACTERS,
    VOCABULARY,
    ReferenceWindows,
    check_equal,
    make_files,
    make_windows,
    take,
    words_of,
)

pytestmark = pytest.mark.usefixtures("small_blocks")


@pytest.fixture
def files(tmp_path):
    return make_files(tmp_path)


@pytest.mark.parametrize("pad_words", [False, True])
def test_characters(tmp_path, pad_words):
    """Each distinct word has one row, cut at `max_characters`; rows of zeros follow."""
    long = ["x" * 17, "x" * 18, "x" * 19, "é" * 9, "é" * 10, "東" * 30]
    words = [*long, *(f"v{number}" for number in range(60))]
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(words, 6)) for _ in range(40)]
    (tmp_path / "text").write_text("\n".join(lines))
    options = {"batch_size": 4, "window": 9, "shuffle": False}
    windows = make_windows(tmp_path, pad_words=pad_words, **options)
    reference = ReferenceWindows(itertools.cycle(line.split() for line in lines), 4, 9)
    sizes = set()
    for batch in take(windows, 12):
        inputs, _ = reference.batch()
        distinct = set(inputs.ravel())
        expected = byte_alphabet.character_ids(inputs.ravel().tolist(), MAX_CHARACTERS)
        np.testing.assert_array_equal(
            batch.ids[batch.inputs], expected.reshape(*inputs.shape, MAX_CHARACTERS)
        )
        assert batch.ids.dtype == np.int32
        size = len(batch.ids)
        assert batch.inputs.max() == len(distinct) - 1
        assert not batch.ids[len(distinct) :].any()
        assert batch.ids[: len(distinct)].any(axis=1).all()
        assert size == (bucket(len(distinct)) if pad_words else len(distinct))
        sizes.add(size)
    assert sizes <= {24, 32, 48, 64, 96} if pad_words else len(sizes) > 3


SPECIAL_TOKENS = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
BOS, EOS, OOV, PAD, BOW, EOW, S, W = range(1, 9)
ENCODERS = [
    (
        layers.CodePointEncoder([*SPECIAL_TOKENS, "S", "w"], filters=[(1, 4)], max_characters=5),
        {
            "begin": [EOW, BOS, BOW, PAD, PAD],
            "end": [EOW, EOS, BOW, PAD, PAD],
            "w": [EOW, W, BOW, PAD, PAD],
            "<S>": [EOW, OOV, S, OOV, BOW],  # not a boundary for this encoder
            "<bos>": [EOW, BOS, BOW, PAD, PAD],
        },
    ),
    (
        layers.CodePointEncoder(None, ["<bos>", "<eos>", "<oov>", "w"], max_characters=8),
        {"begin": [1], "end": [2], "w": [4], "<S>": [3], "<bos>": [1]},
    ),
    (
        layers.WordEmbedding(4, 6, ["a", "b", "c", "w"], begin="a", end="b", unknown="c"),
        {"begin": 1, "end": 2, "w": 4, "<S>": 3, "<bos>": 3},
    ),
]


@pytest.mark.parametrize("pad_words", [False, True])
@pytest.mark.parametrize(
    "encoder, expected", ENCODERS, ids=["code points", "words of code points", "words"]
)
def test_ids_of_other_encoders(tmp_path, encoder, expected, pad_words):
    (tmp_path / "text").write_text("w <S> <bos>\n")
    windows = make_windows(tmp_path, encoder=encoder, batch_size=2, window=4, pad_words=pad_words)
    batch = next(windows)
    forward = [expected[word] for word in ("begin", "w", "<S>", "<bos>")]
    backward = [expected[word] for word in ("end", "<bos>", "<S>", "w")]
    assert batch.ids.dtype == np.int32
    assert batch.ids.shape == (bucket(5) if pad_words else 5, *encoder.ids_shape)
    assert not batch.ids[5:].any()
    assert batch.ids[batch.inputs].tolist() == [[forward] * 2, [backward] * 2]
    unknown = VOCABULARY.token_to_index("<UNK>")
    # A word that looks like a boundary is predicted as the softmax's word of that name.
    assert batch.targets[0, 0].tolist() == [unknown, 0, unknown, 1]
    part = batch.select_streams(slice(0, 1), pad_words)
    assert part.ids[part.inputs].tolist() == [[forward], [backward]]
    whole = make_windows(tmp_path, encoder=encoder, batch_size=2, window=4, pad_words=pad_words)
    whole.restore(json.loads(json.dumps(windows.state())))
    check_equal(next(windows), next(whole))


def test_a_word_that_looks_like_a_boundary(tmp_path):
    """The byte alphabet reads it as the boundary, like bilm-tf and AllenNLP."""
    (tmp_path / "text").write_text("</S> w1\n")
    batch = next(make_windows(tmp_path, batch_size=1, window=3))
    begin, end = byte_alphabet.boundary_ids(MAX_CHARACTERS)
    read = batch.ids[batch.inputs]
    np.testing.assert_array_equal(read[0, 0, :2], [begin, end])
    np.testing.assert_array_equal(read[1, 0, [0, 2]], [end, end])


def test_targets_of_unknown_words(tmp_path):
    (tmp_path / "text").write_text("w0 w1 never W1\n")
    batch = next(make_windows(tmp_path, batch_size=1, window=5))
    unknown, w1 = VOCABULARY.token_to_index("<UNK>"), VOCABULARY.token_to_index("w1")
    assert batch.targets.tolist() == [
        [[unknown, w1, unknown, unknown, 1]],
        [[unknown, unknown, w1, unknown, 0]],
    ]


def test_negatives(tmp_path, files):
    size = len(VOCABULARY)
    p = np.log1p(1 / (np.arange(size) + 1)) / np.log(size + 1)
    draws_seen = set()
    for batch in take(make_windows(tmp_path), 30):
        assert batch.negatives.shape == (7,) and batch.negatives.dtype == np.int32
        assert len(set(batch.negatives.tolist())) == 7
        assert 0 <= batch.negatives.min() and batch.negatives.max() < size
        assert batch.negatives_log_expected.shape == (7,)
        assert batch.log_expected.shape == batch.targets.shape == (2, 3, 5)
        # One number of draws explains all expectations.
        share = np.exp(batch.negatives_log_expected[0].astype("float64"))
        draws = math.log1p(-share) / math.log1p(-p[batch.negatives[0]])
        assert draws == pytest.approx(round(draws), abs=1e-3) and round(draws) >= 7
        expected = np.log(1 - (1 - p) ** round(draws))
        np.testing.assert_allclose(
            batch.negatives_log_expected, expected[batch.negatives], rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(
            batch.log_expected, expected[batch.targets], rtol=1e-5, atol=1e-6
        )
        assert batch.log_expected.dtype == batch.negatives_log_expected.dtype == np.float32
        draws_seen.add(round(draws))
    assert len(draws_seen) > 3


@pytest.mark.parametrize("more", [-1, 0, 1, 1000])
def test_a_small_vocabulary_has_the_full_softmax(tmp_path, files, more):
    batch = next(make_windows(tmp_path, num_negatives=len(VOCABULARY) + more))
    parts = (batch.log_expected, batch.negatives, batch.negatives_log_expected)
    assert all((part is None) == (more >= 0) for part in parts)
    if more < 0:
        assert len(batch.negatives) == len(VOCABULARY) - 1


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.001])
def test_dropout_mask(tmp_path, files, dropout):
    batches = take(make_windows(tmp_path, dropout=dropout, dropout_shape=(3, 64)), 20)
    mask = np.stack([batch.dropout_mask for batch in batches])
    assert mask.dtype == bool and mask.shape == (20, 2, 4, 3, 5, 64)

    def check(share, number):
        spread = math.sqrt(dropout * (1 - dropout) / number)
        # Rates are multiples of 2 ** -16.
        assert np.all(np.abs(share - (1 - dropout)) < 3 * spread + 2**-17)

    check(mask.mean(), mask.size)
    for axis in range(1, 3):
        axes = tuple(other for other in range(mask.ndim) if other != axis)
        check(mask.mean(axis=axes), mask.size // mask.shape[axis])
    if dropout > 0.01:
        assert len({part.tobytes() for part in mask.reshape(-1, 15, 64)}) == 20 * 2 * 4 * 3 // 3


def test_no_dropout(tmp_path, files):
    assert next(make_windows(tmp_path, dropout=0.0)).dropout_mask is None


# === Parts ===


@pytest.mark.parametrize("pad_words", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"dropout": 0.0, "num_negatives": 1000}], ids=["sampled", "full"]
)
def test_parts_are_the_whole(tmp_path, files, options, pad_words):
    rows = 7
    windows = make_windows(
        tmp_path, batch_size=rows, pad_words=pad_words, fresh_starts=0.3, **options
    )
    for batch in take(windows, 10):
        slices = [slice(0, 3), slice(3, 4), slice(4, None)]
        parts = [batch.select_streams(part, pad_words=pad_words) for part in slices]
        for rows_of_part, part in zip(slices, parts):
            read = words_of(batch)[:, rows_of_part]
            np.testing.assert_array_equal(words_of(part), read)
            distinct = len(set(read.ravel()))
            assert len(part.ids) == (bucket(distinct) if pad_words else distinct)
            assert part.ids[:distinct].any(axis=1).all()
            assert not part.ids[distinct:].any()
            assert part.inputs.dtype == part.ids.dtype == np.int32
            # All parts share the sample of the batch.
            for name in ("negatives", "negatives_log_expected"):
                assert getattr(part, name) is getattr(batch, name)
        for name, axis in (("targets", 1), ("log_expected", 1), ("carry", 0), ("dropout_mask", 2)):
            whole, pieces = getattr(batch, name), [getattr(part, name) for part in parts]
            if whole is None:
                assert pieces == [None] * 3
            else:
                np.testing.assert_array_equal(np.concatenate(pieces, axis=axis), whole)
        everything = batch.select_streams(slice(0, rows), pad_words=pad_words)
        np.testing.assert_array_equal(words_of(everything), words_of(batch))
