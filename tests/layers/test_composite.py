import keras
import pytest

from elmo_keras import layers
from elmo_keras.layers.composite import serialize_part
from tests import small_models


def built(layer):
    layer.build((None, None, 50))
    return layer


def test_parts_take_the_policy_of_the_composite():
    cnn = small_models.char_cnn()
    cnn.dtype_policy = "bfloat16"
    assert {weight.dtype for weight in built(cnn).weights} == {"bfloat16"}


def test_the_policy_of_a_built_composite_is_fixed():
    cnn = built(small_models.char_cnn())
    cnn.dtype_policy = "float32"  # no change
    with pytest.raises(ValueError, match="must be set before it is built.*dtype='bfloat16'"):
        cnn.dtype_policy = "bfloat16"


def test_parts_of_a_frozen_composite_are_frozen():
    cnn = built(small_models.char_cnn(trainable=False))
    assert not cnn.projection.trainable and cnn.trainable_weights == []


@pytest.mark.skipif(not small_models.IS_TENSORFLOW, reason="Keras quantizes models of TensorFlow")
def test_the_config_has_the_policies_of_quantised_parts():
    cnn = built(small_models.char_cnn())
    assert not cnn.is_quantized
    cnn.projection.quantize("int8")
    assert cnn.is_quantized
    rebuilt = built(layers.CharCNN.from_config(cnn.get_config()))
    assert rebuilt.is_quantized
    assert [weight.dtype for weight in rebuilt.weights] == [weight.dtype for weight in cnn.weights]


def test_a_part_is_serialized_without_its_build_config():
    config = serialize_part(built(small_models.char_cnn(name="part")))
    assert "build_config" not in config
    assert keras.saving.deserialize_keras_object(config).name == "part"
