"""Values and graphs of each backend."""

import gc

import keras
import numpy as np
import pytest
from keras import ops

from elmo_keras import backend
from tests.small_models import IS_TENSORFLOW, to_numpy

IS_JAX = keras.backend.backend() == "jax"
only_tensorflow = pytest.mark.skipif(not IS_TENSORFLOW, reason="a graph of TensorFlow's")


def test_require_raises_on_a_false_condition():
    backend.require(ops.convert_to_tensor(True), "a message")
    with pytest.raises(ValueError, match="^a message$"):
        backend.require(ops.convert_to_tensor(False), "a message")


@only_tensorflow
def test_require_asserts_in_a_graph():
    import tensorflow as tf

    @tf.function(autograph=False)
    def check(x):
        backend.require(tf.reduce_all(x > 0), "a message")
        return x

    check(tf.constant([1.0]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="a message"):
        check(tf.constant([-1.0]))


@pytest.mark.skipif(not IS_JAX, reason="jit of JAX")
def test_nothing_is_required_of_traced_values():
    import jax

    @jax.jit
    def check(x):
        backend.require((x > 0).all(), "a message")
        return x

    assert float(check(np.array([-1.0]))[0]) == -1.0


def test_is_concrete():
    assert backend.is_concrete(ops.ones(2))
    assert not backend.is_concrete(np.ones(2))
    assert not backend.is_concrete(keras.Input((2,)))


@only_tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_shapes_are_dynamic_except_under_xla(jit_compile):
    import tensorflow as tf

    seen = []

    @tf.function(jit_compile=jit_compile, autograph=False)
    def call(x):
        seen.append((backend.is_concrete(x), backend.has_dynamic_shapes(x)))
        tf.cond(x > 0, lambda: seen.append(backend.has_dynamic_shapes(x)) or x, lambda: x)
        return x

    call(tf.constant(1.0))
    assert seen == [(False, not jit_compile), not jit_compile]
    assert backend.has_dynamic_shapes(tf.constant(1.0))


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("writeable", [True, False])
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable:UserWarning")
def test_adopt_keeps_shape_dtype_and_values(offset, writeable):
    array = np.arange(13, dtype="float32")[offset : offset + 12].reshape(3, 4)
    array.flags.writeable = writeable
    tensor = backend.adopt(array)
    assert keras.backend.standardize_dtype(tensor.dtype) == "float32"
    np.testing.assert_array_equal(to_numpy(tensor), offset + np.arange(12.0).reshape(3, 4))


def test_distinct_rows_and_their_places():
    rows = np.random.default_rng(0).integers(0, 3, (40, 2)).astype("int32")
    unique, places = backend.distinct(ops.convert_to_tensor(rows))
    unique = to_numpy(unique)
    if IS_JAX:
        assert places is None
        np.testing.assert_array_equal(unique, rows)
        return
    np.testing.assert_array_equal(unique[to_numpy(places)], rows)
    assert len(unique) == len(set(map(tuple, rows)))


@pytest.mark.parametrize("length, is_long", [(64, False), (65, True)])
def test_only_tensorflow_has_long_loops(length, is_long):
    assert backend.is_long_loop(ops.zeros((1, length, 1))) == (is_long and IS_TENSORFLOW)


def test_a_graph_computes_the_function():
    double = backend.graph(lambda x: 2 * x)
    np.testing.assert_array_equal(to_numpy(double(ops.convert_to_tensor([1.0, 3.0]))), [2.0, 6.0])


@pytest.mark.parametrize("number", [1, 2])
def test_inference_is_the_layer(number):
    layer = keras.layers.Add() if number > 1 else keras.layers.Dense(2)
    layer.build([(None, 3)] * number if number > 1 else (None, 3))
    x = np.random.default_rng(0).normal(size=(number, 5, 3)).astype("float32")
    given = [ops.convert_to_tensor(part) for part in x]
    given = given if number > 1 else given[0]
    function = backend.inference(layer, *[((3,), "float32")] * number)
    expected = x.sum(axis=0) if number > 1 else x[0] @ to_numpy(layer.kernel)
    np.testing.assert_allclose(to_numpy(function(given)), expected, atol=1e-6)


class Owner:
    """Owns gradients."""


def test_there_is_one_replica_without_a_strategy():
    assert not backend.in_distribution_strategy()
    assert backend.number_of_replicas() == 1


@only_tensorflow
def test_a_strategy_is_found():
    import tensorflow as tf

    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        assert backend.in_distribution_strategy()
        assert backend.number_of_replicas() == 1


@only_tensorflow
def test_gradients_live_as_long_as_their_inner_owner():
    import tensorflow as tf

    from elmo_keras.backend.tensorflow.internals import registered_gradients

    @tf.custom_gradient
    def square(x):
        return x * x, lambda dy: 2 * x * dy

    def new_names(names):
        return registered_gradients().keys() - names

    before = set(registered_gradients())
    inner, outer = Owner(), Owner()
    with backend.gradients_of(outer):
        with backend.gradients_of(inner):
            tf.function(square, autograph=False).get_concrete_function(tf.TensorSpec(()))
        of_inner = new_names(before)
        tf.function(square, autograph=False).get_concrete_function(tf.TensorSpec(()))
        of_outer = new_names(before) - of_inner
    assert of_inner and of_outer
    del inner
    gc.collect()
    assert new_names(before) == of_outer
    del outer
    gc.collect()
    assert not new_names(before)
