"""Models that read words: from HDF5, with a vocabulary, and tables of computed token vectors."""

import gzip
import json

import h5py
import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import checkpoints
from tests import foreign_checkpoints, small_models
from tests.numpy_reference import lstm, token_ids
from tests.small_models import IS_TENSORFLOW, to_numpy

needs_strings = pytest.mark.skipif(not IS_TENSORFLOW, reason="strings are TensorFlow's")

WORDS, _ = foreign_checkpoints.words_and_softmax(6)
SENTENCES = [["the", "cat", "sat", "."], ["naïve", "dog", "東京"], []]


def write(directory, **changes):
    """A model of words in a directory, and what was written."""
    opts, arrays = foreign_checkpoints.word_level(small_models.options(**changes), WORDS)
    small_models.write_checkpoint(directory, opts, arrays)
    (directory / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return opts, arrays


def oracle(sentence, opts, arrays):
    """All layers of one sentence, boundaries kept, in float64."""
    numbers = [WORDS.index(w if w in WORDS else "<UNK>") for w in ["<S>", *sentence, "</S>"]]
    x = arrays["embedding"].astype("float64")[numbers]
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
    """Ids without strings in the backend: a word's place plus one."""
    ids = np.zeros((len(sentences), max(map(len, sentences))), dtype="int32")
    for row, sentence in zip(ids, sentences):
        row[: len(sentence)] = [1 + WORDS.index(w if w in WORDS else "<UNK>") for w in sentence]
    return ids


@pytest.mark.parametrize("changes", [{}, {"n_layers": 1}, {"dim": 6}], ids=str)
def test_vectors_of_the_oracle(tmp_path, changes):
    opts, arrays = write(tmp_path, **changes)
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path, output="all", keep_boundaries=True)
    got = to_numpy(elmo(word_ids(SENTENCES)))
    for row, sentence in zip(got, SENTENCES):
        true = oracle(sentence, opts, arrays)
        row = np.moveaxis(row[: len(sentence) + 2], 1, 0)
        np.testing.assert_allclose(row, true, atol=5e-6)
    if IS_TENSORFLOW:
        np.testing.assert_array_equal(to_numpy(elmo(SENTENCES)), got)


def test_it_is_written_as_it_was_read(tmp_path):
    opts, arrays = write(tmp_path / "a")
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path / "a")
    checkpoints.save_hdf5(elmo, tmp_path / "b")
    with h5py.File(tmp_path / "b" / "weights.hdf5") as file:
        for name, array in arrays.items():
            np.testing.assert_array_equal(file[name][...], array)
    written = json.loads((tmp_path / "b" / "options.json").read_text())
    assert written["lstm"] == opts["lstm"] and "char_cnn" not in written
    again = elmo_keras.ElmoLayer.from_preset(tmp_path / "b")
    assert again.token_encoder.vocabulary == WORDS


def test_without_a_vocabulary_it_takes_ids(tmp_path):
    write(tmp_path)
    true = to_numpy(elmo_keras.ElmoLayer.from_preset(tmp_path)(word_ids(SENTENCES)))
    (tmp_path / "vocab.txt").unlink()
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path)
    assert elmo.token_encoder.vocabulary is None
    np.testing.assert_array_equal(to_numpy(elmo(word_ids(SENTENCES))), true)
    if IS_TENSORFLOW:
        with pytest.raises(ValueError, match="takes ids alone.*with its `vocabulary`"):
            elmo(SENTENCES)


@pytest.mark.parametrize("limit", [-1, len(WORDS) + 1])
def test_ids_out_of_range(tmp_path, limit):
    write(tmp_path)
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path)
    with pytest.raises(ValueError, match=r"Ids must be in \[0, 10\)"):
        elmo(np.array([[limit]]))


def test_vocabularies(tmp_path):
    write(tmp_path)
    file = tmp_path / "vocab.txt"
    text = file.read_bytes()
    for content in (text, b"\xef\xbb\xbf" + text, text.replace(b"\n", b"\r\n"), text.rstrip()):
        file.write_bytes(content)
        assert elmo_keras.ElmoLayer.from_preset(tmp_path).token_encoder.vocabulary == WORDS
    file.unlink()
    (tmp_path / "vocab.txt.gz").write_bytes(gzip.compress(text))
    assert elmo_keras.ElmoLayer.from_preset(tmp_path).token_encoder.vocabulary == WORDS

    mine = tmp_path / "mine"
    for content, message in (
        (b"a\nb\n", "must hold 9 words.*Received: 2 words without <S>, </S>, <UNK>"),
        (text.replace(b"<UNK>", b"unk"), "without <UNK>"),
        (text.replace(b"cat", b"the"), "'the' at indices 3 and 4"),
        (b"\xff\xfe", "UTF-8 text, one word per line"),
        (gzip.compress(text)[:-9], "mine must be a vocabulary"),
    ):
        mine.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            elmo_keras.ElmoLayer.from_preset(tmp_path, vocabulary=mine)


def test_token_vectors_stand_in_for_characters(tmp_path):
    """As bilm-tf's `dump_token_embeddings` writes them: the same vectors for the same words."""
    opts = small_models.options()
    small_models.write_checkpoint(tmp_path, opts, small_models.datasets(opts))
    by_characters = elmo_keras.ElmoLayer.from_preset(tmp_path, output="all")
    ids = np.array([[row] for word in WORDS for row in token_ids([word])[1:-1]], dtype="int32")
    # `<UNK>` has a vector in the dump, of its characters like any other word's.
    tokens = to_numpy(by_characters.token_encoder(ids))[:, 0]
    with h5py.File(tmp_path / "token_vectors.hdf5", "w") as file:
        file["embedding"] = tokens
    (tmp_path / "words.txt").write_text("\n".join(WORDS), encoding="utf-8")
    elmo = elmo_keras.ElmoLayer.from_preset(
        (tmp_path / "options.json", tmp_path / "weights.hdf5"),
        output="all",
        token_embeddings=tmp_path / "token_vectors.hdf5",
        vocabulary=tmp_path / "words.txt",
    )
    known = [["the", "cat", "sat", "."], ["naïve", "東京"]]
    x = np.zeros((2, 4, 50), dtype="int32")
    for row, sentence in zip(x, known):
        row[: len(sentence)] = token_ids(sentence)[1:-1]
    np.testing.assert_allclose(
        to_numpy(elmo(word_ids(known))), to_numpy(by_characters(x)), atol=1e-6
    )
    with pytest.raises(ValueError, match="without `vocabulary`"):
        elmo_keras.ElmoLayer.from_preset(tmp_path, token_embeddings=tmp_path / "token_vectors.hdf5")
    with pytest.raises(ValueError, match="are for models that read words"):
        elmo_keras.ElmoLayer.from_preset(
            (tmp_path / "options.json", tmp_path / "weights.hdf5"),
            vocabulary=tmp_path / "words.txt",
        )


@needs_strings
@pytest.mark.slow
def test_a_model_of_it(tmp_path):
    write(tmp_path / "elmo")
    tagger = elmo_keras.ElmoTagger.from_preset(tmp_path / "elmo", labels=["A", "B"])
    tagger.fit([["the", "dog"], ["cat"]], [["A", "B"], ["A"]], verbose=0)
    tagger.save(tmp_path / "tagger.keras")
    tagger.export(tmp_path / "served")
    true = tagger.predict(SENTENCES, verbose=0)
    loaded = keras.models.load_model(tmp_path / "tagger.keras")
    np.testing.assert_array_equal(loaded.predict(SENTENCES, verbose=0), true)
    import tensorflow as tf

    served = tf.saved_model.load(tmp_path / "served")
    got = served.tokens(elmo_keras.text.pad(SENTENCES))["probabilities"]
    np.testing.assert_allclose(got, true, atol=1e-6)
