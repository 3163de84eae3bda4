"""Arrays in files: their shape and type are known before they take memory."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

# TensorFlow tensors start at multiples of this address; an array that does too needs no copy.
ALIGNMENT = 64


class UnreadableArrayError(ValueError):
    """An array of a file that cannot be read, or that holds NaN or infinity."""


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """An array in a file.

    Attributes:
        shape: tuple of int.
        dtype: numpy dtype.
        read: function that reads the array; each call returns a new one.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]


def aligned_empty(shape: Sequence[int]) -> np.ndarray:
    """Allocates a float32 array whose memory TensorFlow takes over without a copy.

    Args:
        shape: of the array. Its values are undefined.
    """
    size = 4 * math.prod(shape)
    memory = np.empty(size + ALIGNMENT, dtype="uint8")
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view("float32").reshape(shape)


def read_finite(array: StoredArray, name: str, source: str) -> np.ndarray:
    """Reads an array as float32 and checks its values.

    Args:
        array: the array in the file.
        name: of the array, for errors.
        source: name of the file, for errors.

    Raises:
        UnreadableArrayError: if the array cannot be read, or holds NaN or infinity.
    """
    try:
        with np.errstate(over="ignore"):  # Values too large for float32 become infinite: see below.
            values = np.asarray(array.read(), dtype="float32")
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise UnreadableArrayError(
            f"The weights in {source} must be readable. Received: an error at {name} ({error}). "
            "The file is damaged or cut short: fetch it again."
        ) from error
    # A finite sum proves finite values; an infinite one may come from huge finite values.
    with np.errstate(over="ignore", invalid="ignore"):
        is_finite = np.isfinite(values.sum()) or np.isfinite(values).all()
    if not is_finite:
        raise UnreadableArrayError(
            f"The weights in {source} must be finite. Received: {name} holds NaN or infinity. "
            "The file is damaged: fetch it again."
        )
    return values


def to_dtype(arrays: Mapping[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    """Converts finite float32 arrays to the dtype in which a file stores them.

    Args:
        arrays: float32 arrays by name.
        dtype: `"float32"` or `"float16"`.

    Raises:
        ValueError: if a value is too large for float16.
    """
    if dtype == "float16":
        largest = max((float(np.abs(a).max()) for a in arrays.values() if a.size), default=0.0)
        if largest > float(np.finfo("float16").max):
            raise ValueError(
                "Weights must be below 65504 to be saved in float16. "
                f"Received: a weight of {largest:g}. Save them in float32."
            )
    return {name: array.astype(dtype, copy=False) for name, array in arrays.items()}
