"""A corpus of text files, read as a stream of tokenized sentences."""

import glob
import gzip
import os
import pathlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from elmo_keras.files import first_bytes
from elmo_keras.files.atomic_write import atomic_write
from elmo_keras.text.conversion import REPLACEMENT
from elmo_keras.text.sentence_splitter import split_sentences
from elmo_keras.text.tokenizer import Tokenizer
from elmo_keras.utils.progress_bar import ProgressBar

# Limits of a block, the unit of reading and of shuffling: a block ends at the first one it reaches.
# A block's tokens take about 25 bytes of memory per character.
BLOCK_LINES = 8192
BLOCK_CHARACTERS = 2**23
# Longer lines are read in pieces, so that memory does not depend on the length of a line.
MAX_LINE_BYTES = 2**20
BYTE_ORDER_MARK = first_bytes.UTF8_MARK.decode()


Path = str | os.PathLike[str]
Files = Path | Iterable[Path]


class Block(NamedTuple):
    """The sentences of some consecutive lines of a file.

    Attributes:
        file: int. Index of the file in `Corpus.files`.
        line: int. Index of the block's first line, from 0.
        next_line: int. Index of the line after the block, or `None` at the end of the file.
        sentences: list of sentences, each a list of tokens. Empty lines have no sentence.
    """

    file: int
    line: int
    next_line: int | None
    sentences: list[list[str]]


class Corpus:
    """Text files, plain or gzip, as an iterable of sentences, each a list of tokens.

    Files are read in blocks of lines, one block in memory at a time. They must be UTF-8; a byte
    order mark at the beginning of a file is dropped. Single bytes that are not UTF-8 are read as
    U+FFFD and counted. UTF-16, UTF-32 and binary files raise an error when they are read.

    Args:
        files: path of a file or directory, glob pattern, or list of these. A directory stands for
            the files in it, sorted by name. Each file is a shard of the corpus.
        tokenizer: str or `elmo_keras.text.Tokenizer`. `"words"`, the default, as in `ElmoLayer`;
            `"whitespace"` for tokenized text, such as the output of `write_tokenized`, which needs
            no TensorFlow; or `"chinese_characters"` for Chinese.
        split_sentences: bool. Whether `elmo_keras.text.split_sentences` splits each line into
            sentences. Defaults to `False`: each line is a sentence.

    Attributes:
        files: list of paths, the shards.
        undecodable: int. Number of bytes read so far that are not UTF-8.

    Raises:
        ValueError: if no file is given or one does not exist; while reading, if a file is damaged
            or is not UTF-8 text.

    Example:

    ```python
    corpus = elmo_keras.training.Corpus("wiki/train-*.txt.gz", split_sentences=True)
    for tokens in corpus:
        ...
    ```
    """

    def __init__(
        self,
        files: Files,
        tokenizer: str | Tokenizer = "words",
        split_sentences: bool = False,
    ) -> None:
        self.files = _find(files)
        self.tokenizer = tokenizer if isinstance(tokenizer, Tokenizer) else Tokenizer(tokenizer)
        if not isinstance(split_sentences, bool):
            raise ValueError(
                f"`split_sentences` must be a bool. Received: split_sentences={split_sentences!r}. "
                "Pass True for raw text and False for one sentence per line."
            )
        self.split_sentences = split_sentences
        self.undecodable = 0

    def empty_error(self) -> ValueError:
        """Returns the error to raise if a pass over the corpus has yielded no token."""
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
        """Yields the blocks of one file.

        Args:
            file: int. Index of the file in `files`.
            line: int. Index of the line to start at. Defaults to `0`.
        """
        lines = self._lines(self.files[file], skip=line)
        is_last = False
        while not is_last:
            some: list[str] = []
            room = BLOCK_CHARACTERS
            for text in lines:
                some.append(text)
                room -= len(text)
                if len(some) == BLOCK_LINES or room <= 0:
                    break
            else:
                is_last = True
            yield Block(file, line, None if is_last else line + len(some), self._sentences(some))
            line += len(some)

    def _lines(self, path: pathlib.Path, skip: int) -> Iterator[str]:
        """Yields lines, long ones in pieces; skips the first `skip` of them undecoded."""
        num_lines = 0
        try:
            with open(path, "rb") as file:
                is_gzip = first_bytes.is_gzip(file.read(2))
            with (gzip.open if is_gzip else open)(path, "rb") as file:
                head = file.peek(first_bytes.SAMPLE)
                compression = "gzip" if is_gzip else None
                first_bytes.check_is_text(head, path, "UTF-8 text, plain or gzip", compression)
                while piece := _readline(file):
                    num_lines += 1
                    if num_lines == 1:
                        piece = piece.removeprefix(first_bytes.UTF8_MARK)
                    if num_lines > skip:
                        yield self._decode(piece)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{path} must be text, plain or gzip. Received: {error}, after line {num_lines}. "
                "Download or write the file again."
            ) from error

    def _decode(self, line: bytes) -> str:
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            text = line.decode("utf-8", "replace")
            # The text may also hold replacement characters of its own.
            replaced = text.count(REPLACEMENT) - line.count(REPLACEMENT.encode())
            self.undecodable += max(replaced, 1)
            return text

    def _sentences(self, lines: list[str]) -> list[list[str]]:
        if self.split_sentences:
            lines = [sentence for line in lines for sentence in split_sentences(line)]
        return [tokens for tokens in self.tokenizer.split(lines) if tokens]


def _readline(file: Any) -> bytes:
    """Reads a line, or a piece of a long one: a piece never splits a character but may a word."""
    piece = file.readline(MAX_LINE_BYTES)
    if len(piece) == MAX_LINE_BYTES and piece[-1:] != b"\n":
        for _ in range(3):
            if not b"\x80" <= file.peek(1)[:1] < b"\xc0":
                break
            piece += file.read(1)
    return piece


def write_tokenized(
    corpus: Corpus, directory: Path, overwrite: bool = False, progress: bool = False
) -> list[pathlib.Path]:
    """Writes each file of a corpus as gzip text: one sentence per line, tokens between spaces.

    `Corpus(directory, tokenizer="whitespace")` then reads the same sentences without TensorFlow,
    for example on a machine that has only JAX.

    Args:
        corpus: `Corpus`.
        directory: path of the directory to write to; created if absent. Each file keeps its name.
        overwrite: bool. Whether to replace existing files. Defaults to `False`: they are kept, so
            that an interrupted call can be continued.
        progress: bool. Whether to show a progress bar. Defaults to `False`.

    Returns:
        list of paths, in the order of `corpus.files`.

    Raises:
        ValueError: if two files of the corpus have the same name, or if `directory` is the
            directory of the corpus.

    Example:

    ```python
    corpus = elmo_keras.training.Corpus("wiki/*.txt", split_sentences=True)
    elmo_keras.training.write_tokenized(corpus, "tokenized/")
    ```
    """
    directory = pathlib.Path(directory)
    paths = _tokenized_paths(corpus, directory)
    with ProgressBar("Tokenizing", "sentences", enabled=progress) as bar:
        for index, path in enumerate(paths):
            if path.exists() and not overwrite:
                continue
            with (
                atomic_write(path) as partial,
                gzip.open(partial, "wt", encoding="utf-8", newline="\n") as file,
            ):
                is_first = True
                for block in corpus.blocks(index):
                    lines = [" ".join(tokens) for tokens in block.sentences]
                    if is_first and lines:
                        # The reader drops one byte order mark, so a token that begins with one
                        # needs a second one.
                        file.write(BYTE_ORDER_MARK if lines[0].startswith(BYTE_ORDER_MARK) else "")
                        is_first = False
                    file.writelines(f"{line}\n" for line in lines)
                    bar.advance(len(lines), tokens=sum(map(len, block.sentences)))
    return paths


def _tokenized_paths(corpus: Corpus, directory: pathlib.Path) -> list[pathlib.Path]:
    """Creates the directory and returns the paths to write to, after checks against the corpus."""
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
                "`directory` must not be a directory of the corpus. "
                f"Received: directory={str(directory)!r}, which holds {source}. Choose another one."
            )
    return paths


def _find(files: Files) -> list[pathlib.Path]:
    if isinstance(files, (str, os.PathLike)):
        files = [files]
    if not isinstance(files, Iterable):
        raise ValueError(
            "`files` must be a path, a glob pattern, or a list of them. "
            f"Received: {files!r} of type {type(files).__name__}. Pass at least one path."
        )
    paths = [path for item in files for path in _matches(item)]
    if not paths:
        raise ValueError(
            "`files` must name at least one file. Received: an empty list. Pass at least one path."
        )
    return paths


def _matches(item: Path) -> list[pathlib.Path]:
    """Returns the file, the files of the directory, or those that match the pattern, sorted."""
    path = pathlib.Path(item).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        candidates = [child for child in path.iterdir() if not child.name.startswith(".")]
    else:
        candidates = [pathlib.Path(match) for match in glob.glob(str(path))]
    paths = sorted(candidate for candidate in candidates if candidate.is_file())
    if not paths:
        raise ValueError(
            "Each of `files` must be a file, a directory with files, or a pattern that matches "
            f"files. Received: {str(item)!r}, which matches no file. Check the path."
        )
    return paths
