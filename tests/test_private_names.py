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
        "`dtype_policy` wraps a plain policy into the DTypePolicyMap of the parent: a quantized "
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
    ("models/preprocessed_model.py", "_use_cached_eval_dataset"): (
        "`fit` calls `evaluate` with its preprocessed validation data, and this keyword alone says "
        "so; preprocessing a Dataset again would refuse label numbers at padding."
    ),
    ("models/fine_tuning.py", "_initial_epoch"): (
        "The argument `initial_epoch` of `fit`: BackupAndRestore sets the attribute, which Keras "
        "prefers to the argument in every later call, so a second phase would start too early."
    ),
    ("backend/tensorflow/internals.py", "_get_control_flow_context"): (
        "TensorFlow has no public way to ask whether a graph is traced for XLA, where shapes must "
        "not depend on values; `tf.config.optimizer.get_jit` is about auto-clustering."
    ),
    ("backend/tensorflow/internals.py", "tensorflow.python.framework"): (
        "TensorFlow keeps each `tf.custom_gradient` and its graph for the life of the process; "
        "`tf.RegisterGradient` cannot remove an entry either."
    ),
    ("backend/tensorflow/internals.py", "_registry"): (
        "`tf.RegisterGradient` with `Graph.gradient_override_map`, one name for all gradients: a "
        "GradientTape inside a graph ignores the map."
    ),
    ("backend/tensorflow/internals.py", "_get_variable_index"): (
        "`optimizer.variables` lists the slots of all variables without saying whose they are."
    ),
    ("backend/tensorflow/internals.py", "_accumulators"): (
        "`optimizer.variables`, as for `_get_variable_index`; Adagrad has no public list of sums."
    ),
    ("backend/tensorflow/internals.py", "_momentums"): (
        "`optimizer.variables`, as for `_get_variable_index`: it mixes both moments of all weights."
    ),
    ("backend/tensorflow/internals.py", "_velocities"): (
        "`optimizer.variables`, as for `_momentums`."
    ),
}


def keras_objects():
    """Objects of the classes that the package subclasses."""
    inputs = keras.Input((2,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    yield from (model, keras.layers.Layer(), keras.Sequential())
    for optimizer in (keras.optimizers.Adam(), keras.optimizers.Adagrad()):
        optimizer.build(model.trainable_variables)  # Creates the slots.
        yield optimizer
    yield keras.metrics.Mean()
    yield from (keras.layers.RNN(keras.layers.LSTMCell(2)), keras.losses.MeanSquaredError())


def other_objects():
    """Objects of the classes that the package calls."""
    yield from (keras.Variable(np.zeros(1)), keras.Input((2,)))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        yield from (tf.Graph(), tf.constant(1), tf.data.Dataset.range(1), tf.Module())
        yield from (tf.distribute.get_strategy(), tf.ragged.constant([[1]]), tf.Variable(1))


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def names_of(objects):
    return {name for item in objects for name in dir(item) if is_private(name)}


def defined_names(tree):
    """The private names that a module defines: functions, classes, variables, `self` attributes."""
    for node in ast.walk(tree):
        name = ""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_self(node):
            name = node.attr
        if is_private(name):
            yield name


def is_self(attribute):
    """Whether an attribute is one of `self` or `cls`."""
    return isinstance(attribute.value, ast.Name) and attribute.value.id in ("self", "cls")


def modules():
    """The file of each module, relative to `elmo_keras` or to the repository, and its tree."""
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            folder = REPOSITORY / "elmo_keras" if package == "elmo_keras" else REPOSITORY
            yield path.relative_to(folder).as_posix(), ast.parse(path.read_text("utf-8"))


# Names of `self` in a layer or model are Keras' own if Keras has them; of other objects, any.
KERAS_NAMES = names_of(keras_objects())
# A keyword has no object: `fit` of Keras passes it to `evaluate`.
ALL_NAMES = KERAS_NAMES | names_of(other_objects()) | {"_use_cached_eval_dataset"}
OWN_NAMES = {name for _, tree in modules() for name in defined_names(tree)}
# Methods of named tuples, documented as public.
NAMED_TUPLE = {"_asdict", "_field_defaults", "_fields", "_make", "_replace"}
ATTRIBUTE_FUNCTIONS = ("delattr", "getattr", "hasattr", "setattr")


def used_names(tree, own=OWN_NAMES):
    """The private names of Keras and TensorFlow in a module, with their lines.

    Attributes of objects, keywords and strings; of the classes that have a base also the names
    that they define, and the attributes of `self`. An attribute that `own`, the names that the
    package defines, does not have is foreign, whether Keras' objects show it or not.
    """
    plain = set()  # inside of classes without a base
    attribute_strings = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not node.bases:
            plain |= {id(child) for child in ast.walk(node)}
        if isinstance(node, ast.JoinedStr):
            plain |= {id(child) for child in node.values}
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ATTRIBUTE_FUNCTIONS:
            attribute_strings |= {id(child) for child in node.args[1:2]}
    methods = {
        id(item) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for item in node.body
    }
    for node in ast.walk(tree):
        name, known = "", ALL_NAMES
        if isinstance(node, ast.Attribute):
            name = node.attr
            if is_self(node):
                known = set() if id(node) in plain else KERAS_NAMES
            if is_private(name) and name not in own | NAMED_TUPLE:
                known = {name}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name = node.name
            known = KERAS_NAMES if id(node) in methods and id(node) not in plain else set()
        elif isinstance(node, ast.keyword):
            name = node.arg or ""
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value if id(node) not in plain else ""
            if id(node) in attribute_strings and is_private(name) and name not in own | NAMED_TUPLE:
                known = {name}
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
    actual = {}
    for file, tree in modules():
        for name, line in (*used_names(tree), *private_modules(tree)):
            actual.setdefault((file, name), line)
    new = [
        f"{file}:{line}: {name}"
        for (file, name), line in actual.items()
        if (file, name) not in ALLOWED
    ]
    assert not new, "\n".join(["", *new])
    if keras.backend.backend() == "tensorflow":  # Other backends do not show TensorFlow's names.
        assert sorted(ALLOWED.keys() - actual) == []


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
        # Neither the package nor an object of `keras_objects` has the name.
        ("x.registry._foreign", ["_foreign"]),
        ("self._foreign, cls._foreign, super()._foreign", ["_foreign"] * 3),
        ("getattr(x, '_foreign', None), hasattr(x, '_own')", ["_foreign"]),
        ("row._replace(a=1)._asdict(), print(x, '_foreign'[0], {'_foreign': 1})", []),
        ("optimizer._momentums, optimizer._accumulators", ["_momentums", "_accumulators"]),
    ],
)
def test_names_of_synthetic_source(source, expected):
    tree = ast.parse(source)
    own = {"_own", *defined_names(tree)}
    assert [name for name, _ in used_names(tree, own)] == expected


@pytest.mark.parametrize("name", ["_accumulators", "_momentums", "_velocities"])
def test_slots_of_optimizers_are_names_of_keras(name):
    assert name in KERAS_NAMES


def test_definitions_of_synthetic_source():
    source = """
_table = 1
class _Row:
    _size: int = 2
    def _read(self, x):
        self._x = x
        x._foreign = self._unset
"""
    expected = {"_table", "_Row", "_size", "_read", "_x"}
    assert set(defined_names(ast.parse(source))) == expected


def test_modules_of_synthetic_source():
    source = "from tensorflow.python.framework import ops\nimport keras.src.x, tensorflow"
    actual = [name for name, _ in private_modules(ast.parse(source))]
    assert actual == ["tensorflow.python.framework", "keras.src.x"]
