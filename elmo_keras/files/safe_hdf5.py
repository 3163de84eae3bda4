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
# Real weights hardly compress; an array that claims to is a claim on memory, not weights.
MAX_EXPANSION = 100
MAX_CHUNK = 2**24  # bytes; a chunk is read as a whole

# What h5py raises where a file is damaged, by experience.
ERRORS = (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError, AttributeError)

_DIGEST = "elmo_keras_sha256"  # the attribute that holds it


def hdf5_content(arrays: Mapping[str, np.ndarray]) -> Content:
    """Arrays as the content of an HDF5 file, with their digest as an attribute of the file.

    Args:
        arrays: by their full names. Those of one digest have the same names, types and numbers.
    """
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array))
    digest = digest.hexdigest()
    return Content(digest, lambda file: write_arrays(file, arrays, digest))


def write_arrays(
    file: BinaryIO, arrays: Mapping[str, np.ndarray], digest: str | None = None
) -> None:
    """Writes an HDF5 file of arrays.

    HDF5 writes through a Python file here. Where its own driver fails to write, on a full disk say,
    it crashes at the next file that the process opens.

    Args:
        file: open for reading and writing bytes, empty.
        arrays: by their full names.
        digest: of the arrays, to be kept as an attribute, or `None`.

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
    """The digest that an HDF5 file says to have; `None` for a file without, or for no HDF5 file."""
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
    """The arrays of an HDF5 file by their full names, readable inside of the context.

    Args:
        path: the file.

    Raises:
        ValueError: if it is no HDF5 file or is damaged; if it holds links to other files or
            names, arrays whose numbers stand in other files, or arrays far larger than the file.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(h5py.File(path, "r"))
            datasets = {name: _dataset(item, name, path) for name, item in _items(file, path)}
        except _Refused as refusal:
            raise ValueError(str(refusal)) from None
        except ERRORS as error:
            raise ValueError(
                f"{path} must be an HDF5 file of weights. Received: {error}. The file is damaged "
                "or cut short: fetch it again."
            ) from error
        yield datasets


def holds(path: pathlib.Path, *names: str) -> bool:
    """Whether a file is an HDF5 file with one of these names in it."""
    try:
        with h5py.File(path, "r") as file:
            return any(name in file for name in names)
    except ERRORS:
        return False


class _Refused(Exception):
    """A file that could be read, and must not be."""


def _items(file, path):
    """`(name, dataset)` of all arrays; groups one after the other, however they are linked."""
    groups = [("", file)]
    number = 0
    while groups:
        prefix, group = groups.pop()
        for key in group:
            number += 1
            name = prefix + key
            if number > MAX_ITEMS or name.count("/") > MAX_DEPTH:
                raise _Refused(
                    f"{path} must hold the weights of one model. Received: more than {MAX_ITEMS} "
                    f"arrays or {MAX_DEPTH} levels of groups. Check which file it is."
                )
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                target = f"{getattr(link, 'filename', path.name)}:{link.path}"
                raise _Refused(
                    f"{path} must hold its arrays itself. Received: {name}, a link to {target}. "
                    "Weights have no links: get the file from where it was published."
                )
            item = group[key]
            if isinstance(item, h5py.Group):
                groups.append((f"{name}/", item))
            elif isinstance(item, h5py.Dataset):
                yield name, item


def _dataset(item, name, path):
    if item.external or item.is_virtual:
        raise _Refused(
            f"{path} must hold its arrays itself. Received: {name}, whose numbers stand in other "
            "files. Get the file from where it was published."
        )
    size = math.prod(item.shape or ()) * item.dtype.itemsize
    stored = item.id.get_storage_size()
    chunk = math.prod(item.chunks or ()) * item.dtype.itemsize
    # Without a filter every number has its bytes; numbers that were never written have none.
    is_packed = bool(item.chunks) and item.id.get_create_plist().get_nfilters() > 0
    bound = MAX_EXPANSION * stored if is_packed else stored
    if size > bound or chunk > max(size, MAX_CHUNK):
        raise _Refused(
            f"{path} must hold what it says. Received: {name} of shape {item.shape}, {size} bytes "
            f"in parts of {chunk}, in {stored} bytes of the file. It is damaged, or no weights."
        )
    return StoredArray(item.shape or (), item.dtype, lambda: _read(item))


def _read(item):
    array = stored_array.aligned_empty(item.shape)
    if array.size:
        item.read_direct(array)
    return array
