"""The rules of the house: who imports whom, and what a file may hold.

Imports go one way only:
`text | kernels <- layers <- metrics <- models <- {checkpoints, presets, training, tuning, serving,
datasets} <- demo <- cli`.
"""

import ast
import dataclasses
import pathlib
import re

import pytest

PACKAGE = "elmo_keras"
ROOT = pathlib.Path(__file__).parents[1] / PACKAGE

ORDER = [
    {"text", "kernels"},
    {"layers"},
    {"metrics"},
    {"models"},
    {"checkpoints", "presets", "training", "tuning", "serving", "datasets"},
    {"demo"},
    {"cli"},
]
RANK = {part: rank for rank, parts in enumerate(ORDER) for part in parts}
# `text | kernels`: beside each other, and neither knows the other.
STRANGERS = {("text", "kernels"), ("kernels", "text")}
# Imported by all, imports nothing of the package.
OPTIONAL = "_optional"

# Conveniences that reach right, each inside the function that needs it.
REACHING_RIGHT = {
    ("layers/preset_methods.py", "presets"),
    ("layers/static_embedding.py", "checkpoints"),
    ("models/bidirectional_language_model.py", "presets"),
    ("models/elmo_task.py", "presets"),
    ("models/elmo_task.py", "serving"),
}

BACKENDS = {"tensorflow", "tensorflow_text", "jax", "torch"}
WITHOUT_BACKEND = {"layers", "metrics", "models"}
MAX_LINES = 400


@dataclasses.dataclass
class Import:
    name: str  # the imported module, absolute, or the name imported from it
    line: int
    at_import: bool  # whether it runs when the module is imported


class Module:
    """One file of the package, parsed.

    Args:
        path: str. Relative to the package, like `"layers/char_cnn.py"`.
        source: str. Its text.
    """

    def __init__(self, path, source):
        self.path = path
        self.source = source
        self.tree = ast.parse(source)
        parts = path.removesuffix(".py").split("/")
        self.part = parts[0]  # "layers", or "__init__" for the package's own
        self.parent = [PACKAGE, *parts[:-1]]
        self.imports = list(self._imports(self.tree, at_import=True))

    def _imports(self, node, at_import):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            at_import = False
        for name in self._names(node):
            yield Import(name, node.lineno, at_import)
        for child in ast.iter_child_nodes(node):
            yield from self._imports(child, at_import)

    def _names(self, node):
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            base = self.parent[: len(self.parent) + 1 - node.level] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            return [f"{base}.{alias.name}" for alias in node.names]
        if isinstance(node, ast.Call) and node.args:
            function = getattr(node.func, "attr", getattr(node.func, "id", None))
            if function in ("import_module", "__import__"):
                return [_beginning(node.args[0])]
        return []


def _beginning(node):
    """The constant text that a string expression starts with: `f"a.{b}"` starts with `"a."`."""
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _part(name):
    """The part of the package that a module belongs to, None for a foreign one."""
    top, _, rest = name.partition(".")
    return rest.split(".")[0] if top == PACKAGE else None


def check_import_direction(module):
    """Imports go left, or stay in their own set of parts."""
    if module.path == "__init__.py":
        return
    for imported in module.imports:
        part = _part(imported.name)
        if part is None or part in (module.part, OPTIONAL):
            continue
        if module.part == OPTIONAL:
            yield imported.line, f"{OPTIONAL} imports nothing of the package, not {part!r}"
        elif module.part not in RANK:
            yield imported.line, f"{module.part!r} has no place in ORDER"
        elif part not in RANK:
            # The root re-exports every part: only what stands right of them all may import it.
            if module.part != "cli":
                yield imported.line, f"{imported.name!r} is no part: import the part that holds it"
        elif (module.part, part) in STRANGERS:
            yield imported.line, f"{module.part!r} and {part!r} must not know each other"
        elif RANK[part] > RANK[module.part]:
            if imported.at_import:
                yield imported.line, f"{module.part!r} imports {part!r}, which is right of it"
            elif (module.path, part) not in REACHING_RIGHT:
                yield imported.line, f"{part!r} is right, and not in REACHING_RIGHT"


def check_keras_src(module):
    """`keras.src` is private."""
    for imported in module.imports:
        if f"{imported.name}.".startswith("keras.src."):
            yield imported.line, "keras.src is private"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "keras.src":
            yield node.lineno, "keras.src is private"


def check_backends(module):
    """Layers and metrics are keras.ops; models reach TensorFlow by `_optional`, when it is used."""
    if module.part not in WITHOUT_BACKEND:
        return
    for imported in module.imports:
        if imported.name.split(".")[0] in BACKENDS:
            yield imported.line, f"{imported.name!r} belongs into kernels or text"
        elif _part(imported.name) == OPTIONAL and module.part != "models":
            yield imported.line, f"{module.part!r} must run without {imported.name!r}"


def check_statements(module):
    """`assert` vanishes under -O; only the command line talks to a terminal."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assert):
            yield node.lineno, "assert: raise a ValueError"
        called = isinstance(node, ast.Call) and getattr(node.func, "id", None)
        if called == "print" and module.path != "cli.py":
            yield node.lineno, "print: only in cli.py"


def check_file(module):
    """A file has a snake_case name and is small enough to be one thing."""
    for name in module.path.removesuffix(".py").split("/"):
        if not re.fullmatch(r"_?[a-z][a-z0-9_]*|__init__|__main__", name):
            yield 1, f"{name!r} is not snake_case"
    length = module.source.count("\n")
    if length > MAX_LINES:
        yield length, f"{length} lines, more than {MAX_LINES}: split it"


CHECKS = [
    check_import_direction,
    check_keras_src,
    check_backends,
    check_statements,
    check_file,
]


@pytest.fixture(scope="module")
def modules():
    paths = sorted(ROOT.rglob("*.py"))
    return [Module(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in paths]


@pytest.mark.parametrize("check", CHECKS)
def test_package(check, modules):
    assert modules
    violations = [
        f"{PACKAGE}/{module.path}:{line}: {message}"
        for module in modules
        for line, message in check(module)
    ]
    assert not violations, "\n".join(["", *violations])


def test_no_import_cycle_between_parts(modules):
    graph = {}
    for module in modules:
        if module.path != "__init__.py":
            parts = {_part(imported.name) for imported in module.imports if imported.at_import}
            graph.setdefault(module.part, set()).update(parts & set(RANK) - {module.part})
    while graph:
        leaves = {part for part in graph if not graph[part] & set(graph)}
        assert leaves, f"These parts import each other in a circle: {sorted(graph)}"
        graph = {part: graph[part] for part in graph if part not in leaves}


@pytest.mark.parametrize(
    "check, path, source, message",
    [
        # To the left.
        (check_import_direction, "layers/a.py", "from elmo_keras import kernels, text", None),
        (check_import_direction, "layers/a.py", "from elmo_keras.text.strings import pad", None),
        (check_import_direction, "layers/a.py", "from .b import B\nfrom ..text import pad", None),
        (check_import_direction, "cli.py", "import elmo_keras, elmo_keras.tuning", None),
        (check_import_direction, "presets/a.py", "from elmo_keras.checkpoints import hdf5", None),
        (check_import_direction, "text/a.py", "from elmo_keras._optional import tensorflow", None),
        (check_import_direction, "__init__.py", "from elmo_keras.cli import app", None),
        (check_import_direction, "text/a.py", "import keras, elmo_keras_other.cli", None),
        (check_import_direction, "models/a.py", "def f():\n  from elmo_keras import text", None),
        # To the right.
        (check_import_direction, "text/a.py", "import elmo_keras.layers.crf", "right of it"),
        (check_import_direction, "layers/a.py", "from elmo_keras import text, models", "right of"),
        (check_import_direction, "layers/a.py", "from ..presets import load", "right of it"),
        (check_import_direction, "metrics/__init__.py", "from .. import models", "right of it"),
        (check_import_direction, "layers/a.py", "class A:\n  import elmo_keras.cli", "right of it"),
        (check_import_direction, "layers/a.py", "if X:\n  import elmo_keras.cli", "right of it"),
        (check_import_direction, "datasets/a.py", "import elmo_keras.cli", "right of it"),
        (
            check_import_direction,
            "kernels/__init__.py",
            "import_module(f'elmo_keras.models.{x}')",
            "right of it",
        ),
        # Beside, and nowhere.
        (check_import_direction, "text/a.py", "from elmo_keras import kernels", "not know each"),
        (check_import_direction, "layers/a.py", "import elmo_keras", "no part"),
        (check_import_direction, "models/a.py", "from elmo_keras import ElmoLayer", "no part"),
        (check_import_direction, "extra/a.py", "from elmo_keras import text", "no place in ORDER"),
        (check_import_direction, "_optional.py", "from elmo_keras import text", "nothing of"),
        # To the right, inside a function.
        (
            check_import_direction,
            "layers/preset_methods.py",
            "def from_preset():\n  from elmo_keras import presets",
            None,
        ),
        (
            check_import_direction,
            "layers/preset_methods.py",
            "def export():\n  from elmo_keras import serving",
            "REACHING_RIGHT",
        ),
        (
            check_import_direction,
            "layers/preset_methods.py",
            "from elmo_keras import presets",
            "right of it",
        ),
        (check_keras_src, "text/a.py", "import keras.source\nfrom keras import ops", None),
        (check_keras_src, "text/a.py", "import keras.src", "private"),
        (check_keras_src, "text/a.py", "from keras import src", "private"),
        (check_keras_src, "text/a.py", "def f():\n  from keras.src.layers import A", "private"),
        (check_keras_src, "text/a.py", "import keras\nkeras.src.layers.A", "private"),
        (check_backends, "layers/a.py", "import keras\nfrom keras import ops", None),
        (check_backends, "models/a.py", "from elmo_keras._optional import tensorflow as tf", None),
        (check_backends, "serving.py", "import tensorflow as tf", None),
        (check_backends, "models/a.py", "def f():\n  import tensorflow as tf", "kernels or text"),
        (check_backends, "layers/a.py", "from tensorflow import strings", "kernels or text"),
        (check_backends, "metrics/a.py", "import torch.nn", "kernels or text"),
        (check_backends, "layers/a.py", "from elmo_keras._optional import tensorflow", "without"),
        (check_backends, "metrics/a.py", "from elmo_keras import _optional", "without"),
        (check_statements, "text/a.py", '"""print(x), assert x"""\nlog.print(1)', None),
        (check_statements, "cli.py", "print(1)", None),
        (check_statements, "text/a.py", "def f():\n  print(1)", "print"),
        (check_statements, "cli.py", "assert x", "assert"),
        (check_file, "text/_own_2.py", "x\n" * MAX_LINES, None),
        (check_file, "text/__init__.py", "", None),
        (check_file, "text/CharCNN.py", "", "snake_case"),
        (check_file, "text-layers/a.py", "", "snake_case"),
        (check_file, "text/a.py", "x\n" * (MAX_LINES + 1), "401 lines"),
    ],
)
def test_checks_on_synthetic_source(check, path, source, message):
    messages = [message for _, message in check(Module(path, source))]
    if message is None:
        assert messages == []
    else:
        assert len(messages) == 1
        assert message in messages[0]
