import keras


class Composite(keras.layers.Layer):
    """Base of the layers that are made of layers.

    Sub-layers get the composite's dtype policy. What `quantize("int8")` makes of their policies
    later is part of the config, as a `DTypePolicyMap` by sub-layer path: so a quantised layer is
    rebuilt with the variables that its file holds.
    """

    def keep_frozen(self):
        """To be called at the end of `build`: sub-layers made there begin as trainable ones."""
        if not self.trainable:
            for layer in self._flatten_layers(include_self=False):
                layer.trainable = False

    def get_config(self):
        config = super().get_config()
        own = self.dtype_policy
        if isinstance(own, keras.dtype_policies.DTypePolicyMap):
            own = own.default_policy
        quantized = {
            layer.path: layer.dtype_policy
            for layer in self._flatten_layers(include_self=False)
            if not isinstance(layer.dtype_policy, keras.dtype_policies.DTypePolicyMap)
            and layer.dtype_policy.quantization_mode
        }
        policy = keras.dtype_policies.DTypePolicyMap(own, quantized) if quantized else own
        config["dtype"] = keras.dtype_policies.serialize(policy)
        return config


def serialize_part(part):
    """A part of a composite or of a model, for its config.

    The whole builds its parts itself: built on their own they would have other paths.
    """
    config = keras.saving.serialize_keras_object(part)
    config.pop("build_config", None)
    return config
