"""Detects file formats and text encodings from the first bytes of a file.

Text readers check here first, so that they never misread a file of another format.
"""

import codecs
import os
import re
import shlex
import unicodedata
from typing import NamedTuple

# Number of bytes that suffice to detect a format. Fewer are allowed.
SAMPLE = 2**13

UTF8_MARK = codecs.BOM_UTF8

# Names of formats for which readers have a special case.
GZIP, BZIP2, ZIP = "a gzip file", "a bzip2 file", "a zip archive"
FASTTEXT, PICKLE, NUMPY = "a fastText model (.bin)", "a pickle, as gensim's .kv", "NumPy's .npy"

_MARKS = (
    # UTF-32 first: its little-endian mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
# Compression formats of a single file, with a command that decompresses standard input.
_GZIP_MAGIC = b"\x1f\x8b"
_COMPRESSIONS = (
    (_GZIP_MAGIC, GZIP, "gzip -dc"),
    (rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", BZIP2, "bzip2 -dc"),
    (rb"\xfd7zXZ\x00", "an xz file", "xz -dc"),
    (rb"\x5d\x00\x00", "an LZMA file", "xz -dc"),
    (rb"\x28\xb5\x2f\xfd", "a Zstandard file", "zstd -dc"),
    (rb"\x04\x22\x4d\x18", "an LZ4 file", "lz4 -dc"),
    (rb"\x1f\x9d", "a file of Unix compress", "gzip -dc"),
)
# Archive formats, with a command that unpacks the archive named in its argument.
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


class ForeignFormat(NamedTuple):
    """A format that is not UTF-8 text.

    Attributes:
        name: str. Name of the format, as used in "Received: NAME."
        advice: str or `None`. How to convert the file to text, one or more sentences; `None` if
            the conversion depends on the content.
    """

    name: str
    advice: str | None


def find_foreign(
    head: bytes,
    path: str | os.PathLike,
    compression: str | None = None,
    member: str | None = None,
) -> ForeignFormat | None:
    """Detects a format or an encoding that cannot be read as UTF-8 text.

    UTF-16 and UTF-32 are detected by their byte order mark, or else by their zero bytes.

    Args:
        head: bytes. The first `SAMPLE` bytes of the content, or all of it, after decompression.
        path: path of the file, for the commands in the advice.
        compression: `"gzip"`, `"bz2"` or `"zip"` if `head` was decompressed from such a file.
            Defaults to `None`.
        member: str. Name of the file in a zip archive. Defaults to `None`.

    Returns:
        The `ForeignFormat`, or `None` for text and for unknown binary formats.

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
        return ForeignFormat(f"{encoding} text", advice)
    head = head[:SAMPLE]
    for magic, name, tool in _COMPRESSIONS:
        if re.match(magic, head, re.DOTALL):
            command = _piped(tool, path, compression, member)
            return ForeignFormat(name, f"Unpack it first: `{command} > unpacked.txt`.")
    for magic, name, tool in _ARCHIVES:
        if re.match(magic, head, re.DOTALL):
            # tar unpacks compressed archives as well.
            if compression is None or (tool == "tar -xf" and compression != "zip"):
                command = f"{tool} {shlex.quote(os.fspath(path))}"
                return ForeignFormat(
                    name, f"Unpack it first: `{command}`, and name the file in it."
                )
            return ForeignFormat(name, "Unpack both first, and name the file in it.")
    for magic, name in _OTHERS:
        if re.match(magic, head, re.DOTALL):
            return ForeignFormat(name, None)
    if head.startswith(_GIT_LFS):
        return ForeignFormat(
            "a pointer of Git LFS in place of the file", "Fetch it: `git lfs pull`."
        )
    return None


def check_is_text(
    head: bytes, path: str | os.PathLike, must_be: str, compression: str | None = None
) -> None:
    """Raises a ValueError for a file in a known format or encoding other than UTF-8 text.

    Single bytes that are not valid UTF-8 are accepted here; each reader documents how it handles
    them.

    Args:
        head: bytes. The beginning of the content, after decompression.
        path: path of the file.
        must_be: str. Description of the expected file, as in "PATH must be MUST_BE."
        compression: `"gzip"` or `"bz2"` if `head` was decompressed from such a file. Defaults to
            `None`.

    Raises:
        ValueError: if the file is UTF-16, UTF-32, or in a known format other than text.

    Example:

    >>> check_is_text("naïve".encode(), "text.txt", "text")
    """
    foreign = find_foreign(head, path, compression)
    if foreign is not None:
        advice = foreign.advice or "Give the text itself, as UTF-8."
        raise ValueError(f"{path} must be {must_be}. Received: {foreign.name}. {advice}")


def is_gzip(head: bytes) -> bool:
    """Returns whether a file is gzip-compressed.

    Args:
        head: bytes. The first bytes of the file, at least two.

    Example:

    >>> import gzip
    >>> is_gzip(gzip.compress(b"text")), is_gzip(b"text")
    (True, False)
    """
    return head.startswith(_GZIP_MAGIC)


def find_encoding(head: bytes) -> str | None:
    """Detects UTF-16 and UTF-32.

    Args:
        head: bytes. The beginning of a text.

    Returns:
        The encoding's name for iconv: `"UTF-16"` or `"UTF-32"` if there is a byte order mark, else
        a name with the byte order, such as `"UTF-16LE"`. `None` for all other bytes.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    head = head[: min(SAMPLE, len(head) // 4 * 4 or len(head))]
    zeros = [head[place::4].count(0) for place in range(4)]
    units = len(head) // 4
    # Code points are below 0x40000: one byte of a UTF-32 unit is 0, and another at most 3.
    if units >= 2:
        if zeros[3] == units and zeros[0] <= units / 8 and max(head[2::4]) <= 3:
            return "UTF-32LE"
        if zeros[0] == units and zeros[3] <= units / 8 and max(head[1::4]) <= 3:
            return "UTF-32BE"
    # U+00xx has a zero byte: all of Latin-1, and the spaces, digits and line breaks of any script.
    # U+xx00 has a zero in the other byte: U+4E00 is the second most frequent Chinese character.
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    is_utf8 = head.decode("utf-8", "replace").count("\ufffd") < len(head) / 8
    for name, these, others in (("UTF-16LE", odd, even), ("UTF-16BE", even, odd)):
        is_latin = these >= 2 and these >= 0.4 * len(head)
        is_other = these >= 12 and these >= len(head) / 128
        looks_so = (is_latin or is_other) and others <= these / 16
        if looks_so or (these >= 4 and not is_utf8):
            # The sample may end inside a surrogate pair.
            text = codecs.getincrementaldecoder(name)("replace").decode(head)
            if sum(map(_is_odd, text)) <= len(text) / 32:
                return name
    return None


def _is_odd(character: str) -> bool:
    """Returns whether a character is rare in text: a control or an unassigned character."""
    if character in "\t\n\v\f\r\x1a\x85":
        return False
    return character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs")


def _piped(tool: str, path: str | os.PathLike, compression: str | None, member: str | None) -> str:
    """Returns a shell command that applies `tool` to the decompressed content of a file."""
    path = shlex.quote(os.fspath(path))
    if compression == "zip" and member is not None:
        return f"unzip -p {path} {shlex.quote(member)} | {tool}"
    if compression is not None:
        return f"{ {'gzip': 'gzip', 'bz2': 'bzip2'}[compression] } -dc < {path} | {tool}"
    # PowerShell cannot redirect bytes, but iconv takes a file name.
    return f"{tool} {path}" if tool.startswith("iconv") else f"{tool} < {path}"
