"""The command `elmo-keras convert`."""

import pathlib
from typing import Annotated

import typer

from elmo_keras_cli.terminal import console, plain_errors, quiet_imports


def convert(
    source: Annotated[
        str, typer.Argument(help="Model to read: directory, archive, file, URL or published name.")
    ],
    destination: Annotated[
        pathlib.Path, typer.Argument(help="Directory to write; it must be new or empty.")
    ],
    format: Annotated[
        str,
        typer.Option(
            help="Format to write: preset, hdf5 (for bilm-tf and AllenNLP), or both, which leaves "
            "out hdf5 if it cannot hold the model."
        ),
    ] = "both",
    weights: Annotated[
        str | None, typer.Option(help="HDF5 weights file, if the source is an options file.")
    ] = None,
    vocabulary: Annotated[
        pathlib.Path | None,
        typer.Option(help="Vocabulary file of a word-level model, one word per line."),
    ] = None,
    token_embeddings: Annotated[
        pathlib.Path | None,
        typer.Option(help="HDF5 file with one vector per vocabulary word, from bilm-tf."),
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="Expected SHA-256 checksum of the downloaded file.")
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(help="Data type of the preset's weights: float32 or float16 (half the size)."),
    ] = "float32",
) -> None:
    """Convert a published ELMo model into a preset, which every backend reads."""
    with plain_errors():
        with quiet_imports():
            from elmo_keras.convert import convert
        result = convert(
            source if weights is None else (source, weights),
            destination,
            format=format,
            vocabulary=vocabulary,
            token_embeddings=token_embeddings,
            sha256=sha256,
            dtype=dtype,
        )
    console.print(f"Recognized: {result.format}")
    for line in result.sizes:
        console.print(f"  {line}")
    console.print(f"  Parameters: {result.num_parameters:,}")
    for path in result.written:
        console.print(f"Wrote {path} ({path.stat().st_size / 1e6:,.1f} MB)")
    for note in result.notes:
        console.print(note)
