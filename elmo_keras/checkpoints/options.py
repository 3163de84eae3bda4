"""`options.json` of bilm-tf and AllenNLP: the sizes and choices of a checkpoint's layers."""

import os
import pathlib
from typing import Any

from elmo_keras.checkpoints.checkpoint import BiLM
from elmo_keras.files import safe_json, vocabulary_file
from elmo_keras.layers.bilstm_stack import BiLSTMStack
from elmo_keras.layers.char_cnn import CharCNN
from elmo_keras.layers.word_embedding import WordEmbedding
from elmo_keras.text import byte_alphabet as alphabet

ACTIVATIONS = ("relu", "tanh")
# Far above the values of any real model: a file with a higher value is damaged or hostile.
MAX_LAYERS, MAX_CHARACTERS = 100, 10_000


class Options:
    """Options of a checkpoint, with the defaults of bilm-tf and AllenNLP for missing keys.

    Args:
        content: the parsed JSON.
        source: name of the file, for errors.

    Raises:
        ValueError: if a value is wrong; names its key.
    """

    def __init__(self, content: Any, source: str) -> None:
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
        # bilm-tf trains with 261 characters; inference adds one for padding. The model is the same.
        num_characters = read.integer(
            cnn, "n_characters", "char_cnn.", default=alphabet.NUM_CHARACTERS
        )
        if num_characters not in (alphabet.NUM_CHARACTERS - 1, alphabet.NUM_CHARACTERS):
            raise read.error("char_cnn.n_characters", "261 or 262", num_characters)

    @classmethod
    def read(cls, path: pathlib.Path) -> "Options":
        """Reads the options in a JSON file."""
        return cls(safe_json.load(path, "options"), str(path))

    def read_words(self, vocabulary: str | os.PathLike | None) -> list[str] | None:
        """Reads the vocabulary of a model that reads words; `None` for a model of characters.

        Args:
            vocabulary: path of the file of words, one per line, or `None`.
        """
        if not self.reads_words or vocabulary is None:
            return None
        return vocabulary_file.read(vocabulary)

    @property
    def num_filters(self) -> int:
        """The number of convolution filters of all widths."""
        return sum(count for _, count in self.filters)


def options_of(layer: BiLM) -> dict[str, Any]:
    """Returns the options of a layer, as bilm-tf, AllenNLP and simple_elmo read them.

    Args:
        layer: an ElmoLayer of a CharCNN over bytes (or a WordEmbedding) and a BiLSTMStack.

    Returns:
        dict, ready for JSON.

    Raises:
        ValueError: if the format cannot hold the layer.
    """
    encoder, lstm = layer.token_encoder, layer.bilstm
    reads_words = type(encoder) is WordEmbedding
    sizes = (alphabet.NUM_CHARACTERS, alphabet.NUM_CHARACTERS + 1)  # with a row that no text uses
    reasons = []
    if reads_words:
        pass
    elif type(encoder) is not CharCNN or encoder.num_characters not in sizes:
        reasons.append(
            f"token_encoder={type(encoder).__name__}: it must be a CharCNN over bytes, or a "
            "WordEmbedding"
        )
    elif encoder.activation.__name__ not in ACTIVATIONS:
        reasons.append(f"activation={encoder.activation.__name__}: it must be 'relu' or 'tanh'")
    if type(lstm) is not BiLSTMStack or lstm.forget_bias != 1.0:
        reasons.append("bilstm: it must be a BiLSTMStack with forget_bias=1.0")
    if layer.is_quantized:
        reasons.append("quantized weights: the format holds floats")
    if reasons:
        raise ValueError(
            "The HDF5 format of bilm-tf and AllenNLP can only hold a character CNN over bytes (or "
            "a table of words) and projected LSTMs, in float32. Received: "
            f"{'; '.join(reasons)}. Save the layer with `save_to_preset`, or the model as .keras."
        )
    options: dict[str, Any] = {
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
        return options | {"n_tokens_vocab": encoder.num_words}
    options["char_cnn"] = {
        "activation": encoder.activation.__name__,
        "filters": [list(pair) for pair in encoder.filters],
        "n_highway": encoder.num_highways,
        "embedding": {"dim": encoder.char_embedding_dim},
        "n_characters": alphabet.NUM_CHARACTERS,
        "max_characters_per_token": encoder.max_characters,
    }
    return options
