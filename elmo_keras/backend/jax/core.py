"""Values and functions on JAX; see `elmo_keras.backend.tensorflow.core` for the contracts."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from elmo_keras.backend.defaults import gradients_of as gradients_of
from elmo_keras.backend.defaults import graph as graph
from elmo_keras.backend.defaults import in_distribution_strategy as in_distribution_strategy
from elmo_keras.backend.defaults import is_long_loop as is_long_loop
from elmo_keras.backend.defaults import number_of_replicas as number_of_replicas
from elmo_keras.backend.defaults import take_rows as take_rows


def require(condition: Any, message: str) -> None:
    """Raises `ValueError(message)` if a concrete condition is false; ignores traced ones."""
    if not isinstance(condition, jax.core.Tracer) and not bool(condition):
        raise ValueError(message)


def is_concrete(x: Any) -> bool:
    """Whether `x` is an array that is not being traced."""
    return isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer)


def has_dynamic_shapes(x: Any) -> bool:
    """Returns False: jit needs fixed shapes."""
    return False


def adopt(array: np.ndarray) -> Any:
    """Copies the array."""
    return jnp.asarray(array)


def distinct(rows: Any) -> tuple[Any, Any | None]:
    """Returns `rows` and `None`: the number of distinct rows is not a fixed shape."""
    return rows, None


def inference(layer: keras.layers.Layer, *inputs: tuple[tuple[int | None, ...], Any]) -> Callable:
    """Compiles the layer once for each size of its inputs."""
    call = jax.jit(lambda *arguments: layer.stateless_call(*arguments)[0])

    def function(x: Any) -> Any:
        variables = layer.trainable_variables, layer.non_trainable_variables
        return call(*([variable.value for variable in part] for part in variables), x)

    return function
