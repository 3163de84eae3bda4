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
    "duplicate": (lines(lambda words: [*words[:-1], words[0]]), "each token once"),
    "additional word": (lines(lambda words: [*words, "more"]), "10 words"),
    "missing word": (lines(lambda words: words[:-1]), "8 words"),
    "no special tokens": (lines(lambda words: ["a", "b", "c", *words[3:]]), "<S>"),
    "empty": (lambda: b"", "0 words"),
    "not UTF-8": (lambda: b"\xff\xfe", "UTF-8"),
    "truncated gzip": (lambda: gzip.compress(b"a\n" * 9)[:-9], "vocabulary.txt must be"),
    "damaged gzip": (lambda: b"\x1f\x8b" + bytes(100), "vocabulary.txt must be"),
    "bomb of empty lines": (lambda: gzip.compress(b"\n" * MIB) * 256, "vocabulary.txt must be"),
}


@pytest.mark.parametrize("what", VOCABULARIES)
def test_hostile_vocabularies(model, what):
    target = model("words")
    content, word = VOCABULARIES[what]
    (target.directory / "vocabulary.txt").write_bytes(content())
    target.assert_refused(word)


@pytest.mark.parametrize("rows", [10**8, 10**12])
@pytest.mark.parametrize("format", ["words", "training"])
def test_many_words_of_no_dimension(model, format, rows):
    """Without a vocabulary file, a reader could generate as many token names."""
    target = model(format)
    (target.directory / "options.json").write_text(json.dumps(WORD_OPTIONS))
    (target.directory / "vocabulary.txt").unlink(missing_ok=True)
    if format == "words":
        dataset((rows, 0))(target.weights, "embedding")
    else:
        write_arrays(target.weights, {"lm/embedding": np.zeros((rows, 0), "float32")})
    target.assert_refused(target.named)
