"""Arrays in files: alignment, checks of their values, conversion."""

import re

import numpy as np
import pytest

from elmo_keras.files.stored_array import (
    ALIGNMENT,
    StoredArray,
    UnreadableArrayError,
    aligned_empty,
    read_finite,
    to_dtype,
)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (2, 0, 4), (1000, 17)])
def test_aligned_empty(shape):
    array = aligned_empty(shape)
    assert array.shape == shape
    assert array.dtype == np.float32
    assert array.size == 0 or array.ctypes.data % ALIGNMENT == 0
    array[...] = 7
    assert (array == 7).all()


def stored(values, dtype="float32"):
    array = np.array(values, dtype)
    return StoredArray(array.shape, array.dtype, lambda: array)


class TestReadFinite:
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32"])
    def test_values(self, dtype):
        actual = read_finite(stored([[1, 2], [3, 4]], dtype), "kernel", "weights.hdf5")
        assert actual.dtype == np.float32
        np.testing.assert_array_equal(actual, [[1, 2], [3, 4]])

    def test_sum_that_overflows(self):
        largest = float(np.finfo("float32").max)
        actual = read_finite(stored([largest, largest]), "kernel", "weights.hdf5")
        np.testing.assert_array_equal(actual, np.array([largest, largest], "float32"))

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
    def test_not_finite(self, value):
        message = "in weights.hdf5 must be finite. Received: kernel holds NaN or infinity. .*fetch"
        with pytest.raises(UnreadableArrayError, match=message):
            read_finite(stored([1.0, value], "float64"), "kernel", "weights.hdf5")

    @pytest.mark.parametrize("error", [OSError, RuntimeError, ValueError, KeyError])
    def test_unreadable(self, error):
        def read():
            raise error("damaged chunk")

        array = StoredArray((2,), np.dtype("float32"), read)
        message = r"must be readable. Received: an error at kernel \(.*damaged chunk.*\)"
        with pytest.raises(UnreadableArrayError, match=message):
            read_finite(array, "kernel", "weights.hdf5")


class TestToDtype:
    @pytest.mark.parametrize("dtype", ["float32", "float16"])
    def test_conversion(self, dtype):
        arrays = {"a": np.array([0.5, -65504], "float32"), "b": np.empty((0, 3), "float32")}
        actual = to_dtype(arrays, dtype)
        assert {name: array.dtype.name for name, array in actual.items()} == {
            "a": dtype,
            "b": dtype,
        }
        np.testing.assert_array_equal(actual["a"], [0.5, -65504])

    @pytest.mark.parametrize("value", [65536, -1e6])
    def test_too_large_for_float16(self, value):
        arrays = {"a": np.array([0, value], "float32")}
        weight = re.escape(f"{abs(value):g}")
        with pytest.raises(ValueError, match=f"below 65504 .* a weight of {weight}"):
            to_dtype(arrays, "float16")
        np.testing.assert_array_equal(to_dtype(arrays, "float32")["a"], arrays["a"])
