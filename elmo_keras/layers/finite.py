"""Checks that outputs and weights are finite."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

_SHOWN = 5  # weights that an error names


def check_finite(outputs: Iterable[Any], layer: keras.layers.Layer, what: str = "vectors") -> None:
    """Raises a ValueError if outputs are not finite; the error names the largest weight.

    Finite weights may overflow together if the checkpoint has other units, the file is damaged, or
    the training diverged.

    Args:
        outputs: list of numpy arrays or tensors.
        layer: the built layer or model that computed the outputs.
        what: str. The name of the outputs in the error. Defaults to `"vectors"`.

    Raises:
        ValueError: if an output contains NaN or infinity.
    """
    for output in outputs:
        if _is_finite(output):
            continue
        raise ValueError(
            f"The {what} of a model must be finite. Received: NaN or infinity from "
            f"{layer.name!r}, {_largest_weight(layer)}. Its weights are damaged, in other units, "
            "or from a training that diverged: load the checkpoint again, or train with a lower "
            "learning rate."
        )


def check_weights(weights: Mapping[str, Any], what: str) -> None:
    """Raises a ValueError if weights are not finite, before they overwrite a good file.

    Args:
        weights: Keras variables, tensors or numpy arrays by their names. Values that are not floats
            are ignored.
        what: str. The owner of the weights in the error, such as `"layer"`.

    Raises:
        ValueError: if a weight contains NaN or infinity. The error names the first ones.

    Example:

    >>> import numpy as np
    >>> from elmo_keras.layers.finite import check_weights
    >>> check_weights({"kernel": np.ones(3, "float32")}, "layer")
    """
    wrong = [name for name, weight in weights.items() if not _is_finite(weight)]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise ValueError(
            f"The weights of a {what} must be finite to be saved. Received: NaN or infinity in "
            f"{', '.join(wrong[:_SHOWN])}{more}. Load the last good weights, or train with a "
            "lower learning rate."
        )


def _largest_weight(layer: keras.layers.Layer) -> str:
    largest, path = 0.0, None
    for weight in layer.weights:
        if not keras.backend.is_float_dtype(weight.dtype):
            continue
        array = np.abs(keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32")))
        if not np.isfinite(array).all():
            return f"whose weight {weight.path} is not finite itself"
        if array.size and array.max() > largest:
            largest, path = float(array.max()), weight.path
    return f"whose largest weight is {largest:.3g}, in {path}"


def _is_finite(weight: Any) -> bool:
    if not isinstance(weight, np.ndarray):
        if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(weight.dtype)):
            return True
        # `copy` converts a Variable to a tensor.
        weight = keras.ops.convert_to_numpy(keras.ops.copy(weight))
    if weight.dtype.kind in "biuSUO":
        return True
    # The fast check: a finite sum has only finite terms. Huge finite terms need the slow one.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(weight.sum()) or np.isfinite(weight).all())
