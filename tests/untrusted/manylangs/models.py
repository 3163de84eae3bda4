"""A small ELMoForManyLangs model in both generations of torch files.

torch first wrote several pickles one after the other; since version 1.6 it writes a zip archive
that holds one pickle.
"""

import pytest

from tests import foreign_checkpoints

GENERATIONS = ("pickles", "zip")
EMBEDDER, ENCODER = "token_embedder.pkl", "encoder.pkl"
CONFIG = foreign_checkpoints.manylangs_config(n_layers=1)
CHARACTERS = [*foreign_checkpoints.SPECIAL_TOKENS, *"abcd我喜欢"]
WORDS = [*foreign_checkpoints.SPECIAL_TOKENS, "我", "喜欢", "abc", "d"]
ARRAYS = foreign_checkpoints.manylangs_arrays(CONFIG, len(CHARACTERS), len(WORDS))


every_generation = pytest.mark.parametrize("generation", GENERATIONS)


def save(path, state, generation):
    import torch

    torch.save(state, str(path), _use_new_zipfile_serialization=generation == "zip")
