import pytest

from elmo_keras import BidirectionalLanguageModel
from elmo_keras.training.model_sizes import (
    MODEL_SIZES,
    build_elmo,
    count_parameters,
    estimate_training_memory,
)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["mini", "small"])
def test_count_parameters(size):
    size = MODEL_SIZES[size]._replace(filters=((1, 4), (2, 8)))
    model = BidirectionalLanguageModel(build_elmo(size), ["<S>", "</S>", "<UNK>", "a"])
    assert count_parameters(size, 4) == model.count_params()


@pytest.mark.parametrize("size", ["mini", "small"])
def test_the_memory_grows_with_the_softmax(size):
    size = MODEL_SIZES[size]
    growth = estimate_training_memory(size, 100_000) - estimate_training_memory(size, 0)
    assert growth >= 16 * 100_000 * 129  # weights, gradients and two moments of Adam, in float32
