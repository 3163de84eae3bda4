"""Each layer's numbers against numpy, written from the equations."""

import keras
import numpy as np
import pytest

from elmo_keras import backend, layers
from tests import small_models
from tests.gradients import gradients
from tests.numpy_reference import sigmoid
from tests.small_models import to_numpy


def weights_of(layer):
    return {w.path.split("/", 1)[-1]: to_numpy(w) for w in layer.weights}


def test_highway():
    x = np.random.default_rng(0).standard_normal((4, 5)).astype("float32")
    layer = layers.Highway(name="h")
    y = to_numpy(layer(x))
    w = weights_of(layer)
    assert np.all(w["gate/bias"] == -2)
    gate = sigmoid(x @ w["gate/kernel"] + w["gate/bias"])
    new = np.maximum(x @ w["transform/kernel"] + w["transform/bias"], 0)
    np.testing.assert_allclose(y, gate * new + (1 - gate) * x, atol=1e-6)


def cell_step(x, h, c, w, layer):
    z = x @ w["input_gates/kernel"] + w["input_gates/bias"] + h @ w["recurrent_gates/kernel"]
    i, f, g, o = np.split(z, 4, axis=-1)
    c = sigmoid(f + layer.forget_bias) * c + sigmoid(i) * np.tanh(g)
    c = c if layer.cell_clip is None else np.clip(c, -layer.cell_clip, layer.cell_clip)
    h = sigmoid(o) * np.tanh(c)
    if "projection/kernel" in w:
        h = h @ w["projection/kernel"]
        clip = layer.projection_clip
        h = h if clip is None else np.clip(h, -clip, clip)
    return h, c


@pytest.mark.parametrize("projection_dim", [None, 3])
@pytest.mark.parametrize("clips", [(None, None), (0.2, 0.05)])
@pytest.mark.parametrize("forget_bias", [0.0, 1.0])
def test_projected_lstm_cell(projection_dim, clips, forget_bias):
    rng = np.random.default_rng(0)
    cell = layers.ProjectedLSTMCell(4, projection_dim, *clips, forget_bias=forget_bias, name="c")
    x = rng.standard_normal((2, 5)).astype("float32")
    h = rng.standard_normal((2, cell.output_size)).astype("float32")
    c = rng.standard_normal((2, 4)).astype("float32")
    y, (h1, c1) = cell(x, [h, c])
    true_h, true_c = cell_step(x, h, c, weights_of(cell), cell)
    np.testing.assert_allclose(to_numpy(h1), true_h, atol=1e-6)
    np.testing.assert_allclose(to_numpy(c1), true_c, atol=1e-6)
    np.testing.assert_array_equal(to_numpy(y), to_numpy(h1))


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("projection_dim", [None, 3])
def test_bilstm_stack(num_layers, residual, projection_dim):
    """One row at a time, one step at a time, from given states, with a mask."""
    rng = np.random.default_rng(0)
    stack = layers.BiLSTMStack(
        num_layers, 4, projection_dim, cell_clip=0.5, projection_clip=0.1, residual=residual
    )
    p = stack.output_dim
    x = rng.standard_normal((3, 5, p)).astype("float32")
    lengths = [5, 2, 0]
    mask = np.arange(5) < np.array(lengths)[:, None]
    hidden = 0.1 * rng.standard_normal((2, num_layers, 3, p)).astype("float32")
    cell = 0.1 * rng.standard_normal((2, num_layers, 3, 4)).astype("float32")
    outputs, (h1, c1) = stack(x, mask=mask, initial_state=(hidden, cell))
    assert len(outputs) == num_layers
    true_hidden, true_cell = hidden.copy(), cell.copy()
    for row, length in enumerate(lengths):
        for direction, rnns in enumerate((stack.forward_layers, stack.backward_layers)):
            given = x[row, :length]
            for j, rnn in enumerate(rnns):
                w = weights_of(rnn.cell)
                w = {k.split("cell/")[-1]: v for k, v in w.items()}
                h, c = hidden[direction, j, row], cell[direction, j, row]
                made = np.zeros((length, p))
                order = range(length) if direction == 0 else reversed(range(length))
                for t in order:
                    h, c = cell_step(given[t], h, c, w, rnn.cell)
                    made[t] = h
                true_hidden[direction, j, row], true_cell[direction, j, row] = h, c
                given = given + made if residual and j else made
                got = to_numpy(outputs[j])[row, :, direction * p : (direction + 1) * p]
                np.testing.assert_allclose(got[:length], given, atol=1e-6)
                assert not got[length:].any() or residual and j
    np.testing.assert_allclose(to_numpy(h1), true_hidden, atol=1e-6)
    np.testing.assert_allclose(to_numpy(c1), true_cell, atol=1e-6)


def test_bilstm_states_continue_a_sequence():
    """Forward: two halves with carried states are the whole."""
    stack = small_models.bilstm()
    x = np.random.default_rng(0).standard_normal((2, 6, 6)).astype("float32")
    whole, _ = stack(x)
    first, states = stack(x[:, :4])
    second, _ = stack(x[:, 4:], initial_state=states)
    forward = np.concatenate([to_numpy(first[-1]), to_numpy(second[-1])], axis=1)[..., :6]
    np.testing.assert_allclose(forward, to_numpy(whole[-1])[..., :6], atol=1e-6)


@pytest.mark.parametrize("layer_norm", [False, True, "bilm-tf", "allennlp"])
def test_scalar_mix(layer_norm):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 2, 4, 5)).astype("float32")  # (layers, batch, time, dim)
    mask = np.array([[True, True, True, False], [True, False, False, False]])
    mix = layers.ScalarMix(layer_norm)
    mix(list(x), mask=mask)
    scalars, gamma = rng.standard_normal(3).astype("float32"), np.float32(1.7)
    mix.set_weights([scalars, gamma])
    normalized = x.astype("float64")
    if layer_norm is True:
        normalized = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)
    elif layer_norm:
        kept = x[:, mask]  # (layers, tokens, dim)
        mean, std = kept.mean((1, 2)), kept.std((1, 2))
        normalized = (x - mean[:, None, None, None]) / std[:, None, None, None]
    weights = np.exp(scalars) / np.exp(scalars).sum()
    true = gamma * np.einsum("l,lbtd->btd", weights, normalized)
    y = mix(list(x), mask=mask)
    np.testing.assert_allclose(to_numpy(y)[mask], true[mask], atol=1e-5)
    stacked = mix(np.moveaxis(x, 0, 2), mask=mask)
    np.testing.assert_allclose(to_numpy(stacked)[mask], true[mask], atol=1e-5)
    np.testing.assert_allclose(mix.layer_weights[0], weights, atol=1e-6)
    assert mix.layer_weights[1] == pytest.approx(1.7)


def test_mix_regularizer_is_on_the_scalars_alone():
    mix = layers.ScalarMix(regularizer=keras.regularizers.L2(0.5))
    mix([np.ones((1, 2, 3), "float32")] * 2)
    mix.set_weights([np.array([1.0, 2.0], "float32"), np.float32(7.0)])
    assert [float(to_numpy(loss)) for loss in mix.losses] == [pytest.approx(2.5)]


@pytest.mark.parametrize("extra", [(), (3,)])
def test_poolings(extra):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4, *extra, 5)).astype("float32") - 5  # all negative
    lengths = [4, 2, 0]
    mask = np.arange(4) < np.array(lengths)[:, None]
    mean = to_numpy(layers.MaskedMeanPooling()(x, mask=mask))
    maximum = to_numpy(layers.MaskedMaxPooling()(x, mask=mask))
    for row, length in enumerate(lengths):
        if length:
            np.testing.assert_allclose(mean[row], x[row, :length].mean(0), rtol=1e-5)
            np.testing.assert_array_equal(maximum[row], x[row, :length].max(0))
        else:
            assert not mean[row].any()
            assert not maximum[row].any()
    np.testing.assert_allclose(to_numpy(layers.MaskedMeanPooling()(x)), x.mean(1), rtol=1e-5)
    np.testing.assert_array_equal(to_numpy(layers.MaskedMaxPooling()(x)), x.max(1))


@pytest.mark.parametrize("pooling", [layers.MaskedMeanPooling, layers.MaskedMaxPooling])
def test_poolings_have_finite_gradients(pooling):
    model = keras.Sequential([keras.layers.Dense(3), pooling(), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((2, 4, 3), "float32")
    model.fit(x, np.ones((2, 1), "float32"), verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_fill_padding_replaces_what_is_not_finite():
    x = np.full((1, 3, 2), np.nan, "float32")
    x[0, 0] = 1
    y = to_numpy(layers.FillPadding(0.5)(x, mask=np.array([[True, False, False]])))
    assert y.tolist() == [[[1, 1], [0.5, 0.5], [0.5, 0.5]]]


def words(rng):
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
    ids = words(np.random.default_rng(0))
    if longest == 12:
        ids[0, 3], ids[2, 2] = ids[0, 2], ids[0, 0]
    cnn(ids)
    weights = np.random.default_rng(1).normal(size=(3, 4, 6)).astype("float32")

    def loss():
        return keras.ops.sum(cnn(ids) * keras.ops.convert_to_tensor(weights))

    found = to_numpy(cnn(ids)), gradients(loss, cnn.trainable_variables)
    monkeypatch.setattr(backend, "has_dynamic_shapes", lambda x: False)
    monkeypatch.setattr(backend, "distinct", lambda rows: (rows, None))
    true = to_numpy(cnn(ids)), gradients(loss, cnn.trainable_variables)
    np.testing.assert_allclose(found[0], true[0], atol=1e-6)
    for ours, expected in zip(found[1], true[1], strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


def positions(lengths):
    """Of words parted in two by their lengths: the fewest positions that the CNN has to see."""
    lengths = sorted(lengths)
    return min(
        number * lengths[number - 1] + (len(lengths) - number) * lengths[-1]
        for number in range(1, len(lengths) + 1)
    )


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="shapes are fixed")
@pytest.mark.parametrize("longest", [50, 12, 7, 1])
def test_each_token_is_computed_once_and_without_most_filler(monkeypatch, longest):
    cnn = layers.CharCNN([(1, 4), (3, 8)], 4, projection_dim=6)
    ids = words(np.random.default_rng(0)).reshape(12, 50)
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
    # A word, and a window of filler behind it; a row is no longer than it is.
    lengths = [min(50, len(np.trim_zeros(row - row[-1], "b")) + 3) for row in distinct]
    assert sum(number for number, _ in seen) == len(distinct)
    assert sum(number * length for number, length in seen) == positions(lengths)


@pytest.mark.parametrize("lengths", [[5], [50], [5, 5, 5], [0], [1, 50]])
def test_few_tokens_parted_by_length(lengths):
    """Tokens of one length, and a single token, which is in both parts."""
    cnn = layers.CharCNN([(1, 4), (3, 8)], 4, projection_dim=6)
    ids = np.full((len(lengths), 50), 261, "int32")
    for number, (row, length) in enumerate(zip(ids, lengths)):
        row[:length] = number + 1 + np.arange(length)
    found = to_numpy(cnn(ids[None]))[0]
    table = to_numpy(cnn.char_embedding.embeddings)
    parts = []
    for convolution in cnn.convolutions:
        kernel, bias = map(to_numpy, convolution.weights)
        width = len(kernel)
        windows = [table[ids[:, at : at + width]] for at in range(50 - width + 1)]
        values = [np.einsum("twc,wcn->tn", window, kernel) + bias for window in windows]
        parts.append(np.maximum(np.max(values, axis=0), 0))
    x = keras.ops.convert_to_tensor(np.concatenate(parts, axis=-1))
    true = to_numpy(cnn.projection(cnn.highways[0](x)))
    np.testing.assert_allclose(found, true, atol=1e-5)
    one = keras.ops.convert_to_tensor(ids[:1])
    np.testing.assert_allclose(to_numpy(cnn.encode(one))[0], found[0], atol=1e-6)
