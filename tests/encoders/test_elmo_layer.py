"""What ElmoLayer promises beside numbers: invariance, masks, parts, states, clear errors."""

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import layers
from tests import small_models
from tests.check_layer import check_padding
from tests.numpy_reference import bilm
from tests.small_models import IS_TENSORFLOW, to_numpy

needs_strings = pytest.mark.skipif(not IS_TENSORFLOW, reason="strings are TensorFlow's")


@pytest.mark.parametrize("output", ["mix", "all", "average", "top", 0, 1])
def test_vectors_do_not_depend_on_the_batch(output):
    elmo = small_models.elmo(output=output)
    batch = small_models.ids((5, 1, 3, 17))
    check_padding(elmo, [row[: row.any(-1).sum()] for row in batch])


def test_identical_calls_are_bit_identical():
    elmo, x = small_models.elmo(), small_models.ids()
    np.testing.assert_array_equal(to_numpy(elmo(x)), to_numpy(elmo(x)))


@pytest.mark.parametrize("options", [{}, {"num_representations": 3}, {"keep_boundaries": True}])
def test_a_mask_comes_with_every_output(options):
    class Recorder(keras.layers.Layer):
        supports_masking = True

        def call(self, x, mask=None):
            self.mask = mask
            return x

    outputs = small_models.elmo(**options)(small_models.ids((4, 2)))
    for output in outputs if isinstance(outputs, list) else [outputs]:
        recorder = Recorder()
        recorder(output)
        lengths = np.array([4, 2]) + 2 * ("keep_boundaries" in options)
        true = np.arange(output.shape[1]) < lengths[:, None]
        np.testing.assert_array_equal(to_numpy(recorder.mask), true)
        assert not to_numpy(output)[~true].any()


def test_boundaries():
    x = small_models.ids((4, 2, 0))
    kept = to_numpy(small_models.elmo(keep_boundaries=True)(x))
    assert kept.shape == (3, 6, 12)
    assert kept[2, :2].any(-1).all()  # An empty sentence has its two boundaries.
    elmo = small_models.elmo(keep_boundaries=True)
    stripped = small_models.elmo()
    elmo(x), stripped(x)
    stripped.set_weights(elmo.get_weights())
    for row, length in enumerate((4, 2)):
        np.testing.assert_array_equal(
            to_numpy(elmo(x))[row, 1 : length + 1], to_numpy(stripped(x))[row, :length]
        )


def test_outputs_are_views_of_the_same_layers():
    x = small_models.ids()
    everything = small_models.elmo(output="all")
    layers_ = to_numpy(everything(x))
    for output, true in (
        ("average", layers_.mean(2)),
        ("top", layers_[:, :, -1]),
        (0, layers_[:, :, 0]),
        (1, layers_[:, :, 1]),
        ("mix", layers_.mean(2)),  # before training all weights are equal
    ):
        elmo = small_models.elmo(output=output)
        elmo(x)
        elmo.bilstm.set_weights(everything.bilstm.get_weights())
        elmo.token_encoder.set_weights(everything.token_encoder.get_weights())
        np.testing.assert_allclose(to_numpy(elmo(x)), true, atol=1e-6)


def test_layer_norm_statistics_of_the_programs():
    """bilm-tf counts tokens, AllenNLP boundaries too; neither counts padding."""
    x = small_models.ids((4, 2))
    everything = small_models.elmo(output="all", keep_boundaries=True)
    layers_ = to_numpy(everything(x))
    mask = {"allennlp": np.arange(6) < np.array([6, 4])[:, None]}
    mask["bilm-tf"] = mask["allennlp"].copy()
    mask["bilm-tf"][:, 0] = mask["bilm-tf"][0, 5] = mask["bilm-tf"][1, 3] = False
    for program, counted in mask.items():
        elmo = small_models.elmo(layer_norm=program)
        elmo(x)
        elmo.bilstm.set_weights(everything.bilstm.get_weights())
        elmo.token_encoder.set_weights(everything.token_encoder.get_weights())
        kept = layers_[counted]  # (tokens, layers, dim)
        true = ((layers_ - kept.mean((0, 2))[:, None]) / kept.std((0, 2))[:, None]).mean(2)
        got = to_numpy(elmo(x))
        np.testing.assert_allclose(got[0], true[0, 1:5], atol=1e-4)
        np.testing.assert_allclose(got[1, :2], true[1, 1:3], atol=1e-4)


def test_a_batch_of_empty_sentences_is_finite():
    for options in ({}, {"layer_norm": True}, {"layer_norm": "allennlp"}, {"output": "all"}):
        y = to_numpy(small_models.elmo(**options)(small_models.ids((0, 0), time=1)))
        assert y.shape[:2] == (2, 1)
        assert not y.any()


def test_layer_weights():
    elmo = small_models.elmo()
    elmo(small_models.ids())
    weights, gamma = elmo.layer_weights
    np.testing.assert_allclose(weights, [1 / 3] * 3)
    assert gamma == 1.0
    assert len(small_models.elmo(num_representations=2).scalar_mixes) == 2


@pytest.mark.parametrize("part", ["token_encoder", "bilstm", "scalar_mixes"])
def test_each_part_freezes_alone(part, tmp_path):
    elmo = small_models.elmo()
    x = small_models.ids()
    inputs = keras.Input((None, 50), dtype="int32")
    model = keras.Model(inputs, elmo(inputs))
    frozen = getattr(elmo, part)
    for layer in frozen if isinstance(frozen, list) else [frozen]:
        layer.trainable = False
    model.compile("sgd", "mse")

    def parts():
        return {
            "token_encoder": elmo.token_encoder.get_weights(),
            "bilstm": elmo.bilstm.get_weights(),
            "scalar_mixes": elmo.scalar_mixes[0].get_weights(),
        }

    before = parts()
    model.fit(x, np.ones((*x.shape[:2], 12), "float32"), verbose=0)
    for name, weights in parts().items():
        changed = any(not np.array_equal(a, b) for a, b in zip(before[name], weights))
        assert changed == (name != part), name
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [w.path for w in loaded.trainable_weights] == [w.path for w in model.trainable_weights]


@pytest.mark.parametrize("make", [small_models.elmo, small_models.char_cnn])
def test_frozen_whole(make, tmp_path):
    layer = make(trainable=False)
    inputs = keras.Input((None, 50), dtype="int32")
    model = keras.Model(inputs, layer(inputs))
    assert model.trainable_weights == []
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").trainable_weights == []


def test_dropout_acts_in_training_alone():
    elmo = small_models.elmo(dropout=0.5)
    x = small_models.ids()
    np.testing.assert_array_equal(to_numpy(elmo(x)), to_numpy(elmo(x)))
    assert (to_numpy(elmo(x, training=True)) == 0).mean() > 0.4


# === States ===


def test_carried_states():
    elmo = small_models.elmo(state="carry", max_rows=4)
    x = small_models.ids((5, 3))
    first = to_numpy(elmo(x))
    second = to_numpy(elmo(x))
    assert np.abs(second - first).max() > 1e-3
    # A smaller batch reaches the first row alone; the second keeps its state.
    elmo.reset_states()
    elmo(x)
    elmo(x[:1])
    third = to_numpy(elmo(x))
    np.testing.assert_allclose(third[1], second[1], atol=1e-6)
    assert np.abs(third[0] - second[0]).max() > 1e-3
    elmo.reset_states()
    np.testing.assert_array_equal(to_numpy(elmo(x)), first)


def test_carried_states_are_saved(tmp_path):
    elmo = small_models.elmo(state="carry", max_rows=4)
    inputs = keras.Input((None, 50), dtype="int32")
    model = keras.Model(inputs, elmo(inputs))
    x = small_models.ids()
    model(x)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded(x)), to_numpy(model(x)))


def test_carried_states_are_float32_whatever_the_policy():
    cnn, bilstm = (
        small_models.char_cnn(dtype="mixed_bfloat16"),
        small_models.bilstm(dtype="mixed_bfloat16"),
    )
    elmo = elmo_keras.ElmoLayer(cnn, bilstm, state="carry", max_rows=4, dtype="mixed_bfloat16")
    elmo(small_models.ids())
    assert {w.dtype for w in elmo.lstm_states.weights} == {"float32"}


def test_more_rows_than_are_carried():
    elmo = small_models.elmo(state="carry", max_rows=2)
    with pytest.raises(ValueError, match="max_rows=2"):
        elmo(small_models.ids((1, 1, 1)))


def test_warm_state():
    zeros, warm = small_models.elmo(), small_models.elmo(state="warm")
    x = small_models.ids((4, 2, 3))
    zeros(x), warm(x)
    weights = zeros.get_weights()
    warm.set_weights(weights + [np.zeros(w.shape) for w in warm.lstm_states.weights])
    np.testing.assert_array_equal(to_numpy(warm(x)), to_numpy(zeros(x)))
    warm.warm_up(x)
    moved = to_numpy(warm(x))
    assert np.abs(moved - to_numpy(zeros(x))).max() > 1e-3
    np.testing.assert_array_equal(to_numpy(warm(x)), moved)  # and stays
    check_padding(warm, [row[: row.any(-1).sum()] for row in x])

    # The row is where carried states end that read the same sentences one after the other.
    carry = small_models.elmo(state="carry", max_rows=1)
    carry(x[:1])
    carry.set_weights(weights + [np.zeros(w.shape) for w in carry.lstm_states.weights])
    for row in x:
        carry(row[None, : row.any(-1).sum()])
    for a, b in zip(carry.lstm_states.weights, warm.lstm_states.weights):
        np.testing.assert_allclose(to_numpy(a), to_numpy(b), atol=1e-6)


def test_warm_up_errors():
    with pytest.raises(ValueError, match="Build the layer with state='warm'"):
        small_models.elmo().warm_up(small_models.ids())
    with pytest.raises(ValueError, match="at least one sentence"):
        small_models.elmo(state="warm").warm_up(np.zeros((0, 1, 50), "int32"))


@needs_strings
def test_carry_is_refused_under_a_strategy():
    import tensorflow as tf

    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        with pytest.raises(ValueError, match="Use state='zeros' or 'warm'"):
            small_models.elmo(state="carry")(small_models.ids())
    built_outside = small_models.elmo(state="carry")
    built_outside(small_models.ids())
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        with pytest.raises(ValueError, match="Use state='zeros' or 'warm'"):
            built_outside(small_models.ids())


# === Input ===


@needs_strings
def test_text_tokens_and_ids_are_the_same():
    elmo = small_models.elmo()
    tokens = [["The", "cat", "."], ["naïve"]]
    by_tokens = to_numpy(elmo(tokens))
    np.testing.assert_array_equal(to_numpy(elmo(["The cat.", "naïve"])), by_tokens)
    np.testing.assert_array_equal(to_numpy(elmo(np.array(["The cat.", "naïve"]))), by_tokens)
    ids = elmo_keras.text.CharacterIds()(tokens)
    np.testing.assert_array_equal(to_numpy(elmo(ids)), by_tokens)
    np.testing.assert_array_equal(to_numpy(elmo(ids.numpy().tolist())), by_tokens)


ODD_TOKENS = [
    "x",
    "",
    "x" * 10_000,
    "é" * 24 + "é",
    "🙂",
    "<S>",
    "</S>",
    "\x00",
    "a\x00b",
    "\udc80",
]


@needs_strings
@pytest.mark.parametrize("token", ODD_TOKENS, ids=lambda token: ascii(token[:8]))
def test_odd_tokens_have_the_vectors_of_the_oracle(token, tmp_path):
    """Documented and finite; a lone surrogate is U+FFFD."""
    opts = small_models.options()
    arrays = small_models.datasets(opts)
    small_models.write_checkpoint(tmp_path, opts, arrays)
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path, output="all", keep_boundaries=True)
    tokens = [token] if token else []
    true = bilm([token.replace("\udc80", "\ufffd") for token in tokens], opts, arrays)
    got = np.moveaxis(to_numpy(elmo([tokens, ["a", "b"]]))[0, : len(true[0])], 1, 0)
    np.testing.assert_allclose(got, true, atol=5e-6)


@needs_strings
def test_jit_stops_at_strings_alone():
    inputs = keras.Input((None, 50), dtype="int32")
    elmo = small_models.elmo()
    model = keras.Model(inputs, elmo(inputs))
    assert all(layer.supports_jit for layer in model._flatten_layers())
    model.compile("sgd", "mse", jit_compile=True)
    model.fit(small_models.ids(), np.ones((4, 5, 12), "float32"), verbose=0)
    elmo = small_models.elmo()
    elmo(["a"])
    assert not elmo.supports_jit


IDS = small_models.ids((2, 1))
HOLE = small_models.ids((3, 2))
HOLE[0, 1] = 0
LEFT = np.concatenate([np.zeros_like(IDS[:, :1]), IDS], axis=1)


@pytest.mark.parametrize(
    "inputs, message",
    [
        ("a bare str", "bare str"),
        (7, "Received: int"),
        ([["a"], "b"], "or token lists, not both"),
        ([["a", "", "b"]], "Padding must stand at the right"),
        ([["", "b"]], "Padding must stand at the right"),
        ([1.5, 2.5], "dtype=float"),
        (IDS.astype("float32"), "dtype=float32"),
        (IDS[..., :40], "shape=\\(2, 2, 40\\)"),
        (IDS[0], "shape=\\(2, 50\\)"),
        (IDS + 200, "in \\[0, 262\\)"),
        (-IDS, "in \\[0, 262\\)"),
        (HOLE, "move it to the right"),
        (LEFT, "move it to the right"),
    ],
    ids=str,
)
def test_bad_input_is_an_error_that_helps(inputs, message):
    with pytest.raises(ValueError, match=message):
        small_models.elmo()(inputs)


@needs_strings
@pytest.mark.parametrize(
    "kind, inputs, message",
    [
        ("ids", LEFT, "move it to the right"),
        ("ids", HOLE, "move it to the right"),
        ("ids", IDS + 200, "in \\[0, 262\\)"),
        ("tokens", [["", "a"]], "move it to the right"),
        ("tokens", [["a", "", "b"]], "move it to the right"),
    ],
)
def test_the_graph_asserts_the_same_sentence(kind, inputs, message):
    import tensorflow as tf

    shape, dtype = ((None, 50), "int32") if kind == "ids" else ((None,), "string")
    x = keras.Input(shape, dtype=dtype)
    model = keras.Model(x, small_models.elmo()(x))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        model.predict(tf.constant(inputs), verbose=0)


@pytest.mark.parametrize(
    "shape, dtype", [((50,), "int32"), ((None, 40), "int32"), ((None, 50), "float32")]
)
def test_symbolic_input_is_checked(shape, dtype):
    with pytest.raises(ValueError, match="keras.Input"):
        small_models.elmo()(keras.Input(shape, dtype=dtype))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"output": "best"}, "`output` must be one of"),
        ({"output": 3}, "from 0 to 2"),
        ({"output": True}, "`output` must be one of"),
        ({"output": "top", "num_representations": 2}, "output='mix'"),
        ({"num_representations": 0}, "at least 1"),
        ({"state": "hot"}, "`state` must be one of"),
        ({"layer_norm": "batch"}, "`layer_norm` must be one of"),
        ({"tokenizer": "nltk"}, "`method` must be one of"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        small_models.elmo(**options)


def test_parts_must_fit():
    with pytest.raises(ValueError, match="Set their `projection_dim`"):
        elmo_keras.ElmoLayer(small_models.char_cnn(projection_dim=7), small_models.bilstm())
    with pytest.raises(ValueError, match="`activation` must be"):
        small_models.char_cnn(activation="relo")
    with pytest.raises(ValueError, match="`filters` must be pairs"):
        small_models.char_cnn(filters=[])
    with pytest.raises(ValueError, match="`max_characters` must be at least"):
        small_models.char_cnn(filters=[(9, 2)], max_characters=8)
    with pytest.raises(ValueError, match="`num_layers` must be"):
        small_models.bilstm(num_layers=0)
    with pytest.raises(ValueError, match="`units` must be"):
        layers.ProjectedLSTMCell(0)


def test_another_front_end():
    """The seam: a token encoder of word ids, boundaries and all."""

    class Words(layers.TokenEncoder):
        ids_shape = ()
        output_dim = 6

        def boundary_ids(self):
            return np.int32(1), np.int32(2)

        def build(self, input_shape):
            self.table = keras.layers.Embedding(9, 6)
            self.table.build(input_shape)

        def call(self, ids):
            return self.table(ids)

    elmo = elmo_keras.ElmoLayer(Words(), small_models.bilstm())
    x = np.array([[3, 4, 5], [6, 0, 0]], "int32")
    assert elmo(x).shape == (2, 3, 12)
    check_padding(elmo, [x[0], x[1, :1]])
    with pytest.raises(TypeError, match="must define `output_dim`"):
        elmo_keras.ElmoLayer(layers.TokenEncoder(), small_models.bilstm())


def test_default_sizes_are_the_published_small_ones():
    elmo = elmo_keras.ElmoLayer()
    assert elmo.output_dim == 256
    assert elmo.token_encoder.filters[-1] == (7, 1024)
