"""Docstrings: their examples run, and they name every argument."""

import doctest
import functools
import importlib
import inspect
import pathlib
import re

import keras
import pytest

ROOT = pathlib.Path(__file__).parents[1] / "elmo_keras"
PUBLIC = [
    *("", "layers", "text", "models", "metrics", "checkpoints", "serving", "datasets", "tuning"),
    *("training", "presets", "encoders", "convert"),
]


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = [
    pytest.param(
        module_name(path), marks=[pytest.mark.filterwarnings("ignore::Warning")] * is_tuning
    )
    for path in sorted(ROOT.rglob("*.py"))
    for is_tuning in [path.stem == "tuning"]  # keras-tuner is not free of warnings.
    if ">>> " in path.read_text("utf-8")
]


def imported(name):
    """A module, or a skip where what it needs is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if (error.name or "elmo_keras").partition(".")[0] == "elmo_keras":
            raise
        pytest.skip(f"{name} needs {error.name}")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="examples show strings")
@pytest.mark.parametrize("name", MODULES)
def test_examples(name, monkeypatch, tmp_path):
    module = imported(name)
    monkeypatch.chdir(tmp_path)
    # Toys train faster than they are traced.
    compile_eagerly = functools.partialmethod(keras.Model.compile, run_eagerly=True)
    monkeypatch.setattr(keras.Model, "compile", compile_eagerly)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    report = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module):
        keras.utils.set_random_seed(0)
        runner.run(test, out=report.append)
    assert runner.tries
    assert not runner.failures, "".join(report)


def public_objects(name):
    """Classes and functions that a public module gives out, by their dotted name."""
    module = imported(f"elmo_keras.{name}".rstrip("."))
    for key, value in vars(module).items():
        own = getattr(value, "__module__", "")
        is_reexported = own.startswith("elmo_keras.") and module.__file__.endswith("__init__.py")
        is_object = inspect.isclass(value) or inspect.isfunction(value)
        if is_object and key[0] != "_" and (is_reexported or own == module.__name__):
            yield f"{module.__name__}.{key}", value


def parameters_of(value):
    """The names that the `Args:` of a class or a function must have."""
    function = value
    if inspect.isclass(value):
        # The first class with a constructor counts; Keras documents the arguments of its classes.
        owner = next((cls for cls in value.__mro__ if "__init__" in vars(cls)), object)
        if issubclass(value, tuple):
            return list(value._fields)
        if not owner.__module__.startswith("elmo_keras"):
            return []
        function = owner.__init__
    parameters = list(inspect.signature(function).parameters.values())
    parameters = parameters[1:] if inspect.isclass(value) else parameters  # without self
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [stars.get(parameter.kind, "") + parameter.name for parameter in parameters]


def documented_arguments(docstring):
    """The names under `Args:`, `a, b: of both` counting as two."""
    section = re.search(r"^Args:\n((?:(?:    .*)?\n)+)", inspect.cleandoc(docstring) + "\n", re.M)
    if section is None:
        return []
    heads = re.findall(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*):", section[1], re.M)
    return [name for head in heads for name in head.split(", ")]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_object_says_what_it_takes(name):
    objects = dict(public_objects(name))
    assert objects or name == "serving"
    problems = []
    for path, value in objects.items():
        docstring = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
        if not docstring or not docstring.strip():
            problems.append(f"{path} has no docstring")
            continue
        given, documented = parameters_of(value), documented_arguments(docstring)
        if given != documented:
            problems.append(f"{path} takes {given}, its `Args:` name {documented}")
    assert not problems, "\n".join(["", *problems])


# What a subclass of TokenEncoder brings is in the docstring of the class, and what an RNN's cell
# has to have in Keras'.
PROTOCOLS = {
    "TokenEncoder": {"ids_shape", "ids_limit", "output_dim", "boundary_ids", "text_layer"},
    "ProjectedLSTMCell": {"state_size", "output_size", "get_initial_state"},
}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_method_has_a_docstring(name):
    """But for those of Keras, and of a base, that a class fills in."""
    problems = []
    for path, value in public_objects(name):
        if not inspect.isclass(value):
            continue
        for key, member in vars(value).items():
            member = getattr(member, "__func__", member)
            is_method = inspect.isfunction(member) or isinstance(member, property)
            is_filled_in = any(hasattr(base, key) for base in value.__mro__[1:])
            is_filled_in |= key in PROTOCOLS.get(value.__name__, ())
            if is_method and key[0] != "_" and not is_filled_in and not member.__doc__:
                problems.append(f"{path}.{key}")
    assert not problems, f"Without a docstring: {problems}"


def unannotated(function):
    """Names of the parameters without a type; "return" if the result has none."""
    signature = inspect.signature(function)
    names = [
        parameter.name
        for place, parameter in enumerate(signature.parameters.values())
        if parameter.annotation is parameter.empty
        and not (place == 0 and parameter.name in ("self", "cls"))
    ]
    has_result = signature.return_annotation is not signature.empty
    return names if has_result or function.__name__ == "__init__" else [*names, "return"]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_signature_is_typed(name):
    problems = []
    for path, value in public_objects(name):
        members = vars(value) if inspect.isclass(value) else {"": value}
        for key, member in members.items():
            member = getattr(member, "__func__", member)
            member = member.fget if isinstance(member, property) else member
            is_public = key[:1] != "_" or key == "__init__"
            if is_public and inspect.isfunction(member) and unannotated(member):
                problems.append(f"{path}.{key}: {', '.join(unannotated(member))}")
    assert not problems, "Without a type:\n" + "\n".join(problems)


def test_unannotated():
    class Sample:
        def __init__(self, a: int, b=1):
            pass

        def method(self, a, *b: int, **c) -> int:
            return 1

    assert unannotated(Sample.__init__) == ["b"]
    assert unannotated(Sample.method) == ["a", "c"]
    assert unannotated(unannotated) == ["function", "return"]


def test_documented_arguments():
    docstring = """One line.

    Args:
        a: int. What `x: y` means.
            - `b`: an item
        c, d: floats.

        **kwargs: more.

    Returns:
        e: a thing.
    """
    assert documented_arguments(docstring) == ["a", "c", "d", "**kwargs"]
    assert documented_arguments("One line.") == []
