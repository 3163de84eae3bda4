"""Modules that are imported at their first use."""

import sys

import pytest

from elmo_keras.utils.optional_module import OptionalModule, regex, tensorflow, tensorflow_text


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that Python imports modules from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("some_module", None)


def test_imported_at_the_first_attribute(folder):
    (folder / "some_module.py").write_text("value = 7\n")
    module = OptionalModule("some_module", "Only this test needs it.")
    assert "some_module" not in sys.modules
    assert module.value == 7
    assert "some_module" in sys.modules
    sys.modules["some_module"].value = 8
    assert module.value == 8


def test_missing_attribute(folder):
    (folder / "some_module.py").write_text("")
    with pytest.raises(AttributeError, match="some_module.*value"):
        _ = OptionalModule("some_module", "").value


@pytest.mark.parametrize(
    "source, reason",
    [(None, "No module named 'some_module'"), ("raise ImportError('a library')", "a library")],
    ids=["missing", "broken"],
)
def test_import_error(folder, source, reason):
    if source is not None:
        (folder / "some_module.py").write_text(source)
    module = OptionalModule("some_module", "This test needs it: `pip install some_module`.")
    with pytest.raises(ImportError) as error:
        _ = module.value
    assert str(error.value) == (
        f"`some_module` could not be imported ({reason}). This test needs it: "
        "`pip install some_module`."
    )
    assert isinstance(error.value.__cause__, ImportError)


@pytest.mark.parametrize("module", [tensorflow, tensorflow_text, regex])
def test_errors_say_how_to_install_the_module(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module._name, None)
    with pytest.raises(ImportError, match="pip install"):
        _ = module.anything
