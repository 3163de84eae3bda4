"""Computation of the vectors of any number of sentences, in batches of similar length."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from elmo_keras import backend
from elmo_keras.encoders.text_encoder import TextEncoder
from elmo_keras.layers.finite import check_finite
from elmo_keras.text.bucketing import bucket, places_by_length
from elmo_keras.text.containers import to_batch
from elmo_keras.text.conversion import check_rows, pad_checked
from elmo_keras.utils.progress_bar import ProgressBar

# Number of batches whose sentences are read and sorted by length together.
_WINDOW = 8
# Number of sentences that are split into tokens together.
_SENTENCES = 256


def embed(
    encoder: TextEncoder, sentences: Iterable[Any], max_tokens: int = 4096, progress: bool = False
) -> Iterator[Any]:
    """Computes the vectors of any number of sentences, one array for each, in their order.

    Sentences are read when they are needed and batched by length, so memory does not grow with
    their number. See `ElmoLayer.embed`, which keeps the compiled function from call to call.

    Args:
        encoder: an `ElmoLayer`, or another `TextEncoder`.
        sentences: iterable of str, of lists of str (tokens), or of int arrays `(time,
            *ids_shape)`; all of one kind.
        max_tokens: int. Upper bound of the tokens of a batch, sentence boundaries included; bounds
            time and memory. A longer sentence is a batch of its own. Defaults to `4096`.
        progress: bool. Whether to show a progress bar. Defaults to `False`.

    Returns:
        Iterator of float numpy arrays `(tokens, dim)`, see `ElmoLayer.embed`.

    Raises:
        ValueError: for a bare str, for sentences of several kinds, or if the encoder carries
            its state from call to call.

    Example:

    >>> import elmo_keras
    >>> from elmo_keras.encoders import embed
    >>> elmo = elmo_keras.ElmoLayer.from_preset("elmo_mini_en")
    >>> [vectors.shape for vectors in embed(elmo, ["The cat sat.", "Yes!"])]
    [(4, 256), (2, 256)]
    """
    return Embedder(encoder).embed(sentences, max_tokens, progress)


class Embedder:
    """Computes the vectors of sentences with an encoder, and keeps the compiled encoder.

    Args:
        layer: the encoder.
    """

    def __init__(self, layer: TextEncoder) -> None:
        self.layer = layer
        self.is_tensorflow = keras.backend.backend() == "tensorflow"
        self.is_compiled = keras.backend.backend() == "jax"
        # The weights that a function was compiled with, and the function: for ids and for text.
        self._functions: dict[bool, tuple[Any, Callable[..., Any]]] = {}

    def embed(self, sentences: Iterable[Any], max_tokens: int, progress: bool) -> Iterator[Any]:
        """Returns an iterator over the vectors; see the function `embed`.

        Args:
            sentences: see `embed`.
            max_tokens: see `embed`.
            progress: see `embed`.
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
            raise ValueError(
                f"`max_tokens` must be a positive int. Received: {max_tokens!r}. Pass 4096, for "
                "example."
            )
        if getattr(self.layer, "state", None) == "carry":
            raise ValueError(
                "`embed` reorders sentences by length, and state='carry' needs them in order. "
                "Received: a layer with state='carry'. Build it with state='zeros' or 'warm', or "
                "call it batch by batch."
            )
        total = len(sentences) if hasattr(sentences, "__len__") else None
        bar = ProgressBar("Embedding", "sentences", total, enabled=bool(progress))
        return self._vectors(sentences, max_tokens, bar)

    def _vectors(
        self, sentences: Iterable[Any], max_tokens: int, bar: ProgressBar
    ) -> Iterator[Any]:
        numbered = enumerate(sentences)
        with bar:
            while window := self._read(numbered, _WINDOW * max_tokens):
                vectors: list[Any] = [None] * len(window)
                lengths = [self._padded(len(row)) + 2 for row in window]  # sentence boundaries
                for rows in places_by_length(lengths, max_tokens):
                    outputs = self._run([window[i] for i in rows])
                    for number, row in enumerate(rows):
                        vectors[row] = self._of_sentence(outputs, number, len(window[row]))
                    bar.advance(len(rows), tokens=sum(len(window[i]) for i in rows))
                del outputs
                yield from vectors

    def _read(self, sentences: Iterator[tuple[int, Any]], max_tokens: int) -> list[Any]:
        """Reads sentences with about `max_tokens` tokens, as lists of tokens or arrays of ids."""
        window: list[Any] = []
        number = 0
        while number < max_tokens:
            some = list(itertools.islice(sentences, _SENTENCES))
            if not some:
                break
            rows = self._tokens(some)
            number += sum(map(len, rows))
            window += rows
        return window

    def _tokens(self, sentences: list[tuple[int, Any]]) -> list[Any]:
        """Converts numbered sentences of one kind to lists of tokens or arrays of ids."""
        start, first = sentences[0]
        rows = [row for _, row in sentences]
        if isinstance(first, np.ndarray) and first.dtype.kind in "iu":
            return [self._ids(row) for row in rows]
        rows = check_rows(rows, start, self.layer.allow_spaces)
        return rows if isinstance(rows[0], list) else self.layer.tokenizer.split(rows)

    def _ids(self, row: Any) -> np.ndarray:
        shape = self.layer.ids_shape
        if not isinstance(row, np.ndarray) or row.dtype.kind not in "iu" or row.shape[1:] != shape:
            raise ValueError(
                f"Sentences of ids must be int arrays of shape (time, {', '.join(map(str, shape))})"
                f", like the first one. Received: {type(row).__name__} of shape {np.shape(row)}. "
                "Pass all sentences as ids, or none."
            )
        return row

    def _padded(self, length: int) -> int:
        return bucket(length) if self.is_compiled else max(1, length)

    def _run(self, rows: Sequence[Any]) -> list[np.ndarray]:
        """Computes the layer's outputs, a list of numpy arrays `(batch, time, ...)`."""
        time = self._padded(max(map(len, rows)))
        number = bucket(len(rows)) if self.is_compiled else len(rows)
        is_ids = isinstance(rows[0], np.ndarray) and rows[0].dtype.kind in "iu"
        if not is_ids and not self.is_tensorflow:
            is_ids, rows = True, list(self.layer.padded_ids(rows))
        if not is_ids:
            batch = pad_checked(rows)
        else:
            batch = np.zeros((number, time, *self.layer.ids_shape), "int32")
            for out, row in zip(batch, rows):
                out[: len(row)] = row
            batch = keras.ops.convert_to_tensor(batch)
        outputs = self._function(is_ids)(batch)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        outputs = [keras.ops.convert_to_numpy(output) for output in outputs]
        check_finite(outputs, self.layer)
        return outputs

    def _function(self, is_ids: bool) -> Callable[..., Any]:
        if not self.layer.built:
            self.layer.build((None, None, *self.layer.ids_shape))
        # Quantization, LoRA and a cached vocabulary change what the layer computes.
        key = getattr(self.layer, "cached_encoder", None), *map(id, self.layer.weights)
        if is_ids not in self._functions or self._functions[is_ids][0] != key:
            batch = ((None, *self.layer.ids_shape), "int32") if is_ids else ((None,), "string")
            self._functions[is_ids] = key, backend.inference(self.layer, batch)
        return self._functions[is_ids][1]

    def _of_sentence(self, outputs: list[np.ndarray], number: int, length: int) -> Any:
        """Returns the vectors of sentence `number` of a batch, without padding."""
        if self.layer.keep_boundaries:
            length += 2
        vectors = []
        for output in outputs:
            row = output[number, :length]
            # bfloat16 is not a NumPy dtype. The copy allows the batch to be freed.
            vectors.append(row.astype(row.dtype if row.dtype.kind == "f" else "float32"))
        return vectors if self.layer.num_representations > 1 else vectors[0]
