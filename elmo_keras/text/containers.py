"""Containers that hold a batch of texts: which ones are taken, and which ones are refused.

Every entry of the package (layers, models, `embed`, `pad`) passes its input through `to_batch`.
pandas, polars, pyarrow and Hugging Face containers are known by their methods; none is imported.
"""

from collections.abc import ItemsView, KeysView, Mapping, Set, ValuesView
from typing import Any

import keras
import numpy as np

# Names of the missing values of pandas; `==` and `bool` of them do not work as for other values.
_MISSING = ("NAType", "NaTType")


def to_batch(data: Any, name: str = "Text") -> Any:
    """Turns a container of texts into a list or a numpy array; tensors pass as they are.

    Args:
        data: list, tuple, numpy array (of str, bytes, objects or NumPy's StringDType), tensor,
            or a column: a pandas or polars Series, a pyarrow Array.
        name: str. The name of the argument in an error.

    Returns:
        A list, a numpy array that is not of StringDType, a tensor, or `data` itself if it is none
        of these.

    Raises:
        ValueError: for a table (DataFrame, pyarrow Table, dict of columns, structured array) and
            for a set. The texts of a table are one of its columns, and iterating over a table
            gives the names of its columns.
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
    # A column. RaggedTensors have `to_list` too, but no values inside of a graph.
    for method in ("to_pylist", "to_list"):
        if hasattr(data, method) and not hasattr(data, "ragged_rank"):
            return getattr(data, method)()
    return data


def refuse_table(data: Any, name: str = "Text") -> None:
    """Raises a ValueError if `data` is a mapping or a table instead of one column of it."""
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
    """Whether an item stands for a missing value: `None`, NaN, or pandas' NA and NaT."""
    if isinstance(item, (str, bytes, list, tuple)):
        return False
    if item is None or type(item).__name__ in _MISSING:
        return True
    return isinstance(item, (float, np.floating)) and bool(np.isnan(item))


def _table_error(data, name, columns):
    columns = [str(column) for column in columns]
    shown = ", ".join(map(repr, columns[:10])) + (", ..." if len(columns) > 10 else "")
    example = repr(columns[0]) if columns else "'text'"
    return ValueError(
        f"{name} must be one column: a list, an array or a Series. Received: "
        f"{type(data).__name__}, a table with the columns {shown or 'none'}. Pass one column of "
        f"it, like table[{example}]."
    )
