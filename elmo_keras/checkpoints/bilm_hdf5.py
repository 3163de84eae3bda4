"""The published HDF5 format: written by bilm-tf's `dump_weights`, read by AllenNLP and simple_elmo.

This module handles the files; `bilm.py` has the names and shapes of the weights.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from elmo_keras.checkpoints import bilm, loader, softmax
from elmo_keras.checkpoints.checkpoint import BiLM, Checkpoint
from elmo_keras.checkpoints.options import Options, options_of
from elmo_keras.checkpoints.softmax import Softmax
from elmo_keras.files import vocabulary_file
from elmo_keras.files.file_set import FileSet
from elmo_keras.files.safe_hdf5 import hdf5_content, holds, open_datasets
from elmo_keras.layers.finite import check_weights
from elmo_keras.layers.weight_loading import weights_by_path
from elmo_keras.layers.word_embedding import WordEmbedding

OPTIONS, WEIGHTS, VOCABULARY = "options.json", "weights.hdf5", "vocabulary.txt"
FILES = FileSet(OPTIONS, (WEIGHTS, VOCABULARY, softmax.FILE))


@contextlib.contextmanager
def open_hdf5(
    options_path: str | os.PathLike,
    weights_path: str | os.PathLike,
    vocabulary: str | os.PathLike | None = None,
    token_embeddings: str | os.PathLike | None = None,
) -> Iterator[Checkpoint]:
    """Opens the model in a file of options and a file of weights, inside a `with` statement.

    Args:
        options_path: path of the JSON file.
        weights_path: path of the HDF5 file.
        vocabulary: path of a file of words, one per line, for a model that reads words. Defaults
            to `None`.
        token_embeddings: path of an HDF5 file with one vector per word of `vocabulary` (bilm-tf's
            `dump_token_embeddings`). The vectors replace the character CNN. Defaults to `None`.

    Yields:
        A `Checkpoint`, valid inside the `with` statement.

    Raises:
        ValueError: if a file is damaged, or if the files do not belong together.

    Example:

    ```python
    with elmo_keras.checkpoints.open_hdf5("options.json", "weights.hdf5") as checkpoint:
        elmo = checkpoint.to_layer(elmo_keras.ElmoLayer)
    ```
    """
    options = Options.read(pathlib.Path(options_path))
    _check_files(pathlib.Path(options_path), weights_path, vocabulary)
    if token_embeddings is not None and vocabulary is None:
        raise ValueError(
            "`token_embeddings` must come with the `vocabulary` that they were computed for. "
            "Received: `token_embeddings` without `vocabulary`. Pass the file of words, one per "
            "line."
        )
    options.reads_words |= token_embeddings is not None
    words = options.read_words(vocabulary)
    with contextlib.ExitStack() as stack:
        arrays = stack.enter_context(open_datasets(pathlib.Path(weights_path)))
        source = str(weights_path)
        if options.num_layers == 1:
            # For a single layer, bilm-tf writes names that bilm-tf itself cannot read.
            arrays = {
                name.replace("/RNN/LSTMCell/", "/RNN/MultiRNNCell/Cell0/LSTMCell/"): array
                for name, array in arrays.items()
            }
        if token_embeddings is not None:
            arrays = {name: array for name, array in arrays.items() if name.startswith("RNN_")}
            arrays |= stack.enter_context(open_datasets(pathlib.Path(token_embeddings)))
            source = f"{source} and {token_embeddings}"
        yield bilm.to_checkpoint(
            options, arrays, format="bilm-tf / AllenNLP, HDF5", source=source, vocabulary=words
        )


def save_hdf5(layer: BiLM, directory: str | os.PathLike) -> None:
    """Writes the biLM of an ElmoLayer in the format of bilm-tf, AllenNLP and simple_elmo.

    The format holds neither the weights of the mixes nor LSTM states: these are not written.

    If the process is killed, `from_preset` finds the complete old files or the complete new ones.
    Other programs find no `options.json` while the weights are being replaced.

    Args:
        layer: an ElmoLayer, built, of a `CharCNN` over bytes (or a `WordEmbedding`) and a
            `BiLSTMStack`.
        directory: path of the directory for `options.json`, `weights.hdf5` and, for a model that
            reads words, `vocabulary.txt`; created if it does not exist.

    Raises:
        ValueError: if the layer is not built, if a weight is not finite, or if the format cannot
            hold the layer.
        OSError: if a file cannot be written, for example on a full disk. The old files are then
            unchanged.

    Example:

    ```python
    elmo = elmo_keras.ElmoLayer.from_preset("elmo_original/")
    ...  # fine-tune
    elmo_keras.checkpoints.save_hdf5(elmo, "elmo_tuned/")
    ```
    """
    save_with_softmax(layer, directory, None)


def save_with_softmax(
    layer: BiLM, directory: str | os.PathLike, word_softmax: Softmax | None
) -> None:
    """Writes a biLM as `save_hdf5` does, and the softmax of its language model.

    Args:
        layer: as in `save_hdf5`.
        directory: as in `save_hdf5`.
        word_softmax: the softmax; `None` writes no softmax.

    Raises:
        ValueError, OSError: as `save_hdf5`.
    """
    options = options_of(layer)
    if not layer.built:
        raise ValueError(
            "`layer` must have weights to be saved. Received: a layer that is not built. Call it "
            "on a batch first."
        )
    weights = weights_by_path(layer.token_encoder, "token_encoder")
    weights |= weights_by_path(layer.bilstm, "bilstm")
    table = bilm.weight_table(layer.token_encoder, layer.bilstm)
    arrays = loader.dump(table, weights)
    check_weights({" or ".join(entry.paths): arrays[entry.name] for entry in table}, "layer")
    parts = {WEIGHTS: hdf5_content(arrays)}
    if word_softmax is not None:
        parts |= softmax.contents(word_softmax)
    if isinstance(layer.token_encoder, WordEmbedding) and layer.token_encoder.vocabulary:
        parts[VOCABULARY] = vocabulary_file.content_of(layer.token_encoder.vocabulary)
    FILES.write(pathlib.Path(directory), options, parts)


def _check_files(options_path: pathlib.Path, *paths: str | os.PathLike | None) -> None:
    """Raises a ValueError if a file beside the options belongs to another save."""
    saved = FILES.found_at(options_path)
    if saved is None:
        return
    given = [pathlib.Path(path) for path in paths if path is not None]
    saved.check(*(path.name for path in given if path == saved.path(path.name)))


def is_weights(path: pathlib.Path) -> bool:
    """Returns whether a file holds weights of this format, judged by its content."""
    return holds(path, "char_embed", "CNN", "RNN_0")
