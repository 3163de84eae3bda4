"""Runs a script where nothing of this process is imported, with objects going in and out."""

import os
import pickle
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def run(script, given, folder, backend="tensorflow"):
    """What a script leaves behind in a new process.

    Args:
        script: str. Python code. It finds the variable `given` and sets `result`.
        given: what the script works on, of Python and numpy objects.
        folder: path. For the files that carry both.
        backend: str. Keras' backend there.

    Returns:
        The script's `result`.
    """
    (folder / "given.pickle").write_bytes(pickle.dumps(given))
    process = subprocess.run(
        [sys.executable, "-c", _AROUND.format(script=script), str(folder)],
        env={**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if process.returncode:
        raise RuntimeError(f"The script failed:\n{process.stderr}")
    return pickle.loads((folder / "result.pickle").read_bytes())


_AROUND = """
import pathlib, pickle, sys

given = pickle.loads(pathlib.Path(sys.argv[1], "given.pickle").read_bytes())
{script}
pathlib.Path(sys.argv[1], "result.pickle").write_bytes(pickle.dumps(result))
"""
