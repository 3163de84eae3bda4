import numpy as np
from keras import ops

from elmo_keras import backend
from elmo_keras.layers.token_encoder import TokenEncoder

_TOKENS_AT_ONCE = 1024


class CachedTokenEncoder:
    """A token encoder that keeps the vectors of some tokens and computes all others.

    A token is looked up by a hash of its ids. All its ids are compared then, so that a token with
    the hash of another one is computed.

    Args:
        encoder: `TokenEncoder`, built.
        ids: numpy `(tokens, *encoder.ids_shape)` int. Rows of zeros (padding) may be among them.
    """

    def __init__(self, encoder: TokenEncoder, ids: np.ndarray):
        self.encoder = encoder
        vectors = np.concatenate([self._encode(part) for part in _parts(ids)])
        rows = ids.reshape(len(ids), -1).astype("int32")
        # A sum that overflows does so in a call, too.
        factors = np.random.default_rng(0).integers(0, 2**31, rows.shape[1:])
        hashes = (rows.astype("int64") * factors).sum(axis=1)
        hashes, first = np.unique(hashes, return_index=True)
        self.size = len(hashes)
        self._factors = ops.convert_to_tensor(factors)
        self._hashes = ops.convert_to_tensor(hashes)
        self._rows = ops.convert_to_tensor(rows[first])
        self._vectors = ops.convert_to_tensor(vectors[first], dtype=encoder.compute_dtype)

    def _encode(self, ids):
        return ops.convert_to_numpy(self.encoder(ops.convert_to_tensor(ids[np.newaxis])))[0]

    def __call__(self, ids):
        """The vectors `(batch, time, output_dim)` of `(batch, time, ...)` ids."""
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


def _parts(ids):
    return np.array_split(ids, -(-len(ids) // _TOKENS_AT_ONCE))
