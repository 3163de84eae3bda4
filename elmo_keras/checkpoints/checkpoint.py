"""What the reader of every format gives: the layers that a file describes, and their weights."""

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from elmo_keras.checkpoints import loader
from elmo_keras.layers.bilstm_stack import BiLSTMStack
from elmo_keras.layers.elmo_layer import ElmoLayer
from elmo_keras.layers.token_encoder import TokenEncoder


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A model in a file, described and not yet read.

    Attributes:
        format: what the format is called.
        source: what the file is called in an error.
        token_encoder: the front end, not built, named `"token_encoder"`.
        bilstm: the LSTMs, not built, named `"bilstm"`.
        table: the format's table for these two.
        datasets: what the file holds, by its own names.
        mix: the scalars of a `ScalarMix` and its gamma, if the file has them.
    """

    format: str
    source: str
    token_encoder: TokenEncoder
    bilstm: BiLSTMStack
    table: Sequence[loader.Entry]
    datasets: Mapping[str, loader.Dataset]
    mix: tuple[np.ndarray, float] | None = None

    def to_layer(self, cls=ElmoLayer, **options) -> ElmoLayer:
        """Builds an ElmoLayer with the weights of the file.

        Args:
            cls: the class to build.
            **options: further arguments of the class.

        Raises:
            ValueError: if the file does not hold what it describes; nothing half-loaded is left.
        """
        if "dtype" in options:
            for part in (self.token_encoder, self.bilstm):
                part.dtype_policy = keras.dtype_policies.get(options["dtype"])
        layer = cls(self.token_encoder, self.bilstm, **options)
        with loader.filling(self.table, self.datasets, self.source):
            layer.build((None, None, *self.token_encoder.ids_shape))
        if self.mix is not None:
            scalars, gamma = self.mix
            for mix in layer.scalar_mixes:
                mix.scalars.assign(scalars)
                mix.gamma.assign(gamma)
        return layer
