"""Batches of sentences of similar length, with little padding."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from elmo_keras.utils.optional_module import tensorflow as tf

# Batches are padded to bucket sizes where each new length causes a compilation.
_SMALLEST_BUCKET = 8


def bucket(length: int) -> int:
    """Rounds a length up to a bucket size: 8, 12, 16, 24, 32, 48, and so on.

    At most a third of a batch of more than 8 steps is then padding.

    Args:
        length: number of time steps.

    Example:

    >>> bucket(13)
    16
    """
    size = _SMALLEST_BUCKET
    while size < length:
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return size


def places_by_length(
    lengths: Sequence[int], max_tokens: int, max_rows: int | None = None
) -> Iterator[list[int]]:
    """Groups sentences of similar length into batches, the longest sentences first.

    Args:
        lengths: the number of tokens of each sentence.
        max_tokens: maximum number of tokens per batch, including padding; a longer sentence is a
            batch of its own.
        max_rows: maximum number of sentences per batch. Defaults to `None`, no maximum.

    Yields:
        The positions of the sentences of one batch, list of int.

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
    dataset: Any,
    max_tokens: int = 1024,
    tokenizer: Any = None,
    longest: int = 512,
    pad_to_bucket: bool = False,
    drop_remainder: bool = False,
) -> Any:
    """Batches a `tf.data.Dataset` of single sentences, so that a batch has similar lengths.

    Sentences are collected in buckets of at most 8, 12, 16, 24, 32, 48, ... tokens until a bucket
    is full. Long sentences form small batches and short sentences form large ones, so that all
    batches have about the same number of tokens and need about the same memory and time. Shuffle
    the dataset first; the batches then differ between epochs.

    Args:
        dataset: tf.data.Dataset of `x`, `(x, y)` or `(x, y, sample_weight)`. `x` is tokens
            `(time,)` string, ids `(time, ...)` int, or, with a `tokenizer`, a sentence `()` string.
            Labels and weights are `()`, or `(time,)` with one value per token. Padding is `""` or
            0.
        max_tokens: int. Maximum number of tokens per batch, including padding; a longer sentence is
            a batch of its own. Defaults to `1024`.
        tokenizer: `elmo_keras.text.Tokenizer` that splits sentences. Defaults to `None`.
        longest: int. All sentences above the first bucket size that is at least `longest` share one
            bucket. Defaults to `512`.
        pad_to_bucket: bool. Whether to pad a batch to its bucket size instead of its longest
            sentence. Use it where each new length causes a compilation (JAX, XLA). Sentences of
            more than `longest` tokens are then an error. Defaults to `False`.
        drop_remainder: bool. Whether to drop incomplete batches at the end. Defaults to `False`.

    Returns:
        A tf.data.Dataset of batches, for `fit`.

    Raises:
        ValueError: if the dataset is already batched, or holds sentences without a tokenizer.

    Example:

    >>> import elmo_keras, tensorflow as tf
    >>> sentences = ["Yes.", "Not a single one of them, not even the last."]
    >>> sentences = tf.data.Dataset.from_tensor_slices(sentences)
    >>> data = sentences.repeat(64).enumerate().map(lambda index, text: (text, index % 2))
    >>> data = elmo_keras.text.batch_by_length(
    ...     data, max_tokens=256, tokenizer=elmo_keras.text.Tokenizer()
    ... )
    >>> [x.shape for x, y in data.take(2)]
    [TensorShape([21, 12]), TensorShape([32, 2])]
    """
    if max_tokens < 1 or longest < 1:
        raise ValueError(
            "`max_tokens` and `longest` must be positive ints. Received: "
            f"max_tokens={max_tokens}, longest={longest}. Use the defaults, 1024 and 512."
        )
    x = dataset.element_spec[0] if isinstance(dataset.element_spec, tuple) else dataset.element_spec
    shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
    if shape is not None and shape.rank == 0 and dtype == tf.string and tokenizer is not None:
        dataset = dataset.map(_first(lambda text: tokenizer(text[tf.newaxis])[0]))
    elif shape is None or shape.rank != 1 and (dtype == tf.string or shape.rank in (None, 0)):
        raise ValueError(
            "The dataset's elements must be single sentences: tokens (time,) string, ids (time, "
            "...), or a sentence () string with a `tokenizer`. Received: elements of "
            f"{x}, tokenizer={tokenizer!r}. Do not batch before this function, or call "
            "`.unbatch()` first."
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


def _first(function: Callable[[Any], Any]) -> Callable[..., Any]:
    """Returns a function that applies `function` to the first component of an element."""

    def apply(*element: Any) -> Any:
        x = function(element[0])
        return (x, *element[1:]) if len(element) > 1 else x

    return apply
