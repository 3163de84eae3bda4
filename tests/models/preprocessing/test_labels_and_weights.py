"""Labels and weights of Python data and of tensors in a graph follow the same rules."""

import numpy as np
import pytest

from elmo_keras.models.preprocessing.labels import labels_in_graph, read_labels
from elmo_keras.models.preprocessing.weights import class_weights, read_weights, weights_in_graph
from tests.models.check_task import needs_strings

pytestmark = needs_strings

LABELS = ["DET", "NOUN", "VERB"]
TOKENS = [["a", "cat", "sat"], ["dogs"], []]
NAMES, INDICES = [["DET", "NOUN", "VERB"], ["NOUN"], []], [[0, 1, 2], [1], []]
CLASS_WEIGHT = {"NOUN": 2.0, 2: 0.5}


def pad(rows, padding):
    longest = max(map(len, rows))
    return np.array([row + [padding] * (longest - len(row)) for row in rows])


def as_tensor(values):
    """The form of the values in a dataset: arrays stay padded, lists of lists are ragged."""
    import tensorflow as tf

    is_ragged = isinstance(values, list) and isinstance(values[0], list)
    return tf.ragged.constant(values) if is_ragged else tf.constant(values)


def in_python(y, sample_weight=None, class_weight=None, per_token=True):
    tokens = TOKENS if per_token else None
    y = read_labels(y, LABELS, tokens)
    return y, read_weights(sample_weight, class_weight, y, LABELS, tokens)


def in_graph(y, sample_weight=None, class_weight=None, per_token=True):
    """Label indices and weights of one batch of a dataset."""
    import tensorflow as tf

    of_class = None if class_weight is None else class_weights(class_weight, LABELS)
    columns = [tf.constant(pad(TOKENS, "")), as_tensor(y)]
    columns += [] if sample_weight is None else [as_tensor(sample_weight)]

    def preprocess(x, y, weights=None):
        if not isinstance(y, tf.RaggedTensor):  # The time of most datasets is unknown.
            y = tf.compat.v1.placeholder_with_default(y, [None] * y.shape.rank)
        y = labels_in_graph(y, x, LABELS, per_token)
        weights = weights_in_graph(weights, of_class, y, x, per_token)
        return (y,) if weights is None else (y, weights)

    dataset = tf.data.Dataset.from_tensor_slices(tuple(columns)).batch(len(TOKENS))
    (batch,) = dataset.map(preprocess)
    return batch[0].numpy(), batch[1].numpy() if len(batch) > 1 else None


def assert_equal_rows(actual, expected):
    """Compares the rows of a padded batch, up to padding, with one array for each sentence."""
    for actual_row, expected_row in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(actual_row[: len(expected_row)], expected_row)


TOKEN_LABELS = {
    "names": NAMES,
    "indices": INDICES,
    "padded names": pad(NAMES, ""),
    "padded indices": pad(INDICES, -1),
    "labels at padding": pad(INDICES, 2),
}


@pytest.mark.parametrize("y", TOKEN_LABELS.values(), ids=TOKEN_LABELS)
def test_labels_of_tokens(y):
    expected, _ = in_python(y)
    assert [row.tolist() for row in expected] == INDICES
    assert_equal_rows(in_graph(y)[0], expected)


@pytest.mark.parametrize("y", [["VERB", "DET", "NOUN"], [2, 0, 1], np.array([2, 0, 1])], ids=str)
def test_labels_of_sentences(y):
    expected, _ = in_python(y, per_token=False)
    assert expected == [2, 0, 1]
    np.testing.assert_array_equal(in_graph(y, per_token=False)[0], expected)


WEIGHTS = {
    "none": None,
    "of sentences": [1.5, 0.0, 3.0],
    "mask of sentences": [True, False, True],
    "of tokens": [[1.0, 2.0, 0.5], [4.0], []],
    "padded weights of tokens": pad([[1.0, 2.0, 0.5], [4.0], []], 0.0),
}


@pytest.mark.parametrize("class_weight", [None, CLASS_WEIGHT], ids=["plain", "class_weight"])
@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_weights_of_tokens(weights, class_weight):
    _, expected = in_python(NAMES, weights, class_weight)
    _, actual = in_graph(NAMES, weights, class_weight)
    if expected is None:
        assert actual is None
    else:
        assert_equal_rows(actual, expected)


@pytest.mark.parametrize("class_weight", [None, CLASS_WEIGHT], ids=["plain", "class_weight"])
@pytest.mark.parametrize("weights", [None, [1.5, 0.0, 3.0], [True, False, True]], ids=str)
def test_weights_of_sentences(weights, class_weight):
    _, expected = in_python([0, 1, 2], weights, class_weight, per_token=False)
    _, actual = in_graph([0, 1, 2], weights, class_weight, per_token=False)
    np.testing.assert_array_equal(actual, expected)


WRONG = {
    "unknown name": ([["DET", "NOUN", "X"], ["NOUN"], []], None),
    "index too large": ([[0, 1, 3], [1], []], None),
    "negative index": ([[0, 1, -2], [1], []], None),
    "padding label at a token": ([[0, -1, 2], [1], []], None),
    "empty name at a token": (pad([["DET", "", "VERB"], ["NOUN"], []], ""), None),
    "longest short of labels": ([[0, 1], [1], []], None),
    "other short of labels": ([[0, 1, 2], [], []], None),
    "too many labels": ([[0, 1, 2], [1, 1], []], None),
    "array short of labels": (pad(INDICES, -1)[:, :2], None),
    "NaN": (INDICES, [1.0, np.nan, 1.0]),
    "infinity": (INDICES, [1.0, np.inf, 1.0]),
    "negative weight": (INDICES, [[1.0, -1.0, 1.0], [1.0], []]),
    "above float32": (INDICES, np.array([1.0, 1e300, 1.0])),
    "longest short of weights": (INDICES, [[1.0, 1.0], [1.0], []]),
    "other short of weights": (INDICES, [[1.0, 1.0, 1.0], [], []]),
    "too many weights": (INDICES, [[1.0, 1.0, 1.0], [1.0, 1.0], []]),
    "column of weights": (INDICES, np.ones((3, 1))),
}


@pytest.mark.parametrize("class_weight", [None, CLASS_WEIGHT], ids=["plain", "class_weight"])
@pytest.mark.parametrize("y, weights", WRONG.values(), ids=WRONG)
def test_the_same_errors(y, weights, class_weight):
    import tensorflow as tf

    rules = "as many (labels|weights) as tokens|label must be one of|finite number of at least 0"
    with pytest.raises(ValueError, match=rules):
        in_python(y, weights, class_weight)
    rules = "as many (labels|weights) as tokens|Labels must be among|finite numbers of at least 0"
    with pytest.raises(tf.errors.InvalidArgumentError, match=rules):
        in_graph(y, weights, class_weight)


@pytest.mark.parametrize("y", [["DET", "X", "NOUN"], ["DET", "", "NOUN"], [0, 3, 1], [0, -1, 1]])
def test_the_same_errors_for_sentences(y):
    import tensorflow as tf

    with pytest.raises(ValueError, match="A label must be one of.*in sentence 1"):
        in_python(y, per_token=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Labels must be among"):
        in_graph(y, per_token=False)
