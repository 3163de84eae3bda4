"""Text files as a stream of sentences."""

import glob
import gzip
import os
import pathlib
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from elmo_keras.files import first_bytes
from elmo_keras.files.atomic_write import atomic_write
from elmo_keras.text.conversion import REPLACEMENT
from elmo_keras.text.sentence_splitter import split_sentences
from elmo_keras.text.tokenizer import Tokenizer

# Lines that are read, split and shuffled at once, fewer if they have more characters than that: a
# block's tokens take some 25 times as many bytes.
BLOCK_LINES = 8192
BLOCK_CHARACTERS = 2**23
# A longer line is read in pieces: nobody's memory depends on where the line breaks are.
MAX_LINE_BYTES = 2**20
MARK = first_bytes.UTF8_MARK.decode()


class Block(NamedTuple):
    """Some consecutive lines of a file.

    Attributes:
        file: int. Which of the corpus' files.
        line: int. Number of the first line, from 0.
        next_line: int. Number of the line behind the last one, or `None` at the file's end.
        sentences: the lines' sentences, lists of tokens. Empty lines give none.
    """

    file: int
    line: int
    next_line: int | None
    sentences: list[list[str]]


class Corpus:
    """Text files, plain or gzip, as sentences: lists of tokens. Nothing is held but one block.

    Files are UTF-8; a byte order mark at the beginning of one is dropped. UTF-16, UTF-32 and other
    files that are not text are errors where they are read. Single bytes that are not UTF-8 are
    counted.

    Args:
        files: path of a file or of a directory (its files, by name), a glob pattern, or a list of
            these: the shards of the corpus.
        tokenizer: str or `elmo_keras.text.Tokenizer`. `"words"`, the default, as in `ElmoLayer`;
            `"whitespace"` for text that is tokenised already, as `write_tokenized` writes it: it
            alone needs no TensorFlow; `"chinese_characters"` for Chinese.
        split_sentences: bool. Whether a line is a text of several sentences, to be split by
            `elmo_keras.text.split_sentences`. Defaults to `False`: a line is a sentence.

    Attributes:
        files: the shards, list of paths.
        undecodable: int. Bytes met so far that are not UTF-8; each was read as U+FFFD.

    Raises:
        ValueError: if there is no file, or one does not exist; while reading, if a file is not
            UTF-8 text or is damaged.

    Example:

    ```python
    corpus = elmo_keras.training.Corpus("wiki/train-*.txt.gz", split_sentences=True)
    for tokens in corpus:
        ...
    ```
    """

    def __init__(self, files, tokenizer="words", split_sentences=False):
        self.files = _find(files)
        self.tokenizer = tokenizer if isinstance(tokenizer, Tokenizer) else Tokenizer(tokenizer)
        if not isinstance(split_sentences, bool):
            raise ValueError(
                f"`split_sentences` must be a bool. Received: split_sentences={split_sentences!r}"
            )
        self.split_sentences = split_sentences
        self.undecodable = 0

    def without_tokens(self) -> ValueError:
        """The error to be raised where a whole pass gave nothing."""
        some = ", ".join(map(str, self.files[:3]))
        return ValueError(
            "The corpus must hold sentences. Received: no token in "
            f"{some}{' ...' if len(self.files) > 3 else ''}. Check the files and the tokenizer."
        )

    def __iter__(self) -> Iterator[list[str]]:
        for file in range(len(self.files)):
            for block in self.blocks(file):
                yield from block.sentences

    def blocks(self, file: int, line: int = 0) -> Iterator[Block]:
        """The blocks of one file, from a line on."""
        lines = self._lines(self.files[file], skip=line)
        is_last = False
        while not is_last:
            some, room = [], BLOCK_CHARACTERS
            for text in lines:
                some.append(text)
                room -= len(text)
                if len(some) == BLOCK_LINES or room <= 0:
                    break
            else:
                is_last = True
            yield Block(file, line, None if is_last else line + len(some), self._sentences(some))
            line += len(some)

    def _lines(self, path, skip):
        """Lines as str, the first `skip` of them left out; long ones in pieces."""
        number = 0
        try:
            with open(path, "rb") as file:
                is_gzip = first_bytes.is_gzip(file.read(2))
            with (gzip.open if is_gzip else open)(path, "rb") as file:
                head = file.peek(first_bytes.SAMPLE)
                compression = "gzip" if is_gzip else None
                first_bytes.check_is_text(head, path, "UTF-8 text, plain or gzip", compression)
                while piece := _readline(file):
                    number += 1
                    if number == 1:
                        piece = piece.removeprefix(first_bytes.UTF8_MARK)
                    if number > skip:
                        yield self._decode(piece)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{path} must be text, plain or gzip. Received: {error}, behind line {number}. "
                "Fetch or write the file again."
            ) from error

    def _decode(self, line):
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            text = line.decode("utf-8", "replace")
            # Text may hold the replacement character itself.
            found = text.count(REPLACEMENT) - line.count(REPLACEMENT.encode())
            self.undecodable += max(found, 1)
            return text

    def _sentences(self, lines):
        if self.split_sentences:
            lines = [sentence for line in lines for sentence in split_sentences(line)]
        return [tokens for tokens in self.tokenizer.split(lines) if tokens]


def _readline(file):
    """A line, or of one too long a piece that ends with a whole character, maybe inside a word."""
    piece = file.readline(MAX_LINE_BYTES)
    if len(piece) == MAX_LINE_BYTES and piece[-1:] != b"\n":
        for _ in range(3):
            if not b"\x80" <= file.peek(1)[:1] < b"\xc0":
                break
            piece += file.read(1)
    return piece


def write_tokenized(corpus: Corpus, directory, overwrite: bool = False) -> list[pathlib.Path]:
    """Writes each file of a corpus as tokens between spaces, a sentence a line, gzip.

    `Corpus(directory, tokenizer="whitespace")` then reads the same sentences, without TensorFlow:
    on a machine that has JAX alone, say.

    Args:
        corpus: the `Corpus`.
        directory: where the files go, each by its own name; made if absent.
        overwrite: bool. Whether files that are there already are written anew. Defaults to
            `False`: they are left, so that a broken-off run goes on where it was.

    Returns:
        The paths of the files.

    Raises:
        ValueError: if two files of the corpus have one name, or lie in the directory themselves.
    """
    directory = pathlib.Path(directory)
    names = [path.name.removesuffix(".gz") + ".gz" for path in corpus.files]
    if len(set(names)) < len(names):
        raise ValueError(
            "The files of the corpus must have different names, to be written into one directory. "
            f"Received: {sorted(names)}. Write them from one directory at a time."
        )
    directory.mkdir(parents=True, exist_ok=True)
    paths = [directory / name for name in names]
    for source, path in zip(corpus.files, paths):
        if directory.samefile(source.parent) or (path.exists() and path.samefile(source)):
            raise ValueError(
                "`directory` must be another one than that of the corpus. "
                f"Received: directory={str(directory)!r}, which holds {source}."
            )
    for number, path in enumerate(paths):
        if path.exists() and not overwrite:
            continue
        with (
            atomic_write(path) as partial,
            gzip.open(partial, "wt", encoding="utf-8", newline="\n") as file,
        ):
            is_first = True
            for block in corpus.blocks(number):
                lines = [" ".join(tokens) for tokens in block.sentences]
                if is_first and lines:
                    # The reader drops one mark: a token that begins with it needs a second one.
                    file.write(MARK if lines[0].startswith(MARK) else "")
                    is_first = False
                file.writelines(f"{line}\n" for line in lines)
    return paths


def _find(files) -> list[pathlib.Path]:
    if isinstance(files, (str, os.PathLike)):
        files = [files]
    if not isinstance(files, Iterable):
        raise ValueError(
            "`files` must be a path, a glob pattern, or a list of them. "
            f"Received: {files!r} of type {type(files).__name__}."
        )
    found = []
    for item in files:
        path = pathlib.Path(item).expanduser()
        if path.is_dir():
            inner = (child for child in path.iterdir() if not child.name.startswith("."))
            matches = sorted(child for child in inner if child.is_file())
        elif path.is_file():
            matches = [path]
        else:
            found_here = map(pathlib.Path, glob.glob(str(path)))
            matches = sorted(match for match in found_here if match.is_file())
        if not matches:
            raise ValueError(
                "Each of `files` must be a file, a directory with files, or a pattern that files "
                f"match. Received: {str(item)!r}, where there is none."
            )
        found += matches
    if not found:
        raise ValueError("`files` must name at least one file. Received: none.")
    return found
