"""Windows of a corpus, against bilm-tf's way of cutting them, written down once more."""

import collections
import gzip
import itertools
import json
import math

import numpy as np
import pytest

from elmo_keras import layers
from elmo_keras.text import byte_alphabet
from elmo_keras.text.bucketing import bucket
from elmo_keras.text.word_vocabulary import WordVocabulary
from elmo_keras.training import Corpus, corpus
from elmo_keras.training.windows import Windows

MAX_CHARACTERS = 20
ENCODER = layers.CharCNN(filters=[(1, 4)], max_characters=MAX_CHARACTERS)
WORDS = [f"w{number}" for number in range(30)]
# Every third word is outside of it.
VOCABULARY = WordVocabulary(["<S>", "</S>", "<UNK>", *(w for n, w in enumerate(WORDS) if n % 3)])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(corpus, "BLOCK_LINES", 4)


def make_files(folder, sizes=(9, 1, 0, 14), seed=0, longest=12):
    """Files of so many sentences, no two alike, with empty lines and one file of gzip."""
    rng, files, seen = np.random.default_rng(seed), [], set()
    folder.mkdir(parents=True, exist_ok=True)
    for size in sizes:
        sentences = []
        while len(sentences) < size:
            sentence = tuple(rng.choice(WORDS, rng.integers(1, longest)).tolist())
            if sentence not in seen:
                seen.add(sentence)
                sentences.append(list(sentence))
        lines = [" ".join(words) + "\n" * rng.integers(1, 4) for words in sentences]
        data = "".join(lines).encode()
        path = folder / f"shard-{len(files)}"
        path.write_bytes(gzip.compress(data) if len(files) == 0 else data)
        files.append(sentences)
    return files


def make(folder, vocabulary=VOCABULARY, encoder=ENCODER, **options):
    small = {"batch_size": 3, "window": 5, "num_negatives": 7, "dropout_shape": (2, 4)}
    return Windows(Corpus(folder, "whitespace"), vocabulary, encoder, **small | options)


@pytest.fixture
def files(tmp_path):
    return make_files(tmp_path)


def take(windows, number):
    return list(itertools.islice(windows, number))


def word_of(row):
    """The word that a row of character ids spells."""
    row = [x - 1 for x in row.tolist()]
    assert row[0] == 258
    middle = row[1 : row.index(259)]
    assert row[len(middle) + 2 :] == [260] * (len(row) - len(middle) - 2)
    marks = {(256,): "<S>", (257,): "</S>"}
    return marks.get(tuple(middle)) or bytes(middle).decode()


def words_of(batch):
    """The words that a batch reads, `(2, rows, steps)`."""
    spelled = np.array([word_of(row) for row in batch.ids if row.any()], object)
    return spelled[batch.inputs]


def targets_of(batch, vocabulary=VOCABULARY):
    return np.array(vocabulary.tokens, object)[batch.targets]


def known(words):
    """What is predicted for words: themselves, or `<UNK>`."""
    return np.vectorize(lambda word: word if word in VOCABULARY else "<UNK>", otypes=[object])(
        words
    )


class Oracle:
    """bilm-tf's `_get_batch`, once for each direction, with sentences as words."""

    def __init__(self, sentences, rows, steps):
        self.rows, self.steps = rows, steps
        forward, backward = itertools.tee(sentences)
        self.directions = [
            ((["<S>", *sentence, "</S>"] for sentence in forward), [None] * rows),
            ((["</S>", *sentence[::-1], "<S>"] for sentence in backward), [None] * rows),
        ]

    def batch(self, carry=None):
        shape = (2, self.rows, self.steps)
        inputs, targets = np.full(shape, "", object), np.full(shape, "", object)
        for direction, (sentences, streams) in enumerate(self.directions):
            for row in range(self.rows):
                if carry is not None and not carry[row]:
                    streams[row] = None
                place = 0
                while place < self.steps:
                    if streams[row] is None or len(streams[row]) <= 1:
                        streams[row] = next(sentences)
                    number = min(len(streams[row]) - 1, self.steps - place)
                    inputs[direction, row, place : place + number] = streams[row][:number]
                    targets[direction, row, place : place + number] = streams[row][1 : number + 1]
                    place += number
                    streams[row] = streams[row][number:]
        return inputs, targets


def order_of(folder, number, **options):
    """The sentences in the order of their reading: one row, forward."""
    windows = make(folder, batch_size=1, window=50, dropout=0.0, **options)
    sentences = []
    while len(sentences) <= number:
        for word in words_of(next(windows))[0, 0]:
            if word == "<S>":
                sentences.append([])
            else:
                sentences[-1].append(word)
    return sentences[:number]


# === The streams ===


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("rows, steps", [(1, 1), (1, 50), (3, 5), (5, 3), (40, 2)])
def test_as_bilm_tf_cuts_them(tmp_path, files, rows, steps, shuffle):
    number = 5 * sum(map(len, files))
    if shuffle:
        sentences = order_of(tmp_path, number, seed=3)
    else:
        sentences = [sentence for file in files for sentence in file] * 5
    oracle = Oracle(sentences, rows, steps)
    batches = 300 // (rows * steps) + 2
    for batch in take(
        make(tmp_path, batch_size=rows, window=steps, shuffle=shuffle, seed=3), batches
    ):
        inputs, targets = oracle.batch()
        np.testing.assert_array_equal(words_of(batch), inputs)
        np.testing.assert_array_equal(targets_of(batch), known(targets))
        assert batch.inputs.dtype == batch.targets.dtype == batch.ids.dtype == np.int32
        assert batch.carry.dtype == bool and batch.carry.tolist() == [True] * rows


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_row_is_whole_sentences_from_both_ends(tmp_path, files, shuffle):
    rows, batches = 3, take(make(tmp_path, shuffle=shuffle), 60)
    inputs = np.concatenate([words_of(batch) for batch in batches], axis=2)
    targets = np.concatenate([targets_of(batch) for batch in batches], axis=2)
    all_sentences = [sentence for file in files for sentence in file]
    seen = collections.Counter()
    for row in range(rows):
        found = []
        for direction, (begin, end) in enumerate([("<S>", "</S>"), ("</S>", "<S>")]):
            starts = np.flatnonzero(inputs[direction, row] == begin)
            assert starts[0] == 0 and end not in inputs[direction, row]
            spans = list(itertools.pairwise(starts))
            for first, last in spans:
                read = inputs[direction, row, first:last]
                predicted = [*read[1:], end]
                assert targets[direction, row, first:last].tolist() == known(predicted).tolist()
            order = 1 - 2 * direction
            found.append([inputs[direction, row, a + 1 : b].tolist()[::order] for a, b in spans])
        forward, backward = found
        assert forward == backward and len(forward) > 20
        assert all(sentence in all_sentences for sentence in forward)
        seen.update(map(tuple, forward))
    # In turn: none comes much more often than another.
    assert len(seen) == len(all_sentences)
    assert max(seen.values()) - min(seen.values()) <= 2


@pytest.mark.parametrize("shuffle", [False, True])
def test_every_sentence_once_in_a_pass(tmp_path, files, shuffle):
    sentences = [sentence for file in files for sentence in file]
    number = len(sentences)
    order = order_of(tmp_path, 4 * number, shuffle=shuffle)
    passes = [order[start : start + number] for start in range(0, 4 * number, number)]
    for given in passes:
        assert sorted(given) == sorted(sentences)
        if not shuffle:
            assert given == sentences
    if shuffle:
        assert len({str(given) for given in [sentences, *passes]}) == 5
        # Files one after the other, in another order each time; lines within their blocks.
        orders_of_files = set()
        for given in passes:
            source = [next(n for n, file in enumerate(files) if s in file) for s in given]
            orders_of_files.add(tuple(n for n, _ in itertools.groupby(source)))
        assert all(sorted(orders) == [0, 1, 3] for orders in orders_of_files)
        assert len(orders_of_files) > 1
        assert order_of(tmp_path, number, seed=1) != passes[0]


def test_lines_are_shuffled_within_their_blocks(tmp_path):
    words = [f"w{number}" for number in range(23)]
    (tmp_path / "text").write_text("\n".join(words))
    order = [words.index(word) for (word,) in order_of(tmp_path, 46)]
    for given in (order[:23], order[23:]):
        assert [number // 4 for number in given] == [number // 4 for number in range(23)]
        assert given != sorted(given)
    assert order[:23] != order[23:]
    # Each block has an order of its own.
    assert len({tuple(n % 4 for n in order[start : start + 4]) for start in (0, 4, 8, 12, 16)}) > 3


def test_passes_and_tokens(tmp_path):
    (tmp_path / "text").write_text("w1 w2\nw3\n")  # five words to predict
    windows = make(tmp_path, batch_size=1, window=5)
    assert (windows.tokens, windows.passes) == (5, 0)
    passes = []
    for _ in range(4):
        next(windows)
        passes.append(windows.passes)
    # A pass is over when the next one begins.
    assert passes == [0, 1, 2, 3]
    assert make(tmp_path, batch_size=3, window=4).tokens == 12
    assert iter(windows) is windows


def test_a_corpus_of_one_word_goes_round(tmp_path):
    (tmp_path / "text").write_text("w1")
    windows = make(tmp_path, batch_size=2, window=3)
    inputs = np.concatenate([words_of(batch) for batch in take(windows, 4)], axis=2)
    assert inputs[0].tolist() == [["<S>", "w1"] * 6] * 2
    assert inputs[1].tolist() == [["</S>", "w1"] * 6] * 2
    assert windows.passes == 11  # Each row has taken it six times, the last time in this pass.


@pytest.mark.parametrize(
    "texts, message",
    [
        (["\n \n"], "no token in .*0[.] Check"),
        (["", "\n\n\n\n\n\n", " "], "no token in .*0, .*1, .*2[.] Check"),
        ([""] * 4, "no token in .*0, .*1, .*2 [.][.][.][.] Check"),
    ],
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_an_empty_corpus(tmp_path, texts, message, shuffle):
    for number, text in enumerate(texts):
        (tmp_path / str(number)).write_text(text)
    with pytest.raises(ValueError, match=message):
        next(make(tmp_path, shuffle=shuffle))


# === What a batch holds ===


@pytest.mark.parametrize("pad_words", [False, True])
def test_characters(tmp_path, pad_words):
    """Distinct words once, cut at `max_characters`, and rows of zeros behind them."""
    long = ["x" * 17, "x" * 18, "x" * 19, "é" * 9, "é" * 10, "東" * 30]
    words = [*long, *(f"v{number}" for number in range(60))]
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(words, 6)) for _ in range(40)]
    (tmp_path / "text").write_text("\n".join(lines))
    options = {"batch_size": 4, "window": 9, "shuffle": False}
    windows = make(tmp_path, pad_words=pad_words, **options)
    oracle = Oracle(itertools.cycle(line.split() for line in lines), 4, 9)
    sizes = set()
    for batch in take(windows, 12):
        inputs, _ = oracle.batch()
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


MARKS = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
BOS, EOS, OOV, PAD, BOW, EOW, S, W = range(1, 9)
ENCODERS = [
    (
        layers.CodePointEncoder([*MARKS, "S", "w"], filters=[(1, 4)], max_characters=5),
        {
            "begin": [EOW, BOS, BOW, PAD, PAD],
            "end": [EOW, EOS, BOW, PAD, PAD],
            "w": [EOW, W, BOW, PAD, PAD],
            "<S>": [EOW, OOV, S, OOV, BOW],  # No boundary to this encoder.
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
@pytest.mark.parametrize("encoder, expected", ENCODERS, ids=["code points", "words of it", "words"])
def test_ids_of_other_encoders(tmp_path, encoder, expected, pad_words):
    (tmp_path / "text").write_text("w <S> <bos>\n")
    windows = make(tmp_path, encoder=encoder, batch_size=2, window=4, pad_words=pad_words)
    batch = next(windows)
    forward = [expected[word] for word in ("begin", "w", "<S>", "<bos>")]
    backward = [expected[word] for word in ("end", "<bos>", "<S>", "w")]
    assert batch.ids.dtype == np.int32
    assert batch.ids.shape == (bucket(5) if pad_words else 5, *encoder.ids_shape)
    assert not batch.ids[5:].any()
    assert batch.ids[batch.inputs].tolist() == [[forward] * 2, [backward] * 2]
    unknown = VOCABULARY.token_to_index("<UNK>")
    # A word that is written like a boundary is predicted as the softmax's word of that name.
    assert batch.targets[0, 0].tolist() == [unknown, 0, unknown, 1]
    part = batch.select_streams(slice(0, 1), pad_words)
    assert part.ids[part.inputs].tolist() == [[forward], [backward]]
    whole = make(tmp_path, encoder=encoder, batch_size=2, window=4, pad_words=pad_words)
    whole.restore(json.loads(json.dumps(windows.state())))
    check_equal(next(windows), next(whole))


def test_a_word_that_is_written_like_a_boundary(tmp_path):
    """To the byte alphabet it is the boundary, as in the published programs."""
    (tmp_path / "text").write_text("</S> w1\n")
    batch = next(make(tmp_path, batch_size=1, window=3))
    begin, end = byte_alphabet.boundary_ids(MAX_CHARACTERS)
    read = batch.ids[batch.inputs]
    np.testing.assert_array_equal(read[0, 0, :2], [begin, end])
    np.testing.assert_array_equal(read[1, 0, [0, 2]], [end, end])


def test_targets_of_unknown_words(tmp_path):
    (tmp_path / "text").write_text("w0 w1 never W1\n")
    batch = next(make(tmp_path, batch_size=1, window=5))
    unknown, w1 = VOCABULARY.token_to_index("<UNK>"), VOCABULARY.token_to_index("w1")
    assert batch.targets.tolist() == [
        [[unknown, w1, unknown, unknown, 1]],
        [[unknown, unknown, w1, unknown, 0]],
    ]


def test_negatives(tmp_path, files):
    size = len(VOCABULARY)
    p = np.log1p(1 / (np.arange(size) + 1)) / np.log(size + 1)
    draws_seen = set()
    for batch in take(make(tmp_path), 30):
        assert batch.negatives.shape == (7,) and batch.negatives.dtype == np.int32
        assert len(set(batch.negatives.tolist())) == 7
        assert 0 <= batch.negatives.min() and batch.negatives.max() < size
        assert batch.negatives_log_expected.shape == (7,)
        assert batch.log_expected.shape == batch.targets.shape == (2, 3, 5)
        # All of them go by one number of draws.
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
def test_the_softmax_is_full_where_the_vocabulary_is_small(tmp_path, files, more):
    batch = next(make(tmp_path, num_negatives=len(VOCABULARY) + more))
    parts = (batch.log_expected, batch.negatives, batch.negatives_log_expected)
    assert all((part is None) == (more >= 0) for part in parts)
    if more < 0:
        assert len(batch.negatives) == len(VOCABULARY) - 1


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.001])
def test_keep(tmp_path, files, dropout):
    batches = take(make(tmp_path, dropout=dropout, dropout_shape=(3, 64)), 20)
    keep = np.stack([batch.dropout_mask for batch in batches])
    assert keep.dtype == bool and keep.shape == (20, 2, 4, 3, 5, 64)

    def check(share, number):
        spread = math.sqrt(dropout * (1 - dropout) / number)
        # Rates are multiples of 2 ** -16.
        assert np.all(np.abs(share - (1 - dropout)) < 3 * spread + 2**-17)

    check(keep.mean(), keep.size)
    for axis in range(1, 3):  # as for each direction and layer
        axes = tuple(other for other in range(keep.ndim) if other != axis)
        check(keep.mean(axis=axes), keep.size // keep.shape[axis])
    if dropout > 0.01:
        assert len({part.tobytes() for part in keep.reshape(-1, 15, 64)}) == 20 * 2 * 4 * 3 // 3


def test_no_dropout(tmp_path, files):
    assert next(make(tmp_path, dropout=0.0)).dropout_mask is None


# === Fresh starts ===


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_fresh_starts(tmp_path, files, share):
    sentences = order_of(tmp_path, 600)
    oracle, carries = Oracle(sentences, 3, 5), []
    for batch in take(make(tmp_path, fresh_starts=share), 100):
        inputs, targets = oracle.batch(batch.carry)
        np.testing.assert_array_equal(words_of(batch), inputs)
        np.testing.assert_array_equal(targets_of(batch), known(targets))
        assert set(inputs[0, ~batch.carry, 0]) <= {"<S>"}
        assert set(inputs[1, ~batch.carry, 0]) <= {"</S>"}
        carries.append(batch.carry)
    fresh = 1 - np.mean(carries)
    assert abs(fresh - share) <= 3 * math.sqrt(share * (1 - share) / 300)
    assert len({tuple(carry) for carry in carries}) == (8 if share < 1 else 1)


# === Equal batches ===


def check_equal(one, other):
    for name, a, b in zip(one._fields, one, other, strict=True):
        assert (a is None) == (b is None), name
        if a is not None:
            assert a.dtype == b.dtype, name
            np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle": False},
        {"batch_size": 11, "window": 2, "fresh_starts": 0.2},
        {"batch_size": 1, "window": 1, "dropout": 0.0},
        {"num_negatives": 1000, "pad_words": True, "seed": 5},
    ],
    ids=["plain", "in order", "many rows", "word by word", "full softmax"],
)
def test_a_restored_state_gives_the_same_batches(tmp_path, files, options):
    """At every batch of some passes, in the middle of blocks and of sentences."""
    windows = make(tmp_path, **options)
    number = 200 if windows.tokens == 1 else 60
    states, batches = [], []
    for _ in range(number):
        states.append((windows.state(), json.dumps(windows.state())))
        batches.append(next(windows))
    assert windows.passes >= (1 if windows.tokens == 1 else 3)
    places = {json.dumps(json.loads(text)["place"]) for _, text in states}
    assert len(places) > 20
    rng = np.random.default_rng(0)
    used = make(tmp_path, **options)
    for start in [0, 1, *rng.permutation(number - 8)[:25].tolist()]:
        plain, text = states[start]
        for state, other in (
            (plain, make(tmp_path, **options)),
            (json.loads(text), make(tmp_path, **options)),
            (json.loads(text), used),  # which is somewhere else
        ):
            other.restore(state)
            assert json.dumps(other.state()) == text
            for batch in batches[start : start + 8]:
                check_equal(next(other), batch)
            assert json.dumps(other.state()) == states[start + 8][1]
    # What was done with it has not changed a state.
    assert all(json.dumps(plain) == text for plain, text in states)


def test_a_restored_run_to_the_end(tmp_path, files):
    windows = make(tmp_path)
    state = [windows.state() for _ in range(13) if next(windows)][-1]
    rest = take(windows, 150)
    again = make(tmp_path)
    again.restore(json.loads(json.dumps(state)))
    for one, other in zip(take(again, 150), rest, strict=True):
        check_equal(one, other)
    assert again.passes == windows.passes > 8


def test_another_number_of_rows_is_refused(tmp_path, files):
    windows = make(tmp_path)
    before = json.dumps(windows.state())
    with pytest.raises(
        ValueError, match="as many streams as the windows, 3. Received: a state of 4 streams."
    ):
        windows.restore(make(tmp_path, batch_size=4).state())
    assert json.dumps(windows.state()) == before


def test_what_is_random_depends_on_the_seed_and_the_number_alone(tmp_path, files):
    make_files(tmp_path / "other", sizes=(20,), seed=7)
    batches = take(make(tmp_path, fresh_starts=0.5), 12)
    # Of another corpus, and of windows that begin later.
    others = take(make(tmp_path / "other", fresh_starts=0.5), 12)
    late = make(tmp_path / "other", fresh_starts=0.5)
    late.restore(late.state() | {"number": 6})
    for a, b in [*zip(batches, others), *zip(batches[6:], late)]:
        for name in ("negatives", "negatives_log_expected", "dropout_mask", "carry"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert not np.array_equal(words_of(batches[0]), words_of(others[0]))
    # Twice is the same; another seed or number is not.
    for a, b in zip(batches, make(tmp_path, fresh_starts=0.5)):
        check_equal(a, b)
    seeded = take(make(tmp_path, fresh_starts=0.5, seed=1), 12)
    assert len({batch.dropout_mask.tobytes() for batch in [*batches, *seeded]}) == 24
    assert len({batch.negatives.tobytes() for batch in [*batches, *seeded]}) > 20


# === Parts ===


@pytest.mark.parametrize("pad_words", [False, True])
@pytest.mark.parametrize("options", [{}, {"dropout": 0.0, "num_negatives": 1000}], ids=str)
def test_parts_are_the_whole(tmp_path, files, options, pad_words):
    rows = 7
    windows = make(tmp_path, batch_size=rows, pad_words=pad_words, fresh_starts=0.3, **options)
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
            # The sample of words is that of the whole.
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
