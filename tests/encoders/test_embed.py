"""`embed`, the vectors of many sentences, and the cache of word vectors."""

import collections
import concurrent.futures
import itertools
import types

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import layers
from tests import small_models
from tests.models.check_task import needs_strings
from tests.small_models import IS_TENSORFLOW, to_numpy

LENGTHS = [5, 0, 1, 12, 3, 30, 2, 2, 7, 0, 4] * 4


def sentences():
    """Sentences of ids, `(time, 50)` each."""
    return [small_models.ids([length], seed=i)[0] for i, length in enumerate(LENGTHS)]


def in_one_batch(elmo, rows):
    """The padded outputs of one call."""
    ids = np.zeros((len(rows), max(map(len, rows)), 50), "int32")
    for out, row in zip(ids, rows):
        out[: len(row)] = row
    outputs = elmo(ids)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return [to_numpy(keras.ops.cast(y, "float32")) for y in outputs]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"output": "all"},
        {"num_representations": 2},
        {"keep_boundaries": True},
        {"state": "warm"},
        {"dtype": "bfloat16"},
    ],
    ids=str,
)
def test_the_vectors_of_the_layer_itself(options):
    elmo = small_models.elmo(**options)
    rows = sentences()
    if options.get("state") == "warm":
        elmo.warm_up(rows[3][np.newaxis])
    actual = list(elmo.embed(rows, max_tokens=64))
    assert len(actual) == len(rows)
    extra = 2 if options.get("keep_boundaries") else 0
    tolerance = 0.05 if options.get("dtype") else 1e-5
    expected = in_one_batch(elmo, rows)
    for number, (vectors, length) in enumerate(zip(actual, LENGTHS)):
        vectors = vectors if isinstance(vectors, list) else [vectors]
        assert len(vectors) == len(expected) == options.get("num_representations", 1)
        for y, padded in zip(vectors, expected):
            assert len(y) == length + extra and y.dtype == "float32"
            np.testing.assert_allclose(y, padded[number, : len(y)], atol=tolerance)
    shape = (elmo.num_layers, 12) if options.get("output") == "all" else (12,)
    assert (
        actual[0].shape[1:] == shape if isinstance(actual[0], np.ndarray) else len(actual[0]) == 2
    )


@needs_strings
def test_text_and_tokens():
    elmo = small_models.elmo()
    text = ["The cat sat.", "", "Yes!", "A word more than before, please", "ünïcödé 我"]
    expected = to_numpy(elmo(text))
    tokens = [[t.decode() for t in row if t] for row in elmo.tokenizer(text).numpy()]
    for actual in (elmo.embed(text), elmo.embed(iter(tokens)), elmo.embed(np.array(text))):
        actual = list(actual)
        assert [len(y) for y in actual] == [4, 0, 2, 7, 2]
        for y, padded in zip(actual, expected):
            np.testing.assert_allclose(y, padded[: len(y)], atol=1e-6)
    assert list(elmo.embed([])) == []


def test_sentences_are_read_as_they_are_needed():
    elmo, read = small_models.elmo(), []

    def endless():
        for number in itertools.count():
            read.append(number)
            yield sentences()[0]

    vectors = list(itertools.islice(elmo.embed(endless(), max_tokens=256), 10))
    assert len(vectors) == 10 and len(read) < 1000


@pytest.mark.skipif(not IS_TENSORFLOW, reason="counts TensorFlow's traces")
def test_one_trace_for_all_sizes():
    elmo = small_models.elmo()
    elmo.token_encoder.trainable = False
    next(elmo.embed(sentences()))
    function = elmo._embedder._function(True)
    for start in range(20):
        list(elmo.embed(sentences()[start:], max_tokens=16 + 7 * start))
    assert elmo._embedder._function(True) is function
    assert function.experimental_get_tracing_count() == 1
    # A changed layer gives other vectors.
    before = next(elmo.embed(sentences()))
    for rank, part in enumerate(elmo.bilstm.forward_layers[0].cell.products, start=1):
        part.enable_lora(rank)
        part.lora_kernel_b.assign(np.ones(part.lora_kernel_b.shape))
    after = next(elmo.embed(sentences()))
    assert np.abs(before - after).max() > 1e-3
    np.testing.assert_allclose(after, to_numpy(elmo(sentences()[0][None]))[0], atol=1e-5)


def test_threads_do_not_disturb_each_other():
    elmo = small_models.elmo()
    rows = sentences()
    expected = list(elmo.embed(rows))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for actual in pool.map(lambda _: list(elmo.embed(rows, max_tokens=64)), range(8)):
            for y, alone in zip(actual, expected, strict=True):
                np.testing.assert_allclose(y, alone, atol=1e-5)


def test_the_bar_counts_sentences(capsys):
    elmo = small_models.elmo()
    list(elmo.embed(sentences(), progress=True))
    shown = capsys.readouterr().out
    assert f"{len(LENGTHS)}/{len(LENGTHS)} sentences" in shown and "tokens/s" in shown
    list(elmo.embed(sentences()))
    assert capsys.readouterr().out == ""


@needs_strings
@pytest.mark.parametrize(
    "rows, message",
    [
        ([["a"], "b"], "token lists, not both"),
        (["a", ["b"]], "token lists, not both"),
        ([["a"]] * 300 + [["", "a"]], "an empty token at place 0 of sentence 300"),
        (
            [np.ones((3, 50), "int32"), np.ones((3, 49), "int32")],
            r"int arrays of shape \(time, 50\)",
        ),
    ],
    ids=["a sentence after tokens", "tokens after a sentence", "empty token", "short ids"],
)
def test_bad_rows(rows, message):
    vectors = small_models.elmo().embed(rows)
    with pytest.raises(ValueError, match=message):
        list(vectors)


@needs_strings
def test_bad_arguments_are_refused_before_the_first_sentence():
    elmo = small_models.elmo()
    with pytest.raises(ValueError, match="iterable of sentences.*single sentence into a list"):
        elmo.embed("A bare sentence.")
    with pytest.raises(ValueError, match="`max_tokens` must be a positive int"):
        elmo.embed(["a"], max_tokens=0)
    with pytest.raises(ValueError, match="state='carry'"):
        small_models.elmo(state="carry").embed(["a"])


# === The cache of words ===


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_cached_words_have_their_vectors(dtype):
    elmo = elmo_keras.ElmoLayer(
        small_models.char_cnn(dtype=dtype), small_models.bilstm(dtype=dtype), dtype=dtype
    )
    ids = small_models.ids([6, 4, 1])
    ids[2, 0] = ids[0, 3]
    expected = to_numpy(keras.ops.cast(elmo(ids), "float32"))
    words = np.concatenate([ids[0, :4], ids[1, 1:3], ids[0, :2]])  # some twice, some missing
    elmo.cache_vocabulary(words)
    assert elmo.cached_encoder.size == 4 + 2 + 3  # with padding and the boundaries
    actual = to_numpy(keras.ops.cast(elmo(ids), "float32"))
    np.testing.assert_allclose(actual, expected, atol=1e-6 if dtype == "float32" else 0.02)
    elmo.cache_vocabulary(None)
    np.testing.assert_array_equal(to_numpy(keras.ops.cast(elmo(ids), "float32")), expected)


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="nothing to save with fixed shapes")
def test_only_other_words_are_computed(monkeypatch):
    elmo = small_models.elmo()
    ids = small_models.ids([6, 4, 1])
    elmo(ids)
    elmo.cache_vocabulary(ids[0])
    computed = []
    call = type(elmo.token_encoder).call
    monkeypatch.setattr(
        type(elmo.token_encoder),
        "call",
        lambda self, rows: computed.append(tuple(rows.shape)) or call(self, rows),
    )
    elmo(ids)
    assert computed == [(1, 5, 50)]  # 4 and 1; padding and boundaries are cached
    computed.clear()
    elmo(ids[:1])
    assert computed == [(1, 0, 50)]


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="nothing to save with fixed shapes")
def test_two_words_of_one_hash(monkeypatch):
    """A token with the hash of a cached one is computed."""
    elmo = small_models.elmo()
    ids = small_models.ids([6, 4, 1])
    expected = to_numpy(elmo(ids))
    elmo.cache_vocabulary(ids[0])
    elmo.cached_encoder._factors = keras.ops.zeros_like(elmo.cached_encoder._factors)
    elmo.cached_encoder._hashes = keras.ops.zeros_like(elmo.cached_encoder._hashes)
    np.testing.assert_allclose(to_numpy(elmo(ids)), expected, atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(not IS_TENSORFLOW, reason="a model that starts at strings")
def test_a_cache_and_training(tmp_path):
    elmo = small_models.elmo()
    elmo.cache_vocabulary(["the", "cat", "", "the"])
    inputs = keras.Input((None,), dtype="string")
    model = keras.Model(inputs, layers.MaskedMeanPooling()(elmo(inputs)))
    model.compile("sgd", "mse")
    tokens = np.array([["the", "dog"], ["cat", ""]])
    import tensorflow as tf

    x, y = tf.constant(tokens), np.zeros((2, 12), "float32")
    with pytest.raises(ValueError, match="must be frozen.*or drop the cache"):
        model.fit(x, y, verbose=0)
    elmo.token_encoder.trainable = False
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, atol=1e-6)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(served.serve(x), expected, atol=1e-6)


@needs_strings
def test_a_counter_of_words_is_cached():
    elmo = small_models.elmo()
    elmo.cache_vocabulary(collections.Counter({"the": 7, "cat": 2, "": 1}))
    assert elmo.cached_encoder.size == 2 + 3  # with padding and the boundaries


@needs_strings
@pytest.mark.parametrize(
    "words, message",
    [
        ("the", "iterable of words"),
        (3, "iterable of words"),
        (types.SimpleNamespace(columns=["word"], __iter__=None), "a table with the columns 'word'"),
        (["the", None], "a missing text, as sentence 1"),
        (["the cat"], "must not contain white space"),
    ],
    ids=["str", "int", "table", "missing word", "sentence"],
)
def test_bad_words_of_a_cache(words, message):
    with pytest.raises(ValueError, match=message):
        small_models.elmo().cache_vocabulary(words)
