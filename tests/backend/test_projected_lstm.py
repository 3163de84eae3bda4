"""The scan with its hand-written gradient, against Keras' loop over the plain cell."""

import keras
import numpy as np
import pytest

from elmo_keras import backend, layers
from tests.gradients import gradients
from tests.small_models import IS_TENSORFLOW, to_numpy

TIME, DIM = 7, 3
MANY = 40  # rows: TensorFlow then computes the products of the gates in another way
MASKS = {
    "none": None,
    "equal": np.ones((4, TIME), bool),
    "padded": np.arange(TIME) < np.array([[2], [7], [0], [5]]),
    "one long": np.arange(TIME) < np.array([[7], [1], [1], [1]]),
    "holes": np.random.default_rng(1).random((4, TIME)) < 0.5,
    "nothing": np.zeros((4, TIME), bool),
}


def case(mask, num_layers=2, dtype="float32", rows=4, **options):
    """A stack, the Keras variables of its input and initial states, and a function to call it."""
    rng = np.random.default_rng(0)
    options = {
        "units": 5,
        "projection_dim": DIM,
        "cell_clip": 0.3,
        "projection_clip": 0.1,
    } | options
    stack = layers.BiLSTMStack(num_layers, dtype=dtype, **options)
    stack.build((None, None, DIM))
    for weight in stack.weights:  # Some values are clipped, some are not.
        weight.assign(rng.normal(size=weight.shape))
    size = stack.output_dim
    states = ((2, num_layers, rows, size), (2, num_layers, rows, stack.units))
    shapes = ((rows, TIME, DIM), *states)
    scales = (1.0, 0.2, 0.5)
    given = [
        keras.Variable((scale * rng.normal(size=shape)).astype("float32"))
        for scale, shape in zip(scales, shapes)
    ]

    def call():
        x, *states = (keras.ops.convert_to_tensor(variable) for variable in given)
        outputs, final = stack(
            x, mask=None if mask is None else np.array(mask), initial_state=states
        )
        return [*outputs, *final]

    return stack, given, call


def loss_of(call):
    """A function that returns a random weighted sum of all outputs of `call`."""

    def loss():
        rng = np.random.default_rng(2)
        weights = lambda y: keras.ops.convert_to_tensor(  # noqa: E731
            rng.normal(size=tuple(y.shape)), dtype="float32"
        )
        return sum(keras.ops.sum(keras.ops.cast(y, "float32") * weights(y)) for y in call())

    return loss


def by_cells(monkeypatch, function):
    """The result of `function` if Keras loops over the cells."""
    with monkeypatch.context() as patch:
        patch.setattr(backend, "sequence_layout", lambda x, mask=None: None)
        return function()


@pytest.mark.parametrize(
    "mask, options",
    [
        *[(mask, {}) for mask in MASKS],
        ("none", {"num_layers": 1, "cell_clip": None, "projection_clip": None}),
        ("none", {"projection_dim": None, "units": DIM, "forget_bias": 0.0}),
        ("none", {"rows": MANY}),
        ("none", {"rows": MANY, "projection_dim": None, "units": DIM, "cell_clip": None}),
        ("padded", {"num_layers": 1}),
        ("padded", {"num_layers": 3, "residual": False}),
        ("holes", {"cell_clip": None, "projection_clip": None}),
        ("padded", {"projection_dim": None, "units": DIM, "forget_bias": 0.0}),
    ],
    ids=str,
)
def test_values_and_gradients_equal_those_of_the_cells(monkeypatch, mask, options):
    stack, given, call = case(MASKS[mask], **options)
    variables = [*given, *stack.trainable_variables]
    expected = by_cells(monkeypatch, lambda: [to_numpy(y) for y in call()])
    for y, by_cell in zip(call(), expected, strict=True):
        np.testing.assert_allclose(to_numpy(y), by_cell, atol=1e-5)
    expected = by_cells(monkeypatch, lambda: gradients(loss_of(call), variables))
    actual = gradients(loss_of(call), variables)
    for variable, by_scan, by_cell in zip(variables, actual, expected, strict=True):
        scale = max(1.0, np.abs(by_cell).max())
        np.testing.assert_allclose(by_scan, by_cell, atol=1e-5 * scale, err_msg=variable.path)


def test_these_cases_have_clipped_and_unclipped_values():
    _, _, call = case(MASKS["padded"])
    *outputs, hidden, cell = (to_numpy(y) for y in call())
    assert 0.1 < (np.abs(outputs[0]) == np.float32(0.1)).mean() < 0.9
    assert 0.1 < (np.abs(cell) == np.float32(0.3)).mean() < 0.9


@pytest.mark.skipif(not IS_TENSORFLOW, reason="a graph of TensorFlow's")
@pytest.mark.parametrize("mask", ["padded", "none", "none, long"])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_a_graph(jit_compile, mask, monkeypatch):
    """The graph does not know the lengths. Under XLA, Keras loops over the cells."""
    import tensorflow as tf

    from elmo_keras.backend.tensorflow import lstm

    if mask == "none, long":
        monkeypatch.setattr(lstm, "_MAX_UNROLLED", 3)
    mask = MASKS[mask.partition(",")[0]]
    stack, given, call = case(mask)
    variables = [*given, *stack.trainable_variables]

    @tf.function(jit_compile=jit_compile)
    def run(x, mask, *states):
        with tf.GradientTape() as tape:
            outputs, final = stack(x, mask=mask, initial_state=states)
            loss = loss_of(lambda: [*outputs, *final])()
        return [*outputs, *final], tape.gradient(loss, stack.trainable_variables)

    outputs, actual = run(given[0].value, mask, *(v.value for v in given[1:]))
    for y, expected in zip(outputs, call(), strict=True):
        np.testing.assert_allclose(to_numpy(y), to_numpy(expected), atol=1e-5)
    for gradient, expected in zip(actual, gradients(loss_of(call), variables)[3:], strict=True):
        np.testing.assert_allclose(to_numpy(gradient), expected, atol=1e-4)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_other_precisions(dtype):
    """Values and gradients equal those of float32 up to rounding."""
    if dtype == "float64" and keras.backend.backend() == "jax":
        pytest.skip("JAX has float64 only where it is switched on")
    tolerance = {"mixed_bfloat16": 0.05, "mixed_float16": 0.01, "float64": 1e-5}[dtype]
    in_float32, in_dtype = (everything("padded", policy)() for policy in ("float32", dtype))
    for actual, expected in zip(in_dtype, in_float32, strict=True):
        assert np.abs(actual - expected).max() <= tolerance * max(1.0, np.abs(expected).max())


def everything(mask, dtype, rows=4):
    """A function that returns the values and gradients of a case as float32 arrays."""
    # Without clips, because rounding could move a value across the bound.
    clips = {"cell_clip": None, "projection_clip": None}
    stack, given, call = case(MASKS[mask], dtype=dtype, rows=rows, **clips)

    def compute():
        outputs = [to_numpy(keras.ops.cast(y, "float32")) for y in call()]
        all_gradients = gradients(loss_of(call), [*given, *stack.trainable_variables])
        return outputs + [gradient.astype("float32") for gradient in all_gradients]

    return compute


@pytest.mark.skipif(not IS_TENSORFLOW, reason="only TensorFlow computes many rows in another way")
def test_many_rows_in_half_precision_are_as_exact_as_the_cells(monkeypatch):
    expected = everything("none", "float32", MANY)()
    half = everything("none", "mixed_bfloat16", MANY)
    cells = by_cells(monkeypatch, half)
    for by_scan, by_cell, exact in zip(half(), cells, expected, strict=True):
        assert np.linalg.norm(by_scan - exact) <= 1.5 * np.linalg.norm(by_cell - exact)


def test_frozen_weights_do_not_change():
    stack, given, call = case(MASKS["padded"])
    before = stack.get_weights()
    stack.trainable = False
    (gradient,) = gradients(loss_of(call), given[:1])
    assert np.abs(gradient).max() > 0 and not stack.trainable_variables
    for actual, expected in zip(stack.get_weights(), before, strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("adapt", ["int8", "lora"])
def test_quantised_and_lora_products_are_used(monkeypatch, adapt):
    stack, given, call = case(MASKS["padded"])
    plain = [to_numpy(y) for y in call()]
    part = stack.backward_layers[1].cell.recurrent_gates
    if adapt == "int8":
        part.quantize("int8")
    else:
        part.enable_lora(2)
        part.lora_kernel_b.assign(np.ones(part.lora_kernel_b.shape))
    adapted = [to_numpy(y) for y in call()]
    assert np.abs(adapted[-3] - plain[-3]).max() > 1e-4
    expected = by_cells(monkeypatch, lambda: [to_numpy(y) for y in call()])
    for y, by_cell in zip(adapted, expected, strict=True):
        np.testing.assert_allclose(y, by_cell, atol=1e-6)
    if adapt == "lora":
        of_lora = gradients(loss_of(call), [part.lora_kernel_a, part.lora_kernel_b])
        assert all(np.abs(gradient).max() > 0 for gradient in of_lora)
