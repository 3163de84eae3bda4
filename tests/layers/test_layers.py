"""The shared check, layer by layer."""

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import layers
from tests import small_models
from tests.check_layer import check_layer


def rng():
    return np.random.default_rng(0)


MASK = np.array([[True, True, False], [True, True, True]])


def test_highway(tmp_path):
    x = rng().standard_normal((2, 3, 5)).astype("float32")
    check_layer(lambda **k: layers.Highway(**k), x, tmp_path, weights=4, quantized=True)


def test_char_cnn(tmp_path):
    check_layer(
        lambda **k: small_models.char_cnn(**k),
        small_models.ids(),
        tmp_path,
        weights=11,
        quantized=True,
    )


def test_char_cnn_of_distinct_tokens():
    cnn, ids = small_models.char_cnn(), small_models.ids()
    vectors = small_models.to_numpy(cnn(ids))
    rows, places = np.unique(ids.reshape(-1, ids.shape[-1]), axis=0, return_inverse=True)
    found = small_models.to_numpy(cnn.encode(keras.ops.convert_to_tensor(rows)))[places.ravel()]
    np.testing.assert_allclose(found.reshape(vectors.shape), vectors, atol=1e-6)


def test_char_cnn_without_projection(tmp_path):
    make = lambda **k: small_models.char_cnn(projection_dim=None, num_highways=0, **k)  # noqa: E731
    check_layer(make, small_models.ids(), tmp_path, weights=5)


WORDS = ["<S>", "</S>", "<UNK>", "the", "", "cat"]
MARKS = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]


@pytest.mark.parametrize("vocabulary", [WORDS, None], ids=["words", "ids alone"])
def test_word_embedding(tmp_path, vocabulary):
    x = np.array([[4, 6, 1], [3, 0, 0]], dtype="int32")
    make = lambda **k: layers.WordEmbedding(6, 5, vocabulary=vocabulary, **k)  # noqa: E731
    check_layer(make, x, tmp_path, weights=1, quantized=True)
    begin, end = make().boundary_ids()
    assert (int(begin), int(end)) == (1, 2)


@pytest.mark.parametrize(
    "dictionaries, size, weights",
    [
        ({"characters": [*MARKS, "a"], "words": [*MARKS, "the"]}, 11, 16),
        ({"characters": [*MARKS, "a"]}, 10, 15),
        ({"words": [*MARKS, "the"]}, 1, 3),
    ],
    ids=["both", "characters", "words"],
)
def test_code_point_encoder(tmp_path, dictionaries, size, weights):
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

    x = rng().integers(1, 8, (2, 3, size), dtype="int32")
    x[1, 1:] = 0
    check_layer(make, x, tmp_path, weights=weights, quantized=True)
    begin, end = make().boundary_ids()
    assert begin.shape == end.shape == (size,) and (begin != end).any()
    with pytest.raises(ValueError, match=r"Ids must be in \[0, 8\)"):
        make()(x + 8)


def test_what_a_front_end_must_know():
    with pytest.raises(ValueError, match="without <UNK>"):
        layers.WordEmbedding(3, 5, vocabulary=["<S>", "</S>", "a"])
    with pytest.raises(ValueError, match="must hold 4 words.*Received: 3 words"):
        layers.WordEmbedding(4, 5, vocabulary=["<S>", "</S>", "<UNK>"])
    with pytest.raises(ValueError, match="dictionary without <eow>"):
        layers.CodePointEncoder(characters=MARKS[:-1])
    with pytest.raises(ValueError, match="`characters`, `words` or both"):
        layers.CodePointEncoder()
    with pytest.raises(ValueError, match="a row for each entry of the dictionary of characters"):
        layers.CodePointEncoder(characters=MARKS, num_characters=5)


def test_projected_lstm_cell(tmp_path):
    x = rng().standard_normal((2, 3, 5)).astype("float32")
    make = lambda **k: keras.layers.RNN(  # noqa: E731
        layers.ProjectedLSTMCell(8, 4, cell_clip=1.0, projection_clip=0.5, dtype=k.get("dtype")),
        return_sequences=True,
        **k,
    )
    layer = make()
    assert layer(x).shape == (2, 3, 4)
    assert len(layer.weights) == 4
    rebuilt = keras.layers.RNN.from_config(layer.get_config())
    assert rebuilt.cell.get_config() == layer.cell.get_config()


def test_bilstm_stack(tmp_path):
    x = rng().standard_normal((2, 3, 6)).astype("float32")
    check_layer(lambda **k: small_models.bilstm(**k), x, tmp_path, weights=16, quantized=True)


@pytest.mark.parametrize("layer_norm", [False, True, "bilm-tf", "allennlp"])
def test_scalar_mix(tmp_path, layer_norm):
    x = [rng().standard_normal((2, 3, 5)).astype("float32") for _ in range(3)]
    check_layer(lambda **k: layers.ScalarMix(layer_norm, **k), x, tmp_path, weights=2)


@pytest.mark.parametrize("cls", [layers.MaskedMeanPooling, layers.MaskedMaxPooling])
@pytest.mark.parametrize("extra", [(), (3,)])
def test_pooling(tmp_path, cls, extra):
    x = rng().standard_normal((2, 3, *extra, 5)).astype("float32")
    check_layer(cls, x, tmp_path, weights=0)


def test_fill_padding(tmp_path):
    x = rng().standard_normal((2, 3, 5)).astype("float32")
    check_layer(layers.FillPadding, x, tmp_path, weights=0)


@pytest.mark.parametrize(
    "options, weights",
    [
        ({}, 29),
        ({"output": "all", "keep_boundaries": True}, 19),
        ({"output": "average"}, 19),
        ({"output": "top", "dropout": 0.0}, 19),
        ({"output": 1}, 19),
        ({"num_representations": 2, "layer_norm": True, "mix_regularizer": "l2"}, 23),
        ({"state": "warm"}, 23),
        ({"layer_norm": "allennlp"}, 21),
    ],
    ids=str,
)
# Of what lies above the chosen layer Keras says that it has no gradient.
@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")
def test_elmo_layer(tmp_path, options, weights):
    def make(dtype=None, **kwargs):
        # One layer of LSTMs is enough for what an option changes.
        bilstm = small_models.bilstm(dtype=dtype, num_layers=1 if options else 2)
        cnn = small_models.char_cnn(dtype=dtype)
        return elmo_keras.ElmoLayer(cnn, bilstm, dtype=dtype, **options, **kwargs)

    check_layer(make, small_models.ids(), tmp_path, weights=weights, quantized=not options)
