"""The weights of bilm-tf's models, by the names of its HDF5 files.

Sources: bilm-tf, `bilm/model.py` (`_pretrained_initializer`) and `bilm/training.py`
(`dump_weights`); AllenNLP, `modules/elmo.py` and `modules/elmo_lstm.py`. What TensorFlow 1 and
TF-Hub call the same weights is in `tensorflow_checkpoint.py`.
"""

from collections.abc import Mapping

import numpy as np

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

_CACHED = 2**20  # bytes that are still at hand when they are written a second time


def build_layers(
    options: Options,
    datasets: Mapping[str, StoredArray],
    source: str,
    vocabulary: list[str] | None = None,
    has_padding: bool = False,
) -> tuple[TokenEncoder, BiLSTMStack]:
    """The layers that options describe, not built.

    Args:
        options: read already.
        datasets: what the file holds, by the names of this module. They say which projections
            there are (bilm-tf leaves those out that would not change the size) and how many rows
            the tables of characters and words have.
        source: what the file is called in an error.
        vocabulary: the words of a model that reads words, if they are known.
        has_padding: whether the table of characters has the row of padding already.

    Returns:
        `(token_encoder, bilstm)`.

    Raises:
        ValueError: if the vocabulary does not fit.
    """
    if options.reads_words:
        if "char_embed" in datasets and "embedding" not in datasets:
            raise ValueError(
                f"The weights in {source} must be those that its options describe. Received: "
                "options without 'char_cnn', a model that reads words, and weights of one that "
                "reads characters. Check that they belong to the same model."
            )
        num_words = len(vocabulary or SPECIAL_TOKENS)
        if "embedding" in datasets and datasets["embedding"].shape[1:] == (options.projection_dim,):
            num_words = datasets["embedding"].shape[0]
        token_encoder = _word_embedding(num_words, options.projection_dim, vocabulary, source)
    else:
        # A model that was trained with 262 characters has a row more, which no text reaches.
        rows = datasets["char_embed"].shape[:1] if "char_embed" in datasets else ()
        is_larger = rows == (alphabet.NUM_CHARACTERS + has_padding,)
        token_encoder = CharCNN(
            filters=options.filters,
            char_embedding_dim=options.char_embedding_dim,
            num_highways=options.num_highways,
            projection_dim=_projection_dim(
                options.num_filters, options.projection_dim, "CNN_proj/W_proj" in datasets
            ),
            activation=options.activation,
            max_characters=options.max_characters,
            num_characters=alphabet.NUM_CHARACTERS + is_larger,
            name="token_encoder",
        )
    has_projection = any(name.endswith("/W_P_0") for name in datasets)
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


def _word_embedding(num_words, dim, vocabulary, source):
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
        raise ValueError(f"The vocabulary must be that of {source}: {error}") from error


def weight_table(token_encoder: TokenEncoder, bilstm: BiLSTMStack) -> list[Entry]:
    """The format's table for two layers: (their name, their shape, our paths, transform)."""
    tokens = _words if isinstance(token_encoder, WordEmbedding) else _characters
    return tokens(token_encoder) + _lstms(bilstm, token_encoder.output_dim)


def _words(words):
    path = "token_encoder/embedding/embeddings"
    return [without_padding("embedding", (words.num_words, words.dim), path)]


def _characters(cnn):
    ours = "token_encoder"
    char_dim, dim = cnn.char_embedding_dim, cnn.num_filters
    shape = (cnn.num_characters - 1, char_dim)
    rows = [without_padding("char_embed", shape, f"{ours}/char_embedding/embeddings")]
    for i, (width, number) in enumerate(cnn.filters):
        rows += [
            Entry(
                f"CNN/W_cnn_{i}",
                (1, width, char_dim, number),  # Theirs is 2-D of height 1.
                (f"{ours}/convolution_{i}/kernel",),
                lambda x: [x[0]],
                lambda x: x[np.newaxis],
            ),
            identity_entry(f"CNN/b_cnn_{i}", (number,), f"{ours}/convolution_{i}/bias"),
        ]
    for i in range(cnn.num_highways):
        for theirs, dense in (("carry", "gate"), ("transform", "transform")):
            path = f"{ours}/highway_{i}/{dense}"
            rows += [
                identity_entry(f"CNN_high_{i}/W_{theirs}", (dim, dim), f"{path}/kernel"),
                identity_entry(f"CNN_high_{i}/b_{theirs}", (dim,), f"{path}/bias"),
            ]
    if cnn.projection_dim:
        path, size = f"{ours}/projection", cnn.projection_dim
        rows += [
            identity_entry("CNN_proj/W_proj", (dim, size), f"{path}/kernel"),
            identity_entry("CNN_proj/b_proj", (size,), f"{path}/bias"),
        ]
    return rows


def _lstms(bilstm, input_dim):
    rows = []
    for direction, ours in enumerate(("forward", "backward")):
        for j in range(bilstm.num_layers):
            theirs, path = lstm_root(direction, j), f"bilstm/{ours}_{j}"
            below = bilstm.output_dim if j else input_dim
            rows += [
                Entry(
                    f"{theirs}/W_0",
                    (below + bilstm.output_dim, 4 * bilstm.units),
                    (f"{path}/input_gates/kernel", f"{path}/recurrent_gates/kernel"),
                    # Theirs has the input's rows above the state's.
                    lambda x, below=below: np.split(_swap_gates(x), [below]),
                    lambda x, h: _swap_gates(np.concatenate([x, h])),
                ),
                Entry(
                    f"{theirs}/B",
                    (4 * bilstm.units,),
                    (f"{path}/input_gates/bias",),
                    lambda x: [_swap_gates(x)],
                    lambda x: _swap_gates(x.copy()),
                ),
            ]
            if bilstm.projection_dim:
                shape = (bilstm.units, bilstm.projection_dim)
                rows.append(identity_entry(f"{theirs}/W_P_0", shape, f"{path}/projection/kernel"))
    return rows


def lstm_root(direction: int, layer: int) -> str:
    """Where the weights of an LSTM stand; direction 0 is forward."""
    return f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"


def _swap_gates(x):
    """Between their gate order i, j, f, o and ours i, f, j, o, in place; its own inverse."""
    x = x if x.flags.writeable else x.copy()
    for rows in np.array_split(x, max(1, x.nbytes // _CACHED)) if x.ndim > 1 else [x]:
        _, second, third, _ = np.split(rows, 4, axis=-1)
        kept = second.copy()
        second[...] = third
        third[...] = kept
    return x


def _projection_dim(size, projection_dim, is_there):
    return projection_dim if is_there or size != projection_dim else None
