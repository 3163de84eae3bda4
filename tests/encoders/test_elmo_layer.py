"""ElmoLayer: its outputs, masks, parts and options."""

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import layers
from tests import small_models
from tests.check_layer import check_layer, check_padding
from tests.small_models import to_numpy


@pytest.mark.parametrize(
    "options, weights",
    [
        ({}, 29),
        ({"output": "all", "keep_boundaries": True}, 19),
        pytest.param({"output": "average"}, 19, marks=pytest.mark.slow),
        pytest.param({"output": "top", "dropout": 0.0}, 19, marks=pytest.mark.slow),
        ({"output": 1}, 19),
        ({"num_representations": 2, "layer_norm": True, "mix_regularizer": "l2"}, 23),
        ({"state": "warm"}, 23),
        ({"layer_norm": "allennlp"}, 21),
    ],
    ids=[
        "default",
        "all with boundaries",
        "average",
        "top",
        "layer 1",
        "two mixes",
        "warm",
        "allennlp",
    ],
)
# Keras warns about the weights above the chosen layer, which have no gradient.
@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")
def test_keras_contract(tmp_path, options, weights):
    def make(dtype=None, **kwargs):
        # One layer of LSTMs is enough to test an option.
        bilstm = small_models.bilstm(dtype=dtype, num_layers=1 if options else 2)
        cnn = small_models.char_cnn(dtype=dtype)
        return elmo_keras.ElmoLayer(cnn, bilstm, dtype=dtype, **options, **kwargs)

    check_layer(make, small_models.ids(), tmp_path, weights=weights, quantized=not options)


@pytest.mark.parametrize("output", ["mix", "all", "average", "top", 0, 1])
def test_vectors_do_not_depend_on_the_batch(output):
    elmo = small_models.elmo(output=output)
    batch = small_models.ids((5, 1, 3, 17))
    check_padding(elmo, [row[: row.any(-1).sum()] for row in batch])


def test_identical_calls_are_bit_identical():
    elmo, x = small_models.elmo(), small_models.ids()
    np.testing.assert_array_equal(to_numpy(elmo(x)), to_numpy(elmo(x)))


@pytest.mark.parametrize(
    "options", [{}, {"num_representations": 3}, {"keep_boundaries": True}], ids=str
)
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
        expected = np.arange(output.shape[1]) < lengths[:, None]
        np.testing.assert_array_equal(to_numpy(recorder.mask), expected)
        assert not to_numpy(output)[~expected].any()


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


@pytest.fixture(scope="module")
def trained():
    """A built ElmoLayer, whose weights other layers take."""
    keras.utils.set_random_seed(0)
    elmo = small_models.elmo(output="all")
    elmo(small_models.ids())
    return elmo


def with_weights_of(trained, **options):
    """An ElmoLayer with other options and the same weights, except for its mix."""
    elmo = small_models.elmo(**options)
    elmo(small_models.ids())
    elmo.bilstm.set_weights(trained.bilstm.get_weights())
    elmo.token_encoder.set_weights(trained.token_encoder.get_weights())
    return elmo


@pytest.mark.parametrize(
    "output, choose",
    [
        ("average", lambda y: y.mean(2)),
        ("top", lambda y: y[:, :, -1]),
        (0, lambda y: y[:, :, 0]),
        (1, lambda y: y[:, :, 1]),
        ("mix", lambda y: y.mean(2)),  # Before training, all weights of the mix are equal.
    ],
    ids=["average", "top", "layer 0", "layer 1", "mix"],
)
def test_outputs_are_views_of_the_same_layers(trained, output, choose):
    x = small_models.ids()
    expected = choose(to_numpy(trained(x)))
    actual = to_numpy(with_weights_of(trained, output=output)(x))
    np.testing.assert_allclose(actual, expected, atol=1e-6)


@pytest.mark.parametrize("program", ["allennlp", "bilm-tf"])
def test_layer_norm_statistics_of_the_programs(trained, program):
    """bilm-tf counts tokens, AllenNLP boundaries as well; neither counts padding."""
    x = small_models.ids((4, 2))
    everything = with_weights_of(trained, output="all", keep_boundaries=True)
    layers_ = to_numpy(everything(x))
    counted = np.arange(6) < np.array([6, 4])[:, None]
    if program == "bilm-tf":
        counted[:, 0] = counted[0, 5] = counted[1, 3] = False
    kept = layers_[counted]  # (tokens, layers, dim)
    normalized = (layers_ - kept.mean((0, 2))[:, None]) / kept.std((0, 2))[:, None]
    expected = normalized.mean(2)
    actual = to_numpy(with_weights_of(trained, layer_norm=program)(x))
    np.testing.assert_allclose(actual[0], expected[0, 1:5], atol=1e-4)
    np.testing.assert_allclose(actual[1, :2], expected[1, 1:3], atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [{}, {"layer_norm": True}, {"layer_norm": "allennlp"}, {"output": "all"}],
    ids=["default", "layer norm", "allennlp", "all"],
)
def test_a_batch_of_empty_sentences_is_finite(options):
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
    ids=[
        "output",
        "output number",
        "output bool",
        "several outputs",
        "no output",
        "state",
        "layer norm",
        "tokenizer",
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        small_models.elmo(**options)


def test_parts_must_have_one_size():
    with pytest.raises(ValueError, match="Set their `projection_dim`"):
        elmo_keras.ElmoLayer(small_models.char_cnn(projection_dim=7), small_models.bilstm())


def test_another_front_end():
    """A token encoder of word ids, written outside of the package."""

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
