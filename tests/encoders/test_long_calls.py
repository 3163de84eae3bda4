"""Long texts in eager calls run as one graph, with the same numbers."""

import keras
import numpy as np
import pytest

from elmo_keras import backend
from tests import small_models
from tests.small_models import IS_TENSORFLOW, to_numpy

pytestmark = pytest.mark.skipif(not IS_TENSORFLOW, reason="other backends need no graph here")
LENGTHS = (150, 3, 90)


@pytest.fixture
def graphs(monkeypatch):
    """The functions that were traced."""
    made, make = [], backend.graph
    monkeypatch.setattr(backend, "graph", lambda function: made.append(function) or make(function))
    return made


def test_one_graph_for_all_long_calls(graphs):
    elmo = small_models.elmo()
    elmo(small_models.ids((40, 3)))
    assert graphs == []
    for lengths in ((100,), LENGTHS, (80, 80)):
        elmo(small_models.ids(lengths))
    assert len(graphs) == 1


def test_the_same_numbers_as_in_a_graph_and_step_by_step(monkeypatch):
    import tensorflow as tf

    elmo = small_models.elmo()
    ids = small_models.ids(LENGTHS)
    expected = to_numpy(elmo(ids))
    np.testing.assert_allclose(to_numpy(tf.function(elmo)(ids)), expected, atol=1e-6)
    monkeypatch.setattr(backend, "is_long_loop", lambda x: False)
    np.testing.assert_allclose(to_numpy(elmo(ids)), expected, atol=1e-6)
    assert not expected[1, 3:].any()


def test_the_same_gradient():
    import tensorflow as tf

    elmo = small_models.elmo()
    ids = small_models.ids(LENGTHS)
    elmo(ids)

    def gradient(call):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(call(ids) ** 2)
        return tape.gradient(loss, [weight.value for weight in elmo.trainable_weights])

    for eager, traced in zip(gradient(elmo), gradient(tf.function(elmo)), strict=True):
        eager, traced = map(tf.convert_to_tensor, (eager, traced))
        scale = max(1.0, float(tf.reduce_max(tf.abs(traced))))
        np.testing.assert_allclose(eager.numpy() / scale, traced.numpy() / scale, atol=1e-5)


def test_changed_products_need_another_graph(graphs):
    elmo = small_models.elmo()
    ids = small_models.ids(LENGTHS)
    before = to_numpy(elmo(ids))
    for layer in (*elmo.bilstm.forward_layers, *elmo.bilstm.backward_layers):
        for part in layer.cell.products:
            part.quantize("int8")
    after = to_numpy(elmo(ids))
    assert len(graphs) == 2
    assert 0 < np.abs(after - before).max() < 0.2


def test_carried_states_are_carried():
    elmo, other = small_models.elmo(state="carry"), small_models.elmo(state="carry")
    elmo(small_models.ids((70,)))
    other(small_models.ids((70,)))
    other.set_weights(elmo.get_weights())
    elmo.reset_states()
    other.reset_states()
    ids = small_models.ids((140,))
    whole = to_numpy(elmo(ids))
    np.testing.assert_allclose(to_numpy(other(ids)), whole, atol=1e-6)
    assert np.abs(to_numpy(elmo(ids)) - whole).max() > 1e-3


def test_a_graph_is_no_part_of_a_saved_layer(tmp_path):
    inputs = keras.Input((None, 50), dtype="int32")
    elmo = small_models.elmo()
    model = keras.Model(inputs, elmo(inputs))
    expected = to_numpy(elmo(small_models.ids(LENGTHS)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded.layers[-1](small_models.ids(LENGTHS))), expected)
    model.export(tmp_path / "exported", verbose=False)


@pytest.mark.parametrize("what", ["huge", "nan"])
def test_vectors_that_are_not_finite_are_an_error(what):
    elmo = small_models.elmo()
    ids = small_models.ids((3, 2))
    elmo(ids)
    weight = elmo.token_encoder.projection.kernel
    if what == "nan":
        weight.assign(weight.value * float("nan"))
        message = "whose weight .*projection/kernel is not finite itself"
    else:
        for part in elmo.token_encoder.weights:
            part.assign(part.value * 1e30)
        message = r"whose largest weight is .*e\+(29|30), in "
    for call in (lambda: elmo(ids), lambda: list(elmo.embed(list(ids)))):
        with pytest.raises(ValueError, match=f"vectors of a model must be finite.*{message}"):
            call()
    elmo(ids, training=True)  # without an error: Keras handles a training that diverges


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    inputs = keras.Input((None, 50), dtype="int32")
    elmo = small_models.elmo()
    model = keras.Model(inputs, elmo(inputs))
    kernel = elmo.bilstm.forward_layers[1].cell.products[0].kernel
    kernel.assign(kernel.value * float("inf"))
    for save, name in ((model.save, "model.keras"), (model.save_weights, "model.weights.h5")):
        with pytest.raises(ValueError, match=f"NaN or infinity in {kernel.path}"):
            save(tmp_path / name)
