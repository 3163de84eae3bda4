import contextlib
import contextvars
import functools

import keras

# What the weights of Keras' own layers are called, those that composites are made of.
_WEIGHTS = ("embeddings", "kernel", "bias")
_given = contextvars.ContextVar("given_weights", default=None)


@contextlib.contextmanager
def given_weights(find):
    """Inside, the weights that composites build have given values instead of random ones.

    No memory is taken, and no time, for values that a checkpoint replaces at once.

    Args:
        find: callable of a weight's path, its shape and its dtype, that gives its value. The path
            is made of the names of the parts: `"token_encoder/highway_0/gate/kernel"`.
    """
    token = _given.set((find, ()))
    try:
        yield
    finally:
        _given.reset(token)


def named_weights(layer, path):
    """The weights of a built layer by the paths that `given_weights` knows them by.

    Args:
        layer: a Composite.
        path: str. The path of the layer itself.
    """
    if isinstance(layer, keras.layers.RNN):
        return named_weights(layer.cell, path)
    if isinstance(layer, Composite):
        weights = {}
        for part in layer._flatten_layers(recursive=False, include_self=False):
            weights |= named_weights(part, f"{path}/{part.name}")
        return weights
    names = (name for name in _WEIGHTS if getattr(layer, name, None) is not None)
    return {f"{path}/{name}": getattr(layer, name) for name in names}


class Composite(keras.layers.Layer):
    """Base of the layers that are made of layers.

    Sub-layers get the composite's dtype policy. What `quantize("int8")` makes of their policies
    later is part of the config, as a `DTypePolicyMap` by sub-layer path: so a quantised layer is
    rebuilt with the variables that its file holds.
    """

    @keras.layers.Layer.dtype_policy.setter
    def dtype_policy(self, value):
        policy = keras.dtype_policies.get(value)
        if self.built and policy != self.dtype_policy:
            raise ValueError(
                f"`dtype_policy` of a {type(self).__name__} must be set before it is built: its "
                f"parts compute as they were built. Received: {policy.name!r} for a layer that is "
                f"built in {self.dtype_policy.name!r}. Build or load it with that dtype: "
                f"from_preset(source, dtype={policy.name!r})."
            )
        for part in self._flatten_layers(recursive=False, include_self=False):
            part.dtype_policy = policy
        keras.layers.Layer.dtype_policy.fset(self, policy)

    def build_part(self, part, input_shape, name=None):
        """Builds a sub-layer, with given weights inside of `given_weights`.

        Args:
            part: the sub-layer.
            input_shape: what it is built for.
            name: str. Its name in paths, if that is not the layer's own.
        """
        policy = self.dtype_policy
        is_leaf = not isinstance(part, (Composite, keras.layers.RNN))
        if is_leaf and isinstance(policy, keras.dtype_policies.DTypePolicyMap):
            # A quantised Dense with a map for its policy is saved without its scale; the public
            # setter would put another entry into the map.
            part._dtype_policy = policy[f"{self.path}/{part.name}"]
        if _given.get() is None:
            part.build(input_shape)
            return
        find, path = _given.get()
        path = (*path, name or part.name)
        own = {}
        for name in _WEIGHTS:
            initializer = f"{name}_initializer"
            if hasattr(part, initializer):
                own[initializer] = getattr(part, initializer)
                setattr(part, initializer, functools.partial(find, "/".join((*path, name))))
        token = _given.set((find, path))
        try:
            part.build(input_shape)
        finally:
            _given.reset(token)
            for initializer, value in own.items():
                setattr(part, initializer, value)

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
