import json

import keras
import numpy as np
import pytest

from elmo_keras.metrics import TokenAccuracy

LENGTHS = [4, 1, 0, 3]


def data(time=5, seed=0):
    """Labels and probabilities, zero rows at padding; and which steps are tokens."""
    rng = np.random.default_rng(seed)
    is_token = np.arange(time) < np.array(LENGTHS)[:, None]
    y = rng.integers(0, 3, is_token.shape)
    probabilities = rng.dirichlet([1, 1, 1], is_token.shape) * is_token[..., None]
    return y, probabilities.astype("float32"), is_token


def expected_accuracy(y, probabilities, weights):
    return (weights * (probabilities.argmax(-1) == y)).sum() / weights.sum()


def accuracy_of(*args, **kwargs):
    metric = TokenAccuracy()
    metric.update_state(*args, **kwargs)
    return float(metric.result())


def test_every_token_counts_once():
    y, probabilities, is_token = data()
    expected = expected_accuracy(y, probabilities, is_token)
    assert 0 < expected < 1
    assert abs(accuracy_of(y, probabilities) - expected) <= 1e-6
    # A negative label is padding, whatever the probabilities are.
    rng = np.random.default_rng(1)
    full = np.where(is_token[..., None], probabilities, rng.dirichlet([1, 1, 1], y.shape))
    assert abs(accuracy_of(np.where(is_token, y, -1), full) - expected) <= 1e-6
    assert abs(accuracy_of(np.where(is_token, y, -100), full.astype("float32")) - expected) <= 1e-6


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float32"])
def test_dtypes_of_labels(dtype):
    y, probabilities, is_token = data()
    expected = expected_accuracy(y, probabilities, is_token)
    assert abs(accuracy_of(y.astype(dtype), probabilities) - expected) <= 1e-6


def test_low_precision_probabilities():
    y, probabilities, is_token = data()
    low = keras.ops.cast(probabilities, "bfloat16")
    kept = keras.ops.convert_to_numpy(keras.ops.cast(low, "float32"))
    assert abs(accuracy_of(y, low) - expected_accuracy(y, kept, is_token)) <= 1e-6


def test_weights():
    y, probabilities, is_token = data()
    of_sentence = np.array([0.5, 2.0, 7.0, 0.0], dtype="float32")
    of_token = np.random.default_rng(2).random(y.shape).astype("float32")
    expected = expected_accuracy(y, probabilities, is_token * of_sentence[:, None])
    assert abs(accuracy_of(y, probabilities, sample_weight=of_sentence) - expected) <= 1e-6
    expected = expected_accuracy(y, probabilities, is_token * of_token)
    assert abs(accuracy_of(y, probabilities, sample_weight=of_token) - expected) <= 1e-6


def test_batches_of_any_length_are_one_mean():
    """Keras' own accuracy would weigh each sentence, or each batch, the same."""
    y, probabilities, is_token = data()
    weights = np.random.default_rng(2).random(y.shape).astype("float32")
    metric = TokenAccuracy()
    for i, length in enumerate(LENGTHS):
        time = max(1, length)
        part = np.s_[i : i + 1, :time]
        metric.update_state(y[part], probabilities[part], sample_weight=weights[part])
    expected = expected_accuracy(y, probabilities, is_token * weights)
    assert abs(float(metric.result()) - expected) <= 1e-6
    metric.reset_state()
    assert float(metric.result()) == 0


def test_nothing_but_padding():
    assert accuracy_of(np.zeros((2, 1), int), np.zeros((2, 1, 3), "float32")) == 0


def test_config():
    metric = TokenAccuracy(name="words", dtype="float32")
    again = TokenAccuracy.from_config(json.loads(json.dumps(metric.get_config())))
    assert again.get_config() == metric.get_config()
    assert again.name == "words"
    assert TokenAccuracy().name == "accuracy"
    assert keras.saving.get_registered_name(TokenAccuracy) == "elmo_keras>TokenAccuracy"


def test_in_a_model_of_your_own(tmp_path):
    """In `compile`, with weights, and again after a reload."""
    y, _, is_token = data()
    y = np.where(is_token, y, -1)
    weights = np.random.default_rng(2).random(y.shape).astype("float32")
    x = np.random.default_rng(3).standard_normal((*y.shape, 2)).astype("float32")
    inputs = keras.Input((None, 2))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(inputs))
    model.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(ignore_class=-1),
        metrics=[TokenAccuracy()],
        weighted_metrics=[TokenAccuracy(name="weighted")],
    )
    model.save(tmp_path / "model.keras")
    probabilities = model.predict(x, verbose=0)
    for tested in (model, keras.saving.load_model(tmp_path / "model.keras")):
        # On torch, Keras' loss scales the weights in place, batch by batch, before the metric.
        for batch_size in (4,) if keras.backend.backend() == "torch" else (1, 4):
            result = tested.evaluate(
                x, y, sample_weight=weights, batch_size=batch_size, return_dict=True, verbose=0
            )
            expected = expected_accuracy(y, probabilities, is_token)
            assert abs(result["accuracy"] - expected) <= 1e-6
            expected = expected_accuracy(y, probabilities, is_token * weights)
            assert abs(result["weighted"] - expected) <= 1e-6
