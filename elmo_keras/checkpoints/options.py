"""`options.json` of bilm-tf and AllenNLP: what a checkpoint's layers are made of."""

import json
import pathlib
from typing import Any

from elmo_keras.layers.bilstm_stack import BiLSTMStack
from elmo_keras.layers.char_cnn import CharCNN
from elmo_keras.layers.elmo_layer import ElmoLayer
from elmo_keras.text import byte_alphabet as alphabet

ACTIVATIONS = ("relu", "tanh")


class Options:
    """A checkpoint's options, read with the defaults that the programs have for absent keys.

    Args:
        content: the parsed JSON.
        source: what the file is called in an error.

    Raises:
        ValueError: naming the key, what it must be and what it is.
    """

    def __init__(self, content: Any, source: str):
        self._source = source
        if not isinstance(content, dict):
            raise self._error("the file", "an object with 'lstm' and 'char_cnn'", content)
        lstm = self._object(content, "lstm")
        if "char_cnn" not in content:
            raise ValueError(
                f"{source} must describe a model that reads characters. Received: options without "
                "'char_cnn', a model that reads words. Word-level models are not supported."
            )
        cnn = self._object(content, "char_cnn")
        embedding = self._object(cnn, "embedding", "char_cnn.")

        self.units = self._integer(lstm, "dim", "lstm.")
        self.projection_dim = self._integer(lstm, "projection_dim", "lstm.")
        self.num_layers = self._integer(lstm, "n_layers", "lstm.", default=1)
        self.cell_clip = self._clip(lstm, "cell_clip")
        self.projection_clip = self._clip(lstm, "proj_clip")
        self.residual = self._boolean(lstm, "use_skip_connections", "lstm.")

        self.char_embedding_dim = self._integer(embedding, "dim", "char_cnn.embedding.")
        self.num_highways = self._integer(cnn, "n_highway", "char_cnn.", default=0, lowest=0)
        self.max_characters = self._integer(
            cnn, "max_characters_per_token", "char_cnn.", lowest=alphabet.MIN_CHARACTERS
        )
        self.filters = self._filters(cnn)
        self.activation = cnn.get("activation")
        if self.activation not in ACTIVATIONS:
            raise self._error(
                "char_cnn.activation", " or ".join(map(repr, ACTIVATIONS)), self.activation
            )
        # 261 while bilm-tf trains, 262 with the padding that inference adds. Both are one model.
        number = self._integer(cnn, "n_characters", "char_cnn.", default=alphabet.NUM_CHARACTERS)
        if number not in (alphabet.NUM_CHARACTERS - 1, alphabet.NUM_CHARACTERS):
            raise self._error("char_cnn.n_characters", "261 or 262", number)

    @classmethod
    def read(cls, path: pathlib.Path) -> "Options":
        """The options in a JSON file."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise ValueError(
                f"{path} must be a JSON file of options. Received: {error}. Fetch it again."
            ) from error
        return cls(content, str(path))

    @property
    def num_filters(self) -> int:
        return sum(number for _, number in self.filters)

    def _object(self, parent, key, prefix=""):
        value = parent.get(key)
        if not isinstance(value, dict):
            raise self._error(prefix + key, "an object", value)
        return value

    def _integer(self, parent, key, prefix, default=None, lowest=1):
        value = parent.get(key)
        value = default if value is None else value
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or value % 1 != 0 or value < lowest:  # nan and inf have no remainder 0
            raise self._error(prefix + key, f"a whole number of at least {lowest}", value)
        return int(value)

    def _clip(self, lstm, key):
        value = lstm.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            raise self._error(f"lstm.{key}", "a positive number or null", value)
        return float(value)

    def _boolean(self, parent, key, prefix):
        value = parent.get(key)
        known = {None: False, False: False, True: True, "true": True, "false": False}
        value = value.lower() if isinstance(value, str) else value
        if not isinstance(value, (bool, str, type(None))) or value not in known:
            raise self._error(prefix + key, "true or false", value)
        return known[value]

    def _filters(self, cnn):
        filters = cnn.get("filters")
        try:
            pairs = [(int(width), int(number)) for width, number in filters]
        except (TypeError, ValueError):
            pairs = []
        if not pairs or min(min(pair) for pair in pairs) < 1:
            raise self._error("char_cnn.filters", "a list of pairs [width, number]", filters)
        if max(width for width, _ in pairs) > self.max_characters:
            raise self._error(
                "char_cnn.filters", "no wider than 'max_characters_per_token'", filters
            )
        return pairs

    def _error(self, key, must_be, received):
        return ValueError(
            f"In {self._source}, {key} must be {must_be}. Received: {received!r}. Check that the "
            "file is the options.json of a bilm-tf or AllenNLP model."
        )


def options_of(layer: ElmoLayer) -> dict:
    """The options that describe a layer, as bilm-tf, AllenNLP and simple_elmo read them.

    Args:
        layer: an ElmoLayer of a CharCNN over bytes and a BiLSTMStack.

    Returns:
        dict, ready for JSON.

    Raises:
        ValueError: if the format has no words for the layer.
    """
    cnn, lstm = layer.token_encoder, layer.bilstm
    reasons = []
    if type(cnn) is not CharCNN or cnn.num_characters != alphabet.NUM_CHARACTERS:
        reasons.append(f"token_encoder={type(cnn).__name__}: it must be a CharCNN over bytes")
    elif cnn.activation.__name__ not in ACTIVATIONS:
        reasons.append(f"activation={cnn.activation.__name__}: it must be 'relu' or 'tanh'")
    if type(lstm) is not BiLSTMStack or lstm.forget_bias != 1.0:
        reasons.append("bilstm: it must be a BiLSTMStack with forget_bias=1.0")
    if any(part.dtype_policy.quantization_mode for part in layer._flatten_layers()):
        reasons.append("quantized weights: the format holds floats")
    if reasons:
        raise ValueError(
            "The HDF5 format of bilm-tf and AllenNLP holds models of bytes, convolutions and "
            f"projected LSTMs alone. Received: {'; '.join(reasons)}. Save the model as .keras."
        )
    return {
        "lstm": {
            "use_skip_connections": lstm.residual,
            "projection_dim": lstm.output_dim,
            "cell_clip": lstm.cell_clip,
            "proj_clip": lstm.projection_clip,
            "dim": lstm.units,
            "n_layers": lstm.num_layers,
        },
        "char_cnn": {
            "activation": cnn.activation.__name__,
            "filters": [list(pair) for pair in cnn.filters],
            "n_highway": cnn.num_highways,
            "embedding": {"dim": cnn.char_embedding_dim},
            "n_characters": cnn.num_characters,
            "max_characters_per_token": cnn.max_characters,
        },
    }
