"""Formats and encodings that the first bytes of a file reveal.

Readers of text ask here before they read, so that no file is taken for another kind of file.
"""

import codecs
import os
import re
import shlex
import unicodedata
from typing import NamedTuple

# Bytes that are enough to recognise a file. Fewer are fine.
SAMPLE = 2**13

UTF8_MARK = codecs.BOM_UTF8

# Names of formats that a reader may treat in its own way.
GZIP, BZIP2, ZIP = "a gzip file", "a bzip2 file", "a zip archive"
FASTTEXT, PICKLE, NUMPY = "a fastText model (.bin)", "a pickle, as gensim's .kv", "NumPy's .npy"

_MARKS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
# Compressions of one file, each with the command that reads it from its standard input.
_COMPRESSIONS = (
    (rb"\x1f\x8b", GZIP, "gzip -dc"),
    (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", BZIP2, "bzip2 -dc"),
    (rb"\xfd7zXZ\x00", "an xz file", "xz -dc"),
    (rb"\x5d\x00\x00", "an LZMA file", "xz -dc"),
    (rb"\x28\xb5\x2f\xfd", "a Zstandard file", "zstd -dc"),
    (rb"\x04\x22\x4d\x18", "an LZ4 file", "lz4 -dc"),
    (rb"\x1f\x9d", "a file of Unix compress", "gzip -dc"),
)
# Archives of several files, each with the command that unpacks one by its name.
_ARCHIVES = (
    (rb"PK\x03\x04|PK\x05\x06", ZIP, "unzip"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x"),
    (rb"Rar!\x1a\x07", "a RAR archive", "unrar x"),
    (rb"(?=.{0,256}\x00).{257}ustar", "a tar archive", "tar -xf"),
)
_OTHERS = (
    (rb"\xba\x16\x4f\x2f", FASTTEXT),  # 793712314, little-endian
    (rb"\x80[\x02-\x05]", PICKLE),
    (rb"\x93NUMPY", NUMPY),
    (rb"\x89HDF\r\n\x1a\n", "HDF5"),
    (rb'.{4}\x00{4}\{\s*"', "safetensors"),  # the size of a header, and the header, JSON
    (rb"SQLite format 3\x00", "an SQLite database"),
    (rb"PAR1[^\t\n -~]", "Parquet"),
    (rb"ARROW1\x00\x00", "Arrow"),
    (rb"GGUF.\x00\x00\x00", "GGUF"),
    (rb"%PDF-\d", "PDF"),
)
_GIT_LFS = b"version https://git-lfs.github.com/spec/"


class Found(NamedTuple):
    """A format that is not UTF-8 text.

    Attributes:
        name: str. The format in an error, as in "Received: NAME."
        advice: str or `None`. The step that makes text of the file, one or more sentences; `None`
            where it depends on the content.
    """

    name: str
    advice: str | None


def find_foreign(
    head: bytes,
    path: str | os.PathLike,
    compression: str | None = None,
    member: str | None = None,
) -> Found | None:
    """Detects a format or an encoding that cannot be read as UTF-8 text.

    UTF-16 and UTF-32 are known by their byte order marks, and without a mark by their zero bytes.

    Args:
        head: bytes. The beginning of the content, after decompression. `SAMPLE` bytes are enough.
        path: path of the file, for the commands in the advice.
        compression: `"gzip"`, `"bz2"` or `"zip"` if `head` comes out of such a file. Defaults to
            `None`.
        member: str. Name of the file in the zip. Defaults to `None`.

    Returns:
        `Found`, or `None` for text and for bytes of no known format.

    Example:

    >>> find_foreign("naïve".encode("utf-16"), "text.txt").name
    'UTF-16 text'
    >>> find_foreign("naïve".encode(), "text.txt") is None
    True
    """
    encoding = find_encoding(head)
    if encoding is not None:
        command = _piped(f"iconv -f {encoding} -t UTF-8", path, compression, member)
        advice = (
            f"Convert it: `{command} > utf8.txt`, or save it as UTF-8 in the program that wrote it."
        )
        return Found(f"{encoding} text", advice)
    head = head[:SAMPLE]
    for magic, name, tool in _COMPRESSIONS:
        if re.match(magic, head, re.DOTALL):
            command = _piped(tool, path, compression, member)
            return Found(name, f"Unpack it first: `{command} > unpacked.txt`.")
    for magic, name, tool in _ARCHIVES:
        if re.match(magic, head, re.DOTALL):
            # tar unpacks compressed archives as well.
            if compression is None or (tool == "tar -xf" and compression != "zip"):
                command = f"{tool} {shlex.quote(os.fspath(path))}"
                return Found(name, f"Unpack it first: `{command}`, and name the file in it.")
            return Found(name, "Unpack both first, and name the file in it.")
    for magic, name in _OTHERS:
        if re.match(magic, head, re.DOTALL):
            return Found(name, None)
    if head.startswith(_GIT_LFS):
        return Found("a pointer of Git LFS in place of the file", "Fetch it: `git lfs pull`.")
    return None


def check_is_text(
    head: bytes, path: str | os.PathLike, must_be: str, compression: str | None = None
) -> None:
    """Refuses the beginning of a file that is not UTF-8 text.

    Single bytes that are not UTF-8 pass: the readers treat them as they document it.

    Args:
        head: bytes. The beginning of the content, after decompression.
        path: path of the file.
        must_be: str. The kind of file that is read, as in "PATH must be MUST_BE."
        compression: `"gzip"` or `"bz2"` if `head` comes out of such a file. Defaults to `None`.

    Raises:
        ValueError: if the file is UTF-16, UTF-32, or of a known format other than text.

    Example:

    >>> check_is_text("naïve".encode(), "text.txt", "text")
    """
    found = find_foreign(head, path, compression)
    if found is not None:
        advice = found.advice or "Give the text itself, as UTF-8."
        raise ValueError(f"{path} must be {must_be}. Received: {found.name}. {advice}")


def find_encoding(head: bytes) -> str | None:
    """Detects UTF-16 and UTF-32.

    Args:
        head: bytes. The beginning of a text.

    Returns:
        The encoding's name as iconv knows it: `"UTF-16"` and `"UTF-32"` with a byte order mark,
        else `"UTF-16LE"` and the like. `None` for all other bytes.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    head = head[: min(SAMPLE, len(head) // 4 * 4 or len(head))]
    zeros = [head[place::4].count(0) for place in range(4)]
    units = len(head) // 4
    # Characters are below 0x40000: one byte of a UTF-32 unit is 0, and another at most 3.
    if units >= 2:
        if zeros[3] == units and zeros[0] <= units / 8 and max(head[2::4]) <= 3:
            return "UTF-32LE"
        if zeros[0] == units and zeros[3] <= units / 8 and max(head[1::4]) <= 3:
            return "UTF-32BE"
    # U+00xx has a zero in one byte: all of Latin-1; spaces, digits and line ends of other scripts.
    # U+xx00 has one in the other byte: U+4E00 is the most frequent Chinese character but one.
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    is_utf8 = head.decode("utf-8", "replace").count("\ufffd") < len(head) / 8
    for name, these, others in (("UTF-16LE", odd, even), ("UTF-16BE", even, odd)):
        is_latin = these >= 2 and these >= 0.4 * len(head)
        is_other = these >= 12 and these >= len(head) / 128
        looks_so = (is_latin or is_other) and others <= these / 16
        if looks_so or (these >= 4 and not is_utf8):
            # The sample may end within a pair of surrogates.
            text = codecs.getincrementaldecoder(name)("replace").decode(head)
            if sum(map(_is_odd, text)) <= len(text) / 32:
                return name
    return None


def _is_odd(character):
    """Whether a character is rare in text: a control character, or one without a meaning."""
    if character in "\t\n\v\f\r\x1a\x85":
        return False
    return character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs")


def _piped(tool, path, compression, member):
    """A shell command that applies `tool` to the content of a file."""
    path = shlex.quote(os.fspath(path))
    if compression == "zip":
        return f"unzip -p {path} {shlex.quote(member)} | {tool}"
    if compression is not None:
        return f"{ {'gzip': 'gzip', 'bz2': 'bzip2'}[compression] } -dc < {path} | {tool}"
    # iconv takes a name, also where the shell has no redirection of bytes.
    return f"{tool} {path}" if tool.startswith("iconv") else f"{tool} < {path}"
