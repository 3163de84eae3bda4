"""A checkpoint of a foreign format: the layers that it describes, and its weights."""

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
    """A layer with the two parts that every format stores.

    Attributes:
        token_encoder: the front end.
        bilstm: the LSTMs.
        built: whether the layer has weights.
        is_quantized: whether some of its weights are quantised.
    """

    token_encoder: TokenEncoder
    bilstm: BiLSTMStack
    built: bool

    @property
    def is_quantized(self) -> bool: ...


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint; its weights are read when a layer is built.

    Attributes:
        format: name of the format.
        source: name of the file, for errors.
        token_encoder: the front end, not built, named `"token_encoder"`.
        bilstm: the LSTMs, not built, named `"bilstm"`.
        table: the format's weight table for these two layers.
        arrays: the arrays of the file, by their names there.
        mix: the scalars of a `ScalarMix` and its gamma, if the file has them.
    """

    format: str
    source: str
    token_encoder: TokenEncoder
    bilstm: BiLSTMStack
    table: Sequence[Entry]
    arrays: Mapping[str, StoredArray]
    mix: tuple[np.ndarray, float] | None = None

    def to_layer(self, cls: type[_Layer], **options: Any) -> _Layer:
        """Builds a layer of the two parts with the weights of the file.

        Args:
            cls: class that takes the token encoder and the LSTMs as its first two arguments.
            **options: further arguments of the class.

        Raises:
            ValueError: if the file does not hold the weights that it describes.
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
