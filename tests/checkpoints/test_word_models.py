"""Models that read words: HDF5 checkpoints, vocabularies, and tables of token vectors."""

import gzip
import json

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import checkpoints
from tests import foreign_checkpoints, small_models
from tests.checkpoints.hdf5_arrays import read_arrays
from tests.numpy_reference import lstm, token_ids
from tests.small_models import IS_TENSORFLOW, to_numpy

needs_strings = pytest.mark.skipif(not IS_TENSORFLOW, reason="strings need TensorFlow")

WORDS, _ = foreign_checkpoints.words_and_softmax(6)
SENTENCES = [["the", "cat", "sat", "."], ["naïve", "dog", "東京"], []]


def write(directory, **changes):
    """Writes a model of words; returns its options and arrays."""
    opts, arrays = foreign_checkpoints.word_level(small_models.options(**changes), WORDS)
    small_models.write_checkpoint(directory, opts, arrays)
    (directory / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return opts, arrays


def reference(sentence, opts, arrays):
    """All layers of one sentence in float64 numpy, with the boundaries."""
    indices = [WORDS.index(w if w in WORDS else "<UNK>") for w in ["<S>", *sentence, "</S>"]]
    x = arrays["embedding"].astype("float64")[indices]
    layers = [[x, x]]
    for layer in range(opts["lstm"]["n_layers"]):
        pair = []
        for direction in range(2):
            order = slice(None, None, -1 if direction else None)
            given = layers[-1][direction]
            y, _ = lstm(given[order], opts, arrays, direction, layer)
            pair.append(y[order] + given if layer else y[order])
        layers.append(pair)
    return np.array([np.concatenate(pair, axis=-1) for pair in layers])


def word_ids(sentences):
    """Ids made without strings in the backend: the index of a word plus one."""
    ids = np.zeros((len(sentences), max(map(len, sentences))), dtype="int32")
    for row, sentence in zip(ids, sentences):
        row[: len(sentence)] = [1 + WORDS.index(w if w in WORDS else "<UNK>") for w in sentence]
    return ids


@pytest.mark.parametrize("changes", [{}, {"n_layers": 1}, {"dim": 6}], ids=str)
def test_vectors_equal_numpy(tmp_path, changes):
    opts, arrays = write(tmp_path, **changes)
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path, output="all", keep_boundaries=True)
    vectors = to_numpy(elmo(word_ids(SENTENCES)))
    for row, sentence in zip(vectors, SENTENCES):
        expected = reference(sentence, opts, arrays)
        actual = np.moveaxis(row[: len(sentence) + 2], 1, 0)
        np.testing.assert_allclose(actual, expected, atol=5e-6)
    if IS_TENSORFLOW:
        np.testing.assert_array_equal(to_numpy(elmo(SENTENCES)), vectors)


def test_export_of_an_imported_model(tmp_path):
    opts, arrays = write(tmp_path / "a")
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path / "a")
    checkpoints.save_hdf5(elmo, tmp_path / "b")
    written = read_arrays(tmp_path / "b" / "weights.hdf5")
    assert written.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(written[name], array)
    written_options = json.loads((tmp_path / "b" / "options.json").read_text())
    assert written_options["lstm"] == opts["lstm"] and "char_cnn" not in written_options
    reloaded = elmo_keras.ElmoLayer.from_preset(tmp_path / "b")
    assert reloaded.token_encoder.vocabulary == WORDS


def test_ids_without_a_vocabulary(tmp_path):
    write(tmp_path)
    expected = to_numpy(elmo_keras.ElmoLayer.from_preset(tmp_path)(word_ids(SENTENCES)))
    (tmp_path / "vocab.txt").unlink()
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path)
    assert elmo.token_encoder.vocabulary is None
    np.testing.assert_array_equal(to_numpy(elmo(word_ids(SENTENCES))), expected)
    if IS_TENSORFLOW:
        with pytest.raises(ValueError, match="accepts only ids.*with its `vocabulary`"):
            elmo(SENTENCES)


@pytest.mark.parametrize("limit", [-1, len(WORDS) + 1])
def test_ids_out_of_range(tmp_path, limit):
    write(tmp_path)
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path)
    with pytest.raises(ValueError, match=r"Ids must be in \[0, 10\)"):
        elmo(np.array([[limit]]))


# === Vocabularies ===

TEXT = ("\n".join(WORDS) + "\n").encode()


@pytest.mark.parametrize(
    "name, content",
    [
        ("vocab.txt", TEXT),
        ("vocab.txt", b"\xef\xbb\xbf" + TEXT),
        ("vocab.txt", TEXT.replace(b"\n", b"\r\n")),
        ("vocab.txt", TEXT.rstrip()),
        ("vocab.txt.gz", gzip.compress(TEXT)),
    ],
    ids=["plain", "byte order mark", "CRLF", "no last line feed", "gzip"],
)
def test_forms_of_a_vocabulary(tmp_path, name, content):
    write(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    (tmp_path / name).write_bytes(content)
    assert elmo_keras.ElmoLayer.from_preset(tmp_path).token_encoder.vocabulary == WORDS


@pytest.mark.parametrize(
    "content, message",
    [
        (b"a\nb\n", "must hold 9 words.*Received: 2 words without <S>, </S>, <UNK>"),
        (TEXT.replace(b"<UNK>", b"unk"), "without <UNK>"),
        (TEXT.replace(b"cat", b"the"), "'the' at indices 3 and 4"),
        (b"\xff\xfe", "UTF-8 text, one word per line"),
        (gzip.compress(TEXT)[:-9], "other must be a vocabulary"),
    ],
    ids=["too short", "no unknown word", "a word twice", "no text", "cut short"],
)
def test_wrong_vocabularies(tmp_path, content, message):
    write(tmp_path)
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        elmo_keras.ElmoLayer.from_preset(tmp_path, vocabulary=path)


# === Token vectors ===


@pytest.fixture
def token_vectors(tmp_path):
    """A model of characters, and the vectors of `WORDS` as bilm-tf's `dump_token_embeddings`."""
    opts = small_models.options()
    small_models.write_checkpoint(tmp_path, opts, small_models.datasets(opts))
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path)
    ids = np.array([[row] for word in WORDS for row in token_ids([word])[1:-1]], dtype="int32")
    # In such a file, `<UNK>` has the vector of its characters, like every other word.
    arrays = {"embedding": to_numpy(elmo.token_encoder(ids))[:, 0]}
    small_models.write_checkpoint(tmp_path / "tokens", opts, arrays)
    (tmp_path / "words.txt").write_text("\n".join(WORDS), encoding="utf-8")
    return tmp_path


def test_token_vectors_replace_the_characters(token_vectors):
    by_characters = elmo_keras.ElmoLayer.from_preset(token_vectors, output="all")
    elmo = elmo_keras.ElmoLayer.from_preset(
        (token_vectors / "options.json", token_vectors / "weights.hdf5"),
        output="all",
        token_embeddings=token_vectors / "tokens" / "weights.hdf5",
        vocabulary=token_vectors / "words.txt",
    )
    known = [["the", "cat", "sat", "."], ["naïve", "東京"]]
    x = np.zeros((2, 4, 50), dtype="int32")
    for row, sentence in zip(x, known):
        row[: len(sentence)] = token_ids(sentence)[1:-1]
    np.testing.assert_allclose(
        to_numpy(elmo(word_ids(known))), to_numpy(by_characters(x)), atol=1e-6
    )


def test_token_vectors_without_a_vocabulary(token_vectors):
    with pytest.raises(ValueError, match="without `vocabulary`"):
        elmo_keras.ElmoLayer.from_preset(
            (token_vectors / "options.json", token_vectors / "weights.hdf5"),
            token_embeddings=token_vectors / "tokens" / "weights.hdf5",
        )


def test_a_vocabulary_for_a_model_of_characters(token_vectors):
    with pytest.raises(ValueError, match="for models that read words. Received: `vocabulary` with"):
        elmo_keras.ElmoLayer.from_preset(
            (token_vectors / "options.json", token_vectors / "weights.hdf5"),
            vocabulary=token_vectors / "words.txt",
        )


@needs_strings
@pytest.mark.slow
def test_a_tagger_of_words(tmp_path):
    write(tmp_path / "elmo")
    tagger = elmo_keras.ElmoTagger.from_preset(tmp_path / "elmo", labels=["A", "B"])
    tagger.fit([["the", "dog"], ["cat"]], [["A", "B"], ["A"]], epochs=1, verbose=0)
    tagger.save(tmp_path / "tagger.keras")
    tagger.export(tmp_path / "served")
    expected = tagger.predict(SENTENCES, verbose=0)
    loaded = keras.models.load_model(tmp_path / "tagger.keras")
    np.testing.assert_array_equal(loaded.predict(SENTENCES, verbose=0), expected)
    import tensorflow as tf

    served = tf.saved_model.load(tmp_path / "served")
    actual = served.tokens(elmo_keras.text.pad(SENTENCES))["probabilities"]
    np.testing.assert_allclose(actual, expected, atol=1e-6)
