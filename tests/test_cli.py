"""The command line: imports at start, help, errors, and a terminal without TensorFlow's log."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

import elmo_keras
from elmo_keras_cli.app import app

ROOT = pathlib.Path(__file__).parents[1]
COMMANDS = typer.main.get_command(app).commands

needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)
needs_jax = pytest.mark.skipif(
    importlib.util.find_spec("jax") is None, reason="JAX is not installed"
)


def run(*arguments, backend=None, **environment):
    """Runs Python in the user's environment, without the settings of the tests."""
    own = {"TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND"}
    inherited = {name: value for name, value in os.environ.items() if name not in own}
    chosen = {"KERAS_BACKEND": backend} if backend else {}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**inherited, "PYTHONPATH": str(ROOT), **chosen, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )


def elmo_keras_command(*arguments, **options):
    return run("-m", "elmo_keras_cli", *arguments, **options)


# === Start ===

MODULES = """
import json, sys
from elmo_keras_cli.app import main

sys.argv = ["elmo-keras", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    code = end.code
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""
HEAVY = {"elmo_keras", "keras", "tensorflow", "jax", "torch", "numpy", "h5py"}


def start(arguments):
    """Runs a command, and returns its exit code and the names of the imported packages."""
    process = run("-c", MODULES, *arguments.split())
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.mark.parametrize("arguments", ["--help", "--version", *[f"{c} --help" for c in COMMANDS]])
def test_help_imports_no_keras(arguments):
    code, modules = start(arguments)
    assert code == 0
    assert HEAVY.isdisjoint(modules)


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "pretran",
        "pretrain",
        "pretrain corpus.txt --output run --sede 1",
        "pretrain corpus.txt --output run --seed one",
    ],
)
def test_usage_errors_import_no_keras(arguments):
    code, modules = start(arguments)
    assert code == 2
    assert HEAVY.isdisjoint(modules)


def test_help_names_the_commands():
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert {"demo", "convert", "tokenize", "vocabulary", "pretrain", "evaluate"} <= set(COMMANDS)
    for name in COMMANDS:
        assert name in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text(name):
    assert COMMANDS[name].help
    assert [p.name for p in COMMANDS[name].params if not p.help] == []


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.output == f"elmo-keras {elmo_keras.__version__}\n"


def test_misspelt_command_gets_a_suggestion():
    result = CliRunner().invoke(app, ["demmo"])
    assert result.exit_code == 2
    assert "demo" in result.output


# === TensorFlow's log ===

LOG = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n",
    "I0000 00:00:1700000000.000000    1234 port.cc:153] oneDNN custom operations are on.\n",
    "W0000 00:00:1700000000.000000    1234 gpu_device.cc:1] Skipping registering GPU devices.\n",
    "E0000 00:00:1700000000.000000    1234 a.cc:1] An error.\n",
    "Other text.\n",
]
# A replacement of TensorFlow that writes to the file descriptor, as its libraries do at import.
LOADING = f"import os\nos.write(2, {''.join(LOG).encode()})\n"
IMPORTING = """
import sys
from elmo_keras_cli.terminal import quiet_imports

with quiet_imports():
    import tensorflow
print("After.", file=sys.stderr)
"""


@pytest.mark.parametrize("level, expected", [("3", LOG[3:]), ("2", LOG[3:]), ("0", LOG)])
def test_import_shows_only_errors(tmp_path, level, expected):
    (tmp_path / "tensorflow.py").write_text(LOADING)
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    process = run("-c", IMPORTING, PYTHONPATH=path, TF_CPP_MIN_LOG_LEVEL=level)
    assert process.returncode == 0
    assert process.stderr == "".join([*expected, "After.\n"])


def test_failed_import_keeps_its_traceback(tmp_path):
    (tmp_path / "tensorflow.py").write_text(LOADING + "raise OSError('a library is damaged')\n")
    process = run("-c", IMPORTING, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert process.returncode == 1
    assert process.stderr.startswith("".join(LOG[3:]))
    assert process.stderr.endswith("OSError: a library is damaged\n")


@needs_tensorflow
def test_command_prints_only_its_own_lines(tmp_path):
    (tmp_path / "[red]corpus.txt").write_text("The cat sat.\nThe dog sat.\n")
    words = tmp_path / "[red]words.txt"
    process = elmo_keras_command("vocabulary", tmp_path, "--output", words, "--size", 5)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    lines = process.stdout.splitlines()
    assert lines[0] == "2 sentences, 8 tokens, 5 distinct words"
    assert lines[-1] == f"Wrote {words}"
    assert len(lines) == 5


@needs_tensorflow
def test_error_is_one_line(tmp_path):
    process = elmo_keras_command("convert", tmp_path / "absent", tmp_path / "out")
    assert process.returncode == 1
    assert process.stdout == ""
    assert process.stderr.startswith("Error: `source` must be")
    assert process.stderr.count("\n") == 1


@needs_tensorflow
@needs_jax
def test_tensorflow_on_another_backend_is_as_quiet(tmp_path):
    (tmp_path / "corpus.txt").write_text("The cat sat.\n")
    process = elmo_keras_command(
        "tokenize", tmp_path / "corpus.txt", "--output", tmp_path / "out", backend="jax"
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    assert process.stdout.count("\n") == 1
