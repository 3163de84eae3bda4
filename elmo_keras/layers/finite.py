"""The check that a model's results are numbers."""

import keras
import numpy as np


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
        # A sum is finite if all numbers are, unless they are huge: only then look at each.
        output = keras.ops.convert_to_numpy(output)
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(output.sum(dtype="float32")) or np.isfinite(output).all():
                continue
        raise ValueError(
            f"The {what} of a model must be finite. Received: NaN or infinity from "
            f"{layer.name!r}, {_largest_weight(layer)}. Its weights are damaged, in other units, "
            "or of a training that has diverged: load the checkpoint again, or train with a lower "
            "learning rate."
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
