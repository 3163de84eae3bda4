import numpy as np
from keras import ops

from elmo_keras import kernels


class TokenCache:
    """The vectors of a vocabulary's tokens, in front of the token encoder that computed them.

    Tokens are found by their ids: by a hash of them first, and then by all of them, so that a
    token whose hash is another's is not taken for it, but computed.

    Args:
        encoder: `TokenEncoder`, built.
        ids: numpy `(tokens, *encoder.ids_shape)` int.
        vectors: numpy `(tokens, encoder.output_dim)` float.
    """

    def __init__(self, encoder, ids, vectors):
        self.encoder = encoder
        rows = ids.reshape(len(ids), -1).astype("int32")
        # Should a sum overflow, it does so here and in a call alike.
        factors = np.random.default_rng(0).integers(0, 2**31, rows.shape[1:])
        hashes = (rows.astype("int64") * factors).sum(axis=1)
        hashes, first = np.unique(hashes, return_index=True)
        self.size = len(hashes)
        self._factors = ops.convert_to_tensor(factors)
        self._hashes = ops.convert_to_tensor(hashes)
        self._rows = ops.convert_to_tensor(rows[first])
        self._vectors = ops.convert_to_tensor(vectors[first], dtype=encoder.compute_dtype)

    def __call__(self, ids):
        """The vectors `(batch, time, output_dim)` of `(batch, time, ...)` ids."""
        if not kernels.has_dynamic_shapes(ids):
            return self.encoder(ids)
        self.encoder.check_range(ids)
        shape = tuple(ops.shape(ids))
        size = int(np.prod(shape[2:])) if len(shape) > 2 else 1
        rows, places = kernels.distinct(ops.reshape(ids, (-1, size)))
        hashes = ops.sum(ops.cast(rows, "int64") * self._factors, axis=1)
        found = ops.minimum(ops.searchsorted(self._hashes, hashes), self.size - 1)
        is_known = ops.all(ops.equal(ops.take(self._rows, found, axis=0), rows), axis=1)
        vectors = ops.take(self._vectors, found, axis=0)  # (tokens, output_dim)
        unknown = ops.nonzero(ops.logical_not(is_known))[0]  # (unknown tokens,)
        computed = self.encoder(ops.reshape(ops.take(rows, unknown, axis=0), (1, -1, *shape[2:])))
        vectors = ops.scatter_update(vectors, ops.expand_dims(unknown, 1), computed[0])
        vectors = ops.take(vectors, places, axis=0)
        return ops.reshape(vectors, (*shape[:2], self.encoder.output_dim))
