"""Quantized heads in the configs of task models.

The config of an ElmoLayer holds the dtype policies of its parts. The layers of a head are created
by the model's constructor, so the model's config lists those that are quantized.
"""

from collections.abc import Callable
from typing import Any

import keras

_KEY = "quantized_head"


def config_of(model: keras.Model, backbone: keras.layers.Layer) -> dict[str, Any]:
    """Returns the entry of a model's config for its quantized layers outside of the backbone.

    Args:
        model: the model.
        backbone: the model's backbone.

    Returns:
        dict to merge into the config; empty if no such layer is quantized.
    """
    quantized = {
        layer.name: {
            "mode": layer.quantization_mode,
            "config": keras.saving.serialize_keras_object(
                getattr(layer, "quantization_config", None)
            ),
        }
        for layer in model.layers
        if layer is not backbone and layer.quantization_mode
    }
    return {_KEY: quantized} if quantized else {}


def from_config(
    config: dict[str, Any], create: Callable[[dict[str, Any]], keras.Model]
) -> keras.Model:
    """Creates a model from its config, and quantizes the layers that the config lists.

    Args:
        config: the model's config.
        create: function that creates the model from a config without the entry of this module.
    """
    config = dict(config)
    quantized = config.pop(_KEY, {})
    model = create(config)
    for name, options in quantized.items():
        layer = model.get_layer(name)
        own = keras.saving.deserialize_keras_object(options["config"])
        layer.quantize(options["mode"], config=own)
    return model
