"""Many sentences at once, and words whose vectors are kept."""

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
    found = list(elmo.embed(rows, max_tokens=64))
    assert len(found) == len(rows)
    extra = 2 if options.get("keep_boundaries") else 0
    tolerance = 0.05 if options.get("dtype") else 1e-5
    true = in_one_batch(elmo, rows)
    for number, (ours, length) in enumerate(zip(found, LENGTHS)):
        ours = ours if isinstance(ours, list) else [ours]
        assert len(ours) == len(true) == options.get("num_representations", 1)
        for y, expected in zip(ours, true):
            assert len(y) == length + extra and y.dtype == "float32"
            np.testing.assert_allclose(y, expected[number, : len(y)], atol=tolerance)
    shape = (elmo.num_layers, 12) if options.get("output") == "all" else (12,)
    assert found[0].shape[1:] == shape if isinstance(found[0], np.ndarray) else len(found[0]) == 2


@needs_strings
def test_text_and_tokens():
    elmo = small_models.elmo()
    text = ["The cat sat.", "", "Yes!", "A word more than before, please", "ünïcödé 我"]
    true = to_numpy(elmo(text))
    tokens = [[t.decode() for t in row if t] for row in elmo.tokenizer(text).numpy()]
    for found in (elmo.embed(text), elmo.embed(iter(tokens)), elmo.embed(np.array(text))):
        found = list(found)
        assert [len(y) for y in found] == [4, 0, 2, 7, 2]
        for ours, expected in zip(found, true):
            np.testing.assert_allclose(ours, expected[: len(ours)], atol=1e-6)
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
    # What changes the layer is seen.
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
    true = list(elmo.embed(rows))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: list(elmo.embed(rows, max_tokens=64)), range(8)):
            for ours, expected in zip(found, true, strict=True):
                np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_the_bar_counts_sentences(capsys):
    elmo = small_models.elmo()
    list(elmo.embed(sentences(), progress=True))
    shown = capsys.readouterr().out
    assert f"{len(LENGTHS)}/{len(LENGTHS)} sentences" in shown and "tokens/s" in shown
    list(elmo.embed(sentences()))
    assert capsys.readouterr().out == ""


@needs_strings
def test_bad_input_of_embed():
    elmo = small_models.elmo()
    with pytest.raises(ValueError, match="iterable of sentences.*single sentence into a list"):
        elmo.embed("A bare sentence.")
    with pytest.raises(ValueError, match="`max_tokens` must be a positive int"):
        elmo.embed(["a"], max_tokens=0)
    with pytest.raises(ValueError, match="state='carry'"):
        small_models.elmo(state="carry").embed(["a"])
    with pytest.raises(ValueError, match="token lists, not both"):
        list(elmo.embed([["a"], "b"]))
    with pytest.raises(ValueError, match="token lists, not both"):
        list(elmo.embed(["a", ["b"]]))
    with pytest.raises(ValueError, match="an empty token at place 0 of sentence 300"):
        list(elmo.embed([["a"]] * 300 + [["", "a"]]))
    with pytest.raises(ValueError, match=r"int arrays of shape \(time, 50\)"):
        list(elmo.embed([np.ones((3, 50), "int32"), np.ones((3, 49), "int32")]))


# === The cache of words ===


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_cached_words_have_their_vectors(dtype):
    elmo = elmo_keras.ElmoLayer(
        small_models.char_cnn(dtype=dtype), small_models.bilstm(dtype=dtype), dtype=dtype
    )
    ids = small_models.ids([6, 4, 1])
    ids[2, 0] = ids[0, 3]
    true = to_numpy(keras.ops.cast(elmo(ids), "float32"))
    words = np.concatenate([ids[0, :4], ids[1, 1:3], ids[0, :2]])  # some twice, some not at all
    elmo.cache_vocabulary(words)
    assert elmo.cached_encoder.size == 4 + 2 + 3  # and padding and the marks of the sentence
    found = to_numpy(keras.ops.cast(elmo(ids), "float32"))
    np.testing.assert_allclose(found, true, atol=1e-6 if dtype == "float32" else 0.02)
    elmo.cache_vocabulary(None)
    np.testing.assert_array_equal(to_numpy(keras.ops.cast(elmo(ids), "float32")), true)


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
    assert computed == [(1, 5, 50)]  # 4 and 1, and neither padding nor marks of sentences
    computed.clear()
    elmo(ids[:1])
    assert computed == [(1, 0, 50)]


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="nothing to save with fixed shapes")
def test_two_words_of_one_hash(monkeypatch):
    """Found by its hash, a token is not taken for another one."""
    elmo = small_models.elmo()
    ids = small_models.ids([6, 4, 1])
    true = to_numpy(elmo(ids))
    elmo.cache_vocabulary(ids[0])
    elmo.cached_encoder._factors = keras.ops.zeros_like(elmo.cached_encoder._factors)
    elmo.cached_encoder._hashes = keras.ops.zeros_like(elmo.cached_encoder._hashes)
    np.testing.assert_allclose(to_numpy(elmo(ids)), true, atol=1e-6)


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
    true = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), true, atol=1e-6)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    np.testing.assert_allclose(served.serve(x), true, atol=1e-6)
    for words in ("the", 3):
        with pytest.raises(ValueError, match="iterable of words"):
            elmo.cache_vocabulary(words)


@needs_strings
def test_words_of_a_cache_are_words():
    elmo = small_models.elmo()
    elmo.cache_vocabulary({"the": 7, "cat": 2, "": 1})  # a Counter, say
    assert elmo.cached_encoder.size == 2 + 3  # and padding and the marks of the sentence
    for words, message in (
        (types.SimpleNamespace(columns=["word"], __iter__=None), "a table with the columns 'word'"),
        (["the", None], "a missing text, as sentence 1"),
        (["the cat"], "must not hold white space"),
    ):
        with pytest.raises(ValueError, match=message):
            elmo.cache_vocabulary(words)
