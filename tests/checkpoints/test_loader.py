"""The strict loader: every array of a file must be used, with the right shape and type."""

import json

import numpy as np
import pytest

import elmo_keras
from tests import small_models

OPTIONS = small_models.options(n_layers=1)
NAMES = sorted(small_models.datasets(OPTIONS))


def assert_refused(directory, arrays, message):
    small_models.write_checkpoint(directory, OPTIONS, arrays)
    with pytest.raises(ValueError, match=message):
        elmo_keras.ElmoLayer.from_preset(directory)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_array(tmp_path, name):
    arrays = small_models.datasets(OPTIONS)
    del arrays[name]
    # Without the kernel of a projection, the model is taken for one without a projection.
    is_projection = name.endswith(("W_proj", "W_P_0"))
    message = "not used|wrong shape|missing" if is_projection else f"missing: {name}"
    assert_refused(tmp_path, arrays, message)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_shape(tmp_path, name):
    arrays = small_models.datasets(OPTIONS)
    arrays[name] = arrays[name][..., :-1]
    assert_refused(tmp_path, arrays, f"wrong shape: {name} must be")


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_type(tmp_path, name):
    arrays = small_models.datasets(OPTIONS)
    arrays[name] = arrays[name].astype("int32")
    assert_refused(tmp_path, arrays, f"wrong type: {name} must hold floats")


@pytest.mark.parametrize("name", NAMES)
def test_a_value_that_is_not_finite(tmp_path, name):
    arrays = small_models.datasets(OPTIONS)
    arrays[name].flat[0] = np.nan
    assert_refused(tmp_path, arrays, f"{name} holds NaN")


def test_an_unused_array(tmp_path):
    arrays = small_models.datasets(small_models.options(n_layers=2))
    assert_refused(tmp_path, arrays, "not used: RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell/W_0")


@pytest.mark.parametrize(
    "change",
    [
        {"dim": 17},
        {"projection_dim": 7},
        {"n_highway": 1},
        {"filters": [[1, 4], [2, 9]]},
        {"embedding": {"dim": 5}},
    ],
    ids=str,
)
def test_options_and_weights_of_two_models(tmp_path, change):
    arrays = small_models.datasets(small_models.options())
    small_models.write_checkpoint(tmp_path, small_models.options(), arrays)
    (tmp_path / "options.json").write_text(json.dumps(small_models.options(**change)))
    with pytest.raises(ValueError, match="must match its options.*(?s:.*)belong to the same model"):
        elmo_keras.ElmoLayer.from_preset(tmp_path)
