"""A checkpoint of a foreign format: the layers that it describes, and their weights."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import keras
import numpy as np

from elmo_keras.checkpoints.loader import Entry, StrictLoader
from elmo_keras.files.stored_array import StoredArray
from elmo_keras.layers.bilstm_stack import BiLSTMStack
from elmo_keras.layers.token_encoder import TokenEncoder

_Layer = TypeVar("_Layer", bound=keras.layers.Layer)


class BiLM(Protocol):
    """A layer that holds a token encoder and LSTMs, such as an `ElmoLayer`.

    Attributes:
        token_encoder: the token encoder.
        bilstm: the LSTMs.
        built: whether the layer has weights.
        is_quantized: whether some of its weights are quantized.
    """

    token_encoder: TokenEncoder
    bilstm: BiLSTMStack
    built: bool

    @property
    def is_quantized(self) -> bool: ...


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint. Its weights are read when a layer is built.

    Attributes:
        format: name of the format.
        source: name of the file, for errors.
        token_encoder: the token encoder, not built, named `"token_encoder"`.
        bilstm: the LSTMs, not built, named `"bilstm"`.
        table: entries of the format for the weights of these two layers.
        arrays: arrays of the file, by name.
        mix: scalars of a `ScalarMix` and its gamma; `None` if the file has none.
    """

    format: str
    source: str
    token_encoder: TokenEncoder
    bilstm: BiLSTMStack
    table: Sequence[Entry]
    arrays: Mapping[str, StoredArray]
    mix: tuple[np.ndarray, float] | None = None

    def to_layer(self, cls: type[_Layer], **options: Any) -> _Layer:
        """Builds a layer of the token encoder and the LSTMs, with the weights of the file.

        Args:
            cls: class that takes the token encoder and the LSTMs as its first two arguments.
            **options: further arguments of the class.

        Raises:
            ValueError: if the file does not hold the weights of the layers.
        """
        if "dtype" in options:
            for part in (self.token_encoder, self.bilstm):
                part.dtype_policy = keras.dtype_policies.get(options["dtype"])
        layer = cls(self.token_encoder, self.bilstm, **options)
        with StrictLoader(self.arrays, self.source, self.table).building():
            layer.build((None, None, *self.token_encoder.ids_shape))
        if self.mix is not None:
            scalars, gamma = self.mix
            for mix in layer.scalar_mixes:
                mix.scalars.assign(scalars)
                mix.gamma.assign(gamma)
        return layer
