"""The base of the layers that are made of layers."""

from typing import Any

import keras

from elmo_keras.layers.keras_internals import set_leaf_policy, sub_layers
from elmo_keras.layers.weight_loading import build_with_given_weights


class Composite(keras.layers.Layer):
    """Base of the layers that are made of layers.

    Sub-layers take the composite's dtype policy. `quantize("int8")` changes the policies of some
    sub-layers later; the config keeps these policies by sub-layer path, as a `DTypePolicyMap`, so
    that a quantised layer is rebuilt with the variables that its file holds.
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
        for part in sub_layers(self, recursive=False):
            part.dtype_policy = policy
        keras.layers.Layer.dtype_policy.fset(self, policy)

    def build_part(
        self, part: keras.layers.Layer, input_shape: Any, name: str | None = None
    ) -> None:
        """Builds a sub-layer; inside `given_weights` its weights have given values.

        Args:
            part: the sub-layer.
            input_shape: argument of the sub-layer's `build`.
            name: its name in the paths of weights. Defaults to the layer's own name.
        """
        policy = self.dtype_policy
        is_leaf = not isinstance(part, (Composite, keras.layers.RNN))
        if is_leaf and isinstance(policy, keras.dtype_policies.DTypePolicyMap):
            set_leaf_policy(part, policy[f"{self.path}/{part.name}"])
        build_with_given_weights(part, input_shape, name or part.name)

    def keep_frozen(self) -> None:
        """Freezes the sub-layers of a frozen layer; call it at the end of `build`.

        Sub-layers that `build` makes start as trainable ones.
        """
        if not self.trainable:
            for layer in sub_layers(self):
                layer.trainable = False

    @property
    def is_quantized(self) -> bool:
        """Whether some sub-layer holds quantised weights."""
        return any(layer.dtype_policy.quantization_mode for layer in (self, *sub_layers(self)))

    def get_config(self):
        config = super().get_config()
        own = self.dtype_policy
        if isinstance(own, keras.dtype_policies.DTypePolicyMap):
            own = own.default_policy
        quantized = {
            layer.path: layer.dtype_policy
            for layer in sub_layers(self)
            if not isinstance(layer.dtype_policy, keras.dtype_policies.DTypePolicyMap)
            and layer.dtype_policy.quantization_mode
        }
        policy = keras.dtype_policies.DTypePolicyMap(own, quantized) if quantized else own
        config["dtype"] = keras.dtype_policies.serialize(policy)
        return config


def serialize_part(part: keras.layers.Layer) -> dict[str, Any]:
    """Serializes a part of a composite or of a model for the config of the whole.

    The whole builds its parts itself: parts that Keras built would have other weight paths.

    Args:
        part: the layer.
    """
    config = keras.saving.serialize_keras_object(part)
    config.pop("build_config", None)
    return config
