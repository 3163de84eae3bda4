"""The private names of Keras that the package needs, each wrapped once.

`tests/test_private_names.py` lists them with the public alternatives that were tried.
"""

import keras


def sub_layers(layer: keras.layers.Layer, recursive: bool = True) -> list[keras.layers.Layer]:
    """Lists the sub-layers of a layer in the order of their creation.

    `keras.Model.layers` is public, but lists the layers of models alone.

    Args:
        layer: a layer or model.
        recursive: whether to include the sub-layers of sub-layers. Defaults to `True`.
    """
    return list(layer._flatten_layers(recursive=recursive, include_self=False))


def set_leaf_policy(layer: keras.layers.Layer, policy: keras.DTypePolicy) -> None:
    """Sets the dtype policy of a layer without layers inside, after a `DTypePolicyMap` was given.

    The public setter wraps the policy in a new entry of the map. A quantised Dense whose policy is
    a map is saved without its scale.

    Args:
        layer: the layer.
        policy: the plain policy.
    """
    layer._dtype_policy = policy
