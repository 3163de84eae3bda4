"""`options.json` of bilm-tf and AllenNLP: what a checkpoint's layers are made of."""

import pathlib
from typing import Any

from elmo_keras.checkpoints.checkpoint import BiLM
from elmo_keras.files import safe_json
from elmo_keras.layers.bilstm_stack import BiLSTMStack
from elmo_keras.layers.char_cnn import CharCNN
from elmo_keras.layers.word_embedding import WordEmbedding
from elmo_keras.text import byte_alphabet as alphabet

ACTIVATIONS = ("relu", "tanh")
# No model has nearly as many; a file that says so is no model's.
MAX_LAYERS, MAX_CHARACTERS = 100, 10_000


class Options:
    """A checkpoint's options, read with the defaults that the programs have for absent keys.

    Args:
        content: the parsed JSON.
        source: what the file is called in an error.

    Raises:
        ValueError: naming the key, what it must be and what it is.
    """

    def __init__(self, content: Any, source: str):
        read = safe_json.Reader(source, "the options.json of a bilm-tf or AllenNLP model")
        if not isinstance(content, dict):
            raise read.error("the file", "an object with 'lstm' and 'char_cnn'", content)
        lstm = read.section(content, "lstm")
        self.units = read.integer(lstm, "dim", "lstm.")
        self.projection_dim = read.integer(lstm, "projection_dim", "lstm.")
        self.num_layers = read.integer(lstm, "n_layers", "lstm.", default=1, highest=MAX_LAYERS)
        self.cell_clip = read.positive(lstm, "cell_clip", "lstm.")
        self.projection_clip = read.positive(lstm, "proj_clip", "lstm.")
        self.residual = read.boolean(lstm, "use_skip_connections", "lstm.")

        # A model without 'char_cnn' reads words.
        self.reads_words = "char_cnn" not in content
        if self.reads_words:
            return
        cnn = read.section(content, "char_cnn")
        embedding = read.section(cnn, "embedding", "char_cnn.")
        self.char_embedding_dim = read.integer(embedding, "dim", "char_cnn.embedding.")
        self.num_highways = read.integer(
            cnn, "n_highway", "char_cnn.", default=0, lowest=0, highest=MAX_LAYERS
        )
        self.max_characters = read.integer(
            cnn,
            "max_characters_per_token",
            "char_cnn.",
            lowest=alphabet.MIN_CHARACTERS,
            highest=MAX_CHARACTERS,
        )
        self.filters = read.filters(cnn, "filters", "char_cnn.", self.max_characters)
        self.activation = read.choice(cnn, "activation", "char_cnn.", ACTIVATIONS)
        # 261 while bilm-tf trains, 262 with the padding that inference adds. Both are one model.
        number = read.integer(cnn, "n_characters", "char_cnn.", default=alphabet.NUM_CHARACTERS)
        if number not in (alphabet.NUM_CHARACTERS - 1, alphabet.NUM_CHARACTERS):
            raise read.error("char_cnn.n_characters", "261 or 262", number)

    @classmethod
    def read(cls, path: pathlib.Path) -> "Options":
        """The options in a JSON file."""
        return cls(safe_json.load(path, "options"), str(path))

    @property
    def num_filters(self) -> int:
        return sum(number for _, number in self.filters)


def options_of(layer: BiLM) -> dict:
    """The options that describe a layer, as bilm-tf, AllenNLP and simple_elmo read them.

    Args:
        layer: an ElmoLayer of a CharCNN over bytes and a BiLSTMStack.

    Returns:
        dict, ready for JSON.

    Raises:
        ValueError: if the format has no words for the layer.
    """
    cnn, lstm = layer.token_encoder, layer.bilstm
    reads_words = type(cnn) is WordEmbedding
    reasons = []
    if reads_words:
        pass
    elif type(cnn) is not CharCNN or cnn.num_characters - alphabet.NUM_CHARACTERS not in (0, 1):
        reasons.append(
            f"token_encoder={type(cnn).__name__}: it must be a CharCNN over bytes, or a "
            "WordEmbedding"
        )
    elif cnn.activation.__name__ not in ACTIVATIONS:
        reasons.append(f"activation={cnn.activation.__name__}: it must be 'relu' or 'tanh'")
    if type(lstm) is not BiLSTMStack or lstm.forget_bias != 1.0:
        reasons.append("bilstm: it must be a BiLSTMStack with forget_bias=1.0")
    if layer.is_quantized:
        reasons.append("quantized weights: the format holds floats")
    if reasons:
        raise ValueError(
            "The HDF5 format of bilm-tf and AllenNLP holds models of bytes (or whole words), "
            f"convolutions and projected LSTMs alone. Received: {'; '.join(reasons)}. Save the "
            "layer with `save_to_preset`, or the model as .keras."
        )
    options = {
        "lstm": {
            "use_skip_connections": lstm.residual,
            "projection_dim": lstm.output_dim,
            "cell_clip": lstm.cell_clip,
            "proj_clip": lstm.projection_clip,
            "dim": lstm.units,
            "n_layers": lstm.num_layers,
        },
    }
    if reads_words:
        return options | {"n_tokens_vocab": cnn.num_words}
    options["char_cnn"] = {
        "activation": cnn.activation.__name__,
        "filters": [list(pair) for pair in cnn.filters],
        "n_highway": cnn.num_highways,
        "embedding": {"dim": cnn.char_embedding_dim},
        "n_characters": alphabet.NUM_CHARACTERS,
        "max_characters_per_token": cnn.max_characters,
    }
    return options
