"""The README's Python is run, one block after the other, as a reader would type it."""

import pathlib
import re

import pytest

from tests.small_models import IS_TENSORFLOW

README = pathlib.Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(
    r"^(<!-- not run: [a-z ]+ -->\n)?```python\n(.*?)^```$", re.DOTALL | re.MULTILINE
)


@pytest.mark.skipif(not IS_TENSORFLOW, reason="the README is written for TensorFlow")
def test_python_blocks_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = README.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert len(blocks) == text.count("```python")
    run = [code for skipped, code in blocks if not skipped]
    assert len(run) >= 3
    names = {}
    for code in run:
        exec(compile(code, README.name, "exec"), names)
    assert names["model"].classify(["A lovely film."]) == ["positive"]
    assert names["tagger"].tag([["A", "cat"]]) == [["DET", "NOUN"]]
