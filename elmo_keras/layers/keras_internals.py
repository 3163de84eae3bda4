"""The private names of Keras in use, each wrapped once.

`tests/test_private_names.py` lists them, with the public alternatives that were tried.
"""

import keras


def sub_layers(layer: keras.layers.Layer, recursive: bool = True) -> list[keras.layers.Layer]:
    """Lists the sub-layers of a layer in the order of their creation.

    The public `keras.Model.layers` exists only for models.

    Args:
        layer: a layer or model.
        recursive: bool. Whether to include the sub-layers of sub-layers. Defaults to `True`.
    """
    return list(layer._flatten_layers(recursive=recursive, include_self=False))


def set_leaf_policy(layer: keras.layers.Layer, policy: keras.DTypePolicy) -> None:
    """Replaces the `DTypePolicyMap` of a layer without sub-layers by a plain dtype policy.

    The public setter adds the policy to the map instead. A quantized Dense layer whose policy is a
    map is saved without its scale.

    Args:
        layer: the layer.
        policy: the plain policy.
    """
    layer._dtype_policy = policy
