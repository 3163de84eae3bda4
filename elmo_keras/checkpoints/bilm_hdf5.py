"""The published HDF5 format: bilm-tf's `dump_weights`, read by AllenNLP and simple_elmo.

What stands in it is in `bilm.py`; here are the files.
"""

import contextlib
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
    options_path, weights_path, vocabulary=None, token_embeddings=None
) -> Iterator[Checkpoint]:
    """The model in a file of options and a file of weights, readable inside of the context.

    Args:
        options_path: path of the JSON file.
        weights_path: path of the HDF5 file.
        vocabulary: path of a file with a word a line, for a model that reads words.
        token_embeddings: path of an HDF5 file with the vectors of these words (bilm-tf's
            `dump_token_embeddings`): they then stand in for the characters.

    Raises:
        ValueError: if a file is damaged, or if they do not fit each other.
    """
    options = Options.read(pathlib.Path(options_path))
    _check_files(pathlib.Path(options_path), weights_path, vocabulary)
    if token_embeddings is not None and vocabulary is None:
        raise ValueError(
            "`token_embeddings` belong to the words of a vocabulary. Received: them without "
            "`vocabulary`. Name the file, a word a line, that they were computed for."
        )
    options.reads_words |= token_embeddings is not None
    words = None
    if options.reads_words and vocabulary is not None:
        words = vocabulary_file.read(vocabulary)
    with contextlib.ExitStack() as stack:
        datasets = stack.enter_context(open_datasets(pathlib.Path(weights_path)))
        source = str(weights_path)
        if options.num_layers == 1:
            # Of one layer, bilm-tf writes names that it cannot read.
            datasets = {
                name.replace("/RNN/LSTMCell/", "/RNN/MultiRNNCell/Cell0/LSTMCell/"): dataset
                for name, dataset in datasets.items()
            }
        if token_embeddings is not None:
            datasets = {n: d for n, d in datasets.items() if n.startswith("RNN_")}
            datasets |= stack.enter_context(open_datasets(pathlib.Path(token_embeddings)))
            source = f"{source} and {token_embeddings}"
        token_encoder, bilstm = bilm.build_layers(options, datasets, source, vocabulary=words)
        yield Checkpoint(
            format="bilm-tf / AllenNLP, HDF5",
            source=source,
            token_encoder=token_encoder,
            bilstm=bilstm,
            table=bilm.weight_table(token_encoder, bilstm),
            arrays=datasets,
        )


def save_hdf5(layer: BiLM, directory) -> None:
    """Writes the biLM of an ElmoLayer as bilm-tf, AllenNLP and simple_elmo read it.

    What the format has no place for stays behind: the mixes, a warm or carried state.

    Killed at any moment, it leaves the old files or the new ones for `from_preset`; to the other
    programs `options.json` is absent for the moment in which the weights are replaced.

    Args:
        layer: an ElmoLayer, built, of a `CharCNN` over bytes (or a `WordEmbedding`) and a
            `BiLSTMStack`.
        directory: where `options.json` and `weights.hdf5` go, of a model that reads words
            `vocabulary.txt` too; made if absent.

    Raises:
        ValueError: if the layer is not built, if a weight is not finite, or if the format cannot
            hold the layer.
        OSError: if a file cannot be written, on a full disk say. The old ones are then unchanged.

    Example:

    ```python
    elmo = elmo_keras.ElmoLayer.from_preset("elmo_original/")
    ...  # fine-tune
    elmo_keras.checkpoints.save_hdf5(elmo, "elmo_tuned/")
    ```
    """
    save_with_softmax(layer, directory, None)


def save_with_softmax(layer: BiLM, directory, softmax_with: Softmax | None) -> None:
    """As `save_hdf5`, with the softmax of a language model beside the layer, if there is one."""
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
    if softmax_with is not None:
        parts |= softmax.contents(softmax_with)
    if isinstance(layer.token_encoder, WordEmbedding) and layer.token_encoder.vocabulary:
        parts[VOCABULARY] = vocabulary_file.content_of(layer.token_encoder.vocabulary)
    FILES.write(pathlib.Path(directory), options, parts)


def _check_files(options_path, *paths):
    """Raises a ValueError if the options were saved with other files than those beside them."""
    saved = FILES.found_at(options_path)
    if saved is not None:
        paths = [pathlib.Path(path) for path in paths if path is not None]
        saved.check(*(path.name for path in paths if path == saved.path(path.name)))


def is_weights(path: pathlib.Path) -> bool:
    """Whether a file holds weights of this format, judged by its content."""
    return holds(path, "char_embed", "CNN", "RNN_0")
