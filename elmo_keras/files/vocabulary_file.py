"""Files with a word a line, in the order of their ids."""

import gzip
import pathlib
import zlib

from elmo_keras.files import first_bytes

# bilm-tf's trainer skips this line, and so do ids.
_SKIPPED = "!!!MAXTERMID"
MAX_BYTES, MAX_WORDS = 2**26, 5_000_000


def read(path: pathlib.Path) -> list[str]:
    """The words of a vocabulary file, plain or gzip, in the order of their ids.

    Lines end at a line feed alone: other characters that Unicode counts as line ends stand in
    words. An empty last line is dropped, and a UTF-8 byte order mark at the beginning is dropped.

    Args:
        path: the file.

    Raises:
        ValueError: if it is not UTF-8 text (UTF-16 is named), damaged, or not of a vocabulary's
            size.
    """
    path = pathlib.Path(path)
    must_be = "a vocabulary: UTF-8 text, a word a line"
    try:
        with open(path, "rb") as file:
            is_gzip = file.read(2) == b"\x1f\x8b"
        with (gzip.open if is_gzip else open)(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES // 2**20} MiB of text")
        if content.count(b"\n") > MAX_WORDS:
            raise ValueError(f"more than {MAX_WORDS:,} lines")
    except (OSError, EOFError, zlib.error, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path} must be {must_be}. Received: {error}. Fetch it again.") from error
    first_bytes.check_is_text(content, path, must_be, "gzip" if is_gzip else None)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} must be {must_be}. Received: {error}. Save it as UTF-8, or fetch it again."
        ) from error
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    if lines and not lines[-1]:
        lines.pop()
    return [line for line in lines if line != _SKIPPED]
