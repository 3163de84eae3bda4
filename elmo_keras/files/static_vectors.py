"""Reads static word vectors from the files of word2vec, fastText and GloVe."""

import os
import pathlib
from collections.abc import Iterable

import numpy as np

from elmo_keras.files import static_detection
from elmo_keras.files.static_formats import CHUNK, DAMAGED, Binary, Text


def read_static_vectors(
    path: str | os.PathLike,
    words: Iterable[str] | None = None,
    max_words: int | None = None,
    dim: int | None = None,
) -> tuple[list[str], np.ndarray]:
    """Reads a file of word vectors in the text or binary format of word2vec, fastText or GloVe.

    The format is detected from the content: word2vec's text format, which fastText uses for `.vec`
    files, word2vec's binary format, or GloVe's text format. The file may be plain, compressed with
    gzip or bzip2, or a zip archive, of which the first suitable file is read. If a word occurs
    twice, its first vector counts. The file is read as a stream, up to the last word that is
    needed, so that memory holds only the vectors to keep.

    Text is UTF-8, with these rules:

    - Spaces and tabs, in any number, separate a word from its numbers and the numbers from each
      other. At the beginning and the end of a line they are ignored.
    - The numbers are the last parts of a line, so a word may contain spaces: `". . ."`.
      A line that begins with a space or a tab and holds only numbers has the word `""`.
    - Blank lines at the end of the file are ignored. The last line break may be missing, unless
      the header announces more words than the file holds.
    - Blank lines before a line that begins with a space or a tab and holds only numbers are a word
      of as many line breaks, `"\\n"`, as gensim writes it. Any other blank line is an error.
    - Other layouts are errors: commas or semicolons between numbers, decimal commas, additional
      columns, numbers without words. Without a header, a first column of distinct integers is
      accepted as words if `dim`, or a fraction in another column, shows that it is not part of the
      vectors.

    Args:
        path: path of the file.
        words: iterable of str. Words to keep; words that the file does not hold are ignored.
            Defaults to `None`: all words.
        max_words: int. Maximum number of words to keep. Most files list frequent words first.
            Defaults to `None`: no limit.
        dim: int. Required number of values in a vector. It also selects the file in a zip archive.
            Defaults to `None`: any number.

    Returns:
        The words, a list of str in the order of the file, and their vectors, a float32 array of
        shape `(number of words, dim)`.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if an argument is invalid, or if the file is in another format, damaged, cut
            short, or of another `dim`. The error names the line, or in a binary file the number of
            the word. For fastText's `.bin`, gensim's `.kv` and other known formats it explains how
            to convert the file.

    Example:

    >>> import pathlib
    >>> path = pathlib.Path("vectors.txt")
    >>> size = path.write_bytes(b"the 0.5 1\\ncat 0 -2\\n")
    >>> words, vectors = read_static_vectors(path)
    >>> words, vectors.tolist()
    (['the', 'cat'], [[0.5, 1.0], [0.0, -2.0]])
    """
    for name, value in (("max_words", max_words), ("dim", dim)):
        is_int = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if value is not None and not (is_int and value > 0):
            raise ValueError(
                f"`{name}` must be a positive int or None. Received: {name}={value!r}. Leave it "
                "out for any number."
            )
    wanted = None if words is None else _set_of_words(words)
    limits = [max_words, None if wanted is None else len(wanted)]
    limit = min((limit for limit in limits if limit is not None), default=None)

    source, layout = static_detection.find(pathlib.Path(path).expanduser(), dim)
    kept = _Kept(layout)
    with source.open() as stream:
        for place, token, numbers in layout.rows(stream) if limit != 0 else ():
            word = token.decode("utf-8", "replace")
            if wanted is None or word in wanted:
                kept.add(place, word, numbers)
                if len(kept.words) == limit:
                    break
    return kept.words, kept.vectors()


def _set_of_words(words: Iterable[str]) -> frozenset[str]:
    if isinstance(words, (str, bytes)):
        received: str | None = f"the bare str {words!r:.60}"
        wanted: frozenset[str] = frozenset()
    else:
        wanted = frozenset(words)
        received = next((repr(word) for word in wanted if not isinstance(word, str)), None)
    if received is not None:
        raise ValueError(
            f"`words` must be a list, a set or another iterable of str. Received: {received}. Pass "
            "the words to keep, or None for all."
        )
    return wanted


class _Kept:
    """The words to keep, and their vectors in one growing array.

    Args:
        layout: parser of the vectors.
    """

    def __init__(self, layout: Text | Binary) -> None:
        self.words: list[str] = []
        self._seen: set[str] = set()
        self._layout = layout
        self._pending: list[tuple[str, bytes]] = []  # places and numbers that are not parsed yet
        self._pending_bytes = 0
        self._rows = np.empty((0, layout.dim), dtype="float32")
        self._length = 0

    def add(self, place: str, word: str, numbers: bytes) -> None:
        """Adds a word, unless it has been added before.

        Args:
            place: description of the row, for errors.
            word: the word.
            numbers: the numbers, to be parsed later.
        """
        if word in self._seen:
            return
        self._seen.add(word)
        self.words.append(word)
        self._pending.append((place, numbers))
        self._pending_bytes += len(numbers)
        if self._pending_bytes >= CHUNK:
            self._parse()

    def vectors(self) -> np.ndarray:
        """Returns the vectors of `words`, an array of shape `(number of words, dim)`."""
        self._parse()
        self._resize(self._length)
        return self._rows

    def _parse(self) -> None:
        if not self._pending:
            return
        block = self._layout.parse(self._pending)
        is_finite = np.isfinite(block).all(axis=1)
        if not is_finite.all():
            place, _ = self._pending[int(is_finite.argmin())]
            raise ValueError(
                f"The numbers in {self._layout.name} must be finite in float32. Received: NaN, "
                f"infinity or a larger number in {place}. {DAMAGED}"
            )
        end = self._length + len(block)
        if end > len(self._rows):
            self._resize(end + end // 8)
        self._rows[self._length : end] = block
        self._length = end
        self._pending, self._pending_bytes = [], 0

    def _resize(self, length: int) -> None:
        # In place, because a copy would need twice the memory. No view of the array exists yet.
        self._rows.resize((length, self._layout.dim), refcheck=False)
