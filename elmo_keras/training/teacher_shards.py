"""Files of a teacher's target vectors, which `teacher_writer` writes and pretraining reads.

A directory of targets holds `teacher.json`, `projection.npz` and one directory for each block of
lines of the corpus, a shard. The arrays of a shard are npy files, which are mapped into memory, so
the targets may be larger than the memory:

- `text`: uint8, the sentences in UTF-8, their tokens separated by spaces.
- `text_ends`, `token_ends`: `(sentences,)` int64, where each sentence ends in `text` and in the
  other arrays.
- `vectors`: `(tokens, components)` int8, in units of `bound / 127` of the projection, or float16.
- `has_target`: `(tokens,)` bool.
"""

import functools
import hashlib
import json
import os
import pathlib
from typing import Any, NamedTuple

import numpy as np

from elmo_keras.files import safe_json
from elmo_keras.training.projection import Projection, load_projection

FORMAT, VERSION = "elmo_keras teacher targets", 1
MANIFEST, PROJECTION = "teacher.json", "projection.npz"
DTYPES = ("int8", "float16")
_ARRAYS = {"text": 1, "text_ends": 1, "token_ends": 1, "vectors": 2, "has_target": 1}
_MAPPED_SHARDS = 32  # whose arrays are mapped into memory at the same time
_AGAIN = "Write the targets again with `elmo-keras teach`."


class SentenceTargets(NamedTuple):
    """A sentence with the targets of its tokens.

    Attributes:
        tokens: list of str.
        vectors: `(tokens, components)` float32. The variances of the components add up to 1.
        has_target: `(tokens,)` bool.
    """

    tokens: list[str]
    vectors: np.ndarray
    has_target: np.ndarray


class TeacherShards:
    """The targets that `write_teacher_shards` has written.

    All files are checked when the object is created.

    Args:
        directory: path of the directory of targets.

    Attributes:
        directory: path.
        projection: `Projection` to the components.
        tokenizer: str. Name of the tokenizer of the corpus.
        lengths: `(sentences,)` int array, the number of tokens of each sentence.
        num_components: int.
        num_tokens: int. Number of tokens of all sentences.
        digest: str. Identifies the targets.

    Raises:
        ValueError: if the directory holds no targets, if they are incomplete, damaged or truncated,
            or if a target is NaN or infinite.

    Example:

    ```python
    shards = elmo_keras.training.TeacherShards("targets/")
    print(len(shards), shards.num_tokens)
    ```
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = pathlib.Path(directory).expanduser()
        manifest = load_manifest(self.directory)
        if not manifest["shards"] or not manifest["complete"]:
            raise ValueError(
                f"{self.directory} must hold complete targets. Received: {len(manifest['shards'])} "
                "shards of an interrupted call. Run `elmo-keras teach` with the same arguments to "
                "write the others."
            )
        self.projection = load_projection(self.directory / PROJECTION)
        self.num_components = self.projection.matrix.shape[1]
        self.tokenizer: str = manifest["settings"]["tokenizer"]
        self._paths = [self.directory / name for name in manifest["shards"]]
        lengths = [
            np.diff(open_shard(path, self.num_components)["token_ends"], prepend=0)
            for path in self._paths
        ]
        self.lengths = np.concatenate(lengths)
        self.num_tokens = int(self.lengths.sum())
        self._ends = np.cumsum([len(part) for part in lengths])
        # Each array that is mapped into memory takes a file descriptor.
        self._map = functools.lru_cache(maxsize=_MAPPED_SHARDS)(_map_shard)
        text = json.dumps([manifest["shards"], manifest["settings"], self.num_tokens])
        self.digest = hashlib.sha1((text + self.projection.digest).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> SentenceTargets:
        """Reads one sentence.

        Args:
            index: int. Index of the sentence, from 0.
        """
        number = int(np.searchsorted(self._ends, index, side="right"))
        if index < 0 or number == len(self._paths):
            raise IndexError(f"`index` must be from 0 to {len(self) - 1}. Received: {index}.")
        place = index - (int(self._ends[number - 1]) if number else 0)
        return _read_sentence(self._map(self._paths[number]), place, self.projection)


def _read_sentence(
    shard: dict[str, np.ndarray], place: int, projection: Projection
) -> SentenceTargets:
    text = bytes(shard["text"][_span(shard["text_ends"], place)]).decode("utf-8")
    tokens = _span(shard["token_ends"], place)
    vectors = np.array(shard["vectors"][tokens], "float32")
    if shard["vectors"].dtype == np.int8:
        vectors *= projection.bound / 127
    return SentenceTargets(text.split(" "), vectors, np.array(shard["has_target"][tokens], bool))


def _span(ends: np.ndarray, place: int) -> slice:
    return slice(int(ends[place - 1]) if place else 0, int(ends[place]))


def load_manifest(directory: pathlib.Path) -> dict[str, Any]:
    path = directory / MANIFEST
    if not path.is_file():
        raise ValueError(
            f"`directory` must hold the targets of a teacher. Received: {str(directory)!r}, "
            f"without {MANIFEST}. Write them with `elmo-keras teach`."
        )
    manifest = safe_json.load(path, "a teacher's targets")
    found = manifest if isinstance(manifest, dict) else {}
    if found.get("format") != FORMAT or found.get("version") != VERSION:
        raise ValueError(
            f"{path} must have the format {FORMAT!r}, version {VERSION}. "
            f"Received: {found.get('format')!r}, version {found.get('version')!r}. {_AGAIN}"
        )
    shards, settings = found.get("shards"), found.get("settings")
    names = shards if isinstance(shards, list) else [None]
    is_plain = all(isinstance(name, str) and pathlib.Path(name).name == name for name in names)
    if not is_plain or not isinstance(settings, dict) or "tokenizer" not in settings:
        raise ValueError(
            f"{path} must list the shards and the settings. Received: other values. {_AGAIN}"
        )
    return found


def _map_shard(directory: pathlib.Path) -> dict[str, np.ndarray]:
    return {
        name: np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in _ARRAYS
    }


def open_shard(directory: pathlib.Path, num_components: int) -> dict[str, np.ndarray]:
    """Maps the arrays of a shard into memory, and checks them."""
    try:
        arrays = _map_shard(directory)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(
            f"{directory} must be a shard of targets. Received: {error}. {_AGAIN}"
        ) from error
    vectors, token_ends, text_ends = (arrays[n] for n in ("vectors", "token_ends", "text_ends"))
    is_valid = all(arrays[name].ndim == rank for name, rank in _ARRAYS.items())
    is_valid = is_valid and vectors.shape[1] == num_components and vectors.dtype.name in DTYPES
    is_valid = is_valid and len(text_ends) == len(token_ends) > 0
    for ends, size in ((token_ends, len(vectors)), (text_ends, len(arrays["text"]))):
        is_valid = is_valid and bool(np.all(np.diff(ends, prepend=0) > 0)) and ends[-1] == size
    if not is_valid or len(arrays["has_target"]) != len(vectors):
        shapes = {name: array.shape for name, array in arrays.items()}
        raise ValueError(
            f"{directory} must be a shard of {num_components} components whose arrays fit each "
            f"other. Received: shapes {shapes} and vectors of {vectors.dtype}. {_AGAIN}"
        )
    if not all(
        np.isfinite(part).all() for part in np.array_split(vectors, len(vectors) // 2**16 + 1)
    ):
        raise ValueError(
            f"The targets in {directory} must be finite. Received: NaN or infinity. {_AGAIN}"
        )
    return arrays
