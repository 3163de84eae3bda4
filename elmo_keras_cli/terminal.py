"""Terminal output: a command's lines, errors without a traceback, and no log of TensorFlow."""

import contextlib
import importlib
import logging
import os
import re
import sys
from collections.abc import Iterator

import typer
from rich.console import Console

# Markup and emoji are off because paths may hold brackets and colons.
console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
errors = Console(soft_wrap=True, highlight=False, markup=False, emoji=False, stderr=True)

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# The start of absl's lines of level INFO or WARNING, and of the line that absl logs first.
NOTE = re.compile(rb"[IW]\d{4} |WARNING: All log messages before absl::InitializeLog")


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Drop the messages that TensorFlow's libraries write to stderr while they are loaded.

    The libraries write them before they read `TF_CPP_MIN_LOG_LEVEL`. The file descriptor of stderr
    is therefore redirected to a pipe, and all other lines are written to stderr at the end.
    TensorFlow is imported on every backend, because Keras imports it later if it is installed.
    """
    if "tensorflow" in sys.modules or os.environ.get(LOG_LEVEL) == "0" or sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)  # The pipe is read at the end: a full one must not block.
    os.dup2(writing, 2)
    os.close(writing)
    try:
        yield
        with contextlib.suppress(Exception):  # A command that needs TensorFlow reports the error.
            importlib.import_module("tensorflow")
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)
        with open(reading, "rb", buffering=0) as pipe:
            lines = (pipe.read() or b"").splitlines(keepends=True)
        others = b"".join(line for line in lines if not NOTE.match(line))
        sys.stderr.write(others.decode(errors="replace"))
    for name in ("absl", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Print correctable errors without a traceback, and exit with status 1."""
    try:
        yield
    except (ValueError, ImportError, OSError, FloatingPointError) as error:
        errors.print(f"Error: {error}")
        raise typer.Exit(1) from error
