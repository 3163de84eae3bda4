"""Containers for a batch of texts: columns are accepted, tables and sets are refused.

All public functions, layers and models pass their text through `to_batch`. The containers of
pandas, polars, pyarrow and Hugging Face are recognized by their methods, so that no import is
needed.
"""

from collections.abc import ItemsView, Iterable, KeysView, Mapping, Set, ValuesView
from typing import Any

import keras
import numpy as np

# Class names of the missing values of pandas, which support neither `==` nor `bool`.
_MISSING = ("NAType", "NaTType")


def to_batch(data: Any, name: str = "Text") -> Any:
    """Converts a container of texts to a list or a numpy array; returns tensors unchanged.

    Args:
        data: list, tuple, numpy array (of str, bytes, objects or NumPy's StringDType), tensor,
            or a column: a pandas or polars Series, a pyarrow Array.
        name: str. Name of the argument, for errors. Defaults to `"Text"`.

    Returns:
        A list, a numpy array that is not of StringDType, or a tensor; other objects are returned
        unchanged.

    Raises:
        ValueError: for a table (DataFrame, pyarrow Table, dict of columns, structured array) and
            for a set. Iterating over a table would give the names of its columns.
    """
    if isinstance(data, (str, bytes, list, tuple, keras.KerasTensor)):
        return data
    if isinstance(data, np.ndarray):
        if data.dtype.names is not None:
            raise _table_error(data, name, data.dtype.names)
        if isinstance(data, np.ma.MaskedArray):
            return data.tolist()  # None stands for masked values.
        return np.array(data.tolist(), dtype=object) if data.dtype.kind == "T" else data
    refuse_table(data, name)
    if isinstance(data, (KeysView, ValuesView)):
        return list(data)
    if isinstance(data, (Set, ItemsView)):
        raise ValueError(
            f"{name} must have an order: a list, an array or a column. Received: a "
            f"{type(data).__name__}. Sort it into a list."
        )
    # A column. RaggedTensors have `to_list` too, but no values inside a graph.
    for method in ("to_pylist", "to_list"):
        if hasattr(data, method) and not hasattr(data, "ragged_rank"):
            return getattr(data, method)()
    return data


def refuse_table(data: Any, name: str = "Text") -> None:
    """Raises a ValueError if `data` is a mapping or a table instead of a single column.

    Args:
        data: any object.
        name: str. Name of the argument, for the error. Defaults to `"Text"`.
    """
    if isinstance(data, Mapping):
        raise _table_error(data, name, data)
    columns = getattr(data, "columns", None)  # pandas, polars, pyarrow
    if columns is None:
        columns = getattr(data, "column_names", None)  # Hugging Face datasets
    if columns is None:
        return
    columns = getattr(data, "column_names", columns)  # pyarrow's `columns` are arrays
    raise _table_error(data, name, columns)


def is_missing(item: Any) -> bool:
    """Returns whether an item is a missing value: `None`, NaN, or pandas' NA and NaT.

    Args:
        item: any object.
    """
    if isinstance(item, (str, bytes, list, tuple)):
        return False
    if item is None or type(item).__name__ in _MISSING:
        return True
    return isinstance(item, (float, np.floating)) and bool(np.isnan(item))


def _table_error(data: Any, name: str, columns: Iterable[Any]) -> ValueError:
    names = [str(column) for column in columns]
    shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
    example = repr(names[0]) if names else "'text'"
    return ValueError(
        f"{name} must be one column: a list, an array or a Series. Received: "
        f"{type(data).__name__}, a table with the columns {shown or 'none'}. Pass one column of "
        f"it, like table[{example}]."
    )
