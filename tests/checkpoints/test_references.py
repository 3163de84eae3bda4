"""Vectors that bilm-tf and AllenNLP computed from the same checkpoints."""

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


def test_bilm_tf_carries_its_states(shared):
    directory = shared / "fixtures" / "bilm_tf"
    rows = json.loads((directory / "lm_embeddings_sentences.json").read_text())
    elmo = elmo_keras.ElmoLayer.from_preset(directory, output="top", state="carry", max_rows=3)
    files = [h5py.File(directory / f"lm_embeddings_{row}.hdf5") for row in range(3)]
    checked = 0
    for batch in range(10):
        sentences = [row[batch].split() for row in rows]
        vectors = to_numpy(elmo(ids(sentences)))
        for actual, sentence, file in zip(vectors, sentences, files):
            expected = np.concatenate(list(file[str(batch)][...]), axis=-1)
            assert np.abs(actual[: len(sentence)] - expected).max() < TOLERANCE
            checked += 1
    assert checked == 30


@pytest.mark.parametrize("name", ["relu_two_highways"])
def test_allennlp(data, name):
    directory = data / "allennlp_reference" / name
    sentences = json.loads((directory / "sentences.json").read_text())
    options = {"output": "all", "keep_boundaries": True}
    fresh = np.load(directory / "expected_fresh_state.npz")
    elmo = elmo_keras.ElmoLayer.from_preset(directory, **options)
    together = to_numpy(elmo(ids(sentences)))
    for i, sentence in enumerate(sentences):
        alone = np.moveaxis(to_numpy(elmo(ids([sentence])))[0], 1, 0)
        assert np.abs(alone - fresh[str(i)]).max() < TOLERANCE
        in_batch = np.moveaxis(together[i, : len(sentence) + 2], 1, 0)
        assert np.abs(in_batch - fresh[str(i)]).max() < TOLERANCE

    carried = np.load(directory / "expected_carried_state.npz")
    elmo = elmo_keras.ElmoLayer.from_preset(directory, state="carry", **options)
    for i in range(3):
        vectors = np.moveaxis(to_numpy(elmo(ids(sentences[:3]))), 2, 0)
        assert np.abs(vectors - carried[str(i)]).max() < TOLERANCE
