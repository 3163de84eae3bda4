"""The rules of the house: who imports whom, and what a file may hold.

Every import points left, wherever it stands:
`_optional <- text | kernels <- layers <- metrics <- models <- checkpoints <- presets <-
training | tuning | serving | datasets <- demo <- elmo_keras <- elmo_keras_cli <- cli`.
"""

import ast
import dataclasses
import pathlib
import re

import pytest

PACKAGE, COMMAND_LINE = "elmo_keras", "elmo_keras_cli"
REPOSITORY = pathlib.Path(__file__).parents[1]

# From left to right. Parts of one set do not know each other.
ORDER = [
    {"_optional"},
    {"text", "kernels"},
    {"layers"},
    {"metrics"},
    {"models"},
    {"checkpoints"},
    {"presets"},
    {"training", "tuning", "serving", "datasets"},
    {"demo"},
    {"__init__"},  # the package's own: `import elmo_keras`, `from elmo_keras import ElmoLayer`
    {COMMAND_LINE},
    {"cli"},
]
RANK = {part: rank for rank, parts in enumerate(ORDER) for part in parts}
OPTIONAL = "_optional"

# Conveniences that reach right, each inside the functions that need it: file and part.
REACHING_RIGHT = {
    ("layers/preset_methods.py", "presets"),
    ("layers/static_embedding.py", "checkpoints"),
    ("models/bidirectional_language_model.py", "presets"),
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
        path: str. Relative to the package, like `"layers/char_cnn.py"`, or, of the command line,
            to the repository, like `"elmo_keras_cli/app.py"`.
        source: str. Its text.
    """

    def __init__(self, path, source):
        self.path = path
        self.source = source
        self.tree = ast.parse(source)
        parts = path.removesuffix(".py").split("/")
        self.part = parts[0]  # "layers", or "__init__" for the package's own
        self.parent = parts[:-1] if self.part == COMMAND_LINE else [PACKAGE, *parts[:-1]]
        self.imports = list(self._imports(self.tree, at_import=True))

    @classmethod
    def read(cls, path):
        """The module in a file of one of the two packages."""
        name = path.relative_to(REPOSITORY).as_posix().removeprefix(f"{PACKAGE}/")
        return cls(name, path.read_text("utf-8"))

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
    """The part that an imported name belongs to, None for a foreign one."""
    top, _, rest = name.partition(".")
    if top == COMMAND_LINE:
        return COMMAND_LINE
    if top != PACKAGE:
        return None
    part = rest.split(".")[0]
    return part if part in RANK else "__init__"


def not_left(module):
    """The imports of parts that are not left of the module's own, with these parts."""
    for imported in module.imports:
        part = _part(imported.name)
        if part not in (None, module.part) and RANK[part] >= RANK[module.part]:
            yield imported, part


def check_import_direction(module, exceptions=REACHING_RIGHT):
    """Imports point left, inside functions as well."""
    if module.part not in RANK:
        yield 1, f"{module.part!r} has no place in ORDER"
        return
    for imported, part in not_left(module):
        if imported.at_import or (module.path, part) not in exceptions:
            where = "beside" if RANK[part] == RANK[module.part] else "right of"
            yield imported.line, f"{module.part!r} imports {part!r}, which is {where} it"


def check_command_line(module):
    """Help and usage errors do not wait for the package's import."""
    for imported in module.imports:
        foreign = _part(imported.name) in (None, COMMAND_LINE)
        if module.part == COMMAND_LINE and imported.at_import and not foreign:
            yield imported.line, f"{imported.name!r} is imported before a command runs"


def unused_exceptions(modules, exceptions=REACHING_RIGHT):
    """Exceptions of `check_import_direction` that no import needs."""
    used = {(module.path, part) for module in modules for _, part in not_left(module)}
    return sorted(exceptions - used)


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
        if called == "print" and module.part != COMMAND_LINE:
            yield node.lineno, f"print: only in {COMMAND_LINE}"


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
    check_command_line,
    check_keras_src,
    check_backends,
    check_statements,
    check_file,
]


@pytest.fixture(scope="module")
def modules():
    paths = [path for name in (PACKAGE, COMMAND_LINE) for path in (REPOSITORY / name).rglob("*.py")]
    return [Module.read(path) for path in sorted(paths)]


@pytest.mark.parametrize("check", CHECKS)
def test_package(check, modules):
    assert {module.part for module in modules} == set(RANK)
    violations = [
        f"{module.path}:{line}: {message}" for module in modules for line, message in check(module)
    ]
    assert not violations, "\n".join(["", *violations])


def test_every_exception_is_used(modules):
    assert unused_exceptions(modules) == []


def test_unused_exceptions_on_synthetic_source():
    inside = "def f():\n  from elmo_keras import presets, text"
    modules = [
        Module("layers/a.py", inside),
        Module("layers/b.py", inside.replace("presets, ", "")),
        Module("training/a.py", inside),
    ]
    used, of_the_left = ("layers/a.py", "presets"), ("training/a.py", "presets")
    another_part, without = ("layers/a.py", "serving"), ("layers/b.py", "presets")
    absent = ("layers/c.py", "presets")
    exceptions = {used, of_the_left, another_part, without, absent}
    assert unused_exceptions(modules, exceptions) == sorted(exceptions - {used})


@pytest.mark.parametrize("source", ["import {}", "def f():\n  import {}"])
@pytest.mark.parametrize("parts", [("training", "serving"), ("presets", "training")])
def test_a_circle_is_a_violation(parts, source):
    modules = [
        Module(f"{own}/a.py", source.format(f"elmo_keras.{other}.a"))
        for own, other in (parts, parts[::-1])
    ]
    messages = [list(check_import_direction(module)) for module in modules]
    assert any(messages)


@pytest.mark.parametrize(
    "check, path, source, message",
    [
        # To the left.
        (check_import_direction, "layers/a.py", "from elmo_keras import kernels, text", None),
        (check_import_direction, "layers/a.py", "from elmo_keras.text.strings import pad", None),
        (check_import_direction, "layers/a.py", "from .b import B\nfrom ..text import pad", None),
        (check_import_direction, "cli.py", "import elmo_keras, elmo_keras.tuning", None),
        (check_import_direction, "presets/a.py", "from elmo_keras.checkpoints import hdf5", None),
        (check_import_direction, "training/a.py", "def f():\n  from ..presets import a", None),
        (check_import_direction, "text/a.py", "from elmo_keras._optional import tensorflow", None),
        (check_import_direction, "__init__.py", "from elmo_keras.demo import run", None),
        (check_import_direction, "text/a.py", "import keras, elmo_keras_other.cli", None),
        (check_import_direction, "models/a.py", "def f():\n  from elmo_keras import text", None),
        (check_import_direction, "elmo_keras_cli/a.py", "from . import b\nimport elmo_keras", None),
        (check_import_direction, "cli.py", "from elmo_keras_cli.app import app", None),
        # To the right.
        (check_import_direction, "text/a.py", "import elmo_keras.layers.crf", "right of it"),
        (check_import_direction, "layers/a.py", "from elmo_keras import text, models", "right of"),
        (check_import_direction, "layers/a.py", "from ..presets import load", "right of it"),
        (check_import_direction, "metrics/__init__.py", "from .. import models", "right of it"),
        (check_import_direction, "layers/a.py", "class A:\n  import elmo_keras.cli", "right of it"),
        (check_import_direction, "layers/a.py", "if X:\n  import elmo_keras.cli", "right of it"),
        (check_import_direction, "datasets/a.py", "import elmo_keras.cli", "right of it"),
        (check_import_direction, "checkpoints/a.py", "from ..presets import a", "right of it"),
        (
            check_import_direction,
            "kernels/__init__.py",
            "import_module(f'elmo_keras.models.{x}')",
            "right of it",
        ),
        (check_import_direction, "_optional.py", "from elmo_keras import text", "right of it"),
        (check_import_direction, "demo.py", "from elmo_keras_cli.app import app", "right of it"),
        (check_import_direction, "__init__.py", "import elmo_keras_cli", "right of it"),
        (check_import_direction, "elmo_keras_cli/a.py", "import elmo_keras.cli", "right of it"),
        # The whole package is right of its parts.
        (check_import_direction, "layers/a.py", "import elmo_keras", "'__init__', which is right"),
        (check_import_direction, "models/a.py", "from elmo_keras import ElmoLayer", "right of it"),
        (check_import_direction, "demo.py", "from . import __version__", "right of it"),
        # Beside, and nowhere.
        (check_import_direction, "text/a.py", "from elmo_keras import kernels", "beside it"),
        (check_import_direction, "serving.py", "from elmo_keras import tuning", "beside it"),
        (check_import_direction, "training/a.py", "def f():\n  from .. import serving", "beside"),
        (check_import_direction, "datasets/a.py", "def f():\n  from .. import training", "beside"),
        (check_import_direction, "extra/a.py", "from elmo_keras import text", "no place in ORDER"),
        # To the right, inside a function.
        (check_import_direction, "layers/a.py", "def f():\n  from .. import presets", "right of"),
        (check_import_direction, "models/a.py", "f = lambda: __import__('elmo_keras')", "right of"),
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
            "right of it",
        ),
        (
            check_import_direction,
            "layers/preset_methods.py",
            "from elmo_keras import presets",
            "right of it",
        ),
        (check_command_line, "elmo_keras_cli/a.py", "def f():\n  import elmo_keras", None),
        (check_command_line, "elmo_keras_cli/a.py", "from elmo_keras_cli import b", None),
        (check_command_line, "elmo_keras_cli/a.py", "from elmo_keras import text", "before a"),
        (check_command_line, "cli.py", "from elmo_keras import text", None),
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
        (check_statements, "elmo_keras_cli/a.py", "print(1)", None),
        (check_statements, "text/a.py", "def f():\n  print(1)", "print"),
        (check_statements, "elmo_keras_cli/a.py", "assert x", "assert"),
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
