"""Arrays in files, whose shape and dtype are known before they are read."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

# Bytes. TensorFlow takes over an array without a copy if its address is a multiple of this.
ALIGNMENT = 64


class UnreadableArrayError(ValueError):
    """An array in a file cannot be read, or holds NaN or infinity."""


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """An array in a file.

    Attributes:
        shape: shape of the array.
        dtype: dtype in the file.
        read: function that reads the array; each call returns a new one.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[], np.ndarray]


def aligned_empty(shape: Sequence[int]) -> np.ndarray:
    """Allocates a float32 array whose memory TensorFlow can take over without a copy.

    Args:
        shape: shape of the array.

    Returns:
        The array, with undefined values.
    """
    size = 4 * math.prod(shape)
    memory = np.empty(size + ALIGNMENT, dtype="uint8")
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view("float32").reshape(shape)


def read_finite(array: StoredArray, name: str, source: str) -> np.ndarray:
    """Reads an array as float32 and checks its values.

    Args:
        array: the array in the file.
        name: name of the array, for errors.
        source: name of the file, for errors.

    Raises:
        UnreadableArrayError: if the array cannot be read, or holds NaN or infinity.
    """
    try:
        # Values too large for float32 become infinite and are rejected below.
        with np.errstate(over="ignore"):
            values = np.asarray(array.read(), dtype="float32")
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise UnreadableArrayError(
            f"The weights in {source} must be readable. Received: an error at {name} ({error}). "
            "The file is damaged or cut short: fetch it again."
        ) from error
    # A finite sum proves that all values are finite, but huge finite values may sum to infinity.
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
