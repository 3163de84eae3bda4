"""The progress bar of long calls."""

import contextlib
import io
import sys

import pytest

from elmo_keras.utils.progress_bar import ProgressBar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@contextlib.contextmanager
def terminal():
    """Replaces standard output inside the context; pytest replaces it between fixture and test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", "120")
        patch.setattr(sys, "stdout", Terminal())
        yield sys.stdout


def test_bar():
    with terminal() as output:
        with ProgressBar("Embedding", "sentences", total=10, completed=4) as bar:
            bar.advance(2, tokens=50)
            bar.advance(1, tokens=25)
    text = output.getvalue()
    assert "Embedding" in text
    assert "7/10" in text
    assert "sentences" in text
    assert "tokens/s" in text


def test_unknown_total():
    with terminal() as output, ProgressBar("Reading", "files") as bar:
        bar.advance(3)
    assert "3/?" in output.getvalue()


def test_disabled():
    with terminal() as output:
        with ProgressBar("Embedding", "sentences", total=10, enabled=False) as bar:
            bar.advance(2, tokens=50)
    assert output.getvalue() == ""


def test_an_error_stops_the_bar():
    with terminal() as output:
        with pytest.raises(KeyError):
            with ProgressBar("Embedding", "sentences", total=10) as bar:
                raise KeyError
        shown = output.getvalue()
        bar.advance(1)
    assert "Embedding" in shown
    assert output.getvalue() == shown
