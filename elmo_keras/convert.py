"""From any published form into our own preset, and into the HDF5 format where that can hold it."""

import pathlib
from typing import NamedTuple

from elmo_keras.checkpoints import bilm_hdf5, softmax
from elmo_keras.encoders.elmo_layer import ElmoLayer
from elmo_keras.layers.char_cnn import CharCNN
from elmo_keras.layers.code_point_encoder import CodePointEncoder
from elmo_keras.layers.word_embedding import WordEmbedding
from elmo_keras.presets import loading, native_format
from elmo_keras.presets.locate import FILE_SETS

FORMATS = ("both", "preset", "hdf5")


class Conversion(NamedTuple):
    """What was found and what was written.

    Attributes:
        format: what the source's format is called.
        sizes: what the layer is made of, a line each.
        num_parameters: weights of the token encoder and the LSTMs.
        written: the files.
        notes: what could not be written, and why.
    """

    format: str
    sizes: list[str]
    num_parameters: int
    written: list[pathlib.Path]
    notes: list[str]


def convert(source, destination, format: str = "both", **options) -> Conversion:
    """Reads a model in any form and writes it into a directory.

    Args:
        source: as in `ElmoLayer.from_preset`.
        destination: the directory, new or empty. `ElmoLayer.from_preset` reads it on every
            backend, with neither TensorFlow nor torch installed.
        format: `"preset"`, our own; `"hdf5"`, what bilm-tf, AllenNLP and simple_elmo read; or
            `"both"`, the default: the second where the format can hold the model.
        **options: `sha256`, `vocabulary` and `token_embeddings` as in `ElmoLayer.from_preset`, and
            `dtype`, in which a preset is stored: `"float32"` or `"float16"`.

    Returns:
        A `Conversion`.

    Raises:
        ValueError: if the source is none, if the destination holds something, or if `"hdf5"` alone
            is asked for and cannot hold the model.
        OSError: if a file cannot be written. A preset that is there already is whole.
    """
    if format not in FORMATS:
        raise ValueError(f"`format` must be one of {FORMATS}. Received: format={format!r}")
    destination = pathlib.Path(destination)
    if destination.exists() and (not destination.is_dir() or _holds_files(destination)):
        raise ValueError(
            "`destination` must be a new or an empty folder, so that nothing in it is lost. "
            f"Received: {str(destination)!r}, which holds something. Name another one."
        )
    dtype = options.pop("dtype", "float32")
    loaded = loading.load(source, ElmoLayer, with_softmax=True, **options)
    layer, notes = loaded.layer, []
    if format != "hdf5":
        files = {} if loaded.softmax is None else softmax.contents(loaded.softmax, dtype)
        native_format.save_preset(layer, destination, dtype, files)
    if format != "preset":
        try:
            # In a preset beside it, the softmax is kept already.
            kept = loaded.softmax if format == "hdf5" else None
            bilm_hdf5.save_with_softmax(layer, destination, kept)
        except ValueError as error:
            if format == "hdf5":
                raise
            notes.append(f"No HDF5 beside the preset. {error}")
        else:
            if format == "hdf5" and loaded.has_mix:
                notes.append("The HDF5 format has no place for the weights of the mix.")
    if loaded.softmax is not None:
        number = len(loaded.softmax.bias)
        notes.append(f"The softmax over {number:,} words is kept beside the model.")
    return Conversion(
        loaded.format,
        sizes_of(layer),
        layer.token_encoder.count_params() + layer.bilstm.count_params(),
        sorted(path for path in destination.iterdir()),
        notes,
    )


def _holds_files(directory):
    """Whether a directory holds more than the leftovers of a conversion that was killed."""
    leftovers = [path for files in FILE_SETS for path in files.leftovers(directory)]
    return any(path not in leftovers for path in directory.iterdir())


def sizes_of(layer: ElmoLayer) -> list[str]:
    """What a layer is made of, for people: a line for each part."""
    encoder, lstm = layer.token_encoder, layer.bilstm
    clips = [
        f"{what} clipped at {bound:g}"
        for what, bound in (("cells", lstm.cell_clip), ("projections", lstm.projection_clip))
        if bound
    ]
    return [
        f"Tokens: {_encoder(encoder)}, vectors of {encoder.output_dim}",
        f"LSTMs: {lstm.num_layers} layers in each direction, {lstm.units:,} units"
        + (f" projected to {lstm.projection_dim:,}" if lstm.projection_dim else "")
        + "".join(f", {clip}" for clip in clips)
        + (", residuals" if lstm.residual else ""),
        f"Output: {layer.num_layers} layers to mix, vectors of {layer.output_dim:,}",
    ]


def _encoder(encoder):
    if isinstance(encoder, WordEmbedding):
        return f"a table of {encoder.num_words:,} words"
    if isinstance(encoder, CharCNN):
        return f"bytes, {_cnn(encoder)}"
    if isinstance(encoder, CodePointEncoder):
        parts = []
        if encoder.has_words:
            parts.append(f"a table of {encoder.num_words:,} words")
        if encoder.has_characters:
            parts.append(f"{encoder.num_characters:,} characters, {_cnn(encoder)}")
        return " and ".join(parts)
    return type(encoder).__name__


def _cnn(encoder):
    number = sum(number for _, number in encoder.filters)
    return (
        f"{number:,} filters of widths {encoder.filters[0][0]} to {encoder.filters[-1][0]}, "
        f"{encoder.num_highways} highways, at most {encoder.max_characters} a token"
    )
