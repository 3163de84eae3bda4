"""Files around the package: they agree on the version, the test steps and each other's names."""

import ast
import configparser
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CITATION = (ROOT / "CITATION.cff").read_text("utf-8")

# In a shell script, in a workflow, and as code in Markdown; prose may make sure of something.
MAKE = re.compile(r"(?:^|`|run: |step \".*\" )make (?:[A-Z]+=\S+ )*([a-z][a-z-]*)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# `tests/file.py`, `tests/folder` or `tests/file.py::function`, not as part of a longer path.
TEST_PATH = re.compile(r"(?<![\w./-])tests/[\w./-]*\w(?:::\w+)?")


def relative(path):
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def setup():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    return parser


@pytest.fixture(scope="module")
def version():
    """The version as setuptools reads it: a constant, so that a build imports no Keras."""
    tree = ast.parse((ROOT / "elmo_keras" / "__init__.py").read_text("utf-8"))
    (value,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    ]
    return value


# === Version ===


def test_the_version_has_one_source(setup, version):
    assert setup["metadata"]["version"] == "attr: elmo_keras.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?(\.dev\d+)?", version)


def test_citation_has_the_version(version):
    assert re.findall(r"^version: (.*)$", CITATION, re.MULTILINE) == [version]


def test_the_changelog_begins_with_the_version_or_with_unreleased_changes(version):
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## (.*)$", changelog, re.MULTILINE)
    released = re.compile(rf"\[{re.escape(version)}\] - \d{{4}}-\d{{2}}-\d{{2}}")
    if headings[0] == "[Unreleased]":
        # The version that the package states is that of the last release, if there was one.
        headings = headings[1:]
    assert not headings or released.fullmatch(headings[0])


# === Citation ===


@pytest.mark.parametrize("key", ["cff-version", "message", "title", "authors"])
def test_citation_has_the_keys_that_the_format_requires(key):
    assert len(re.findall(rf"^{key}:", CITATION, re.MULTILINE)) == 1


def test_citation_has_the_license_and_the_address_of_the_package(setup):
    urls = dict(re.findall(r"(\w+) = (\S+)", setup["metadata"]["project_urls"]))
    assert f"\nlicense: {setup['metadata']['license']}\n" in CITATION
    assert f"\nrepository-code: {urls['Source']}\n" in CITATION


# === Steps of the tests ===


def make_targets(path):
    """The targets of all `make` commands in a file, outside of comments."""
    lines = path.read_text("utf-8").splitlines()
    return set(MAKE.findall("\n".join(line for line in lines if not line.lstrip().startswith("#"))))


def test_github_runs_the_steps_of_the_script():
    script = make_targets(ROOT / ".ci" / "run")
    assert {"lint", "test", "test-jax", "test-torch", "test-wheel"} <= script
    assert make_targets(ROOT / ".github" / "workflows" / "ci.yml") == script


@pytest.mark.parametrize("path", [ROOT / ".ci" / "run", *WORKFLOWS, *DOCUMENTS], ids=relative)
def test_make_has_the_targets_that_are_named(path):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    phony = re.search(r"^\.PHONY:((?:.*\\\n)*.*)$", makefile, re.MULTILINE)[1]
    assert make_targets(path) <= set(phony.replace("\\\n", " ").split())


def test_github_tests_every_supported_python(setup):
    supported = re.findall(r"Python :: (3\.\d+)", setup["metadata"]["classifiers"])
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    matrices = re.findall(r"^ +python: \[(.*)\]$", workflow, re.MULTILINE)
    assert len(matrices) == 3
    assert {tuple(re.findall(r'"(.*?)"', matrix)) for matrix in matrices} == {tuple(supported)}


@pytest.mark.parametrize(
    "path",
    [ROOT / "Makefile", ROOT / ".ci" / "run", *WORKFLOWS, *DOCUMENTS],
    ids=relative,
)
def test_named_tests_exist(path):
    for name in TEST_PATH.findall(path.read_text("utf-8")):
        file, _, function = name.partition("::")
        assert (ROOT / file).exists(), f"{relative(path)} names {name}, which does not exist."
        if function:
            assert re.search(
                rf"^def {function}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE
            ), f"{relative(path)} names {name}, but {file} has no such function."


def test_the_makefile_names_tests():
    names = TEST_PATH.findall((ROOT / "Makefile").read_text("utf-8"))
    assert any("::" in name for name in names)
    assert len(names) > 20


# === Links ===


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_links_between_files_lead_somewhere(path):
    links = LINK.findall(path.read_text("utf-8"))
    files = {link.partition("#")[0] for link in links if "://" not in link}
    assert [name for name in sorted(files) if not (path.parent / name).exists()] == []
