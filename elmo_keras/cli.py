"""The command `elmo-keras`: thin commands over plain functions."""

import contextlib
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
errors = Console(soft_wrap=True, highlight=False, stderr=True)


@contextlib.contextmanager
def plain_errors():
    """What is wrong with what the user gave, as a sentence and not as a traceback."""
    try:
        yield
    except (ValueError, ImportError, OSError) as error:
        errors.print(f"Error: {error}", markup=False)
        raise typer.Exit(1) from error


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
    from elmo_keras import demo

    result = demo.run(output, console.print, epochs=epochs)
    console.print(f"Done in {result['seconds']:.0f} s.")


@app.command("convert")
def convert_cli(
    source: Annotated[
        str, typer.Argument(help="Directory, archive, file, address or published name.")
    ],
    destination: Annotated[pathlib.Path, typer.Argument(help="Folder to write, new or empty.")],
    format: Annotated[
        str, typer.Option(help="preset, hdf5, or both where HDF5 can hold the model.")
    ] = "both",
    weights: Annotated[
        str | None, typer.Option(help="HDF5 weights, if SOURCE is the file of their options.")
    ] = None,
    vocabulary: Annotated[
        pathlib.Path | None, typer.Option(help="File of words, one a line, of a model of words.")
    ] = None,
    token_embeddings: Annotated[
        pathlib.Path | None, typer.Option(help="HDF5 file of the vectors of these words.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="Expected checksum of what an address gives.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32 or float16, half the size.")] = "float32",
):
    """Turn a model in any published form into one that needs no other package to be read."""
    from elmo_keras.presets.convert import convert

    with plain_errors():
        result = convert(
            source if weights is None else (source, weights),
            destination,
            format=format,
            vocabulary=vocabulary,
            token_embeddings=token_embeddings,
            sha256=sha256,
            dtype=dtype,
        )
    console.print(f"Recognised: {result.format}")
    for line in result.sizes:
        console.print(f"  {line}")
    console.print(f"  Parameters: {result.num_parameters:,}")
    for path in result.written:
        console.print(f"Wrote {path} ({path.stat().st_size / 1e6:,.1f} MB)")
    for note in result.notes:
        console.print(note, markup=False)


if __name__ == "__main__":
    app()
