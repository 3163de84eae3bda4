"""One check for all layers."""

import json

import keras
import numpy as np

from tests.small_models import IS_TENSORFLOW, to_numpy


def check_layer(
    make,
    inputs,
    tmp_path,
    *,
    weights,
    call_kwargs=None,
    quantized=False,
    output_dtype=None,
):
    """What every layer must do, whatever it computes.

    Args:
        make: callable of layer keyword arguments (name, dtype) that makes a new layer.
        inputs: numpy array, or a list of arrays.
        tmp_path: where models are saved.
        weights: int. Number of weights once built.
        call_kwargs: dict of further call arguments, like a mask.
        quantized: bool. Whether to quantize to int8, save and load.
        output_dtype: str or `None`. Type of what a layer of mixed precision gives, if that is not
            the type that it computes in.
    """
    call_kwargs = call_kwargs or {}
    layer = make(name="checked")
    check_config(layer)
    output = layer(inputs, **call_kwargs)
    assert len(layer.weights) == weights
    check_config(layer)
    check_registered(layer)

    # Symbolic and eager agree.
    model = functional(layer, inputs, call_kwargs)
    for given, made in zip(keras.tree.flatten(model.outputs), keras.tree.flatten(output)):
        assert keras.backend.standardize_dtype(made.dtype) == given.dtype
        assert len(given.shape) == len(made.shape)
        assert all(a in (None, b) for a, b in zip(given.shape, made.shape))
    # A rebuilt layer with the same weights computes the same, bit by bit.
    rebuilt = type(layer).from_config(layer.get_config())
    rebuilt(inputs, **call_kwargs)
    rebuilt.set_weights(layer.get_weights())
    equal(rebuilt(inputs, **call_kwargs), output)
    check_attributes(rebuilt, layer)
    # The identical call is bit-identical.
    equal(layer(inputs, **call_kwargs), output)

    check_saving(model, inputs, tmp_path)
    if weights:
        check_training(keras.Model(model.input, flat(model.outputs)), inputs)
    for policy in ("mixed_bfloat16", "mixed_float16"):
        check_policy(make, inputs, call_kwargs, policy, output_dtype)
    if quantized and IS_TENSORFLOW:
        model = functional(make(name="checked"), inputs, call_kwargs)
        dense = (keras.layers.Dense, keras.layers.Embedding)
        model.quantize("int8", filters=lambda layer: isinstance(layer, dense))
        assert any("int8" in w.dtype for w in model.weights)
        check_saving(model, inputs, tmp_path)


def check_config(layer):
    config = layer.get_config()
    as_json = json.dumps(config)
    again = type(layer).from_config(json.loads(as_json))
    assert json.dumps(again.get_config()) == as_json
    if not layer.built:
        check_attributes(again, layer)


def check_attributes(revived, original):
    """A layer made from the original's config has its public attributes, with equal plain data."""
    actual, expected = public(revived), public(original)
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        if is_plain(value):
            np.testing.assert_equal(actual[name], value, err_msg=name)


def public(layer):
    """The public attributes of a layer; one that raises an error is given by its error's type."""
    attributes = {}
    for name in dir(layer):
        if not name.startswith("_"):
            try:
                attributes[name] = getattr(layer, name)
            except (AttributeError, ValueError) as error:
                attributes[name] = type(error).__name__
    return attributes


def is_plain(value):
    """Whether a value consists of numbers, strings and arrays."""
    if isinstance(value, dict):
        return all(map(is_plain, [*value, *value.values()]))
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str, bytes, np.ndarray))


def check_registered(layer):
    name = keras.saving.get_registered_name(type(layer))
    assert name == f"elmo_keras>{type(layer).__name__}"


def functional(layer, inputs, call_kwargs):
    def symbolic(x):
        shape = (None, *x.shape[2:]) if x.ndim > 2 else x.shape[1:]
        return keras.Input(shape, dtype=x.dtype.name)

    symbols = keras.tree.map_structure(symbolic, inputs)
    return keras.Model(symbols, layer(symbols, **call_kwargs))


def flat(outputs):
    """Outputs that Keras' losses can take: the axes behind time in one."""
    return [
        keras.layers.TimeDistributed(keras.layers.Flatten())(x) if len(x.shape) > 3 else x
        for x in outputs
    ]


def check_saving(model, inputs, tmp_path):
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    equal(loaded(inputs), model(inputs))
    model.save_weights(tmp_path / "model.weights.h5")
    keras.tree.map_structure(lambda w: w.assign(keras.ops.zeros_like(w.value)), loaded.weights)
    loaded.load_weights(tmp_path / "model.weights.h5")
    equal(loaded(inputs), model(inputs))


def check_training(model, inputs):
    before = model.get_weights()
    targets = keras.tree.map_structure(lambda x: np.ones(x.shape, "float32"), model(inputs))
    targets = keras.tree.map_structure(np.asarray, targets)
    model.compile("sgd", "mse")
    history = model.fit(inputs, targets, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert any(not np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


def check_policy(make, inputs, call_kwargs, policy, output_dtype=None):
    layer = make(name="checked", dtype=policy)
    output = layer(inputs, **call_kwargs)
    compute = output_dtype or policy.removeprefix("mixed_")
    for made in keras.tree.flatten(output):
        assert keras.backend.standardize_dtype(made.dtype) == compute
        assert np.isfinite(to_numpy(keras.ops.cast(made, "float32"))).all()
    assert {w.dtype for w in layer.weights} <= {"float32"}
    exact = make(name="checked")
    exact(inputs, **call_kwargs)
    exact.set_weights(layer.get_weights())
    for actual, expected in zip(
        keras.tree.flatten(output), keras.tree.flatten(exact(inputs, **call_kwargs))
    ):
        error = np.abs(to_numpy(keras.ops.cast(actual, "float32")) - to_numpy(expected))
        assert error.max() <= 0.1 * max(1, np.abs(to_numpy(expected)).max())


def equal(a, b):
    for x, y in zip(keras.tree.flatten(a), keras.tree.flatten(b), strict=True):
        np.testing.assert_array_equal(to_numpy(x), to_numpy(y))


def check_padding(call, rows, tolerance=1e-5):
    """A row's vectors do not depend on padding, on the batch, its size and its order.

    Args:
        call: callable of an array `(batch, time, ...)` whose padding is zeros, which returns
            `(batch, time, ...)`.
        rows: list of arrays `(time, ...)` of different lengths.
    """

    def batch(chosen, time):
        out = np.zeros((len(chosen), time, *rows[0].shape[1:]), rows[0].dtype)
        for row, number in zip(out, chosen):
            row[: len(rows[number])] = rows[number]
        return to_numpy(call(out))

    longest = max(map(len, rows))
    alone = [batch([i], len(row)) for i, row in enumerate(rows)]
    bound = tolerance * max(1, max(np.abs(x).max(initial=0) for x in alone))
    everyone = list(range(len(rows)))
    for chosen, time in (
        (everyone, longest),
        (everyone[::-1], longest),
        (everyone * 2, longest + 1),
        (everyone[1:], longest + 20),
    ):
        together = batch(chosen, time)
        for row, number in zip(together, chosen):
            length = len(rows[number])
            assert np.abs(row[:length] - alone[number][0]).max(initial=0) <= bound
            assert not row[length:].any()
