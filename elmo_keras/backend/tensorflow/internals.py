"""The private names of TensorFlow and of Keras' optimizers in use, each wrapped once.

Each docstring names the public alternative that was tried.
"""

from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops


def is_inside_xla() -> bool:
    """Whether the graph being traced, or a graph around it, is compiled by XLA.

    The public `tf.config.optimizer.get_jit()` reports only auto-clustering: it returns "" inside
    `tf.function(jit_compile=True)`. A FuncGraph has no public attribute for it either.
    """
    graph = tf.compat.v1.get_default_graph()
    while graph is not None:
        context = graph._get_control_flow_context()
        if context is not None and context.IsXLAContext():
            return True
        graph = getattr(graph, "outer_graph", None)
    return False


def registered_gradients() -> dict[str, Any]:
    """The gradient functions that TensorFlow looks up by name; entries may be removed.

    The registry has no public way to remove an entry. The public `tf.RegisterGradient` together
    with `Graph.gradient_override_map`, one name for all gradients, was tried: a GradientTape
    inside a graph ignores the map.
    """
    return ops.gradient_registry._registry


def adagrad_accumulator(optimizer: Any, variable: Any) -> Any:
    """The variable in which Keras' Adagrad sums the squared gradients of a weight.

    The public `optimizer.variables` is a flat list that does not tell which weight and which slot
    an entry belongs to.

    Args:
        optimizer: a built `keras.optimizers.Adagrad`.
        variable: Keras variable, the weight.
    """
    return optimizer._accumulators[optimizer._get_variable_index(variable)]


def adam_moments(optimizer: Any, variable: Any) -> tuple[Any, Any]:
    """The variables with the first and the second moment of a weight in Keras' Adam.

    For the public alternative see `adagrad_accumulator`.

    Args:
        optimizer: a built `keras.optimizers.Adam`.
        variable: Keras variable, the weight.
    """
    index = optimizer._get_variable_index(variable)
    return optimizer._momentums[index], optimizer._velocities[index]
