"""Vectors equal to those that bilm-tf and AllenNLP computed from the same checkpoints."""

import json

import h5py
import numpy as np
import pytest

import elmo_keras
from tests.numpy_reference import token_ids
from tests.small_models import to_numpy

TOLERANCE = 5e-6


def ids(sentences):
    out = np.zeros((len(sentences), max(map(len, sentences)), 50), "int32")
    for row, sentence in zip(out, sentences):
        row[: len(sentence)] = token_ids(sentence)[1:-1]
    return out


def assert_close(actual, expected):
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() < TOLERANCE


def test_bilm_tf_carries_its_states(shared):
    directory = shared / "fixtures" / "bilm_tf"
    rows = json.loads((directory / "lm_embeddings_sentences.json").read_text())
    elmo = elmo_keras.ElmoLayer.from_preset(directory, output="top", state="carry", max_rows=3)
    files = [h5py.File(directory / f"lm_embeddings_{row}.hdf5") for row in range(3)]
    assert len(rows) == len(files)
    for batch in range(10):
        sentences = [row[batch].split() for row in rows]
        vectors = to_numpy(elmo(ids(sentences)))
        for row, sentence, file in zip(vectors, sentences, files):
            expected = np.concatenate(list(file[str(batch)][...]), axis=-1)
            assert_close(row[: len(sentence)], expected)


@pytest.fixture
def allennlp(data):
    directory = data / "allennlp_reference" / "relu_two_highways"
    return directory, json.loads((directory / "sentences.json").read_text())


def test_allennlp_with_fresh_states(allennlp):
    directory, sentences = allennlp
    expected = np.load(directory / "expected_fresh_state.npz")
    elmo = elmo_keras.ElmoLayer.from_preset(directory, output="all", keep_boundaries=True)
    together = to_numpy(elmo(ids(sentences)))
    for i, sentence in enumerate(sentences):
        alone = to_numpy(elmo(ids([sentence])))[0]
        assert_close(np.moveaxis(alone, 1, 0), expected[str(i)])
        assert_close(np.moveaxis(together[i, : len(sentence) + 2], 1, 0), expected[str(i)])


def test_allennlp_with_carried_states(allennlp):
    directory, sentences = allennlp
    expected = np.load(directory / "expected_carried_state.npz")
    elmo = elmo_keras.ElmoLayer.from_preset(
        directory, output="all", keep_boundaries=True, state="carry"
    )
    for i in range(3):
        vectors = to_numpy(elmo(ids(sentences[:3])))
        assert_close(np.moveaxis(vectors, 2, 0), expected[str(i)])
