"""Batches of sentences of like length, so that little of a batch is padding."""

from elmo_keras.utils.optional_module import tensorflow as tf

# Lengths that batches are padded to where a new length means a new compilation.
_SMALLEST_BUCKET = 8


def bucket(length: int) -> int:
    """The next of 8, 12, 16, 24, 32, 48, ...: at most a third of a batch is padding for it."""
    size = _SMALLEST_BUCKET
    while size < length:
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return size


def places_by_length(lengths, max_tokens: int, max_rows: int | None = None):
    """Batches of sentences of like length, the longest first, as lists of their places.

    Args:
        lengths: list of int, of each sentence.
        max_tokens: int. Tokens of a batch at most, padding among them; a longer sentence is a batch
            of its own.
        max_rows: int or `None`. Sentences of a batch at most. Defaults to any number.

    Example:

    >>> list(places_by_length([3, 9, 4, 2], max_tokens=8))
    [[1], [2, 0], [3]]
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    while order:
        size = max(1, max_tokens // max(lengths[order[0]], 1))
        size = size if max_rows is None else min(size, max_rows)
        yield order[:size]
        order = order[size:]


def batch_by_length(
    dataset, max_tokens=1024, tokenizer=None, longest=512, pad_to_bucket=False, drop_remainder=False
):
    """Batches a `tf.data.Dataset` of single sentences, each batch of sentences of like length.

    Sentences wait in buckets of at most 8, 12, 16, 24, 32, 48, ... tokens until one is full. Long
    sentences come in small batches and short ones in large ones, so that every batch has about as
    many tokens, and memory and time are about the same for each. Shuffle before, and batches
    still differ from epoch to epoch.

    Args:
        dataset: tf.data.Dataset of `x`, `(x, y)` or `(x, y, sample_weight)`: `x` tokens `(time,)`
            string, ids `(time, ...)` int, or a sentence `()` string with a `tokenizer`; labels and
            weights `()`, or one a token, `(time,)`. Padding is `""` or 0.
        max_tokens: int. Tokens of a batch at most, padding among them; a longer sentence is a batch
            of its own. Defaults to `1024`.
        tokenizer: `elmo_keras.text.Tokenizer` that splits sentences, or `None`.
        longest: int. Sentences from the first bucket beyond this many tokens on share one bucket.
            Defaults to `512`.
        pad_to_bucket: bool. Whether to pad to the length of the bucket instead of that of the
            longest sentence, for where a new length means a new compilation (JAX, XLA); sentences
            of more than `longest` tokens are then an error. Defaults to `False`.
        drop_remainder: bool. Whether to drop the batches that are not full at the end. Defaults to
            `False`.

    Returns:
        A tf.data.Dataset of batches, which `fit` takes.

    Raises:
        ValueError: if the dataset is batched already, or holds sentences and there is no tokenizer.

    Example:

    >>> import elmo_keras, tensorflow as tf
    >>> sentences = ["Yes.", "Not a single one of them, not even the last."]
    >>> sentences = tf.data.Dataset.from_tensor_slices(sentences)
    >>> data = sentences.repeat(64).enumerate().map(lambda number, text: (text, number % 2))
    >>> data = elmo_keras.text.batch_by_length(
    ...     data, max_tokens=256, tokenizer=elmo_keras.text.Tokenizer()
    ... )
    >>> [x.shape for x, y in data.take(2)]
    [TensorShape([21, 12]), TensorShape([32, 2])]
    """
    if max_tokens < 1 or longest < 1:
        raise ValueError(
            "`max_tokens` and `longest` must be positive ints. Received: "
            f"max_tokens={max_tokens}, longest={longest}"
        )
    x = dataset.element_spec[0] if isinstance(dataset.element_spec, tuple) else dataset.element_spec
    shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
    if shape is not None and shape.rank == 0 and dtype == tf.string and tokenizer is not None:
        dataset = dataset.map(_first(lambda text: tokenizer(text[tf.newaxis])[0]))
    elif shape is None or shape.rank != 1 and (dtype == tf.string or shape.rank in (None, 0)):
        raise ValueError(
            "The dataset's elements must be single sentences: tokens (time,) string, ids (time, "
            "...), or a sentence () string with a `tokenizer`. Received: elements of "
            f"{x}, tokenizer={tokenizer!r}. Batch with this function alone, or `.unbatch()` first."
        )
    boundaries = [_SMALLEST_BUCKET]
    while boundaries[-1] < longest:
        boundaries.append(bucket(boundaries[-1] + 1))
    sizes = [max(1, max_tokens // boundary) for boundary in [*boundaries, 2 * boundaries[-1]]]
    return dataset.bucket_by_sequence_length(
        lambda x, *rest: tf.shape(x)[0],
        [boundary + 1 for boundary in boundaries],
        sizes,
        pad_to_bucket_boundary=pad_to_bucket,
        drop_remainder=drop_remainder,
    )


def _first(function):
    """Applies a function to the first part of an element."""

    def apply(*element):
        x = function(element[0])
        return (x, *element[1:]) if len(element) > 1 else x

    return apply
