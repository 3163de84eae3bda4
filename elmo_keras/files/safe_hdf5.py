"""HDF5 files of arrays. Untrusted files are read within bounds.

An untrusted file may hold plain arrays only, with their values in the file itself.
"""

import contextlib
import hashlib
import math
import pathlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import h5py
import numpy as np

from elmo_keras.files import stored_array
from elmo_keras.files.atomic_write import Content
from elmo_keras.files.stored_array import StoredArray

MAX_ITEMS, MAX_DEPTH = 10_000, 20
# Real weights hardly compress: an array with a higher ratio is meant to exhaust memory.
MAX_EXPANSION = 100
MAX_CHUNK = 2**24  # bytes of a chunk, which is read as a whole

# Exceptions that h5py is known to raise for damaged files.
ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, AttributeError)

_DIGEST = "elmo_keras_sha256"  # attribute of the file


def hdf5_content(arrays: Mapping[str, np.ndarray]) -> Content:
    """Returns arrays as the content of an HDF5 file, with their digest as an attribute.

    Args:
        arrays: arrays by their full names. The digest covers names, dtypes, shapes and values.
    """
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    hexdigest = digest.hexdigest()
    return Content(hexdigest, lambda file: write_arrays(file, arrays, hexdigest))


def write_arrays(
    file: BinaryIO, arrays: Mapping[str, np.ndarray], digest: str | None = None
) -> None:
    """Writes an HDF5 file of arrays.

    HDF5 writes through a Python file here. After a failed write, for example on a full disk, its
    own driver crashes when the process opens the next file.

    Args:
        file: empty binary file, open for reading and writing.
        arrays: arrays by their full names.
        digest: digest to store as an attribute. Defaults to `None`: no attribute.

    Raises:
        OSError: if the file cannot be written.
    """
    try:
        with h5py.File(file, "w") as content:
            if digest is not None:
                content.attrs[_DIGEST] = np.bytes_(digest)
            for name, array in arrays.items():
                content.create_dataset(name, data=array)
    except RuntimeError as error:
        raise OSError(str(error)) from error


def digest_in(path: pathlib.Path) -> str | None:
    """Returns the digest stored in an HDF5 file; `None` for a file without one, or not in HDF5."""
    try:
        with h5py.File(path, "r") as file:
            attribute = h5py.h5a.open(file.id, _DIGEST.encode())
            # An attribute of an untrusted file may have any type and size.
            if attribute.shape == () and attribute.dtype == np.dtype("S64"):
                return file.attrs[_DIGEST].decode("ascii")
    except ERRORS:
        pass
    return None


@contextlib.contextmanager
def open_datasets(path: pathlib.Path) -> Iterator[dict[str, StoredArray]]:
    """Opens an HDF5 file of unknown origin and yields its arrays by their full names.

    Args:
        path: path of the file.

    Yields:
        The arrays, which can be read inside the context.

    Raises:
        ValueError: if the file is not in HDF5 or is damaged; if it has links, arrays whose values
            are in other files, or arrays that are far larger than their bytes in the file.

    Example:

    >>> path = pathlib.Path("weights.hdf5")
    >>> with open(path, "wb+") as file:
    ...     write_arrays(file, {"lstm/bias": np.ones(3, "float32")})
    >>> with open_datasets(path) as datasets:
    ...     shape = datasets["lstm/bias"].shape
    ...     bias = datasets["lstm/bias"].read()
    >>> shape, bias.tolist()
    ((3,), [1.0, 1.0, 1.0])
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(h5py.File(path, "r"))
            datasets = {name: _dataset(item, name, path) for name, item in _items(file, path)}
        except _UnsafeError as error:
            raise ValueError(str(error)) from None
        except ERRORS as error:
            raise ValueError(
                f"{path} must be an HDF5 file of weights. Received: {error}. The file is damaged "
                "or cut short: fetch it again."
            ) from error
        yield datasets


def holds(path: pathlib.Path, *names: str) -> bool:
    """Returns whether a file is an HDF5 file that holds an object with one of these names."""
    try:
        with h5py.File(path, "r") as file:
            return any(name in file for name in names)
    except ERRORS:
        return False


class _UnsafeError(Exception):
    """The file can be read, but breaks a rule for files of unknown origin."""


def _items(file: h5py.File, path: pathlib.Path) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yields the full name and the dataset of every array."""
    # Hard links may form a cycle of groups; the depth limit ends it.
    groups: list[tuple[str, h5py.Group]] = [("", file)]
    count = 0
    while groups:
        prefix, group = groups.pop()
        count += len(group)  # Before the loop, because opening thousands of items takes seconds.
        for key in group:
            name = prefix + key
            if count > MAX_ITEMS or name.count("/") > MAX_DEPTH:
                raise _UnsafeError(
                    f"{path} must hold the weights of one model. Received: more than {MAX_ITEMS} "
                    f"arrays or {MAX_DEPTH} levels of groups. Check that it is the right file."
                )
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                target = f"{getattr(link, 'filename', path.name)}:{link.path}"
                raise _UnsafeError(
                    f"{path} must hold its arrays itself. Received: {name}, a link to {target}. "
                    "Weights have no links: get the file from where it was published."
                )
            item = group[key]
            if isinstance(item, h5py.Group):
                groups.append((f"{name}/", item))
            elif isinstance(item, h5py.Dataset):
                yield name, item


def _dataset(item: h5py.Dataset, name: str, path: pathlib.Path) -> StoredArray:
    if item.external or item.is_virtual:
        raise _UnsafeError(
            f"{path} must hold its arrays itself. Received: {name}, whose values are in other "
            "files. Get the file from where it was published."
        )
    size = math.prod(item.shape or ()) * item.dtype.itemsize
    stored = item.id.get_storage_size()
    chunk = math.prod(item.chunks or ()) * item.dtype.itemsize
    # Without a filter, stored values take their full size; values never written take no bytes.
    is_packed = bool(item.chunks) and item.id.get_create_plist().get_nfilters() > 0
    bound = MAX_EXPANSION * stored if is_packed else stored
    if size > bound or chunk > max(size, MAX_CHUNK):
        raise _UnsafeError(
            f"{path} must hold all values of its arrays. Received: {name} of shape {item.shape}, "
            f"{size} bytes in chunks of {chunk}, stored in {stored} bytes. The file is damaged, or "
            "is not a file of weights: fetch it again."
        )
    return StoredArray(item.shape or (), item.dtype, lambda: _read(item))


def _read(item: h5py.Dataset) -> np.ndarray:
    array = stored_array.aligned_empty(item.shape)
    if array.size:
        item.read_direct(array)
    return array
