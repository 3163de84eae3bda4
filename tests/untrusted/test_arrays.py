"""Arrays of a wrong shape, type or value, missing arrays and additional arrays."""

import numpy as np
import pytest

from tests.untrusted.changes import CHANGES, every_change
from tests.untrusted.jail import assert_loaded, assert_refused
from tests.untrusted.models import FORMATS, read_arrays, write_arrays

pytestmark = pytest.mark.slow


# Weights outside the biLM: the scalar mixes and the initial states.
OWN = ("scalar_mix_", "lstm_states/", "module/aggregation/")
# Variables of the optimizer and the trainer.
IGNORED = ("/Adagrad", "global_step", "train_perplexity")
# A model trained with 262 characters has one more row.
ROW_MORE = ("char_embed", "lm/char_embed", "module/bilm/char_embed")


def outcomes(target, change, is_own):
    """Changes each array of a model in turn, and returns the unexpected outcomes by name."""
    arrays = read_arrays(target.weights)
    wrong = {}
    for name, array in arrays.items():
        new = change(array)
        if name.startswith(OWN) is not is_own or (new is None and change is not CHANGES["removed"]):
            continue
        rest = {key: value for key, value in arrays.items() if key != name}
        write_arrays(target.weights, rest if new is None else {**rest, name: new})
        outcome = target.load()
        is_fine = name.endswith(IGNORED) or (change is CHANGES["row more"] and name in ROW_MORE)
        try:
            assert_loaded(outcome) if is_fine else assert_refused(outcome, target.weights.name)
        except AssertionError:
            wrong[name] = outcome
    return wrong


@pytest.mark.parametrize("format", FORMATS)
@every_change
def test_changed_arrays(model, format, change):
    assert outcomes(model(format), change, is_own=False) == {}


@pytest.mark.parametrize("format", ["hub", "preset"])
@every_change
def test_changed_mixes_and_states(model, format, change):
    assert outcomes(model(format), change, is_own=True) == {}


MORE = [
    *((format, "more") for format in FORMATS),
    ("characters", "CNN/W_cnn_2"),
    ("training", "lm/CNN/W_cnn_2"),
    ("hub", "module/bilm/more"),
    ("hub", "module/aggregation/more"),
    ("preset", "token_encoder/more"),
    ("preset", "scalar_mix_9/gamma"),
    ("preset", "lstm_states/more"),
]


@pytest.mark.parametrize("format, name", MORE, ids=str)
def test_additional_arrays(model, format, name):
    target = model(format)
    write_arrays(target.weights, read_arrays(target.weights) | {name: np.ones(3, "float32")})
    target.assert_refused(target.named, "not used")
