"""Definitions shared by JAX and PyTorch.

Neither has a `tf.distribute` strategy, and neither needs a graph for a loop that is run eagerly.
The contracts are in the functions of the same names in `elmo_keras.backend.tensorflow`.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import keras

from elmo_keras.backend.layouts import PaddedLayout

Adagrad = keras.optimizers.Adagrad
Adam = keras.optimizers.Adam


def in_distribution_strategy() -> bool:
    """Returns False: `tf.distribute` belongs to TensorFlow."""
    return False


def number_of_replicas() -> int:
    """Returns 1, because this backend has no `tf.distribute` strategies."""
    return 1


def is_long_loop(x: Any) -> bool:
    """Returns False: JAX compiles every loop over time steps, and PyTorch compiles none."""
    return False


def graph(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the function unchanged."""
    return function


def gradients_of(owner: Any) -> contextlib.AbstractContextManager[None]:
    """Does nothing: these backends keep no registry of gradients."""
    return contextlib.nullcontext()


def take_rows(variable: Any, rows: Any) -> Any:
    """Gathers rows of a Keras variable; its gradient is as large as the variable."""
    return keras.ops.take(variable, rows, axis=0)


def sequence_layout(x: Any, mask: Any = None) -> PaddedLayout:
    """Returns the padded layout, for any mask."""
    return PaddedLayout(x, mask)
