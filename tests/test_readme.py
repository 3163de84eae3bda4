"""README.md and docs/: their Python runs and prints the output they show; commands and links exist.

A ```text block directly after a Python block is the output of that block. A comment
`<!-- not run: reason -->` directly before a Python block skips it.
"""

import configparser
import contextlib
import io
import pathlib
import re
import shlex

import pytest
import typer.main

from elmo_keras_cli.app import app
from tests.small_models import IS_TENSORFLOW

ROOT = pathlib.Path(__file__).parents[1]
# The Python of docs/releasing.md downloads a release that has to be published first.
GUIDES = [path for path in sorted((ROOT / "docs").glob("*.md")) if path.name != "releasing.md"]
DOCUMENTS = [ROOT / "README.md", *GUIDES]

BLOCK = re.compile(
    r"^(?P<skip><!-- not run: \S[^>]* -->\n)?```(?P<language>\w+)\n(?P<code>.*?)^```$"
    r"(?:\n\n```text\n(?P<output>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
PATH = re.compile(r"`((?:elmo_keras|elmo_keras_cli|tests|benchmarks|notebooks|docs)/[\w/.*{},-]*)`")
NUMBER = re.compile(r"-?\d+\.\d+")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)


def blocks(path, language):
    """Matches of the blocks in one language, in their order."""
    matches = BLOCK.finditer(path.read_text("utf-8"))
    return [block for block in matches if block["language"] == language]


def differences(shown, actual):
    """Differences between two outputs; the last digit of a shown decimal may differ by one."""
    texts = [" ".join(NUMBER.sub("#", text).split()) for text in (shown, actual)]
    if texts[0] != texts[1]:
        return [f"{shown!r} is shown, {actual!r} is printed"]
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(actual))
    return [
        f"{a} is shown, {b} is printed"
        for a, b in pairs
        if abs(float(a) - float(b)) > 1.01 * 10.0 ** -len(a.partition(".")[2])
    ]


# === Python ===


@pytest.mark.slow
@pytest.mark.skipif(not IS_TENSORFLOW, reason="the documents are written for TensorFlow")
@each_document
def test_python_runs_and_prints_what_is_shown(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "document"}
    for block in blocks(path, "python"):
        code = compile(block["code"], path.name, "exec")
        if block["skip"]:
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        assert differences(block["output"] or "", printed.getvalue()) == []


@each_document
def test_every_python_block_is_found(path):
    assert len(blocks(path, "python")) == path.read_text("utf-8").count("```python")


@pytest.mark.parametrize(
    ("shown", "actual", "is_same"),
    [
        ("[0.53  1]\n", "[0.534 1]", True),
        ("0.53", "0.55", False),
        ("1", "2", False),
        ("['a']", "['b']", False),
        ("0.5", "0.5\n0.5", False),
        ("", "text", False),
    ],
)
def test_differences(shown, actual, is_same):
    assert (differences(shown, actual) == []) == is_same


# === Shell ===


def command_lines(path):
    """The lines of a document's shell blocks, as lists of arguments."""
    for block in blocks(path, "sh"):
        for line in block["code"].replace("\\\n", " ").splitlines():
            yield shlex.split(line, comments=True)


@each_document
def test_commands_have_the_options_that_are_shown(path):
    commands = typer.main.get_command(app).commands
    for words in command_lines(path):
        while words and "=" in words[0]:  # variables of the environment
            words = words[1:]
        if words[:1] != ["elmo-keras"]:
            continue
        known = {option for parameter in commands[words[1]].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, words


@each_document
def test_files_and_extras_of_commands_exist(path):
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    extras = set(parser["options.extras_require"])
    text = path.read_text("utf-8")
    assert set(re.findall(r"elmo_keras\[(\w+)\]", text)) <= extras
    scripts = re.findall(r"python (\w+/\w+\.py)", text)
    assert [script for script in scripts if not (ROOT / script).is_file()] == []


# === Names of files, links ===


@each_document
def test_paths_exist(path):
    paths = PATH.findall(path.read_text("utf-8"))
    assert [name for name in paths if not list(ROOT.glob(name.rstrip("/")))] == []


def slugs(path):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = HEADING.findall(path.read_text("utf-8"))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_document
def test_links_into_the_repository_lead_somewhere(path):
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    urls = dict(re.findall(r"(\w+) = (\S+)", parser["metadata"]["project_urls"]))
    own = re.compile(re.escape(urls["Source"]) + r"/(?:blob|tree)/main/")
    links = LINK.findall(path.read_text("utf-8"))
    relative = [link for link in links if "://" not in link]
    # PyPI shows the README alone: links to its neighbours would lead nowhere.
    assert path.name != "README.md" or relative == []
    targets = [(path.parent, link) for link in relative]
    targets += [(ROOT, own.sub("", link)) for link in links if own.match(link)]
    for folder, link in targets:
        name, _, anchor = link.partition("#")
        target = folder / name if name else path
        assert target.exists(), link
        assert not anchor or anchor in slugs(target), link
