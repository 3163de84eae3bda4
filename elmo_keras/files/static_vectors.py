"""Word vectors that know no context: the files of word2vec, fastText and GloVe."""

import os
import pathlib
from collections.abc import Iterable

import numpy as np

from elmo_keras.files import static_detection
from elmo_keras.files.static_formats import CHUNK, DAMAGED


def read_static_vectors(
    path: str | os.PathLike,
    words: Iterable[str] | None = None,
    max_words: int | None = None,
    dim: int | None = None,
) -> tuple[list[str], np.ndarray]:
    """Reads a file of word vectors, whatever program wrote it.

    The content tells the format: word2vec as text, which is also fastText's `.vec`, word2vec as
    binary, or GloVe; each of them plain, as gzip or bzip2, or as the first fitting file of a zip.
    If a word comes twice, the first one counts. The file is read as a stream, no further than to
    the last word that is asked for, and memory is taken for the vectors that are kept.

    Text is UTF-8, with these rules:

    - Any run of spaces and tabs separates a word from its numbers and one number from the next.
      White space at the begin and the end of a line is ignored.
    - The numbers are the last parts of a line, so a word may hold white space: `". . ."`.
      A line that begins with white space and holds numbers alone has the word `""`.
    - Blank lines at the end of the file are ignored, and the last line break may be missing, unless
      the header announces more words than the file then holds.
    - A blank line before a line that begins with white space and holds numbers alone is a word that
      is a line break, `"\\n"`, as gensim writes it; several blank lines are as many line breaks.
      Any other blank line is an error.
    - Other layouts are errors: commas or semicolons between numbers, decimal commas, more columns
      than a word and its numbers, numbers without words. Without a header, a first column of
      different whole numbers passes as words if `dim` or a fraction in the other columns shows
      that it is not one of them.

    Args:
        path: path of the file.
        words: the words to keep, those of them that the file has. `None`, the default, keeps all.
        max_words: int. How many words to keep at most; the programs write frequent words first.
            `None`, the default, keeps all.
        dim: int. How many numbers a vector must have, to choose among the files of a zip or to be
            sure. `None`, the default, takes what the file has.

    Returns:
        The kept words, a list of str in the order of the file, and their vectors, a float32 array
        of shape `(number of words, dim)`.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is none of these formats, damaged, cut short, or of another `dim`. The
            file and the line, or the number of the word in a binary file, are named. Of fastText's
            `.bin`, gensim's `.kv` and other known formats the error says how to convert them.

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
                f"`{name}` must be a positive int, or None. Received: {name}={value!r}"
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


def _set_of_words(words):
    if isinstance(words, (str, bytes)):
        received = f"the bare str {words!r:.60}"
    else:
        words = frozenset(words)
        received = next((repr(word) for word in words if not isinstance(word, str)), None)
    if received is not None:
        raise ValueError(
            f"`words` must be str in a list, a set or the like. Received: {received}. Pass the "
            "words to keep, or None for all."
        )
    return words


class _Kept:
    """The words that are kept, and their vectors in one array that grows with them."""

    def __init__(self, layout):
        self.words = []
        self._seen = set()
        self._layout = layout
        self._pending = []  # places and numbers, not parsed yet
        self._pending_bytes = 0
        self._rows = np.empty((0, layout.dim), dtype="float32")
        self._length = 0

    def add(self, place, word, numbers):
        if word in self._seen:
            return
        self._seen.add(word)
        self.words.append(word)
        self._pending.append((place, numbers))
        self._pending_bytes += len(numbers)
        if self._pending_bytes >= CHUNK:
            self._parse()

    def vectors(self):
        self._parse()
        self._resize(self._length)
        return self._rows

    def _parse(self):
        if not self._pending:
            return
        block = self._layout.parse(self._pending)
        is_finite = np.isfinite(block).all(axis=1)
        if not is_finite.all():
            place, _ = self._pending[int(is_finite.argmin())]
            raise ValueError(
                f"The numbers in {self._layout.name} must be finite. Received: NaN, or a number "
                f"beyond float32, in {place}. {DAMAGED}"
            )
        end = self._length + len(block)
        if end > len(self._rows):
            self._resize(end + end // 8)
        self._rows[self._length : end] = block
        self._length = end
        self._pending, self._pending_bytes = [], 0

    def _resize(self, length):
        # In place: a copy would take the memory of both. Nobody holds a view of it yet.
        self._rows.resize((length, self._layout.dim), refcheck=False)
