"""AllenNLP and simple_elmo read directories that `save_hdf5` wrote.

Each program has its own environment in `.peers` at the root of the checkout; the README of the
reference data says how to create them.
"""

import json
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

import elmo_keras
from elmo_keras import checkpoints

pytestmark = pytest.mark.slow
ENVIRONMENTS = pathlib.Path(__file__).parents[2] / ".peers"

SIMPLE_ELMO = """
import sys
import numpy as np
from simple_elmo import ElmoModel
model = ElmoModel()
model.load(sys.argv[1], max_batch_size=4)
sentences = [["The", "cat", "sat", "."], ["naïve", "東京"]]
np.save(sys.argv[2], model.get_elmo_vectors(sentences, warmup=False, layers="all"))
"""


def python(name):
    path = ENVIRONMENTS / name / "bin" / "python"
    if not path.exists():
        pytest.skip(f"The environment of the program is absent: no {path}")
    return str(path)


@pytest.fixture
def directories(data, tmp_path):
    """The reference checkpoint, and its export, with the file names of these programs."""
    original, written = tmp_path / "original", tmp_path / "written"
    source = data / "allennlp_reference" / "relu_two_highways"
    original.mkdir()
    for name in ("model.hdf5", "options.json", "sentences.json"):
        shutil.copyfile(source / name, original / name)
    checkpoints.save_hdf5(elmo_keras.ElmoLayer.from_preset(original), written)
    (written / "weights.hdf5").rename(written / "model.hdf5")
    return original, written


def test_allennlp_gives_the_same_vectors(shared, directories):
    peers = shared / "peers"
    for directory in directories:
        subprocess.run(
            [
                python("torch"),
                str(peers / "expected_vectors.py"),
                str(directory),
                str(directories[0] / "sentences.json"),
            ],
            check=True,
            cwd=peers,
        )
    sentences = json.loads((directories[0] / "sentences.json").read_text())
    for name, count in (("fresh", len(sentences)), ("carried", 3)):
        original, exported = (
            np.load(directory / f"expected_{name}_state.npz") for directory in directories
        )
        assert len(original) == count
        for key in original:
            np.testing.assert_array_equal(exported[key], original[key])


def test_simple_elmo_gives_the_same_vectors(directories):
    vectors = []
    for directory in directories:
        subprocess.run(
            [python("tf"), "-c", SIMPLE_ELMO, str(directory), str(directory / "vectors.npy")],
            check=True,
            env=os.environ | {"TF_USE_LEGACY_KERAS": "1"},
        )
        vectors.append(np.load(directory / "vectors.npy"))
    np.testing.assert_array_equal(*vectors)
