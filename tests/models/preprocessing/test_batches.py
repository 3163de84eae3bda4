"""Batches: their padding, their order, and the number of distinct shapes."""

import keras
import numpy as np
import pytest

from elmo_keras import ElmoTextClassifier
from elmo_keras.models.preprocessing.batches import IdBatches, token_batches
from elmo_keras.text.bucketing import bucket
from tests.models.check_task import TOKENS, needs_strings, toy_elmo

LENGTHS_OF_ROWS = [3, 9, 1, 0, 7, 13, 8]


def rows(lengths=LENGTHS_OF_ROWS):
    """Sentences of ids, whose first column holds the index of the sentence plus 1."""
    return [np.full((length, 2), [i + 1, 7], dtype="int32") for i, length in enumerate(lengths)]


def id_batches(batch_size=3, shuffle=False, is_compiled=False, lengths=LENGTHS_OF_ROWS, **options):
    columns = {
        "inputs": [rows(lengths)],
        "y": list(range(len(lengths))),
        "weights": [float(i) for i in range(len(lengths))],
        "to_ids": None,
    }
    return IdBatches(
        **columns | options,
        batch_size=batch_size,
        shuffle=shuffle,
        is_compiled=is_compiled,
    )


def batches_of(data):
    return [data[i] for i in range(len(data))]


def labels_of(data):
    return np.concatenate([y for _, y, _ in batches_of(data)]).tolist()


@pytest.mark.parametrize("is_compiled", [False, True])
def test_order_is_kept(is_compiled):
    data = id_batches(is_compiled=is_compiled)
    for _ in range(2):
        assert labels_of(data) == list(range(7))
        data.on_epoch_end()
    for start, (ids, y, weights) in zip((0, 3, 6), batches_of(data)):
        lengths = LENGTHS_OF_ROWS[start : start + 3]
        longest = max(lengths)
        assert ids.shape == (len(lengths), bucket(longest) if is_compiled else longest, 2)
        assert [a.dtype for a in (ids, y, weights)] == ["int32", "int32", "float32"]
        for row, label, weight, length in zip(ids, y, weights, lengths):
            assert (row[:length] == [label + 1, 7]).all()
            assert not row[length:].any()
            assert weight == label


def test_each_epoch_has_another_order():
    data = id_batches(shuffle=True)
    epochs = []
    for _ in range(4):
        epochs.append(labels_of(data))
        assert sorted(epochs[-1]) == list(range(7))
        assert labels_of(data) == epochs[-1]  # The order is fixed within an epoch.
        data.on_epoch_end()
    assert len(set(map(tuple, epochs))) > 1
    for ids, y, weights in batches_of(data):
        np.testing.assert_array_equal(y, weights)
        assert all(row.max(initial=0) in (0, max(7, label + 1)) for row, label in zip(ids, y))


@pytest.mark.parametrize("number, batch_size", [(7, 3), (6, 3), (7, 2), (2, 3), (3, 3)])
def test_compiled_batches_have_one_number_of_rows(number, batch_size):
    lengths = LENGTHS_OF_ROWS[:number]
    data = id_batches(batch_size, shuffle=True, is_compiled=True, lengths=lengths)
    for _ in range(3):
        sizes = [len(ids) for ids, _, _ in batches_of(data)]
        labels = labels_of(data)
        assert sizes == [min(batch_size, number)] * -(-number // batch_size)
        assert labels[:number] == list(data.order)
        # The last batch is filled from the beginning of the epoch.
        assert labels[number:] == labels[: len(labels) - number]
        assert {ids.shape[1] for ids, _, _ in batches_of(data)} <= {8, 12, 16}
        data.on_epoch_end()


def test_shuffled_batches_hold_similar_lengths():
    lengths = np.random.default_rng(0).integers(1, 60, 400).tolist()
    data = id_batches(20, shuffle=True, is_compiled=True, lengths=lengths)
    for _ in range(3):
        assert sorted(data.order) == list(range(400))
        steps = sum(ids.shape[0] * ids.shape[1] for ids, _, _ in batches_of(data))
        assert steps < 1.3 * sum(lengths)  # 48 or 64 steps each if they were mixed
        times = [ids.shape[1] for ids, _, _ in batches_of(data)]
        assert times != sorted(times)
        data.on_epoch_end()


def test_columns_of_labels_and_weights_are_padded():
    y = [np.arange(length) for length in LENGTHS_OF_ROWS]
    for is_compiled in (False, True):
        data = id_batches(is_compiled=is_compiled, y=y, weights=y)
        for start, (ids, labels, weights) in zip((0, 3, 6), batches_of(data)):
            assert labels.shape == weights.shape == ids.shape[:2]
            for i, row in enumerate(labels):
                length = LENGTHS_OF_ROWS[start + i]
                np.testing.assert_array_equal(row[:length], np.arange(length))
                assert not row[length:].any()
    assert len(id_batches(y=None, weights=None)[0]) == 1
    assert len(id_batches(weights=None)[0]) == 2


def test_rows_are_made_when_they_are_needed():
    asked = []

    def to_ids(sentences):
        asked.append(sentences)
        return np.ones((len(sentences), max(map(len, sentences)), 2), dtype="int32")

    tokens = [["a", "b"], ["c"], list("defg"), []]
    data = id_batches(inputs=[tokens], to_ids=to_ids, y=[0, 1, 2, 3], weights=None)
    assert asked == []
    assert data[0][0].shape == (3, 4, 2)
    assert asked == [tokens[:3]]


def test_empty_sentences_have_one_step():
    assert id_batches(lengths=[0, 0])[0][0].shape == (2, 1, 2)
    assert id_batches(lengths=[0, 0], is_compiled=True)[0][0].shape == (2, 8, 2)


@needs_strings
def test_token_batches():
    y, weights = [4, 1, 0, 3, 2], [4.0, 1.0, 0.0, 3.0, 2.0]
    batches = list(token_batches([TOKENS], y, weights, 2, shuffle=False))
    assert [tokens.shape.as_list() for tokens, _, _ in batches] == [[2, 4], [2, 5], [1, 2]]
    decoded = [
        [token.decode() for token in row if token]
        for tokens, _, _ in batches
        for row in tokens.numpy()
    ]
    assert decoded == TOKENS
    assert np.concatenate([labels for _, labels, _ in batches]).tolist() == y
    assert np.concatenate([w for _, _, w in batches]).tolist() == weights
    (tokens,) = next(iter(token_batches([[[], []]], None, None, 2, shuffle=False)))
    assert tokens.shape == (2, 1)
    assert list(token_batches([[]], None, None, 2, shuffle=True)) == []

    labels = [np.arange(len(row)) for row in TOKENS]
    for tokens, y_, w_ in token_batches([TOKENS], labels, labels, 2, shuffle=False):
        assert tokens.shape == y_.shape == w_.shape
        np.testing.assert_array_equal(y_, w_)
        assert not y_.numpy()[tokens.numpy() == b""].any()


@needs_strings
def test_token_batches_of_each_epoch_have_another_order():
    tokens = [[str(i)] for i in range(8)]
    data = token_batches([tokens], list(range(8)), None, 3, shuffle=True)
    epochs = []
    for _ in range(4):
        batches = list(data)
        epochs.append(np.concatenate([y for _, y in batches]).tolist())
        assert [int(row[0]) for x, _ in batches for row in x.numpy()] == epochs[-1]
        assert sorted(epochs[-1]) == list(range(8))
    assert len(set(map(tuple, epochs))) > 1


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX compiles each shape")
def test_one_compilation_a_bucket():
    """`fit` on ids traces its step once per bucket, in any order of the sentences."""
    shapes = []

    class Counted(ElmoTextClassifier):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            shapes.append(x.shape)
            return super().compute_loss(x, y, y_pred, sample_weight, training)

    model = Counted(toy_elmo(), labels=["a", "b"])
    rng = np.random.default_rng(0)
    ids = [rng.integers(1, 262, (length, 50)) for length in [3, 12, 5, 1, 8, 10, 2]]
    y = [0, 1, 0, 1, 0, 1, 0]
    model.fit(ids, y, batch_size=2, epochs=6, verbose=0)
    assert set(shapes) <= {(2, 8, 50), (2, 12, 50)}
    # Once more than compiled: Keras builds the loss on the first batch.
    assert len(shapes) <= 3
    number = len(shapes)
    model.fit(ids[::-1], y, batch_size=2, epochs=2, verbose=0)
    assert len(shapes) == number
