"""Files that are there as a whole or not at all."""

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def written_whole(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A path beside `path` to write to, whose file is put in its place at the end.

    Where the writing fails, on a full disk say, or the program is killed, what was at `path` before
    is still there.

    Args:
        path: of the file to be.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
