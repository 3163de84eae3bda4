"""Quantised heads of task models, kept through saving and loading.

An ElmoLayer keeps the dtype policies of its parts in its own config. The layers of a head are made
anew by the constructor of the model, so the model's config says which of them are quantised.
"""

from collections.abc import Callable

import keras

_KEY = "quantized_head"


def config_of(model: keras.Model, elmo: keras.layers.Layer) -> dict:
    """The entry of a model's config for its quantised layers outside of the ElmoLayer; maybe none.

    Args:
        model: the model.
        elmo: its ElmoLayer.
    """
    quantized = {
        layer.name: {
            "mode": layer.quantization_mode,
            "config": keras.saving.serialize_keras_object(
                getattr(layer, "quantization_config", None)
            ),
        }
        for layer in model.layers
        if layer is not elmo and layer.quantization_mode
    }
    return {_KEY: quantized} if quantized else {}


def from_config(config: dict, make: Callable[[dict], keras.Model]) -> keras.Model:
    """The model of a config, its head quantised as it was: ready for the weights of a file.

    Args:
        config: the model's config.
        make: makes the model of a config without the entry of this module.
    """
    config = dict(config)
    quantized = config.pop(_KEY, {})
    model = make(config)
    for name, options in quantized.items():
        layer = model.get_layer(name)
        own = keras.saving.deserialize_keras_object(options["config"])
        layer.quantize(options["mode"], config=own)
    return model
