"""Weights with given values instead of random ones.

A checkpoint replaces all random weights of a new layer. Random values of a large model take seconds
and twice the memory, so layers are built with the checkpoint's values from the start:

    with given_weights(find):
        layer.build(input_shape)

Keras creates a weight by calling an initializer, `initializer(shape, dtype)`. While
`given_weights` is active, `build_part` replaces the initializers of each Keras layer that it
builds (`kernel_initializer` of a Dense, for example) by a function that asks `find` for the value,
and restores the initializers afterwards. `find` receives the path of the weight: the names of the
parts from the outermost composite to the Keras layer, and the name of the weight. Composites build
their parts with `build_part`, so the path grows by one name for each level. The current path is in
a context variable, so that threads do not interfere.

`weights_by_path` lists the weights of a built layer by the same paths, for saving.
"""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras

from elmo_keras.layers.keras_internals import sub_layers

# Names of the weights of the Keras layers in composites.
_WEIGHTS = ("embeddings", "kernel", "bias")
_active: contextvars.ContextVar[Any] = contextvars.ContextVar("given_weights", default=None)


@contextlib.contextmanager
def given_weights(find: Callable[..., Any]) -> Iterator[None]:
    """Creates a context in which composites build their weights with given values.

    Args:
        find: function of a weight's path, shape and dtype that returns its value. The path joins
            the names of the parts: `"token_encoder/highway_0/gate/kernel"`.
    """
    token = _active.set((find, ()))
    try:
        yield
    finally:
        _active.reset(token)


def build_with_given_weights(part: keras.layers.Layer, input_shape: Any, name: str) -> None:
    """Builds a part of a composite, with the given values inside `given_weights`.

    Args:
        part: the layer to build.
        input_shape: argument of the layer's `build`.
        name: name of the layer in the paths of its weights.
    """
    if _active.get() is None:
        part.build(input_shape)
        return
    find, parents = _active.get()
    path = (*parents, name)
    own = {}
    for weight in _WEIGHTS:
        initializer = f"{weight}_initializer"
        if hasattr(part, initializer):
            own[initializer] = getattr(part, initializer)
            setattr(part, initializer, functools.partial(find, "/".join((*path, weight))))
    token = _active.set((find, path))
    try:
        part.build(input_shape)
    finally:
        _active.reset(token)
        for initializer, value in own.items():
            setattr(part, initializer, value)


def weights_by_path(layer: keras.layers.Layer, path: str) -> dict[str, keras.Variable]:
    """Returns the weights of a built layer by the paths that `given_weights` uses.

    Args:
        layer: a composite, or a Keras layer inside a composite.
        path: path of the layer itself.

    Raises:
        ValueError: if a weight has no path: it would not be saved.
    """
    weights = _weights_by_path(layer, path)
    known = {id(weight) for weight in weights.values()}
    # LoRA and quantization replace weights; callers merge or refuse such layers.
    is_replaced = any(
        getattr(part, "lora_enabled", False) or getattr(part, "quantization_mode", None)
        for part in [layer, *sub_layers(layer)]
    )
    unknown = [weight.path for weight in layer.weights if id(weight) not in known]
    unknown = [] if is_replaced else unknown
    if unknown:
        raise ValueError(
            f"Every weight of a {type(layer).__name__} must be the `embeddings`, `kernel` or "
            f"`bias` of a Keras layer in it. Received: {', '.join(unknown[:3])}. Put the weight "
            "into such a layer, a Dense or an Embedding for example."
        )
    return weights


def _weights_by_path(layer: keras.layers.Layer, path: str) -> dict[str, keras.Variable]:
    if isinstance(layer, keras.layers.RNN):
        return _weights_by_path(layer.cell, path)
    parts = sub_layers(layer, recursive=False)
    if parts:
        weights: dict[str, keras.Variable] = {}
        for part in parts:
            weights |= _weights_by_path(part, f"{path}/{part.name}")
        return weights
    names = (name for name in _WEIGHTS if getattr(layer, name, None) is not None)
    return {f"{path}/{name}": getattr(layer, name) for name in names}
