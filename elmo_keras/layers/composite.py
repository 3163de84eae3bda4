"""The base class of layers that consist of sub-layers."""

from typing import Any

import keras

from elmo_keras.layers.keras_internals import set_leaf_policy, sub_layers
from elmo_keras.layers.weight_loading import build_with_given_weights


class Composite(keras.layers.Layer):
    """Base class of layers that consist of sub-layers.

    A subclass creates its sub-layers with `dtype=self.dtype_policy` and a fixed `name`, builds each
    of them with `build_part`, and calls `keep_frozen` at the end of its `build`.

    `quantize("int8")` changes the dtype policies of some sub-layers later. The config stores these
    policies by the path of the sub-layer, as a `DTypePolicyMap`, so that a quantized layer is
    rebuilt with the variables that its file holds.
    """

    @keras.layers.Layer.dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        policy = keras.dtype_policies.get(value)
        if self.built and policy != self.dtype_policy:
            raise ValueError(
                f"`dtype_policy` of a {type(self).__name__} must be set before it is built: its "
                "sub-layers keep the dtype that they were built with. "
                f"Received: {policy.name!r} for a layer that was built with "
                f"{self.dtype_policy.name!r}. Build or load it with the new dtype: "
                f"from_preset(source, dtype={policy.name!r})."
            )
        for part in sub_layers(self, recursive=False):
            part.dtype_policy = policy
        keras.layers.Layer.dtype_policy.fset(self, policy)

    def build_part(
        self, part: keras.layers.Layer, input_shape: Any, name: str | None = None
    ) -> None:
        """Builds a sub-layer, with the values of a checkpoint inside `given_weights`.

        Args:
            part: the sub-layer.
            input_shape: argument of the sub-layer's `build`.
            name: name of the sub-layer in the paths of its weights. Defaults to `None`, the
                sub-layer's `name`.
        """
        policy = self.dtype_policy
        is_leaf = not isinstance(part, (Composite, keras.layers.RNN))
        if is_leaf and isinstance(policy, keras.dtype_policies.DTypePolicyMap):
            set_leaf_policy(part, policy[f"{self.path}/{part.name}"])
        build_with_given_weights(part, input_shape, name or part.name)

    def keep_frozen(self) -> None:
        """Freezes all sub-layers if the layer is frozen; call it at the end of `build`.

        Keras freezes the sub-layers that exist when `trainable` is set. Sub-layers that `build`
        creates afterwards start as trainable.
        """
        if not self.trainable:
            for layer in sub_layers(self):
                layer.trainable = False

    @property
    def is_quantized(self) -> bool:
        """Whether any sub-layer has quantized weights."""
        return any(layer.dtype_policy.quantization_mode for layer in (self, *sub_layers(self)))

    def get_config(self) -> dict[str, Any]:
        """Returns the config of the base class, with the dtype policies of quantized sub-layers.

        A subclass adds its constructor arguments.
        """
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
    """Serializes a sub-layer for the config of the layer or model that contains it.

    Leaves out `build_config`, because the containing layer builds its parts itself: parts that
    Keras builds have other weight paths.

    Args:
        part: the sub-layer.

    Returns:
        The config, for `keras.saving.deserialize_keras_object`.
    """
    config = keras.saving.serialize_keras_object(part)
    config.pop("build_config", None)
    return config
