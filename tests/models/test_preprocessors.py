"""Preprocessors of task models, in Python and in tf.data."""

import contextlib

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
    model.fit(upper, TASKS[name][2], epochs=1, verbose=0)
    expected = make(name).predict(SENTENCES, verbose=0)
    np.testing.assert_array_equal(model.predict(upper, verbose=0), expected)
    assert answers(name, model, upper) == answers(name, model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(upper, verbose=0), expected)
    model.save_to_preset(tmp_path / "preset")
    loaded = TASKS[name][0].from_preset(tmp_path / "preset")
    np.testing.assert_array_equal(loaded.predict(upper, verbose=0), expected)
    if IS_TENSORFLOW:  # what is served is what is predicted
        import tensorflow as tf

        model.export(tmp_path / "served")
        served = tf.saved_model.load(str(tmp_path / "served"))
        for actual in (
            served.tokens(elmo_keras.text.pad(upper)),
            served.serve(tf.constant([" ".join(row) for row in upper])),
        ):
            np.testing.assert_allclose(actual["probabilities"].numpy(), expected, atol=1e-6)
    model.preprocessor = "auto"
    assert not np.array_equal(model.predict(upper, verbose=0), expected)


@needs_strings
def test_a_preprocessor_belongs_to_one_model():
    preprocessor = Lowercase()
    model = make("classifier", preprocessor=preprocessor)
    model.preprocessor = preprocessor
    with pytest.raises(ValueError, match=r"must belong to one model.*\['cat', 'dog'\]"):
        make("tagger", model.backbone, preprocessor=preprocessor)
    with pytest.raises(ValueError, match="Create a new preprocessor"):
        make("classifier", preprocessor=preprocessor)


@needs_strings
@pytest.mark.parametrize("name", TASKS)
def test_methods_of_one_batch(name):
    """They preprocess as `fit` does; without a preprocessor they take the model's inputs."""
    model, y = make(name), TASKS[name][2]
    weight = {model.labels[0]: 2.0}
    expected = model.evaluate(SENTENCES, y, 4, 0, return_dict=True)
    assert model.test_on_batch(SENTENCES, y, return_dict=True) == pytest.approx(expected, rel=1e-5)
    probabilities = model.predict(SENTENCES, verbose=0)
    np.testing.assert_allclose(model.predict_on_batch(SENTENCES), probabilities, atol=1e-6)
    start = model.get_weights()
    model.compile(keras.optimizers.SGD(0.5))
    history = model.fit(SENTENCES, y, 4, 1, 0, shuffle=False, class_weight=weight)
    after_fit = model.get_weights()
    model.set_weights(start)
    result = model.train_on_batch(SENTENCES, y, class_weight=weight, return_dict=True)
    assert result["loss"] == pytest.approx(history.history["loss"][0], rel=1e-5)
    for actual, expected in zip(model.get_weights(), after_fit, strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-6)
    batch = model.preprocessor(SENTENCES, y)
    preprocessed = model.test_on_batch(SENTENCES, y, return_dict=True)
    model.preprocessor = None
    assert model.test_on_batch(*batch, return_dict=True) == pytest.approx(preprocessed, rel=1e-5)


@needs_strings
def test_wrong_batches_are_named():
    import tensorflow as tf

    model = make("classifier")
    with pytest.raises(ValueError, match="at least one sentence"):
        model.preprocessor([])
    _, y = model.preprocessor(elmo_keras.text.pad(SENTENCES), ["cat", "dog", "cat", "dog"])
    assert np.asarray(y).tolist() == [0, 1, 0, 1]
    data = tf.data.Dataset.from_tensor_slices((["a cat", "a dog"], ["unknown", "unknown"])).batch(2)
    expected = model.predict(["a cat", "a dog"], verbose=0)
    np.testing.assert_allclose(model.predict(data, verbose=0), expected, atol=1e-6)
    with pytest.raises(ValueError, match="Labels of tokens need a list of sentences"):
        make("tagger").tag(data)


class OneMore(Preprocessor):
    """Reads a word more in each sentence."""

    def read(self, x):
        return ([["cat", *row] for row in read_inputs(x, self.encoder)],)

    def in_graph(self, x):
        import tensorflow as tf

        x = super().in_graph(x)
        return tf.pad(x, [[0, 0], [1, 0]], constant_values=2 if x.dtype != tf.string else "cat")


@needs_strings
@pytest.mark.parametrize("is_under_strategy", [False, True], ids=["plain", "strategy"])
def test_each_step_runs_once(is_under_strategy):
    scope = contextlib.nullcontext()
    if is_under_strategy:
        if not IS_TENSORFLOW:
            pytest.skip("tf.distribute is TensorFlow's")
        import tensorflow as tf

        scope = tf.distribute.OneDeviceStrategy("/cpu:0").scope()
    with scope:
        model = make("classifier", preprocessor=OneMore())
    assert model.starts_at_ids == (is_under_strategy or not IS_TENSORFLOW)
    preprocessor = model.preprocessor
    examples = preprocessor.examples(SENTENCES)
    batches = preprocessor.batches(examples, 4)
    x = batches[0][0] if hasattr(batches, "__getitem__") else next(iter(batches))[0]
    assert np.asarray(x).shape == (4, 4)
    np.testing.assert_array_equal(np.asarray(x), np.asarray(preprocessor(SENTENCES)))


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
    history = model.fit(own_x, own_indices, batch_size=2, epochs=1, verbose=0)
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


@needs_strings
def test_validation_data_of_two_inputs():
    keras.utils.set_random_seed(0)
    model = PairClassifier(BagOfWords(), ["same", "other"])
    model.run_eagerly = IS_TENSORFLOW
    left, right = SENTENCES, SENTENCES[::-1]
    y = ["same", "other", "other", "same"]
    model.optimizer.learning_rate = 0.0
    options = {"validation_split": 0.5, "epochs": 1, "verbose": 0}
    history = model.fit((left, right), y, **options).history
    expected = model.evaluate((left[2:], right[2:]), y[2:], return_dict=True, verbose=0)
    assert history["val_loss"][0] == pytest.approx(expected["loss"], rel=1e-5)


@pytest.mark.skipif(not IS_TENSORFLOW, reason="only TensorFlow exports SavedModels of strings")
def test_a_model_with_two_inputs_is_served(tmp_path):
    import tensorflow as tf

    model = PairClassifier(BagOfWords(), ["same", "other"])
    left, right = SENTENCES, SENTENCES[::-1]
    expected = model.predict((left, right), verbose=0)
    model.export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    texts = [tf.constant([" ".join(row) for row in rows]) for rows in (left, right)]
    signature = served.signatures["serving_default"]
    for actual in (
        served.serve(*texts),
        served.tokens(elmo_keras.text.pad(left), elmo_keras.text.pad(right)),
        signature(left_text=texts[0], right_text=texts[1]),
    ):
        np.testing.assert_allclose(actual["probabilities"].numpy(), expected, atol=1e-6)
        labels = [label.decode() for label in actual["labels"].numpy()]
        assert labels == [model.labels[index] for index in expected.argmax(-1)]
