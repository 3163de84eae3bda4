"""The Typer app, with all commands."""

import os
from typing import Annotated

import typer

from elmo_keras_cli.convert import convert
from elmo_keras_cli.corpus import tokenize, vocabulary
from elmo_keras_cli.demo import demo
from elmo_keras_cli.evaluate import evaluate
from elmo_keras_cli.pretrain import pretrain
from elmo_keras_cli.terminal import LOG_LEVEL, console

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def print_version(wanted: bool):
    if wanted:
        from importlib.metadata import version

        console.print(f"elmo-keras {version('elmo_keras')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
):
    """ELMo as Keras layers: convert, pretrain and evaluate models."""


for command in (demo, convert, tokenize, vocabulary, pretrain, evaluate):
    app.command()(command)


def main():
    """Run the command that the process's arguments name.

    TensorFlow's log is off unless the environment sets `TF_CPP_MIN_LOG_LEVEL`; 0 shows all of it.
    """
    # Level 2 shows errors, and TensorFlow logs a missing GPU as one. A failed operation raises an
    # exception on every level.
    os.environ.setdefault(LOG_LEVEL, "3")
    app()
