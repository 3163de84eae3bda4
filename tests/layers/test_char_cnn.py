import keras
import numpy as np
import pytest

from elmo_keras import backend, layers
from tests import small_models
from tests.check_layer import check_layer
from tests.gradients import gradients
from tests.small_models import to_numpy


def test_keras_contract(tmp_path):
    check_layer(
        lambda **k: small_models.char_cnn(**k),
        small_models.ids(),
        tmp_path,
        weights=11,
        quantized=True,
    )


def test_keras_contract_without_projection(tmp_path):
    make = lambda **k: small_models.char_cnn(projection_dim=None, num_highways=0, **k)  # noqa: E731
    check_layer(make, small_models.ids(), tmp_path, weights=5)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"activation": "relo"}, "`activation` must be"),
        ({"filters": []}, "`filters` must be pairs"),
        ({"filters": [(9, 2)], "max_characters": 8}, "`max_characters` must be at least"),
    ],
    ids=["activation", "filters", "max_characters"],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        small_models.char_cnn(**options)


def test_encode_gives_the_vectors_of_distinct_tokens():
    cnn, ids = small_models.char_cnn(), small_models.ids()
    expected = to_numpy(cnn(ids))
    rows, places = np.unique(ids.reshape(-1, ids.shape[-1]), axis=0, return_inverse=True)
    actual = to_numpy(cnn.encode(keras.ops.convert_to_tensor(rows)))[places.ravel()]
    np.testing.assert_allclose(actual.reshape(expected.shape), expected, atol=1e-6)


def ids_of_words(rng):
    """Ids of tokens as text makes them: short ones, one that fills its row, padding, repeats."""
    ids = np.full((3, 4, 50), 261, "int32")
    for row, length in zip(ids.reshape(12, 50), [1, 7, 3, 50, 7, 2, 0, 12, 1, 1, 30, 9]):
        row[:length] = rng.integers(1, 260, length)
    ids[1, 1], ids[2, :2] = ids[0, 1], ids[0, 0]
    ids[2, 2:] = 0
    return ids


@pytest.mark.parametrize("longest", [50, 12])
def test_distinct_tokens_without_filler_have_the_same_vectors(monkeypatch, longest):
    """Against all tokens with all of their characters: values and the weights' gradients."""
    cnn = layers.CharCNN([(1, 4), (3, 8), (7, 5)], 4, num_highways=2, projection_dim=6)
    ids = ids_of_words(np.random.default_rng(0))
    if longest == 12:
        ids[0, 3], ids[2, 2] = ids[0, 2], ids[0, 0]
    cnn(ids)
    weights = np.random.default_rng(1).normal(size=(3, 4, 6)).astype("float32")

    def loss():
        return keras.ops.sum(cnn(ids) * keras.ops.convert_to_tensor(weights))

    actual = to_numpy(cnn(ids)), gradients(loss, cnn.trainable_variables)
    monkeypatch.setattr(backend, "has_dynamic_shapes", lambda x: False)
    monkeypatch.setattr(backend, "distinct", lambda rows: (rows, None))
    expected = to_numpy(cnn(ids)), gradients(loss, cnn.trainable_variables)
    np.testing.assert_allclose(actual[0], expected[0], atol=1e-6)
    for one, other in zip(actual[1], expected[1], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def positions(lengths):
    """The fewest positions of the CNN if words are split into two groups by their lengths."""
    lengths = sorted(lengths)
    return min(
        number * lengths[number - 1] + (len(lengths) - number) * lengths[-1]
        for number in range(1, len(lengths) + 1)
    )


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="shapes are fixed")
@pytest.mark.parametrize("longest", [50, 12, 7, 1])
def test_each_token_is_computed_once_and_without_most_filler(monkeypatch, longest):
    cnn = layers.CharCNN([(1, 4), (3, 8)], 4, projection_dim=6)
    ids = ids_of_words(np.random.default_rng(0)).reshape(12, 50)
    ids = ids[[len(np.trim_zeros(row - 261)) <= longest or not row.any() for row in ids]][None]
    cnn(ids)
    seen = []
    call = type(cnn.char_embedding).call
    monkeypatch.setattr(
        type(cnn.char_embedding),
        "call",
        lambda self, rows: seen.append(tuple(rows.shape)) or call(self, rows),
    )
    cnn(ids)
    distinct = np.unique(ids[0], axis=0)
    # A word is followed by a window of filler, up to the end of its row.
    lengths = [min(50, len(np.trim_zeros(row - row[-1], "b")) + 3) for row in distinct]
    assert sum(number for number, _ in seen) == len(distinct)
    assert sum(number * length for number, length in seen) == positions(lengths)


@pytest.mark.parametrize("lengths", [[5], [50], [5, 5, 5], [0], [1, 50]])
def test_few_tokens_are_split_by_length(lengths):
    """Tokens of one length, and a single token, which is in both groups."""
    cnn = layers.CharCNN([(1, 4), (3, 8)], 4, projection_dim=6)
    ids = np.full((len(lengths), 50), 261, "int32")
    for number, (row, length) in enumerate(zip(ids, lengths)):
        row[:length] = number + 1 + np.arange(length)
    actual = to_numpy(cnn(ids[None]))[0]
    table = to_numpy(cnn.char_embedding.embeddings)
    parts = []
    for convolution in cnn.convolutions:
        kernel, bias = map(to_numpy, convolution.weights)
        width = len(kernel)
        windows = [table[ids[:, at : at + width]] for at in range(50 - width + 1)]
        values = [np.einsum("twc,wcn->tn", window, kernel) + bias for window in windows]
        parts.append(np.maximum(np.max(values, axis=0), 0))
    x = keras.ops.convert_to_tensor(np.concatenate(parts, axis=-1))
    expected = to_numpy(cnn.projection(cnn.highways[0](x)))
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    one = keras.ops.convert_to_tensor(ids[:1])
    np.testing.assert_allclose(to_numpy(cnn.encode(one))[0], actual[0], atol=1e-6)
