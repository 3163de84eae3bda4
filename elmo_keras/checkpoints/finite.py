"""Checks of weights that are to be saved: they must be numbers, and fit into their dtype."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

_SHOWN = 5


def check_finite(weights: Mapping[str, Any], what: str) -> None:
    """Raises a ValueError if weights hold NaN or infinity, before they replace good ones.

    Args:
        weights: Keras variables, tensors or numpy arrays by their names. Those that are not floats
            are left out.
        what: the thing that holds them, as a singular noun: `"layer"`.

    Raises:
        ValueError: that names the weights.

    Example:

    >>> import numpy as np
    >>> from elmo_keras.checkpoints.finite import check_finite
    >>> check_finite({"kernel": np.ones(3, "float32")}, "layer")
    """
    wrong = [name for name, weight in weights.items() if not _is_finite(weight)]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise ValueError(
            f"The weights of a {what} must be finite to be saved. Received: NaN or infinity in "
            f"{', '.join(wrong[:_SHOWN])}{more}. Nothing was written: load the last good weights, "
            "or train with a lower learning rate."
        )


def in_dtype(arrays: Mapping[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    """Finite arrays in the dtype that a file holds them in.

    Args:
        arrays: float32 by name.
        dtype: `"float32"` or `"float16"`.

    Raises:
        ValueError: if float16 cannot hold them.
    """
    if dtype == "float16":
        largest = max((float(np.abs(a).max()) for a in arrays.values() if a.size), default=0.0)
        if largest > float(np.finfo("float16").max):
            raise ValueError(
                "Weights must be below 65504 to be saved in float16. "
                f"Received: a weight of {largest:g}. Save them in float32."
            )
    return {name: array.astype(dtype, copy=False) for name, array in arrays.items()}


def _is_finite(weight):
    if not isinstance(weight, np.ndarray):
        if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(weight.dtype)):
            return True
        weight = keras.ops.convert_to_numpy(weight)
    if weight.dtype.kind in "biuSUO":
        return True
    # A sum is finite if all numbers are, unless they are huge: only then look at each.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(weight.sum()) or np.isfinite(weight).all())
