"""Values and functions on PyTorch; see `elmo_keras.backend.tensorflow.core` for the contracts."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch

from elmo_keras.backend.defaults import gradients_of as gradients_of
from elmo_keras.backend.defaults import graph as graph
from elmo_keras.backend.defaults import in_distribution_strategy as in_distribution_strategy
from elmo_keras.backend.defaults import is_long_loop as is_long_loop
from elmo_keras.backend.defaults import number_of_replicas as number_of_replicas
from elmo_keras.backend.defaults import take_rows as take_rows


def require(condition: Any, message: str) -> None:
    """Raises `ValueError(message)` if false; ignores `torch.compile` and the "meta" device."""
    if torch.compiler.is_compiling() or condition.device.type == "meta":
        return
    if not bool(condition):
        raise ValueError(message)


def is_concrete(x: Any) -> bool:
    """Whether `x` is a tensor with values, outside `torch.compile`."""
    return isinstance(x, torch.Tensor) and not torch.compiler.is_compiling() and not x.is_meta


def has_dynamic_shapes(x: Any) -> bool:
    """Returns True except inside `torch.compile` and on the "meta" device."""
    return not torch.compiler.is_compiling() and not x.is_meta


def adopt(array: np.ndarray) -> Any:
    """Converts the array to a tensor in the same memory."""
    return torch.from_numpy(array)


def distinct(rows: Any) -> tuple[Any, Any | None]:
    """Removes duplicate rows; the distinct rows are sorted."""
    if not has_dynamic_shapes(rows):
        return rows, None
    return torch.unique(rows, dim=0, return_inverse=True)


def inference(layer: keras.layers.Layer, *inputs: tuple[tuple[int | None, ...], Any]) -> Callable:
    """Calls the layer without recording gradients."""
    return torch.no_grad()(layer)
