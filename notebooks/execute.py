"""Executes notebooks, each in a separate kernel, and fails if a cell raises an error.

```
python notebooks/execute.py notebooks/*.ipynb             # writes nothing
python notebooks/execute.py --inplace notebooks/*.ipynb   # writes the outputs
```
"""

import argparse
import pathlib
import sys
import time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

TIMEOUT = 300.0  # seconds for a whole notebook


def execute(path: pathlib.Path, inplace: bool) -> None:
    """Executes one notebook in its own folder.

    Args:
        path: path of the notebook.
        inplace: whether to write the outputs to the file.

    Raises:
        CellExecutionError: if a cell raises.
        CellTimeoutError: if the whole notebook takes longer than `TIMEOUT`.
    """
    notebook = nbformat.read(path, as_version=4)
    deadline = time.monotonic() + TIMEOUT
    client = NotebookClient(
        notebook,
        # nbclient counts the time of each cell, and takes 0 for no limit.
        timeout_func=lambda cell: max(0.1, deadline - time.monotonic()),
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
    )
    client.execute()
    if inplace:
        nbformat.write(notebook, path)


def main() -> int:
    parser = argparse.ArgumentParser(description="Executes notebooks; fails where one does.")
    parser.add_argument("notebooks", nargs="+", type=pathlib.Path, metavar="NOTEBOOK")
    parser.add_argument("--inplace", action="store_true", help="write the outputs back")
    arguments = parser.parse_intermixed_args()

    failed = 0
    for path in arguments.notebooks:
        start = time.monotonic()
        try:
            execute(path.resolve(), arguments.inplace)
            outcome = "ok"
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            failed += 1
            outcome = f"FAILED\n{error}"
        print(f"{time.monotonic() - start:7.1f} s  {path}  {outcome}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
