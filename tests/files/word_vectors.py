"""Word vectors as the bytes of a file, in all formats and compressions."""

import bz2
import gzip
import io
import zipfile

import numpy as np

WORDS = ["the", "</s>", "naïve", "b"]
VECTORS = np.random.default_rng(0).standard_normal((4, 5)).astype("float32")

HEADER, NO_HEADER, BINARY = "word2vec", "glove", "binary"
TEXT_FORMATS = [HEADER, NO_HEADER]
FORMATS = [*TEXT_FORMATS, BINARY]


def as_bytes(word):
    return word if isinstance(word, bytes) else word.encode()


def text_lines(words=WORDS, vectors=VECTORS):
    return [
        b" ".join([as_bytes(word), *(repr(float(x)).encode() for x in row)]) + b"\n"
        for word, row in zip(words, vectors)
    ]


def encode(format, words=WORDS, vectors=VECTORS, num_words=None, between=b""):
    """Returns the bytes of a file.

    Args:
        format: one of `FORMATS`.
        words: words, as str or bytes.
        vectors: array of their vectors.
        num_words: number of words in the header, if not the right one.
        between: bytes after each vector in the binary format.
    """
    header = b"%d %d\n" % (num_words or len(words), vectors.shape[1])
    if format == BINARY:
        rows = [as_bytes(w) + b" " + x.astype("<f4").tobytes() for w, x in zip(words, vectors)]
        return header + b"".join(row + between for row in rows)
    text = b"".join(text_lines(words, vectors))
    return header + text if format == HEADER else text


def zipped(*members, **options):
    """Returns the bytes of a zip archive of (name, content) pairs."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


PACKINGS = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "zip": lambda data: zipped(("vectors.txt", data)),
}


def assert_vectors(actual, words=WORDS, vectors=VECTORS):
    """Asserts that a reader returned these words and exactly these vectors."""
    actual_words, actual_vectors = actual
    assert actual_words == list(words)
    assert actual_vectors.dtype == np.float32
    expected = np.asarray(vectors, "float32")
    assert actual_vectors.shape == expected.shape
    np.testing.assert_array_equal(actual_vectors, expected)


# Words of glove.840B contain spaces and other white space of Unicode.
SPACED_WORDS = [
    "the",
    ". . .",
    "naïve",
    "\u00a0",
    "x\u0085y",
    "\u2028",
    "\u3000",
    "at name@domain.com",
]
SPACED_NUMBERS = [
    ["0.1", "-0.2", "3"],
    ["1e-3", ".5", "-7."],
    *([str(n), "0.25", "-1"] for n in range(6)),
]
SPACED_VECTORS = np.array(SPACED_NUMBERS, dtype="float64").astype("float32")

# Three separators: before each of the three numbers.
SEPARATORS = {
    "tab after the word": ["\t", " ", " "],
    "tabs": ["\t", "\t", "\t"],
    "tab between numbers": [" ", "\t", "\t"],
    "one tab": [" ", " ", "\t"],
    "spaces": ["  ", "   ", "  "],
    "mixed": [" \t", "\t ", "\t\t  "],
    "single spaces": [" ", " ", " "],
}


def spaced_text(separators=SEPARATORS["single spaces"], start="", end="\n", header=None):
    """Returns the lines of `SPACED_WORDS` as bytes.

    Args:
        separators: the separators of a line.
        start: beginning of each line except the first.
        end: end of each line.
        header: separator of the two numbers in the header; `None` for a file without a header.
    """
    lines = [] if header is None else [f"{len(SPACED_WORDS)}{header}3"]
    for word, row in zip(SPACED_WORDS, SPACED_NUMBERS):
        lines.append(word + "".join(sep + number for sep, number in zip(separators, row)))
    return "".join(start + line + end if n else line + end for n, line in enumerate(lines)).encode()
