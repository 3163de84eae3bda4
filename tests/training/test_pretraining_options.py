import numpy as np
import pytest

from elmo_keras import training


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 0}, "`batch_size` must be a positive int. Received: batch_size=0"),
        ({"dropout": 1.0}, "`dropout` must be a number from 0 to below 1"),
        ({"optimizer": "sgd"}, "`optimizer` must be one of"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be a positive number"),
        ({"tokens": 1.5}, "`tokens` must be a positive int"),
        ({"warmup": -1}, "`warmup` must be an int of at least 0"),
        ({"decay": True}, "`decay` must be a number"),
        ({"teacher_sentence_weight": -1.0}, "`teacher_sentence_weight` must be a number of at"),
        ({"teacher_batch_size": 0}, "`teacher_batch_size` must be a positive int or None"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        training.PretrainingOptions(**{"tokens": 100} | options)


def test_the_learning_rate():
    options = training.PretrainingOptions(tokens=12800, warmup=4, decay=0.5, learning_rate=1.0)
    assert options.steps == 10
    rates = [options.learning_rate_at(step) for step in range(10)]
    np.testing.assert_allclose(rates, [0.2, 0.4, 0.6, 0.8, 1, 1, 0.8, 0.6, 0.4, 0.2])
