"""Batches of sentences whose lengths are close."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from elmo_keras.text import Tokenizer, batch_by_length
from elmo_keras.text.bucketing import bucket, places_by_length


def test_bucket():
    lengths = range(1, 5000)
    buckets = [bucket(length) for length in lengths]
    assert all(size >= length for size, length in zip(buckets, lengths))
    assert all(a <= b for a, b in itertools.pairwise(buckets))
    assert all(bucket(size) == size for size in buckets)
    assert sorted(set(buckets))[:6] == [8, 12, 16, 24, 32, 48]
    # Above the smallest one, less than a third is padding.
    assert max(1 - length / size for size, length in zip(buckets, lengths) if length > 8) < 1 / 3
    assert len(set(buckets)) <= 20


LENGTHS = np.random.default_rng(0).integers(0, 90, 300)


def numbered(labels_per_token=False):
    """Sentence `i` has tokens `i`, and its label, or each of its labels, is `i`."""

    def examples():
        for i, length in enumerate(LENGTHS):
            tokens = [str(i).encode()] * length
            yield tokens, np.full(length, i) if labels_per_token else i

    shape = (None,) if labels_per_token else ()
    spec = tf.TensorSpec((None,), "string"), tf.TensorSpec(shape, "int32")
    return tf.data.Dataset.from_generator(examples, output_signature=spec)


@pytest.mark.parametrize("labels_per_token", [False, True])
@pytest.mark.parametrize("pad_to_bucket", [False, True])
def test_every_sentence_once_in_a_batch_of_its_length(labels_per_token, pad_to_bucket):
    data = batch_by_length(
        numbered(labels_per_token), max_tokens=400, longest=64, pad_to_bucket=False
    )
    if pad_to_bucket:
        data = batch_by_length(numbered(labels_per_token), max_tokens=400, pad_to_bucket=True)
    seen, real, padded = [], 0, 0
    for x, y in data:
        assert x.shape[0] * x.shape[1] <= 400
        assert not pad_to_bucket or bucket(x.shape[1]) == x.shape[1]
        assert y.shape == x.shape[: 1 + labels_per_token]
        length = (x.numpy() != b"").sum(axis=1)
        numbers = y.numpy().max(axis=1, initial=-1) if labels_per_token else y.numpy()
        for number, size, tokens in zip(numbers, length, x.numpy()):
            assert not size or set(tokens[:size]) == {str(number).encode()}
            seen += [number] if size else []
        real, padded = real + length.sum(), padded + x.shape[0] * x.shape[1]
    assert sorted(seen) == [i for i, length in enumerate(LENGTHS) if length]
    assert real > (0.6 if pad_to_bucket else 0.8) * padded


def test_sentences_need_a_tokenizer():
    text = tf.data.Dataset.from_tensor_slices(["A b c.", "d", ""])
    (batch,) = batch_by_length(text, tokenizer=Tokenizer())
    assert batch.numpy().tolist() == [[b"A", b"b", b"c", b"."], [b"d", *[b""] * 3], [b""] * 4]
    with pytest.raises(ValueError, match="single sentences.*with a `tokenizer`"):
        batch_by_length(text)
    with pytest.raises(ValueError, match="unbatch"):
        batch_by_length(numbered().padded_batch(2))
    with pytest.raises(ValueError, match="must be positive"):
        batch_by_length(text, max_tokens=0, tokenizer=Tokenizer())


def test_ids():
    ids = [np.ones((length, 5), "int32") for length in (3, 9, 4)]
    spec = tf.TensorSpec((None, 5), "int32")
    data = tf.data.Dataset.from_generator(lambda: ids, output_signature=spec)
    shapes = [x.shape.as_list() for x in batch_by_length(data)]
    assert sorted(shapes) == [[1, 9, 5], [2, 4, 5]]


def test_places_by_length():
    lengths = np.random.default_rng(0).integers(0, 40, 500).tolist() + [300]
    batches = list(places_by_length(lengths, max_tokens=100, max_rows=20))
    assert sorted(place for places in batches for place in places) == list(range(501))
    assert batches[0] == [500]  # longer than a batch
    for places in batches[1:]:
        padded = max(lengths[place] for place in places) * len(places)
        assert padded <= 100 and len(places) <= 20
    firsts = [lengths[places[0]] for places in batches]
    assert firsts == sorted(firsts, reverse=True)
    assert list(places_by_length([], 100)) == []
