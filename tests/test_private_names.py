"""Private names of Keras and TensorFlow in the package: a list that may only shrink.

A private name may change with any release. Each entry names the public alternative that was tried.
"""

import ast
import pathlib

import keras
import numpy as np
import pytest

REPOSITORY = pathlib.Path(__file__).parents[1]
PACKAGES = ("elmo_keras", "elmo_keras_cli")

# (file, name) -> the public alternative that was tried.
ALLOWED = {
    ("layers/keras_internals.py", "_flatten_layers"): (
        "`keras.Model.layers` lists the layers of models alone; a Layer has no public list."
    ),
    ("layers/keras_internals.py", "_dtype_policy"): (
        "`dtype_policy` wraps a plain policy into the DTypePolicyMap of the parent: a quantised "
        "Dense is then saved without its scale."
    ),
    ("layers/lstm_states.py", "_trackable_children"): (
        "Overriding `export` of the models of this package is not enough: a plain Keras model with "
        "an ElmoLayer is exported by Keras alone."
    ),
    ("text/text_layer.py", "_convert_input_args"): (
        "The layer's own `__call__` converts strings, but Keras converts them once more, on JAX "
        "and torch into their tensors, which have no strings. Keras' own string layers set this."
    ),
    ("text/text_layer.py", "_allow_non_tensor_positional_args"): (
        "As `_convert_input_args`: without it, Keras refuses TensorFlow's tensors on JAX and torch."
    ),
    ("models/elmo_task.py", "_use_cached_eval_dataset"): (
        "`fit` calls `evaluate` with its preprocessed validation data, and this keyword alone says "
        "so; preprocessing a Dataset again would refuse label numbers at padding."
    ),
    ("backend/tensorflow/internals.py", "_get_control_flow_context"): (
        "TensorFlow has no public way to ask whether a graph is traced for XLA, where shapes must "
        "not depend on values; `tf.config.optimizer.get_jit` is about auto-clustering."
    ),
    ("backend/tensorflow/internals.py", "tensorflow.python.framework"): (
        "TensorFlow keeps each `tf.custom_gradient` and its graph for the life of the process; "
        "`tf.RegisterGradient` cannot remove an entry either."
    ),
    ("backend/tensorflow/internals.py", "_get_variable_index"): (
        "`optimizer.variables` lists the slots of all variables without saying whose they are."
    ),
}


def keras_objects():
    """Objects of the classes that the package subclasses."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("adam", "mse")
    yield from (
        model,
        keras.layers.Layer(),
        model.optimizer,
        keras.Sequential(),
        keras.metrics.Mean(),
    )
    yield from (keras.layers.RNN(keras.layers.LSTMCell(2)), keras.losses.MeanSquaredError())


def other_objects():
    """Objects of the classes that the package calls."""
    yield from (keras.Variable(np.zeros(1)), keras.Input((2,)))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        yield from (tf.Graph(), tf.constant(1), tf.data.Dataset.range(1), tf.Module())
        yield from (tf.distribute.get_strategy(), tf.ragged.constant([[1]]), tf.Variable(1))


def names_of(objects):
    names = {name for item in objects for name in dir(item)}
    return {name for name in names if name.startswith("_") and not name.startswith("__")}


# Names of `self` in a layer or model are Keras' own if Keras has them; of other objects, any.
KERAS_NAMES = names_of(keras_objects())
# A keyword has no object: `fit` of Keras passes it to `evaluate`.
ALL_NAMES = KERAS_NAMES | names_of(other_objects()) | {"_use_cached_eval_dataset"}


def used_names(tree):
    """The private names of Keras and TensorFlow in a module, with their lines.

    Attributes of objects, keywords and strings; of the classes that have a base also the names
    that they define, and the attributes of `self`.
    """
    plain = set()  # inside of classes without a base
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not node.bases:
            plain |= {id(child) for child in ast.walk(node)}
        if isinstance(node, ast.JoinedStr):
            plain |= {id(child) for child in node.values}
    methods = {
        id(item) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for item in node.body
    }
    for node in ast.walk(tree):
        name, known = "", ALL_NAMES
        if isinstance(node, ast.Attribute):
            name = node.attr
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                known = set() if id(node) in plain else KERAS_NAMES
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name = node.name
            known = KERAS_NAMES if id(node) in methods and id(node) not in plain else set()
        elif isinstance(node, ast.keyword):
            name = node.arg or ""
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value if id(node) not in plain else ""
        if name in known:
            yield name, node.lineno


def private_modules(tree):
    """The private modules of TensorFlow that are imported."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        for name in names:
            if name.startswith(("tensorflow.python", "keras.src", "jax._src")):
                yield name, node.lineno


def test_private_names_are_on_the_list():
    found = {}
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            name = path.relative_to(
                REPOSITORY / "elmo_keras" if package == "elmo_keras" else REPOSITORY
            )
            tree = ast.parse(path.read_text("utf-8"))
            for used, line in used_names(tree):
                found.setdefault((name.as_posix(), used), line)
            for module, line in private_modules(tree):
                found.setdefault((name.as_posix(), module), line)
    new = [
        f"{file}:{line}: {name}"
        for (file, name), line in found.items()
        if (file, name) not in ALLOWED
    ]
    assert not new, "\n".join(["", *new])
    if keras.backend.backend() == "tensorflow":  # Other backends do not show TensorFlow's names.
        assert sorted(ALLOWED.keys() - found) == []


def test_every_entry_names_an_alternative():
    assert all(len(reason) > 20 for reason in ALLOWED.values())


@pytest.mark.parametrize(
    "source, expected",
    [
        ("layer._flatten_layers()", ["_flatten_layers"]),
        ("class A(Layer):\n  def _flatten_layers(self): pass", ["_flatten_layers"]),
        ("class A(Layer):\n  def f(self): self._dtype_policy = 1", ["_dtype_policy"]),
        ("class A:\n  def f(self): self._dtype_policy = self.x._dtype_policy", ["_dtype_policy"]),
        ("f(_dtype_policy=1)", ["_dtype_policy"]),
        ("getattr(layer, '_dtype_policy')", ["_dtype_policy"]),
        ("self.__dict__, layer.weights, f'{x}_dtype_policy', a._own", []),
    ],
)
def test_names_of_synthetic_source(source, expected):
    assert [name for name, _ in used_names(ast.parse(source))] == expected


def test_modules_of_synthetic_source():
    source = "from tensorflow.python.framework import ops\nimport keras.src.x, tensorflow"
    found = [name for name, _ in private_modules(ast.parse(source))]
    assert found == ["tensorflow.python.framework", "keras.src.x"]
