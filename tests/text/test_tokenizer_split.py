"""`Tokenizer.split`: the tokens as lists, equal to those of the call."""

import sys

import numpy as np
import pytest

from elmo_keras.text import Tokenizer

SENTENCES = [
    *(
        "The cat sat.",
        "It isn't bad, is it?",
        "  \t",
        "",
        "x",
        "wait... don't",
        "naïve café e\u0301",
    ),
    *(
        "我很喜欢。",
        "Don't 我喜欢, ABC我!",
        "<S> 🙂 </S>",
        "a\u00a0b\u3000c\u200bd\u2028e",
        "می\u200cشود x\u00ady 👍🏽👩\u200d⚕️ 1️⃣",
        "\ufffd",
    ),
    *("\u00a0", "a\x00 b\x00", "a\x1cb\x1dc\x1ed\x1fe", "\x0ba\x0c b\r\n", "\ufeffa \ufffd b\x85c"),
]
# White space of `str.isspace`, and control and format characters.
SPACES = [chr(point) for point in range(0x3001) if chr(point).isspace()]
SPACES += [*"\x00\x07\x7f\u180e\u200b\u2060\ufeff"]


def of_layer(tokenizer, sentences):
    """The tokens of the call, without padding."""
    rows = tokenizer(sentences).numpy().tolist()
    return [[token.decode("utf-8", "replace") for token in row if token] for row in rows]


@pytest.fixture
def tensorflow():
    return pytest.importorskip("tensorflow", reason="these methods need TensorFlow")


def make(method, **options):
    if method == "unicode_script":
        pytest.importorskip("tensorflow_text", reason=f"{method} needs tensorflow-text")
    return Tokenizer(method, **options)


@pytest.mark.parametrize("max_tokens", [None, 2])
@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("method", Tokenizer.METHODS)
def test_as_the_layer(method, lowercase, max_tokens, tensorflow):
    tokenizer = make(method, lowercase=lowercase, max_tokens=max_tokens)
    rows = tokenizer.split(SENTENCES)
    assert rows == of_layer(tokenizer, SENTENCES)
    assert len(rows) == len(SENTENCES) and rows[3] == []
    assert all(type(row) is list and all(type(token) is str for token in row) for row in rows)
    # A sentence does not depend on the others.
    assert [tokenizer.split([sentence])[0] for sentence in SENTENCES] == rows


@pytest.mark.parametrize("method", Tokenizer.METHODS)
def test_all_kinds_of_space_as_the_layer(method, tensorflow):
    sentences = [f"a{space}b{space}{space}c{space}" for space in SPACES]
    tokenizer = make(method)
    assert tokenizer.split(sentences) == of_layer(tokenizer, sentences)


def test_whitespace_is_that_of_ascii():
    for space in SPACES:
        tokens = ["a", "b"] if space in " \t\n\r\x0b\x0c" else [f"a{space}b"]
        assert Tokenizer("whitespace").split([f"a{space}b"]) == [tokens], repr(space)


@pytest.mark.parametrize("method", Tokenizer.METHODS)
def test_random_text_as_the_layer(method, tensorflow):
    rng = np.random.default_rng(0)
    alphabet = [*"aB3.,-'’_é东、🙂\u0301\u200d\u00ad", "n't", "'s", *" \t\u00a0\u2009\x00\ufffd"]
    sentences = ["".join(rng.choice(alphabet, rng.integers(0, 25))) for _ in range(300)]
    tokenizer = make(method)
    assert tokenizer.split(sentences) == of_layer(tokenizer, sentences)


@pytest.mark.parametrize("method", Tokenizer.METHODS)
def test_invalid_unicode_as_the_layer(method, tensorflow):
    """Lone surrogates in str, and bytes that are not UTF-8."""
    sentences = ["a \udc80b", "\ud83d\ude42 c", b"a \xff\xfe b", b"\xe6\x9d c"]
    tokenizer = make(method)
    assert tokenizer.split(sentences) == of_layer(tokenizer, sentences)


@pytest.mark.parametrize("method", Tokenizer.METHODS)
def test_no_sentences(method, tensorflow):
    assert make(method).split([]) == []
    assert make(method).split(["", ""]) == [[], []]


def test_whitespace_needs_no_tensorflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # Its import now fails.
    assert Tokenizer("whitespace").split(["a é  🙂\n", ""]) == [["a", "é", "🙂"], []]
    assert Tokenizer("whitespace", max_tokens=1).split(["a b"]) == [["a"]]
    with pytest.raises(ImportError, match="pip install tensorflow"):
        Tokenizer("words").split(["a"])
