"""An endless stream of a corpus's sentences, in an order that depends on the seed."""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from elmo_keras.training.corpus import Corpus

_BEGINNING = {"pass": 0, "file": 0, "line": 0, "sentence": 0}


class SentenceStream:
    """An endless iterator of the sentences of a corpus, pass after pass.

    In each pass, files are shuffled, and lines are shuffled within their blocks.

    Args:
        corpus: `Corpus`.
        seed: int. Seed of the order. Defaults to `0`.
        shuffle: bool. Whether to shuffle files and lines. Defaults to `True`.

    Raises:
        ValueError: on iteration, if the corpus holds no sentence.
    """

    def __init__(self, corpus: Corpus, seed: int = 0, shuffle: bool = True) -> None:
        self.corpus, self.seed, self.shuffle = corpus, seed, shuffle
        self._place: dict[str, int] = dict(_BEGINNING)
        self._sentences = self._read()

    @property
    def passes(self) -> int:
        """Number of times that the corpus has been read to its end."""
        return self._place["pass"]

    def state(self) -> dict[str, int]:
        """Returns the position in the corpus as JSON-compatible data for `restore`."""
        return dict(self._place)

    def restore(self, state: dict[str, Any]) -> None:
        """Continues after the sentence at which `state` was taken.

        Args:
            state: return value of `state`.
        """
        self._place = dict(state)
        self._sentences = self._read()

    def __iter__(self) -> "SentenceStream":
        return self

    def __next__(self) -> list[str]:
        return next(self._sentences)

    def _read(self) -> Iterator[list[str]]:
        """Yields the sentences from `_place` on, pass after pass, and updates `_place`."""
        place, files = self._place, self.corpus.files
        while True:
            is_whole, is_empty = place == _BEGINNING | {"pass": place["pass"]}, True
            file_order = self._order(len(files), "files")
            for position in range(place["file"], len(files)):
                file = int(file_order[position])
                for block in self.corpus.blocks(file, place["line"]):
                    sentences = block.sentences
                    line_order = self._order(len(sentences), file, block.line)
                    for index in range(place["sentence"], len(sentences)):
                        place["sentence"], is_empty = index + 1, False
                        yield sentences[line_order[index]]
                    place |= {"line": block.next_line or 0, "sentence": 0}
                place |= {"file": position + 1, "line": 0}
            if is_whole and is_empty:
                raise self.corpus.empty_error()
            place |= _BEGINNING | {"pass": place["pass"] + 1}

    def _order(self, size: int, *items: str | int) -> Sequence[int] | np.ndarray:
        """Returns a permutation that depends on the seed, the pass and the permuted items."""
        if not self.shuffle:
            return range(size)
        key = [self.seed, self._place["pass"]]
        key += [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in items]
        return np.random.default_rng(key).permutation(size)
