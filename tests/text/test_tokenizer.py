"""Tokenizer: its methods and options; test_tokenizer_unicode.py and others have single topics."""

import pytest

from elmo_keras.text import CharacterIds, Tokenizer

tf = pytest.importorskip("tensorflow", reason="strings need TensorFlow")


@pytest.mark.parametrize(
    "text, tokens",
    [
        ("The cat sat.", ["The", "cat", "sat", "."]),
        ("It isn't bad, is it?", ["It", "is", "n't", "bad", ",", "is", "it", "?"]),
        ("We DON’T", ["We", "DO", "N’T"]),
        ("it's they've I'm we'd you'll", "it 's they 've I 'm we 'd you 'll".split()),
        ("do n't it 's", ["do", "n't", "it", "'s"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("$3.14, 1,000 or 10:30", ["$", "3.14", ",", "1,000", "or", "10:30"]),
        ("a well-known e-mail", ["a", "well-known", "e-mail"]),
        ("wait...", ["wait", "..."]),
        ("a\u00a0b\u3000c\x00d\u200be\n", ["a", "b", "c", "d", "e"]),
        ("我很喜欢。", ["我很喜欢", "。"]),
        ("naïve café e\u0301", ["naïve", "café", "e\u0301"]),
        ("<S> 🙂", ["<", "S", ">", "🙂"]),
        ("", []),
    ],
    ids=[
        "full stop",
        "contraction",
        "curly apostrophe",
        "contractions",
        "split contractions",
        "quotes",
        "numbers",
        "hyphens",
        "ellipsis",
        "spaces",
        "chinese",
        "accents",
        "symbols",
        "empty",
    ],
)
def test_words(text, tokens):
    actual = [token.decode() for token in Tokenizer()([text]).numpy()[0] if token]
    assert actual == tokens


def test_methods():
    text = ["Don't 我喜欢, ABC我!"]
    actual = {
        method: " ".join(token.decode() for token in Tokenizer(method)(text).numpy()[0])
        for method in Tokenizer.METHODS
    }
    assert actual == {
        "words": "Do n't 我喜欢 , ABC我 !",
        "whitespace": "Don't 我喜欢, ABC我!",
        "unicode_script": "Don ' t 我喜欢 , ABC 我 !",
        "chinese_characters": "Don ' t 我 喜 欢 , ABC 我 !",
    }


def test_lowercase_and_max_tokens():
    tokens = Tokenizer(lowercase=True, max_tokens=2)(["Ärger MIT allem", "X"]).numpy()
    assert [[t.decode() for t in row] for row in tokens] == [["ärger", "mit"], ["x", ""]]


def test_invalid_utf8_is_no_crash():
    tokens = Tokenizer()(tf.constant([b"\xff\xfe abc\xff"]))
    assert CharacterIds()(tokens).shape[0] == 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "nltk"}, "`method` must be one of"),
        ({"max_tokens": 0}, "`max_tokens` must be"),
    ],
    ids=["method", "max_tokens"],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        Tokenizer(**options)


def test_bad_inputs():
    with pytest.raises(ValueError, match="needs sentences of shape"):
        Tokenizer()([["a", "b"]])
