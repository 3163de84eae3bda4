"""The command `elmo-keras`: thin commands over plain functions."""

import os
import pathlib
from typing import Annotated

# TensorFlow's notes on the machine are of no use on a command line; whoever set it knows better.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import typer
from rich.console import Console

app = typer.Typer(
    help="ELMo as Keras layers.", no_args_is_help=True, pretty_exceptions_enable=False
)
console = Console(soft_wrap=True, highlight=False)


@app.callback()
def main():
    """ELMo as Keras layers."""


@app.command("demo")
def demo_cli(
    output: Annotated[
        pathlib.Path, typer.Option(help="Folder that the trained model goes into.")
    ] = pathlib.Path("demo_model"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training data.")] = 3,
):
    """Train a sentiment classifier with ElmoLayer, export it and serve it."""
    # TensorFlow takes seconds to import: not for --help.
    from elmo_keras import demo

    result = demo.run(output, console.print, epochs=epochs)
    console.print(f"Done in {result['seconds']:.0f} s.")


if __name__ == "__main__":
    app()
