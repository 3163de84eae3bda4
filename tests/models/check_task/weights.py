"""Checks of class weights and sample weights."""

import re

import numpy as np
import pytest

from tests.models.check_task.task import (
    HAS_STRINGS,
    LENGTHS,
    NUMBER,
    TOKENS,
    WEIGHTS,
    datasets,
    padded,
    tensor_slices,
)
from tests.small_models import IS_TENSORFLOW


def check_weights(task, tmp_path):
    """Weights of labels, sentences and tokens are one product, whatever they are given as."""
    class_weight = {task.labels[0]: 3.0, task.labels[-1]: 0.5}
    by_number = {0: 3.0, len(task.labels) - 1: 0.5}
    of_class = np.ones(len(task.labels))
    of_class[[0, -1]] = 3.0, 0.5
    of_label = [of_class[number] for number in task.numbers]
    both = [a * b for a, b in zip(WEIGHTS, of_label)]
    cases = [
        ({"class_weight": class_weight}, of_label),
        ({"class_weight": by_number}, of_label),
        ({"sample_weight": WEIGHTS}, WEIGHTS),
        ({"sample_weight": np.array(WEIGHTS)}, WEIGHTS),
        ({"sample_weight": WEIGHTS, "class_weight": class_weight}, both),
    ]
    if task.per_token:
        of_token = [np.arange(length) + weight for length, weight in zip(LENGTHS, WEIGHTS)]
        everything = [a * b for a, b in zip(of_token, of_label)]
        cases += [
            ({"sample_weight": of_token}, of_token),
            ({"sample_weight": padded(of_token)}, of_token),
            ({"sample_weight": of_token, "class_weight": class_weight}, everything),
            # Some by sentence, some by token.
            ({"sample_weight": [*of_token[:3], *WEIGHTS[3:]]}, [*of_token[:3], *WEIGHTS[3:]]),
        ]
    for options, weights in cases:
        history = task.fit(task.x, task.y, **options)
        assert abs(history["loss"][0] - task.expected_loss(weights)) <= 1e-5, options
        if "class_weight" not in options:
            loss, accuracy = task.evaluate(task.x, task.y, **options)
            assert abs(loss - task.expected_loss(weights)) <= 1e-5, options
            assert abs(accuracy - task.expected_accuracy()) <= 1e-6, options
    if IS_TENSORFLOW:  # where a new shape costs no compilation
        history = task.fit(task.x, task.y, batch_size=2, class_weight=class_weight)
        assert abs(history["loss"][0] - task.expected_loss(of_label, batch_size=2)) <= 1e-5

    for name, data in datasets(task).items():
        history = task.fit(data, class_weight=class_weight)
        assert abs(history["loss"][0] - task.expected_loss(of_label)) <= 1e-5, name
    if HAS_STRINGS:
        data = tensor_slices(TOKENS, task.y, WEIGHTS).batch(NUMBER)
        history = task.fit(data, class_weight=class_weight)
        assert abs(history["loss"][0] - task.expected_loss(both)) <= 1e-5
        if task.per_token:
            data = tensor_slices(padded(TOKENS), padded(task.y), padded(of_token)).batch(NUMBER)
            history = task.fit(data, class_weight=class_weight)
            assert abs(history["loss"][0] - task.expected_loss(everything)) <= 1e-5


def check_weights_are_numbers(task, tmp_path):
    """A weight that is no number would make every weight of the model NaN."""
    start = task.model.get_weights()
    first = task.labels[0]
    for wrong in (None, float("nan"), float("inf"), 1e300, "2", -1.0, True):
        message = re.escape(f"Received: {wrong!r} for label {first!r}")
        with pytest.raises(ValueError, match=f"A weight in `class_weight`.*{message}"):
            task.fit(task.x, task.y, class_weight={first: wrong})
        for data in datasets(task).values():
            with pytest.raises(ValueError, match=message):
                task.fit(data, class_weight={first: wrong})
        weights = [1.0, wrong, 1.0, 1.0, 1.0]
        if wrong is not True:  # a mask is a weight
            with pytest.raises(ValueError, match=r"in `sample_weight`.*for sentence 1"):
                task.fit(task.x, task.y, sample_weight=weights)
    with pytest.raises(ValueError, match="Received: None for sentence 1"):
        task.fit(task.x, task.y, sample_weight=np.ma.masked_array(WEIGHTS, [0, 1, 0, 0, 0]))
    if task.per_token:
        weights = [[1.0] * length for length in LENGTHS]
        weights[3][2] = None
        with pytest.raises(ValueError, match="Received: None for token 2 of sentence 3"):
            task.fit(task.x, task.y, sample_weight=weights)
    for before, after in zip(start, task.model.get_weights()):
        np.testing.assert_array_equal(before, after)
    if not HAS_STRINGS:
        return
    import tensorflow as tf

    for wrong in (float("nan"), float("inf"), -1.0):
        data = tensor_slices(TOKENS, task.y, [1.0, wrong, 1.0, 1.0, 1.0]).batch(2)
        with pytest.raises(tf.errors.InvalidArgumentError, match="Sample weights must be finite"):
            task.fit(data, model=task.make())
