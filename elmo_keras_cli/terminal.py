"""What the terminal shows: the command's own lines, and errors as sentences."""

import contextlib
import importlib
import logging
import os
import re
import sys

import typer
from rich.console import Console

# Lines may hold brackets and colons of the user's paths: they are not markup.
console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
errors = Console(soft_wrap=True, highlight=False, markup=False, emoji=False, stderr=True)

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# How absl starts a line of level INFO or WARNING, and the line that it puts before the first.
NOTE = re.compile(rb"[IW]\d{4} |WARNING: All log messages before absl::InitializeLog")


@contextlib.contextmanager
def quiet_imports():
    """Hold back the notes that TensorFlow's libraries write to stderr while they are loaded.

    They write them before they read `TF_CPP_MIN_LOG_LEVEL`, so the file descriptor is redirected
    to a pipe; all other lines are passed on at the end. TensorFlow is imported on every backend,
    because Keras imports it later where it is installed.
    """
    if "tensorflow" in sys.modules or os.environ.get(LOG_LEVEL) == "0" or sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    stderr = os.dup(2)
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)  # Nobody reads before the end: a full pipe must not wait.
    os.dup2(writing, 2)
    os.close(writing)
    try:
        yield
        with contextlib.suppress(Exception):  # A command that needs TensorFlow reports it.
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
def plain_errors():
    """Report what is wrong with the user's input as a sentence, without a traceback."""
    try:
        yield
    except (ValueError, ImportError, OSError, FloatingPointError) as error:
        errors.print(f"Error: {error}")
        raise typer.Exit(1) from error
