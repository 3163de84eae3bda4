"""A token encoder with a cache of token vectors."""

from typing import Any

import numpy as np
from keras import ops

from elmo_keras import backend
from elmo_keras.layers.token_encoder import TokenEncoder

_TOKENS_AT_ONCE = 1024


class CachedTokenEncoder:
    """A token encoder that stores the vectors of some tokens and computes the vectors of others.

    A token is looked up by a hash of its ids. All its ids are then compared with those of the
    stored token, so that a token with the same hash but other ids is computed. If shapes must not
    depend on values (JAX, XLA), all vectors are computed.

    Args:
        encoder: `TokenEncoder`, built.
        ids: `(tokens, *encoder.ids_shape)` int numpy array, the tokens to store. It may contain
            rows of zeros (padding).

    Attributes:
        size: int. Number of stored tokens.
    """

    def __init__(self, encoder: TokenEncoder, ids: np.ndarray) -> None:
        self.encoder = encoder
        vectors = np.concatenate([self._encode(part) for part in _parts(ids)])
        rows = ids.reshape(len(ids), -1).astype("int32")
        # A sum may overflow, but it does so in the same way in a call.
        factors = np.random.default_rng(0).integers(0, 2**31, rows.shape[1:])
        hashes = (rows.astype("int64") * factors).sum(axis=1)
        hashes, first = np.unique(hashes, return_index=True)
        self.size = len(hashes)
        self._factors = ops.convert_to_tensor(factors)
        self._hashes = ops.convert_to_tensor(hashes)
        self._rows = ops.convert_to_tensor(rows[first])
        self._vectors = ops.convert_to_tensor(vectors[first], dtype=encoder.compute_dtype)

    def _encode(self, ids: np.ndarray) -> np.ndarray:
        return ops.convert_to_numpy(self.encoder(ops.convert_to_tensor(ids[np.newaxis])))[0]

    def __call__(self, ids: Any) -> Any:
        """Returns the token vectors, equal to those of the encoder.

        Args:
            ids: `(batch, time, *encoder.ids_shape)` int tensor.

        Returns:
            `(batch, time, encoder.output_dim)` float.
        """
        if not backend.has_dynamic_shapes(ids):
            return self.encoder(ids)
        self.encoder.check_range(ids)
        shape = tuple(ops.shape(ids))
        size = int(np.prod(shape[2:])) if len(shape) > 2 else 1
        rows, places = backend.distinct(ops.reshape(ids, (-1, size)))
        hashes = ops.sum(ops.cast(rows, "int64") * self._factors, axis=1)
        found = ops.minimum(ops.searchsorted(self._hashes, hashes), self.size - 1)
        is_known = ops.all(ops.equal(ops.take(self._rows, found, axis=0), rows), axis=1)
        vectors = ops.take(self._vectors, found, axis=0)  # (tokens, output_dim)
        unknown = ops.nonzero(ops.logical_not(is_known))[0]  # (unknown tokens,)
        computed = self.encoder(ops.reshape(ops.take(rows, unknown, axis=0), (1, -1, *shape[2:])))
        vectors = ops.scatter_update(vectors, ops.expand_dims(unknown, 1), computed[0])
        vectors = ops.take(vectors, places, axis=0)
        return ops.reshape(vectors, (*shape[:2], self.encoder.output_dim))


def _parts(ids: np.ndarray) -> list[np.ndarray]:
    return np.array_split(ids, -(-len(ids) // _TOKENS_AT_ONCE))
