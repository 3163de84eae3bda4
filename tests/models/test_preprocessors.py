"""Preprocessors of task models, in Python and in tf.data."""

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras.models import Preprocessor, task_inputs
from elmo_keras.models.elmo_task import ElmoTask
from elmo_keras.models.preprocessing.inputs import read_inputs
from tests.models.check_task import needs_strings
from tests.models.second_parts import SENTENCES, TASKS, BagOfWords, Lowercase, answers, make
from tests.small_models import IS_TENSORFLOW


@needs_strings
@pytest.mark.parametrize("name", TASKS)
def test_another_preprocessor(name, tmp_path):
    upper = [[word.upper() for word in row] for row in SENTENCES]
    model = make(name, preprocessor=Lowercase())
    model.optimizer.learning_rate = 0.0
    model.fit(upper, TASKS[name][2], verbose=0)
    expected = make(name).predict(SENTENCES, verbose=0)
    np.testing.assert_array_equal(model.predict(upper, verbose=0), expected)
    assert answers(name, model, upper) == answers(name, model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(upper, verbose=0), expected)
    model.save_to_preset(tmp_path / "preset")
    loaded = TASKS[name][0].from_preset(tmp_path / "preset")
    np.testing.assert_array_equal(loaded.predict(upper, verbose=0), expected)
    model.preprocessor = "auto"
    assert not np.array_equal(model.predict(upper, verbose=0), expected)


@needs_strings
@pytest.mark.parametrize("name", TASKS)
def test_the_preprocessor_in_a_dataset(name):
    """`dataset.map(model.preprocessor)` returns the batches of `fit`; without a preprocessor, the
    model accepts them."""
    import tensorflow as tf

    model = make(name)
    y = TASKS[name][2]
    labels = tf.ragged.constant(y) if name == "tagger" else tf.constant(y)
    data = tf.data.Dataset.from_tensor_slices((tf.ragged.constant(SENTENCES), labels)).batch(4)
    x, indices = next(iter(data.map(model.preprocessor)))
    own_x, own_indices = model.preprocessor(SENTENCES, y)
    np.testing.assert_array_equal(np.asarray(x), np.asarray(own_x))
    np.testing.assert_array_equal(np.asarray(indices), np.asarray(own_indices))
    _, _, weights = model.preprocessor(SENTENCES, y, [1.0, 2.0, 3.0, 0.0])
    assert np.asarray(weights).shape == np.asarray(own_indices).shape
    assert np.asarray(model.preprocessor(SENTENCES)).shape == (4, 3)

    expected = model.evaluate(SENTENCES, y, batch_size=4, return_dict=True, verbose=0)
    probabilities = model.predict(SENTENCES, verbose=0)
    model.preprocessor = None
    actual = model.evaluate(own_x, own_indices, return_dict=True, verbose=0)
    assert actual == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(model.predict(own_x, verbose=0), probabilities, atol=1e-6)
    history = model.fit(own_x, own_indices, batch_size=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    with pytest.raises(ValueError, match="need the preprocessor"):
        answers(name, model)


class SentencePairs(Preprocessor):
    """Reads pairs of sentences, for a model with two inputs."""

    def read(self, x):
        left, right = x
        return read_inputs(left, self.encoder), read_inputs(right, self.encoder)

    def in_graph(self, x):
        return tuple(super(SentencePairs, self).in_graph(part) for part in x)

    def check_spec(self, spec, needs_labels):
        return None


class PairClassifier(ElmoTask):
    """A model with two inputs: the head sees the concatenated means of both sentences."""

    def __init__(self, backbone, labels):
        head = elmo_keras.models.DenseHead()
        head.build(labels, per_token=False)
        inputs = [task_inputs(backbone, name) for name in ("left_", "right_")]
        pool = elmo_keras.layers.MaskedMeanPooling()
        vectors = keras.layers.Concatenate()([pool(backbone(x)) for x in inputs])
        super().__init__(inputs, head.scores(vectors), backbone, head, SentencePairs())


@needs_strings
def test_a_model_with_two_inputs():
    keras.utils.set_random_seed(0)
    model = PairClassifier(BagOfWords(), ["same", "other"])
    model.run_eagerly = IS_TENSORFLOW
    left = SENTENCES[:3] + [["dog", "barked"]]
    right = [["cat"], ["a", "a", "a", "a", "dog"], ["sat"], ["cat"]]
    y = ["same", "same", "other", "other"]
    expected = model.predict((left, right), verbose=0)
    # Alone and in another order, the sentences of a pair stay together.
    for i in range(4):
        one = model.predict((left[i : i + 1], right[i : i + 1]), verbose=0)
        np.testing.assert_allclose(one[0], expected[i], atol=1e-6)
    np.testing.assert_allclose(
        model.predict((left[::-1], right[::-1]), batch_size=3, verbose=0)[::-1], expected, atol=1e-6
    )
    model.compile(keras.optimizers.Adam(0.1))
    model.fit((left, right), y, epochs=30, batch_size=2, verbose=0)
    result = model.evaluate((left, right), y, return_dict=True, verbose=0)
    assert result["loss"] < 0.3
