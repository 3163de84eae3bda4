"""Checks of the data that a task accepts, and of the numbers that it returns."""

import keras
import numpy as np
import pytest

from elmo_keras.models.preprocessing.inputs import read_inputs
from tests.models.check_task.task import (
    HAS_STRINGS,
    LENGTHS,
    NUMBER,
    TOKENS,
    WEIGHTS,
    char_ids,
    datasets,
    forms_of_x,
    forms_of_y,
)


def check_fit_forms(task, tmp_path):
    """The same data in another form is the same training."""
    start = task.model.get_weights()
    expected = None
    columns = {f"{name}": (x, task.y) for name, x in forms_of_x(task).items()}
    columns |= {f"{name}": (task.x, y) for name, y in forms_of_y(task).items()}
    columns |= {name: (data,) for name, data in datasets(task).items()}
    for name, data in columns.items():
        task.model.set_weights(start)
        task.fit(*data, learning_rate=0.5)
        result = task.evaluate(*data)
        expected = result if expected is None else expected
        np.testing.assert_allclose(result, expected, atol=1e-6, err_msg=name)
    assert abs(expected[0] - task.expected_loss()) <= 1e-5
    task.model.set_weights(start)
    assert expected[0] < task.expected_loss()


def check_predict_forms(task, tmp_path):
    expected = task.predict()
    for name, x in forms_of_x(task).items():
        np.testing.assert_allclose(task.predict(x), expected, atol=1e-6, err_msg=name)
    for batch_size in (NUMBER, 2):  # batches of 2 have different lengths
        for name, data in datasets(task, batch_size).items():
            np.testing.assert_allclose(task.predict(data), expected, atol=1e-6, err_msg=name)


def check_predict(task, tmp_path):
    """One float32 array, whatever the batches."""
    expected = task.predict()
    time = (max(LENGTHS),) if task.per_token else ()
    assert expected.shape == (NUMBER, *time, len(task.labels))
    for batch_size in (1, 2, NUMBER):
        for order in (range(NUMBER), range(NUMBER)[::-1]):
            actual = task.predict([task.x[i] for i in order], batch_size=batch_size)
            assert type(actual) is np.ndarray and actual.dtype == np.float32
            assert actual.shape == expected.shape
            np.testing.assert_allclose(actual, expected[list(order)], atol=1e-5)
    is_label = np.ones((NUMBER, *time), dtype=bool)
    if task.per_token:
        is_label = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    np.testing.assert_allclose(expected.sum(-1)[is_label], 1, atol=1e-6)
    assert not expected[~is_label].any()
    # The longest sentence of those at hand.
    assert task.predict(task.x[1:3]).shape == (2, *(2,) * task.per_token, len(task.labels))
    assert task.predict([]).shape == (0, *(0,) * task.per_token, len(task.labels))


def check_evaluate(task, tmp_path):
    """Loss and accuracy are means over sentences, or over tokens."""
    for batch_size in (1, 2, NUMBER):
        loss, accuracy = task.evaluate(task.x, task.y, batch_size=batch_size)
        assert abs(loss - task.expected_loss(batch_size=batch_size)) <= 1e-5
        assert abs(accuracy - task.expected_accuracy()) <= 1e-6


def check_validation(task, tmp_path):
    last = slice(3, NUMBER)
    first = task.x[:3], task.y[:3]
    split = task.fit(task.x, task.y, validation_split=0.4)
    assert abs(split["loss"][0] - task.expected_loss(batch_size=3, rows=range(3))) <= 1e-5
    assert abs(split["val_loss"][0] - task.expected_loss(batch_size=2, rows=range(3, 5))) <= 1e-5
    given = task.fit(*first, validation_data=(task.x[last], task.y[last]))
    assert given == split
    weighted = task.fit(
        *first,
        validation_data=(task.x[last], task.y[last], WEIGHTS[last]),
        validation_batch_size=1,
        class_weight={0: 7.0},  # which is for training
    )
    expected = task.expected_loss(WEIGHTS, batch_size=1, rows=range(3, 5))
    assert abs(weighted["val_loss"][0] - expected) <= 1e-5
    weighted = task.fit(task.x, task.y, sample_weight=WEIGHTS, validation_split=0.4)
    expected = task.expected_loss(WEIGHTS, batch_size=2, rows=range(3, 5))
    assert abs(weighted["val_loss"][0] - expected) <= 1e-5
    for data in datasets(task).values():
        history = task.fit(*first, validation_data=data)
        assert abs(history["val_loss"][0] - task.expected_loss()) <= 1e-5


def check_arrays_of_the_backend(task, tmp_path):
    """What `keras.ops` returns is data like any other."""
    y = forms_of_y(task)["array of numbers"]
    expected = task.evaluate(task.x, task.y)
    result = task.evaluate(task.x, keras.ops.convert_to_tensor(y))
    np.testing.assert_allclose(result, expected, atol=1e-6)
    if task.model.starts_at_ids:
        result = task.evaluate(keras.ops.convert_to_tensor(char_ids()), task.y)
        np.testing.assert_allclose(result, expected, atol=1e-6)


def check_ids(task, tmp_path):
    """Ids are looked at before a compiled step could take whatever they are."""
    if not task.model.starts_at_ids:
        pytest.skip("the model starts at text")
    for wrong in (char_ids() + 300 * (char_ids() > 0), -char_ids()):
        with pytest.raises(ValueError, match=r"in \[0, 262\)"):
            task.predict(wrong)
    # Those of empty sentences alone are no text: TensorFlow may be absent.
    empty = [np.zeros((0, 50), dtype="int32")] * 2
    assert all(isinstance(row, np.ndarray) for row in read_inputs(empty, task.model.backbone))


def check_tensor_of_nothing(task, tmp_path):
    """As an empty list: a batch of no sentences."""
    if not HAS_STRINGS:
        pytest.skip("strings need TensorFlow")
    import tensorflow as tf

    for x in (tf.constant([], dtype="string"), tf.ragged.constant([], dtype="string")):
        assert task.predict(x).shape == task.predict([]).shape


def check_long_documents(task, tmp_path):
    """`predict` reads texts of similar length together, and gives them back in their order."""
    if not HAS_STRINGS:
        pytest.skip("strings need TensorFlow")
    x = [*TOKENS, ["word"] * 1100, *TOKENS]
    shapes = []
    model = task.make()
    model.run_eagerly = False
    one = [model.predict([row], verbose=0)[0] for row in (TOKENS[3], x[5])]
    step = model.preprocessor.batches

    def spy(*args, **kwargs):
        data = step(*args, **kwargs)
        shapes.extend(batch[0].shape[:2] for batch in data)
        return data

    model.preprocessor.batches = spy
    actual = model.predict(x, batch_size=4, verbose=0)
    assert len(actual) == len(x)
    longest = [time for rows, time in shapes if rows > 1]
    assert max(longest) < 10, shapes
    np.testing.assert_allclose(actual[5], one[1], atol=1e-5)
    for place in (3, 9):
        row = actual[place][: len(one[0])] if task.per_token else actual[place]
        np.testing.assert_allclose(row, one[0], atol=1e-5)
