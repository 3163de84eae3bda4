"""Vocabulary files that are damaged, too large, or do not fit their model."""

import gzip
import json

import numpy as np
import pytest

from tests.untrusted.jail import MIB
from tests.untrusted.models import OPTIONS, WORDS, write_arrays
from tests.untrusted.test_hdf5 import dataset

pytestmark = pytest.mark.slow


WORD_OPTIONS = {"lstm": OPTIONS["lstm"], "n_tokens_vocab": len(WORDS)}


def lines(change):
    return lambda: "".join(f"{word}\n" for word in change(list(WORDS))).encode()


VOCABULARIES = {
    "twice": (lines(lambda words: [*words[:-1], words[0]]), "each token once"),
    "one more": (lines(lambda words: [*words, "more"]), "10 words"),
    "one less": (lines(lambda words: words[:-1]), "8 words"),
    "no special tokens": (lines(lambda words: ["a", "b", "c", *words[3:]]), "<S>"),
    "nothing": (lambda: b"", "0 words"),
    "no text": (lambda: b"\xff\xfe", "UTF-8"),
    "cut gzip": (lambda: gzip.compress(b"a\n" * 9)[:-9], "vocabulary.txt must be"),
    "no gzip": (lambda: b"\x1f\x8b" + bytes(100), "vocabulary.txt must be"),
    "bomb of empty lines": (lambda: gzip.compress(b"\n" * MIB) * 256, "vocabulary.txt must be"),
}


@pytest.mark.parametrize("what", VOCABULARIES)
def test_hostile_vocabularies(model, what):
    one = model("words")
    content, word = VOCABULARIES[what]
    (one.directory / "vocabulary.txt").write_bytes(content())
    one.assert_refused(word)


@pytest.mark.parametrize("rows", [10**8, 10**12])
@pytest.mark.parametrize("format", ["words", "training"])
def test_many_words_of_no_dimension(model, format, rows):
    """Without a vocabulary file, a reader could generate as many token names."""
    one = model(format)
    (one.directory / "options.json").write_text(json.dumps(WORD_OPTIONS))
    (one.directory / "vocabulary.txt").unlink(missing_ok=True)
    if format == "words":
        dataset((rows, 0))(one.weights, "embedding")
    else:
        write_arrays(one.weights, {"lm/embedding": np.zeros((rows, 0), "float32")})
    one.assert_refused(one.named)
