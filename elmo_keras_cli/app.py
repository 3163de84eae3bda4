"""The Typer app, with all of its commands."""

import os
from typing import Annotated

import typer

from elmo_keras_cli.convert import convert
from elmo_keras_cli.corpus import tokenize, vocabulary
from elmo_keras_cli.demo import demo
from elmo_keras_cli.evaluate import evaluate
from elmo_keras_cli.pretrain import pretrain
from elmo_keras_cli.teach import teach
from elmo_keras_cli.terminal import LOG_LEVEL, console

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def print_version(wanted: bool) -> None:
    """Print the version and exit, if the option is set."""
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
) -> None:
    """ELMo as Keras layers: convert, pretrain and evaluate models."""


for command in (demo, convert, tokenize, vocabulary, teach, pretrain, evaluate):
    app.command()(command)


def main() -> None:
    """Run the command given by the process's arguments.

    TensorFlow's log is off unless the environment sets `TF_CPP_MIN_LOG_LEVEL`; 0 shows all of
    its messages.
    """
    # At level 2, TensorFlow logs a missing GPU as an error. Failed operations raise an exception
    # at every level.
    os.environ.setdefault(LOG_LEVEL, "3")
    app()
