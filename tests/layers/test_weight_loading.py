import numpy as np
import pytest
from keras import ops

from elmo_keras import layers
from elmo_keras.layers.weight_loading import given_weights, weights_by_path
from tests import small_models
from tests.small_models import to_numpy


def test_weights_are_built_with_given_values():
    given = {}

    def find(path, shape, dtype=None):
        given[path] = np.random.default_rng(len(given)).standard_normal(shape).astype("float32")
        return ops.convert_to_tensor(given[path])

    elmo = small_models.elmo()
    with given_weights(find):
        elmo.build((None, None, 50))
    actual = weights_by_path(elmo.token_encoder, "token_encoder")
    actual |= weights_by_path(elmo.bilstm, "bilstm")
    assert actual.keys() == given.keys()
    for path, weight in actual.items():
        np.testing.assert_array_equal(to_numpy(weight), given[path], err_msg=path)


def test_outside_of_the_context_layers_have_their_own_initializers():
    layers = [small_models.char_cnn(), small_models.char_cnn()]
    with given_weights(lambda path, shape, dtype=None: ops.ones(shape)):
        layers[0].build((None, None, 50))
    layers[1].build((None, None, 50))
    for layer in layers:
        assert "GlorotUniform" in type(layer.projection.kernel_initializer).__name__
    ones, random = (to_numpy(layer.projection.kernel) for layer in layers)
    assert (ones == 1).all() and not (random == 1).any()


class Scaled(layers.TokenEncoder):
    """A front end with a weight that presets do not hold."""

    def build(self, input_shape):
        self.scale = self.add_weight(name="scale", shape=(2,))


def test_a_weight_without_a_path_is_refused():
    encoder = Scaled()
    encoder.build(None)
    with pytest.raises(ValueError, match="Every weight of a Scaled must be.*Received: .*scale"):
        weights_by_path(encoder, "token_encoder")
