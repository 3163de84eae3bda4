"""Task models on an encoder that is not an ElmoLayer."""

import keras
import numpy as np
import pytest

import elmo_keras
from tests.models.check_task import needs_strings
from tests.models.second_parts import SENTENCES, TASKS, BagOfWords, LogitHead, answers, make
from tests.small_models import IS_TENSORFLOW, to_numpy


@needs_strings
@pytest.mark.parametrize("name", TASKS)
def test_another_encoder_is_trained_and_saved(name, tmp_path):
    model = make(name)
    model.compile(keras.optimizers.Adam(0.1), "auto", metrics="auto")
    before = model.evaluate(SENTENCES, TASKS[name][2], return_dict=True, verbose=0)
    model.fit(SENTENCES, TASKS[name][2], epochs=30, verbose=0)
    after = model.evaluate(SENTENCES, TASKS[name][2], return_dict=True, verbose=0)
    assert after["loss"] < 0.5 * before["loss"]
    assert answers(name, model)[:3] == TASKS[name][2][:3]
    expected = model.predict(SENTENCES, verbose=0)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(SENTENCES, verbose=0), expected)
    model.save_to_preset(tmp_path / "preset")
    loaded = TASKS[name][0].from_preset(tmp_path / "preset")
    assert type(loaded.backbone) is BagOfWords and loaded.labels == model.labels
    np.testing.assert_array_equal(loaded.predict(SENTENCES, verbose=0), expected)


@needs_strings
@pytest.mark.skipif(not IS_TENSORFLOW, reason="only TensorFlow exports SavedModels of strings")
@pytest.mark.parametrize("head", [lambda: "softmax", LogitHead], ids=["softmax", "logits"])
@pytest.mark.parametrize("name", TASKS)
def test_another_encoder_and_head_are_exported(name, head, tmp_path):
    import tensorflow as tf

    model = make(name, head=head())
    model.export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    actual = served.tokens(elmo_keras.text.pad(SENTENCES))
    expected = model.predict(SENTENCES, verbose=0)
    np.testing.assert_allclose(actual["probabilities"].numpy(), expected, atol=1e-6)
    rows = [np.atleast_1d(row) for row in actual["labels"].numpy()]
    labels = [[label.decode() for label in row if label] for row in rows]
    expected = answers(name, model)
    assert labels == (expected if name == "tagger" else [[label] for label in expected])
    vectors = served.embed_tokens(elmo_keras.text.pad(SENTENCES))["embeddings"].numpy()
    np.testing.assert_array_equal(vectors, to_numpy(model.backbone(SENTENCES)))


@pytest.mark.parametrize("name", TASKS)
def test_ids_are_those_of_the_encoder(name):
    """Each way to the ids reads words in lower case, as this encoder does."""
    vectors = np.eye(5, 3, dtype="float32")
    words = ["a", "cat", "dog", "sat", "barked"]
    encoder = elmo_keras.StaticEmbedding(words, 3, lowercase=True)
    encoder.build((None, None))
    encoder.embedding.embeddings.assign(vectors)
    model = make(name, encoder)
    upper = [[word.upper() for word in row] for row in SENTENCES]
    expected = model.predict(SENTENCES, verbose=0)
    np.testing.assert_array_equal(model.predict(upper, verbose=0), expected)
    for actual, row in zip(elmo_keras.encoders.embed(encoder, upper), SENTENCES, strict=True):
        np.testing.assert_array_equal(actual, vectors[[words.index(word) for word in row]])
    ids = encoder.padded_ids(upper)
    assert ids.tolist() == [[1, 2, 4], [1, 3, 5], [2, 0, 0], [0, 0, 0]]
    assert encoder.padded_ids(upper, 5).shape == (4, 5)


@needs_strings
def test_ids_of_an_encoder_without_numpy_ids():
    class Plain(BagOfWords):
        numpy_ids = elmo_keras.TextEncoder.numpy_ids

    expected = BagOfWords().padded_ids(SENTENCES, 4)
    np.testing.assert_array_equal(Plain().padded_ids(SENTENCES, 4), expected)
    assert expected.tolist() == [[1, 2, 4, 0], [1, 3, 5, 0], [2, 0, 0, 0], [0, 0, 0, 0]]


def test_an_encoder_without_its_members_is_named():
    class Empty(elmo_keras.TextEncoder):
        pass

    with pytest.raises(TypeError, match="must define `ids_limit`; Empty does not"):
        _ = Empty().ids_limit
    with pytest.raises(TypeError, match=r"must define `numpy_ids\(\)`"):
        Empty().numpy_ids(["a"])


@pytest.mark.parametrize("name", TASKS)
def test_another_layer_is_refused(name):
    with pytest.raises(ValueError, match="another TextEncoder. Received: <Dense"):
        make(name, keras.layers.Dense(3))
