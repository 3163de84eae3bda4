"""Values, graphs and distribution on TensorFlow."""

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from elmo_keras.backend.tensorflow.internals import is_inside_xla, registered_gradients

# Time steps above which an eager call is traced as a graph.
_MAX_EAGER = 64
# Alignment in bytes that TensorFlow needs to use the memory of an array.
_ALIGNMENT = 64
# Names of the registered gradients that have an owner; see `gradients_of`.
_OWNED: set[str] = set()


def require(condition: Any, message: str) -> None:
    """Checks a condition on tensor values, where the backend can read them.

    An eager call raises. In a TensorFlow graph, and so in a SavedModel, the check is an assertion.
    XLA, JAX's jit and `torch.compile` cannot raise an error for values, so they check nothing.

    Args:
        condition: bool tensor without dimensions.
        message: error message.

    Raises:
        ValueError: if the condition is false in an eager call.

    Example:

    >>> import keras
    >>> require(keras.ops.all(keras.ops.ones(3) > 0), "All values must be positive.")
    """
    if tf.executing_eagerly():
        if not bool(condition):
            raise ValueError(message)
    else:
        tf.debugging.Assert(condition, [message])


def is_concrete(x: Any) -> bool:
    """Whether `x` is a tensor with known values: in an eager call, outside any graph.

    Args:
        x: any object.
    """
    return tf.executing_eagerly() and isinstance(x, tf.Tensor)


def has_dynamic_shapes(x: Any) -> bool:
    """Whether shapes may depend on the values of `x`: true unless XLA compiles the code.

    JAX always returns False, PyTorch unless `torch.compile` or the "meta" device is in use.

    Args:
        x: tensor.
    """
    return tf.executing_eagerly() or not is_inside_xla()


def adopt(array: np.ndarray) -> Any:
    """Converts an array to a tensor, without a copy where the backend allows it.

    Takes over the array's memory: neither read nor write the array afterwards. TensorFlow copies
    an array that is read-only, not contiguous or not aligned; JAX always copies.

    Args:
        array: numpy array of any shape.

    Returns:
        A tensor of the same shape, dtype and values.
    """
    if array.ctypes.data % _ALIGNMENT or not array.flags.c_contiguous or not array.flags.writeable:
        return tf.convert_to_tensor(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


def take_rows(variable: Any, rows: Any) -> Any:
    """Gathers rows of a Keras variable.

    On TensorFlow the gradient is `tf.IndexedSlices`, which holds only the gathered rows.

    Args:
        variable: Keras variable `(num_rows, ...)`.
        rows: int tensor of any shape, indices of rows.

    Returns:
        Tensor `(*rows.shape, ...)` of the variable's dtype.
    """
    return tf.gather(variable.value, rows)


def distinct(rows: Any) -> tuple[Any, Any | None]:
    """Removes duplicate rows from a matrix.

    Args:
        rows: `(n, size)` int tensor.

    Returns:
        `(distinct rows, places)`: `(m, size)` and `(n,)`, the index of each row among the distinct
        ones. If shapes must not depend on values, `rows` itself and `None`.

    Example:

    >>> import keras
    >>> unique, places = distinct(keras.ops.convert_to_tensor([[1, 2], [3, 4], [1, 2]]))
    >>> unique.numpy().tolist(), places.numpy().tolist()
    ([[1, 2], [3, 4]], [0, 1, 0])
    """
    if not has_dynamic_shapes(rows):
        return rows, None
    found, places = tf.raw_ops.UniqueV2(x=rows, axis=[0])
    return tf.ensure_shape(found, (None, rows.shape[1])), places


def is_long_loop(x: Any) -> bool:
    """Whether a loop over the time steps of `x` should run as a graph.

    An eager loop starts each small operation from Python. Above some number of steps a graph is
    faster, although it must be traced once.

    Args:
        x: `(batch, time, ...)` tensor.
    """
    return is_concrete(x) and x.shape[1] > _MAX_EAGER


def graph(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a function of tensors so that it runs as a graph, traced at its first call."""
    return tf.function(function, autograph=False, reduce_retracing=True)


@contextlib.contextmanager
def gradients_of(owner: Any) -> Iterator[None]:
    """Ties the gradients that are registered inside the context to the lifetime of `owner`.

    `tf.custom_gradient` registers each gradient by name for the life of the process. Each gradient
    holds the graph that it was traced in: 80 MB for each training of a small model. The graph reads
    variables of the owner, so nothing can use the gradients after the owner is deleted, and they
    are removed. In nested contexts, the inner owner counts.

    Args:
        owner: the layer or model whose gradients are traced.
    """
    registered = registered_gradients()
    before = set(registered)
    try:
        yield
    finally:
        names = registered.keys() - before - _OWNED
        if names:
            _OWNED.update(names)
            weakref.finalize(owner, _forget, names).atexit = False


def _forget(names: set[str]) -> None:
    _OWNED.difference_update(names)
    for name in names:
        registered_gradients().pop(name, None)


def inference(layer: keras.layers.Layer, *inputs: tuple[tuple[int | None, ...], Any]) -> Callable:
    """Compiles a built layer or model into a function without gradients, as fast as possible.

    TensorFlow traces the function once for all sizes, JAX compiles it once for each size.

    Args:
        layer: the built layer or model.
        *inputs: `(shape, dtype)` of each input, without the batch dimension.

    Returns:
        A function of one tensor, or of a list of tensors if there are several inputs.
    """
    specifications = [tf.TensorSpec((None, *shape), dtype) for shape, dtype in inputs]
    first = specifications if len(specifications) > 1 else specifications[0]
    return tf.function(layer.__call__, input_signature=[first], autograph=False)


def in_distribution_strategy() -> bool:
    """Whether a `tf.distribute` strategy is in scope."""
    return tf.distribute.has_strategy()


def number_of_replicas() -> int:
    """The number of replicas of the `tf.distribute` strategy in scope, 1 without a strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync
