"""Conversion of any supported format to a preset, and to HDF5 if that format can hold the model."""

import os
import pathlib
from typing import Any, NamedTuple

from elmo_keras.checkpoints import bilm_hdf5, softmax
from elmo_keras.encoders.elmo_layer import ElmoLayer
from elmo_keras.layers.char_cnn import CharCNN
from elmo_keras.layers.code_point_encoder import CodePointEncoder
from elmo_keras.layers.token_encoder import TokenEncoder
from elmo_keras.layers.word_embedding import WordEmbedding
from elmo_keras.presets import loading, native_format
from elmo_keras.presets.locate import FILE_SETS

FORMATS = ("both", "preset", "hdf5")


class Conversion(NamedTuple):
    """Report of a conversion.

    Args:
        format: name of the source's format.
        sizes: description of the layer, one line per part.
        num_parameters: number of weights of the token encoder and the LSTMs.
        written: paths of the written files.
        notes: sentences about parts that were kept separately or could not be written.
    """

    format: str
    sizes: list[str]
    num_parameters: int
    written: list[pathlib.Path]
    notes: list[str]


def convert(
    source: Any, destination: str | os.PathLike, format: str = "both", **options: Any
) -> Conversion:
    """Reads a model in any supported format and writes it into a directory.

    `ElmoLayer.from_preset` reads the result on every backend, without TensorFlow or torch.

    Args:
        source: as in `ElmoLayer.from_preset`.
        destination: path of a new or empty directory.
        format: `"preset"`, the format of this package; `"hdf5"`, the format of bilm-tf, AllenNLP
            and simple_elmo; or `"both"`, which omits HDF5 if it cannot hold the model. Defaults to
            `"both"`.
        **options: `sha256`, `vocabulary` and `token_embeddings` as in `ElmoLayer.from_preset`, and
            `dtype`, the dtype of the weights in a preset: `"float32"` (the default) or `"float16"`.

    Returns:
        A `Conversion`.

    Raises:
        ValueError: if the source is not a model, if the destination is not empty, or if `format`
            is `"hdf5"`, which cannot hold the model.
        OSError: if a file cannot be written. A preset that was written before is complete.

    Example:

    ```python
    from elmo_keras.convert import convert

    conversion = convert("model.zip", "elmo_german/")
    ```
    """
    if format not in FORMATS:
        raise ValueError(
            f"`format` must be one of {FORMATS}. Received: format={format!r}. Pass one of them."
        )
    destination = pathlib.Path(destination)
    if destination.exists() and (not destination.is_dir() or _holds_files(destination)):
        raise ValueError(
            "`destination` must be a new or an empty folder, so that no file is overwritten. "
            f"Received: {str(destination)!r}, which is not empty. Name another folder."
        )
    dtype = options.pop("dtype", "float32")
    loaded = loading.load(source, ElmoLayer, with_softmax=True, **options)
    layer, notes = loaded.layer, []
    if format != "hdf5":
        files = {} if loaded.softmax is None else softmax.contents(loaded.softmax, dtype)
        native_format.save_preset(layer, destination, dtype, files)
    if format != "preset":
        try:
            # With "both", the preset in the same directory already has the softmax.
            word_softmax = loaded.softmax if format == "hdf5" else None
            bilm_hdf5.save_with_softmax(layer, destination, word_softmax)
        except ValueError as error:
            if format == "hdf5":
                raise
            notes.append(f"No HDF5 beside the preset. {error}")
        else:
            if format == "hdf5" and loaded.has_mix:
                notes.append("The HDF5 format has no place for the weights of the mix.")
    if loaded.softmax is not None:
        num_words = len(loaded.softmax.bias)
        notes.append(f"The softmax over {num_words:,} words is kept beside the model.")
    return Conversion(
        loaded.format,
        sizes_of(layer),
        layer.token_encoder.count_params() + layer.bilstm.count_params(),
        sorted(destination.iterdir()),
        notes,
    )


def _holds_files(directory: pathlib.Path) -> bool:
    """Returns whether a directory holds more than the leftovers of a killed conversion."""
    leftovers = [path for files in FILE_SETS for path in files.leftovers(directory)]
    return any(path not in leftovers for path in directory.iterdir())


def sizes_of(layer: ElmoLayer) -> list[str]:
    """Describes the parts of a layer for human readers, one line per part.

    Args:
        layer: the layer, built.
    """
    encoder, lstm = layer.token_encoder, layer.bilstm
    clips = [
        f"{values} clipped at {bound:g}"
        for values, bound in (("cells", lstm.cell_clip), ("projections", lstm.projection_clip))
        if bound
    ]
    return [
        f"Tokens: {_description(encoder)}, vectors of {encoder.output_dim}",
        f"LSTMs: {lstm.num_layers} layers in each direction, {lstm.units:,} units"
        + (f" projected to {lstm.projection_dim:,}" if lstm.projection_dim else "")
        + "".join(f", {clip}" for clip in clips)
        + (", residuals" if lstm.residual else ""),
        f"Output: {layer.num_layers} layers to mix, vectors of {layer.output_dim:,}",
    ]


def _description(encoder: TokenEncoder) -> str:
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


def _cnn(encoder: CharCNN | CodePointEncoder) -> str:
    num_filters = sum(count for _, count in encoder.filters)
    return (
        f"{num_filters:,} filters of widths {encoder.filters[0][0]} to {encoder.filters[-1][0]}, "
        f"{encoder.num_highways} highways, at most {encoder.max_characters} a token"
    )
