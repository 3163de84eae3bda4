"""The checks that results and weights are numbers."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

_SHOWN = 5


def check_finite(outputs, layer, what="vectors"):
    """Raises a ValueError if results hold NaN or infinity, and names the largest weight.

    Weights that are finite one by one may still overflow together: those of a checkpoint in other
    units, of a damaged file, or of a training that has diverged.

    Args:
        outputs: list of numpy arrays or tensors.
        layer: the built layer or model that gave them.
        what: str. The name of the results in the error. Defaults to `"vectors"`.
    """
    for output in outputs:
        if _is_finite(output):
            continue
        raise ValueError(
            f"The {what} of a model must be finite. Received: NaN or infinity from "
            f"{layer.name!r}, {_largest_weight(layer)}. Its weights are damaged, in other units, "
            "or of a training that has diverged: load the checkpoint again, or train with a lower "
            "learning rate."
        )


def check_weights(weights: Mapping[str, Any], what: str) -> None:
    """Raises a ValueError if weights hold NaN or infinity, before they replace good ones.

    Args:
        weights: Keras variables, tensors or numpy arrays by their names. Those that are not floats
            are left out.
        what: the thing that holds them, as a singular noun: `"layer"`.

    Raises:
        ValueError: that names the weights.

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


def _largest_weight(layer):
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


def _is_finite(weight):
    if not isinstance(weight, np.ndarray):
        if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(weight.dtype)):
            return True
        weight = keras.ops.convert_to_numpy(keras.ops.copy(weight))  # of a Variable, a tensor
    if weight.dtype.kind in "biuSUO":
        return True
    # A sum is finite if all numbers are, unless they are huge: only then look at each.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(weight.sum()) or np.isfinite(weight).all())
