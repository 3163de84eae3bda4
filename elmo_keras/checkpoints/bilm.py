"""The weights of bilm-tf's models, under the names of its HDF5 files.

Sources: bilm-tf, `bilm/model.py` (`_pretrained_initializer`) and `bilm/training.py`
(`dump_weights`); AllenNLP, `modules/elmo.py` and `modules/elmo_lstm.py`. `tensorflow_v1.py` maps
the names of TensorFlow 1 checkpoints and TF-Hub modules to these names.
"""

import functools
from collections.abc import Mapping

import numpy as np

from elmo_keras.checkpoints.checkpoint import Checkpoint
from elmo_keras.checkpoints.loader import Entry, identity_entry, without_padding
from elmo_keras.checkpoints.options import Options
from elmo_keras.files.stored_array import StoredArray
from elmo_keras.layers.bilstm_stack import BiLSTMStack
from elmo_keras.layers.char_cnn import CharCNN
from elmo_keras.layers.token_encoder import TokenEncoder
from elmo_keras.layers.word_embedding import WordEmbedding
from elmo_keras.text import byte_alphabet as alphabet
from elmo_keras.text.special_tokens import (
    BEGIN_TOKEN,
    END_TOKEN,
    SPECIAL_TOKENS,
    UNKNOWN_TOKEN,
)

_BLOCK = 2**20  # bytes; both passes over a block find it in the CPU's cache


def to_checkpoint(
    options: Options,
    arrays: Mapping[str, StoredArray],
    *,
    format: str,
    source: str,
    vocabulary: list[str] | None = None,
    has_padding: bool = False,
    mix: tuple[np.ndarray, float] | None = None,
) -> Checkpoint:
    """Returns the checkpoint of a model whose arrays have the names of this module.

    Args:
        options: options of the model.
        arrays: arrays of the file, by name.
        format: name of the format.
        source: name of the file, for errors.
        vocabulary: words of a model that reads words. Defaults to `None`: unknown.
        has_padding: whether the character table of the file has a row for padding. Defaults to
            `False`.
        mix: scalars and gamma of a `ScalarMix`. Defaults to `None`: not in the file.

    Raises:
        ValueError: if the vocabulary does not fit the weights, or if the options describe a model
            of words and the weights are those of a model of characters.
    """
    token_encoder, bilstm = build_layers(options, arrays, source, vocabulary, has_padding)
    return Checkpoint(
        format=format,
        source=source,
        token_encoder=token_encoder,
        bilstm=bilstm,
        table=weight_table(token_encoder, bilstm, has_padding),
        arrays=arrays,
        mix=mix,
    )


def build_layers(
    options: Options,
    arrays: Mapping[str, StoredArray],
    source: str,
    vocabulary: list[str] | None = None,
    has_padding: bool = False,
) -> tuple[TokenEncoder, BiLSTMStack]:
    """Makes the layers that options describe, without building them.

    The arrays add two facts that the options lack: which projections exist (bilm-tf leaves out a
    projection that would not change the size), and how many rows the character or word table has.

    Args:
        options: options of the model.
        arrays: arrays of the file, by name.
        source: name of the file, for errors.
        vocabulary: words of a model that reads words. Defaults to `None`: unknown.
        has_padding: whether the character table of the file has a row for padding. Defaults to
            `False`.

    Returns:
        `(token_encoder, bilstm)`.

    Raises:
        ValueError: as `to_checkpoint`.
    """
    if options.reads_words:
        if "char_embed" in arrays and "embedding" not in arrays:
            raise ValueError(
                f"The weights in {source} must match its options. Received: "
                "options without 'char_cnn', which describe a model of words, and weights of a "
                "model that reads characters. Check that they belong to the same model."
            )
        num_words = len(vocabulary or SPECIAL_TOKENS)
        if "embedding" in arrays and arrays["embedding"].shape[1:] == (options.projection_dim,):
            num_words = arrays["embedding"].shape[0]
        token_encoder = _word_embedding(num_words, options.projection_dim, vocabulary, source)
    else:
        # A model trained with 262 characters has one more row, which no text uses.
        rows = arrays["char_embed"].shape[:1] if "char_embed" in arrays else ()
        is_larger = rows == (alphabet.NUM_CHARACTERS + has_padding,)
        token_encoder = CharCNN(
            filters=options.filters,
            char_embedding_dim=options.char_embedding_dim,
            num_highways=options.num_highways,
            projection_dim=_projection_dim(
                options.num_filters, options.projection_dim, "CNN_proj/W_proj" in arrays
            ),
            activation=options.activation,
            max_characters=options.max_characters,
            num_characters=alphabet.NUM_CHARACTERS + is_larger,
            name="token_encoder",
        )
    has_projection = any(name.endswith("/W_P_0") for name in arrays)
    bilstm = BiLSTMStack(
        num_layers=options.num_layers,
        units=options.units,
        projection_dim=_projection_dim(options.units, options.projection_dim, has_projection),
        cell_clip=options.cell_clip,
        projection_clip=options.projection_clip,
        residual=options.residual,
        name="bilstm",
    )
    return token_encoder, bilstm


def _projection_dim(size: int, projection_dim: int, is_stored: bool) -> int | None:
    return projection_dim if is_stored or size != projection_dim else None


def _word_embedding(
    num_words: int, dim: int, vocabulary: list[str] | None, source: str
) -> WordEmbedding:
    try:
        return WordEmbedding(
            num_words,
            dim,
            vocabulary=vocabulary,
            begin=BEGIN_TOKEN,
            end=END_TOKEN,
            unknown=UNKNOWN_TOKEN,
            name="token_encoder",
        )
    except ValueError as error:
        raise ValueError(f"The vocabulary must fit the weights in {source}: {error}") from error


def weight_table(
    token_encoder: TokenEncoder, bilstm: BiLSTMStack, has_padding: bool = False
) -> list[Entry]:
    """Returns the entries of all weights of two layers.

    Args:
        token_encoder: a `CharCNN` or a `WordEmbedding`.
        bilstm: the LSTMs.
        has_padding: whether the character table of the file has a row for padding. Defaults to
            `False`.
    """
    if isinstance(token_encoder, WordEmbedding):
        entries = _word_entries(token_encoder)
    else:
        entries = _character_entries(token_encoder, has_padding)
    return entries + _lstm_entries(bilstm, token_encoder.output_dim)


def _word_entries(words: WordEmbedding) -> list[Entry]:
    path = "token_encoder/embedding/embeddings"
    return [without_padding("embedding", (words.num_words, words.dim), path)]


def _character_entries(cnn: CharCNN, has_padding: bool) -> list[Entry]:
    root = "token_encoder"
    char_dim, dim = cnn.char_embedding_dim, cnn.num_filters
    path = f"{root}/char_embedding/embeddings"
    if has_padding:
        entries = [identity_entry("char_embed", (cnn.num_characters, char_dim), path)]
    else:
        entries = [without_padding("char_embed", (cnn.num_characters - 1, char_dim), path)]
    for i, (width, count) in enumerate(cnn.filters):
        entries += [
            Entry(
                f"CNN/W_cnn_{i}",
                (1, width, char_dim, count),  # The file holds 2-D convolutions of height 1.
                (f"{root}/convolution_{i}/kernel",),
                lambda x: [x[0]],
                lambda x: x[np.newaxis],
            ),
            identity_entry(f"CNN/b_cnn_{i}", (count,), f"{root}/convolution_{i}/bias"),
        ]
    for i in range(cnn.num_highways):
        for source, dense in (("carry", "gate"), ("transform", "transform")):
            path = f"{root}/highway_{i}/{dense}"
            entries += [
                identity_entry(f"CNN_high_{i}/W_{source}", (dim, dim), f"{path}/kernel"),
                identity_entry(f"CNN_high_{i}/b_{source}", (dim,), f"{path}/bias"),
            ]
    if cnn.projection_dim:
        path, size = f"{root}/projection", cnn.projection_dim
        entries += [
            identity_entry("CNN_proj/W_proj", (dim, size), f"{path}/kernel"),
            identity_entry("CNN_proj/b_proj", (size,), f"{path}/bias"),
        ]
    return entries


def _lstm_entries(bilstm: BiLSTMStack, input_dim: int) -> list[Entry]:
    entries = []
    for direction, name in enumerate(("forward", "backward")):
        for j in range(bilstm.num_layers):
            source, path = lstm_root(direction, j), f"bilstm/{name}_{j}"
            size = bilstm.output_dim if j else input_dim
            entries += [
                Entry(
                    f"{source}/W_0",
                    (size + bilstm.output_dim, 4 * bilstm.units),
                    (f"{path}/input_gates/kernel", f"{path}/recurrent_gates/kernel"),
                    functools.partial(_split_kernel, size),
                    lambda x, h: _swap_gates(np.concatenate([x, h])),
                ),
                Entry(
                    f"{source}/B",
                    (4 * bilstm.units,),
                    (f"{path}/input_gates/bias",),
                    lambda x: [_swap_gates(x)],
                    lambda x: _swap_gates(x.copy()),
                ),
            ]
            if bilstm.projection_dim:
                shape = (bilstm.units, bilstm.projection_dim)
                path = f"{path}/projection/kernel"
                entries.append(identity_entry(f"{source}/W_P_0", shape, path))
    return entries


def _split_kernel(input_dim: int, kernel: np.ndarray) -> list[np.ndarray]:
    """Returns the kernels of the input and of the state, whose rows follow each other."""
    return np.split(_swap_gates(kernel), [input_dim])


def lstm_root(direction: int, layer: int) -> str:
    """Returns the prefix of the names of an LSTM's weights.

    Args:
        direction: 0 for forward, 1 for backward.
        layer: index of the layer, from 0.
    """
    return f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"


def _swap_gates(x: np.ndarray) -> np.ndarray:
    """Converts between the gate order i, j, f, o of the file and our i, f, j, o, in place.

    The function is its own inverse. It copies a read-only array.
    """
    x = x if x.flags.writeable else x.copy()
    for rows in np.array_split(x, max(1, x.nbytes // _BLOCK)) if x.ndim > 1 else [x]:
        _, second, third, _ = np.split(rows, 4, axis=-1)
        second_before = second.copy()
        second[...] = third
        third[...] = second_before
    return x
