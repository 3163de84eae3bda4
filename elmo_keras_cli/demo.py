"""The command `elmo-keras demo`."""

import pathlib
from typing import Annotated

import typer

from elmo_keras_cli.terminal import console, plain_errors, quiet_imports


def demo(
    output: Annotated[
        pathlib.Path, typer.Option(help="Directory for the trained model and its SavedModel.")
    ] = pathlib.Path("demo_model"),
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Passes over the data, the first half with the pretrained weights frozen. "
            "Default: chosen by the amount of data.",
        ),
    ] = None,
) -> None:
    """Fine-tune a sentiment classifier, export it as a SavedModel and serve it."""
    with plain_errors():
        with quiet_imports():
            from elmo_keras import demo
        result = demo.run(output, console.print, epochs=epochs)
    console.print(f"Done in {result['seconds']:.0f} s.")
