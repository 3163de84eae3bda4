from collections.abc import Mapping

import numpy as np
from keras import ops

from elmo_keras.layers.embedder import Embedder
from elmo_keras.layers.token_cache import TokenCache
from elmo_keras.text.containers import to_batch
from elmo_keras.text.strings import check_rows


class EmbedMethods:
    """What `ElmoLayer` does with many sentences, and with the same tokens over and over."""

    token_cache = None
    _embedder = None

    def embed(self, sentences, max_tokens=4096, progress=False):
        """The vectors of any number of sentences, one array a sentence, in their order.

        Sentences are read as they are needed, put into batches of like length and answered in
        their own order: memory stays flat, however many there are. It uses all cores by itself;
        workers of `multiprocessing` must be started with "spawn", because TensorFlow hangs in a
        forked child.

        Args:
            sentences: iterable of str, of lists of str (tokens), or of int arrays `(time,
                *ids_shape)`; of one kind.
            max_tokens: int. Tokens of a batch, sentence boundaries among them; bounds time and
                memory. A longer sentence is a batch of its own. Defaults to `4096`.
            progress: bool. Whether to show a progress bar. Defaults to `False`.

        Yields:
            float numpy arrays `(tokens, dim)`, for `output="all"` `(tokens, layers, dim)`; of
            several representations a list. An empty sentence has no row.

        Raises:
            ValueError: for a bare str, sentences of several kinds, and with `state="carry"`: what
                it carries follows the order of the batches.

        Example:

        >>> import elmo_keras
        >>> elmo = elmo_keras.ElmoLayer(
        ...     elmo_keras.layers.CharCNN(filters=[(1, 4), (2, 8)], projection_dim=6),
        ...     elmo_keras.layers.BiLSTMStack(units=16, projection_dim=6),
        ... )
        >>> [vectors.shape for vectors in elmo.embed(["The cat sat.", "", "Yes!"])]
        [(4, 12), (0, 12), (2, 12)]
        """
        sentences = to_batch(sentences, "`sentences`")
        if hasattr(sentences, "ragged_rank"):
            sentences = sentences.to_list()
        elif hasattr(sentences, "numpy"):
            sentences = to_batch(sentences.numpy())
        if isinstance(sentences, (str, bytes)) or not hasattr(sentences, "__iter__"):
            raise ValueError(
                "`sentences` must be an iterable of sentences. Received: "
                f"{type(sentences).__name__}. Put a single sentence into a list."
            )
        if not isinstance(max_tokens, int) or max_tokens < 1:
            raise ValueError(f"`max_tokens` must be a positive int. Received: {max_tokens!r}")
        if self.state == "carry":
            raise ValueError(
                "`embed` takes sentences in another order than they come in, and state='carry' "
                "would mix them up. Received: a layer with state='carry'. Build it with "
                "state='zeros' or 'warm', or call it batch by batch."
            )
        if progress:
            progress = len(sentences) if hasattr(sentences, "__len__") else True
        if self._embedder is None:
            self._embedder = Embedder(self)
        return self._embedder.embed(sentences, max_tokens, progress)

    def cache_vocabulary(self, words):
        """Computes the vectors of words once and for all; other words are computed as before.

        The layer's outputs stay what they are. The cache is not saved. Set it anew when other
        weights have been loaded; training the token encoder with a cache is an error. Without
        effect on JAX and under XLA, where it would save nothing.

        Args:
            words: iterable of str, most frequent ones first or in any order; or ids `(words,
                *ids_shape)`. `None` drops the cache.

        Example:

        ```python
        elmo.token_encoder.trainable = False
        elmo.cache_vocabulary(["the", "of", "and"])
        ```
        """
        if not isinstance(words, Mapping):  # of a Counter, say, the keys are the words
            words = to_batch(words, "`words`")
        is_iterable = words is None or hasattr(words, "__iter__")
        if isinstance(words, (str, bytes)) or not is_iterable:
            raise ValueError(
                "`words` must be an iterable of words, or None to drop the cache. "
                f"Received: {words!r}."
            )
        self.token_cache = None
        if words is None:
            return
        if not self.built:
            self.build((None, None, *self.ids_shape))
        if not isinstance(words, np.ndarray) or words.dtype.kind not in "iu":
            words = check_rows(list(dict.fromkeys(words)), allow_spaces=self.allow_spaces)
            words = [[word for word in words if word]]
            words = ops.convert_to_numpy(self.to_ids(self._to_tensor(words)))[0]
        marks = np.stack(self.token_encoder.boundary_ids())
        ids = np.concatenate([np.zeros_like(marks[:1]), marks, words])  # padding is one, too
        vectors = [
            ops.convert_to_numpy(self.token_encoder(ops.convert_to_tensor(part[np.newaxis])))[0]
            for part in np.array_split(ids, -(-len(ids) // 1024))
        ]
        self.token_cache = TokenCache(self.token_encoder, ids, np.concatenate(vectors))

    def _check_cache(self, training):
        if training and self.token_cache and self.token_encoder.trainable_weights:
            raise ValueError(
                "Vectors that `cache_vocabulary` keeps cannot be trained. Received: training=True "
                "with a token encoder that is trainable. Freeze it (`elmo.token_encoder.trainable "
                "= False`) or drop the cache (`elmo.cache_vocabulary(None)`)."
            )
