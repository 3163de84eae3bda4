"""The vectors of any number of sentences, in batches of like length."""

import itertools

import keras
import numpy as np

from elmo_keras import kernels
from elmo_keras.layers.finite import check_finite
from elmo_keras.text.lengths import bucket, places_by_length
from elmo_keras.text.strings import check_rows, pad_checked

# Batches' worth of tokens that are read, sorted by length and answered together.
_WINDOW = 8
# Sentences that are split into tokens together.
_SENTENCES = 256


class Embedder:
    """What `ElmoLayer.embed` runs: the layer as one function, and the batches around it.

    Args:
        layer: `ElmoLayer`.
    """

    def __init__(self, layer):
        self.layer = layer
        self.is_tensorflow = keras.backend.backend() == "tensorflow"
        self.is_compiled = keras.backend.backend() == "jax"
        self._functions = {}

    def embed(self, sentences, max_tokens, progress):
        """A generator of the vectors of each sentence, in order."""
        sentences = enumerate(sentences)
        with _Bar(progress) as bar:
            while window := self._read(sentences, _WINDOW * max_tokens):
                vectors = [None] * len(window)
                lengths = [self._padded(len(row)) + 2 for row in window]  # sentence boundaries
                for rows in places_by_length(lengths, max_tokens):
                    outputs = self._run([window[i] for i in rows])
                    for number, row in enumerate(rows):
                        vectors[row] = self._of_sentence(outputs, number, len(window[row]))
                    bar.advance(len(rows), sum(len(window[i]) for i in rows))
                del outputs
                yield from vectors

    def _read(self, sentences, max_tokens):
        """The next sentences as lists of tokens or arrays of ids, about `max_tokens` in all."""
        window, number = [], 0
        while number < max_tokens:
            some = list(itertools.islice(sentences, _SENTENCES))
            if not some:
                break
            rows = self._tokens(some)
            number += sum(map(len, rows))
            window += rows
        return window

    def _tokens(self, sentences):
        """Numbered sentences, all of one kind, as lists of tokens or arrays of ids."""
        start, first = sentences[0]
        rows = [row for _, row in sentences]
        if isinstance(first, np.ndarray) and first.dtype.kind in "iu":
            return [self._ids(row) for row in rows]
        rows = check_rows(rows, start, self.layer.allow_spaces)
        return rows if isinstance(rows[0], list) else self.layer.tokenizer.split(rows)

    def _ids(self, row):
        shape = self.layer.ids_shape
        if not isinstance(row, np.ndarray) or row.dtype.kind not in "iu" or row.shape[1:] != shape:
            raise ValueError(
                f"Sentences of ids must be int arrays of shape (time, {', '.join(map(str, shape))})"
                f", as the first one is. Received: {type(row).__name__} of shape {np.shape(row)}."
            )
        return row

    def _padded(self, length):
        return bucket(length) if self.is_compiled else max(1, length)

    def _run(self, rows):
        """The layer's outputs, a list of numpy arrays `(batch, time, ...)`."""
        time = self._padded(max(map(len, rows)))
        number = bucket(len(rows)) if self.is_compiled else len(rows)
        is_ids = isinstance(rows[0], np.ndarray) and rows[0].dtype.kind in "iu"
        if not is_ids:
            batch = pad_checked(rows)
            if not self.is_tensorflow:
                is_ids, rows = True, self.layer.text_layer(batch).numpy()
        if is_ids:
            batch = np.zeros((number, time, *self.layer.ids_shape), "int32")
            for out, row in zip(batch, rows):
                out[: len(row)] = row
            batch = keras.ops.convert_to_tensor(batch)
        outputs = self._function(is_ids)(batch)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        outputs = [keras.ops.convert_to_numpy(output) for output in outputs]
        check_finite(outputs, self.layer)
        return outputs

    def _function(self, is_ids):
        if not self.layer.built:
            self.layer.build((None, None, *self.layer.ids_shape))
        # Quantised or adapted since, the layer is another function.
        key = self.layer.token_cache, *map(id, self.layer.weights)
        if self._functions.get(is_ids, (None,))[0] != key:
            batch = ((None, *self.layer.ids_shape), "int32") if is_ids else ((None,), "string")
            self._functions[is_ids] = key, kernels.inference(self.layer, batch)
        return self._functions[is_ids][1]

    def _of_sentence(self, outputs, number, length):
        if self.layer.keep_boundaries:
            length += 2
        vectors = []
        for output in outputs:
            row = output[number, :length]
            # NumPy has no bfloat16 of its own. A copy lets go of the batch.
            vectors.append(row.astype(row.dtype if row.dtype.kind == "f" else "float32"))
        return vectors if self.layer.num_representations > 1 else vectors[0]


class _Bar:
    """A progress bar of sentences, with tokens per second; nothing unless asked for."""

    def __init__(self, progress):
        self._bar = None
        if progress is not False:
            from rich import progress as rich_progress

            total = None if progress is True else progress
            self._bar = rich_progress.Progress(
                rich_progress.TextColumn("Embedding"),
                rich_progress.BarColumn(),
                rich_progress.MofNCompleteColumn(),
                rich_progress.TextColumn("sentences, {task.fields[rate]}"),
                rich_progress.TimeRemainingColumn(),
            )
            self._task = self._bar.add_task("", total=total, rate="")
            self._tokens = 0

    def __enter__(self):
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *exception):
        if self._bar:
            self._bar.stop()

    def advance(self, sentences, tokens):
        if self._bar:
            self._tokens += tokens
            seconds = self._bar.tasks[0].elapsed or 0
            rate = f"{self._tokens / seconds:,.0f} tokens/s" if seconds else ""
            self._bar.update(self._task, advance=sentences, rate=rate)
