"""The rules of the source tree: who imports whom, and what a file may hold.

Packages stand in one line; every import points left, wherever it stands:

    utils | backend <- files <- metrics | datasets | text <- layers <- checkpoints <- presets
    <- encoders <- serving <- models <- training | tuning | convert <- demo <- elmo_keras
    <- elmo_keras_cli

Packages that share a place (`|`) do not import each other, and no files import each other in a
circle. There are no exceptions.
"""

import ast
import dataclasses
import pathlib
import re

import pytest

PACKAGE, COMMAND_LINE = "elmo_keras", "elmo_keras_cli"
REPOSITORY = pathlib.Path(__file__).parents[1]

# From left to right.
ORDER = [
    {"utils", "backend"},
    {"files"},
    {"metrics", "datasets", "text"},
    {"layers"},
    {"checkpoints"},
    {"presets"},
    {"encoders"},
    {"serving"},
    {"models"},
    {"training", "tuning", "convert"},
    {"demo"},
    {"__init__"},  # the package's own: `import elmo_keras`, `from elmo_keras import ElmoLayer`
    {COMMAND_LINE},
]
RANK = {part: rank for rank, parts in enumerate(ORDER) for part in parts}

OPTIONAL = f"{PACKAGE}.utils.optional_module"
BACKENDS = {"tensorflow", "tensorflow_text", "jax", "torch"}
WITHOUT_BACKEND = {"layers", "metrics"}
# The command line reads the messages that TensorFlow prints when it is imported.
WITH_BACKEND = {"backend", COMMAND_LINE}
MAX_LINES = 400
# `ElmoLayer` is one class: its documentation is a third of the file.
MAX_LINES_OF = {"encoders/elmo_layer.py": 640}


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
        self.name = ".".join([*self.parent, *([parts[-1]] if parts[-1] != "__init__" else [])])
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


def check_import_direction(module):
    """Imports point left, inside functions as well."""
    if module.part not in RANK:
        yield 1, f"{module.part!r} has no place in ORDER"
        return
    for imported, part in not_left(module):
        where = "beside" if RANK[part] == RANK[module.part] else "right of"
        yield imported.line, f"{module.part!r} imports {part!r}, which is {where} it"


def check_command_line(module):
    """Help and usage errors do not wait for the package's import."""
    for imported in module.imports:
        foreign = _part(imported.name) in (None, COMMAND_LINE)
        if module.part == COMMAND_LINE and imported.at_import and not foreign:
            yield imported.line, f"{imported.name!r} is imported before a command runs"


def circles(modules):
    """The circles of files, each as a sorted list of module names.

    A circle is a strongly connected component of the graph of imports (Tarjan's algorithm).
    """
    graph = _graph(modules)
    index, lowest, stack, components = {}, {}, [], []

    def visit(name):
        index[name] = lowest[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                lowest[name] = min(lowest[name], lowest[other])
            elif other in stack:
                lowest[name] = min(lowest[name], index[other])
        if lowest[name] == index[name]:
            component = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(component) > 1 or name in graph[name]:
                components.append(sorted(component))

    for name in graph:
        if name not in index:
            visit(name)
    return components


def _graph(modules):
    """The names of the files that each file imports.

    A package's `__init__` that is imported for one of its files is not an import of that file.
    """
    names = {module.name for module in modules}
    graph = {}
    for module in modules:
        graph[module.name] = set()
        for imported in module.imports:
            name = imported.name
            if name.endswith("."):  # computed: any module of the package
                graph[module.name] |= {other for other in names if other.startswith(name)}
                continue
            if name not in names:
                name = name.rpartition(".")[0]
            if name in names:
                graph[module.name].add(name)
    return graph


def check_keras_src(module):
    """`keras.src` is private."""
    for imported in module.imports:
        if f"{imported.name}.".startswith("keras.src."):
            yield imported.line, "keras.src is private"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "keras.src":
            yield node.lineno, "keras.src is private"


def check_backends(module):
    """Backends are imported in `backend`; elsewhere when they are used, in layers not at all."""
    if module.part in WITH_BACKEND:
        return
    for imported in module.imports:
        if imported.name.split(".")[0] in BACKENDS:
            yield imported.line, f"{imported.name!r} is imported outside of the backend package"
        elif module.part in WITHOUT_BACKEND and imported.name.startswith(OPTIONAL):
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
    limit = MAX_LINES_OF.get(module.path, MAX_LINES)
    if length > limit:
        yield length, f"{length} lines, more than {limit}: split it"


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


def test_no_circles(modules):
    assert circles(modules) == []


def test_summary(modules, capsys):
    """Prints the figures that reviews ask for."""
    upward = sum(len(list(not_left(module))) for module in modules)
    with capsys.disabled():
        print(
            f"\n{len(modules)} files: import circles {len(circles(modules))}, "
            f"upward imports {upward}, exceptions 0"
        )
    assert upward == 0


@pytest.mark.parametrize(
    "sources, expected",
    [
        ({"layers/a": "from elmo_keras.layers import b", "layers/b": ""}, []),
        (
            {"layers/a": "from elmo_keras.layers import b", "layers/b": "from .a import A"},
            [["elmo_keras.layers.a", "elmo_keras.layers.b"]],
        ),
        (
            {
                "text/a": "def f():\n  import elmo_keras.files.b",
                "files/b": "from ..text.a import A",
            },
            [["elmo_keras.files.b", "elmo_keras.text.a"]],
        ),
        (
            {"text/a": "from . import b", "text/b": "from . import c", "text/c": "from . import a"},
            [["elmo_keras.text.a", "elmo_keras.text.b", "elmo_keras.text.c"]],
        ),
        (
            {
                "text/__init__": "from elmo_keras.text.a import A",
                "text/a": "import elmo_keras.text",
            },
            [["elmo_keras.text", "elmo_keras.text.a"]],
        ),
    ],
)
def test_circles_of_synthetic_sources(sources, expected):
    assert circles([Module(f"{path}.py", source) for path, source in sources.items()]) == expected


@pytest.mark.parametrize("source", ["import {}", "def f():\n  import {}"])
@pytest.mark.parametrize("parts", [("training", "tuning"), ("presets", "training")])
def test_a_circle_of_packages_is_a_violation(parts, source):
    modules = [
        Module(f"{own}/a.py", source.format(f"elmo_keras.{other}.a"))
        for own, other in (parts, parts[::-1])
    ]
    messages = [list(check_import_direction(module)) for module in modules]
    assert any(messages)


DIRECTION = [
    # To the left.
    ("layers/a.py", "from elmo_keras import backend, text", None),
    ("layers/a.py", "from elmo_keras.text.conversion import pad", None),
    ("layers/a.py", "from .b import B\nfrom ..text import pad", None),
    ("models/a.py", "from elmo_keras import serving", None),
    ("presets/a.py", "from elmo_keras.checkpoints import bilm", None),
    ("training/a.py", "def f():\n  from ..presets import a", None),
    ("text/a.py", "from elmo_keras.utils.optional_module import tensorflow", None),
    ("__init__.py", "from elmo_keras.demo import run", None),
    ("text/a.py", "import keras, elmo_keras_other.cli", None),
    ("models/a.py", "def f():\n  from elmo_keras import text", None),
    ("elmo_keras_cli/a.py", "from . import b\nimport elmo_keras", None),
    # To the right.
    ("text/a.py", "import elmo_keras.layers.crf", "right of it"),
    ("layers/a.py", "from elmo_keras import text, models", "right of"),
    ("layers/a.py", "from ..presets import load", "right of it"),
    ("metrics/__init__.py", "from .. import models", "right of it"),
    ("serving.py", "from elmo_keras.models import ElmoTask", "right of it"),
    ("layers/a.py", "class A:\n  import elmo_keras.demo", "right of it"),
    ("layers/a.py", "if X:\n  import elmo_keras.demo", "right of it"),
    ("checkpoints/a.py", "from ..presets import a", "right of it"),
    ("backend/__init__.py", "import_module(f'elmo_keras.models.{x}')", "right of it"),
    ("utils/a.py", "from elmo_keras import text", "right of it"),
    ("demo.py", "from elmo_keras_cli.app import app", "right of it"),
    ("__init__.py", "import elmo_keras_cli", "right of it"),
    # To the right, inside a function.
    ("layers/a.py", "def f():\n  from .. import presets", "right of"),
    ("models/a.py", "f = lambda: __import__('elmo_keras')", "right of"),
    # The whole package is right of its parts.
    ("layers/a.py", "import elmo_keras", "'__init__', which is right"),
    ("models/a.py", "from elmo_keras import ElmoLayer", "right of it"),
    ("demo.py", "from . import __version__", "right of it"),
    # Beside, and nowhere.
    ("utils/a.py", "from elmo_keras import backend", "beside it"),
    ("convert.py", "from elmo_keras import tuning", "beside it"),
    ("training/a.py", "def f():\n  from .. import convert", "beside"),
    ("datasets/a.py", "def f():\n  from .. import text", "beside"),
    ("extra/a.py", "from elmo_keras import text", "no place in ORDER"),
]


@pytest.mark.parametrize(
    "check, path, source, message",
    [
        *((check_import_direction, *case) for case in DIRECTION),
        (check_command_line, "elmo_keras_cli/a.py", "def f():\n  import elmo_keras", None),
        (check_command_line, "elmo_keras_cli/a.py", "from elmo_keras_cli import b", None),
        (check_command_line, "elmo_keras_cli/a.py", "from elmo_keras import text", "before a"),
        (check_command_line, "demo.py", "from elmo_keras import text", None),
        (check_keras_src, "text/a.py", "import keras.source\nfrom keras import ops", None),
        (check_keras_src, "text/a.py", "import keras.src", "private"),
        (check_keras_src, "text/a.py", "from keras import src", "private"),
        (check_keras_src, "text/a.py", "def f():\n  from keras.src.layers import A", "private"),
        (check_keras_src, "text/a.py", "import keras\nkeras.src.layers.A", "private"),
        (check_backends, "layers/a.py", "import keras\nfrom keras import ops", None),
        (check_backends, "models/a.py", f"from {OPTIONAL} import tensorflow as tf", None),
        (check_backends, "backend/a.py", "import tensorflow as tf", None),
        (check_backends, "serving.py", "import tensorflow as tf", "outside of the backend"),
        (check_backends, "models/a.py", "def f():\n  import tensorflow as tf", "outside of"),
        (check_backends, "layers/a.py", "from tensorflow import strings", "outside of"),
        (check_backends, "metrics/a.py", "import torch.nn", "outside of"),
        (check_backends, "layers/a.py", f"from {OPTIONAL} import tensorflow", "without"),
        (check_backends, "metrics/a.py", f"import {OPTIONAL}", "without"),
        (check_statements, "text/a.py", '"""print(x), assert x"""\nlog.print(1)', None),
        (check_statements, "elmo_keras_cli/a.py", "print(1)", None),
        (check_statements, "text/a.py", "def f():\n  print(1)", "print"),
        (check_statements, "elmo_keras_cli/a.py", "assert x", "assert"),
        (check_file, "text/_own_2.py", "x\n" * MAX_LINES, None),
        (check_file, "text/__init__.py", "", None),
        (check_file, "encoders/elmo_layer.py", "x\n" * (MAX_LINES + 1), None),
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
