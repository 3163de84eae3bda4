"""Windows: the order of words in the streams."""

import collections
import itertools
import math

import numpy as np
import pytest

from tests.training.small_windows import (
    ReferenceWindows,
    known,
    make_files,
    make_windows,
    order_of,
    take,
    targets_of,
    words_of,
)

pytestmark = pytest.mark.usefixtures("small_blocks")


@pytest.fixture
def files(tmp_path):
    return make_files(tmp_path)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("rows, steps", [(1, 1), (1, 50), (3, 5), (5, 3), (40, 2)])
def test_windows_equal_those_of_bilm_tf(tmp_path, files, rows, steps, shuffle):
    number = 5 * sum(map(len, files))
    if shuffle:
        sentences = order_of(tmp_path, number, seed=3)
    else:
        sentences = [sentence for file in files for sentence in file] * 5
    reference = ReferenceWindows(sentences, rows, steps)
    batches = 300 // (rows * steps) + 2
    for batch in take(
        make_windows(tmp_path, batch_size=rows, window=steps, shuffle=shuffle, seed=3), batches
    ):
        inputs, targets = reference.batch()
        np.testing.assert_array_equal(words_of(batch), inputs)
        np.testing.assert_array_equal(targets_of(batch), known(targets))
        assert batch.inputs.dtype == batch.targets.dtype == batch.ids.dtype == np.int32
        assert batch.carry.dtype == bool and batch.carry.tolist() == [True] * rows


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_row_is_whole_sentences_from_both_ends(tmp_path, files, shuffle):
    rows, batches = 3, take(make_windows(tmp_path, shuffle=shuffle), 60)
    inputs = np.concatenate([words_of(batch) for batch in batches], axis=2)
    targets = np.concatenate([targets_of(batch) for batch in batches], axis=2)
    all_sentences = [sentence for file in files for sentence in file]
    seen = collections.Counter()
    for row in range(rows):
        both = []
        for direction, (begin, end) in enumerate([("<S>", "</S>"), ("</S>", "<S>")]):
            starts = np.flatnonzero(inputs[direction, row] == begin)
            assert starts[0] == 0 and end not in inputs[direction, row]
            spans = list(itertools.pairwise(starts))
            for first, last in spans:
                read = inputs[direction, row, first:last]
                predicted = [*read[1:], end]
                assert targets[direction, row, first:last].tolist() == known(predicted).tolist()
            order = 1 - 2 * direction
            both.append([inputs[direction, row, a + 1 : b].tolist()[::order] for a, b in spans])
        forward, backward = both
        assert forward == backward and len(forward) > 20
        assert all(sentence in all_sentences for sentence in forward)
        seen.update(map(tuple, forward))
    # No sentence is read much more often than another.
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
        # Each pass reads whole files, in another order.
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
    # The blocks have different orders.
    assert len({tuple(n % 4 for n in order[start : start + 4]) for start in (0, 4, 8, 12, 16)}) > 3


def test_passes_and_tokens(tmp_path):
    (tmp_path / "text").write_text("w1 w2\nw3\n")  # five words to predict
    windows = make_windows(tmp_path, batch_size=1, window=5)
    assert (windows.tokens, windows.passes) == (5, 0)
    passes = []
    for _ in range(4):
        next(windows)
        passes.append(windows.passes)
    # A pass is complete when the next one starts.
    assert passes == [0, 1, 2, 3]
    assert make_windows(tmp_path, batch_size=3, window=4).tokens == 12
    assert iter(windows) is windows


def test_a_corpus_of_one_word_is_repeated(tmp_path):
    (tmp_path / "text").write_text("w1")
    windows = make_windows(tmp_path, batch_size=2, window=3)
    inputs = np.concatenate([words_of(batch) for batch in take(windows, 4)], axis=2)
    assert inputs[0].tolist() == [["<S>", "w1"] * 6] * 2
    assert inputs[1].tolist() == [["</S>", "w1"] * 6] * 2
    assert windows.passes == 11  # Each row has read the word six times, the last time in this pass.


@pytest.mark.parametrize(
    "texts, message",
    [
        (["\n \n"], "no token in .*0[.] Check"),
        (["", "\n\n\n\n\n\n", " "], "no token in .*0, .*1, .*2[.] Check"),
        ([""] * 4, "no token in .*0, .*1, .*2 [.][.][.][.] Check"),
    ],
    ids=["one file", "three files", "four files"],
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_an_empty_corpus(tmp_path, texts, message, shuffle):
    for number, text in enumerate(texts):
        (tmp_path / str(number)).write_text(text)
    with pytest.raises(ValueError, match=message):
        next(make_windows(tmp_path, shuffle=shuffle))


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_fresh_starts(tmp_path, files, share):
    sentences = order_of(tmp_path, 600)
    reference, carries = ReferenceWindows(sentences, 3, 5), []
    for batch in take(make_windows(tmp_path, fresh_starts=share), 100):
        inputs, targets = reference.batch(batch.carry)
        np.testing.assert_array_equal(words_of(batch), inputs)
        np.testing.assert_array_equal(targets_of(batch), known(targets))
        assert set(inputs[0, ~batch.carry, 0]) <= {"<S>"}
        assert set(inputs[1, ~batch.carry, 0]) <= {"</S>"}
        carries.append(batch.carry)
    fresh = 1 - np.mean(carries)
    assert abs(fresh - share) <= 3 * math.sqrt(share * (1 - share) / 300)
    assert len({tuple(carry) for carry in carries}) == (8 if share < 1 else 1)
