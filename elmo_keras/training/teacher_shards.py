"""Files of a teacher's target vectors: written once, read in any number of pretraining runs.

A directory of targets holds `teacher.json`, `projection.npz` and one directory for each block of
lines of the corpus, a shard. The arrays of a shard are npy files, which are mapped into memory, so
the targets may be larger than the memory:

- `text`: uint8, the sentences in UTF-8, their tokens separated by spaces.
- `text_ends`, `token_ends`: `(sentences,)` int64, where each sentence ends in `text` and in the
  other arrays.
- `vectors`: `(tokens, components)` int8, in units of `bound / 127` of the projection, or float16.
- `has_target`: `(tokens,)` bool.
"""

import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from elmo_keras.files import safe_json
from elmo_keras.files.atomic_write import (
    describing_errors,
    sync_directory,
    text_content,
    write_atomically,
)
from elmo_keras.training.corpus import Corpus
from elmo_keras.training.projection import (
    Projection,
    cut_sentences,
    fit_to_corpus,
    load_projection,
    save_projection,
)
from elmo_keras.training.teacher import Teacher, check_targets
from elmo_keras.utils.progress_bar import ProgressBar

FORMAT, VERSION = "elmo_keras teacher targets", 1
MANIFEST, PROJECTION = "teacher.json", "projection.npz"
DTYPES = ("int8", "float16")
_ARRAYS = {"text": 1, "text_ends": 1, "token_ends": 1, "vectors": 2, "has_target": 1}
_SENTENCES = 512  # that the teacher is asked for at once
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
        manifest = _load_manifest(self.directory)
        if not manifest["shards"] or not manifest["complete"]:
            raise ValueError(
                f"{self.directory} must hold complete targets. Received: {len(manifest['shards'])} "
                "shards of an interrupted call. Run `elmo-keras teach` with the same arguments to "
                "write the others."
            )
        self.projection = load_projection(self.directory / PROJECTION)
        self.num_components = self.projection.matrix.shape[1]
        self.tokenizer: str = manifest["settings"]["tokenizer"]
        self._shards = [
            _open_shard(self.directory / name, self.num_components) for name in manifest["shards"]
        ]
        self.lengths = np.concatenate(
            [np.diff(shard["token_ends"], prepend=0) for shard in self._shards]
        )
        self.num_tokens = int(self.lengths.sum())
        self._ends = np.cumsum([len(shard["token_ends"]) for shard in self._shards])
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
        if index < 0 or number == len(self._shards):
            raise IndexError(f"`index` must be from 0 to {len(self) - 1}. Received: {index}.")
        shard = self._shards[number]
        place = index - (int(self._ends[number - 1]) if number else 0)
        return _read_sentence(shard, place, self.projection)


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


def _load_manifest(directory: pathlib.Path) -> dict[str, Any]:
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


def _open_shard(directory: pathlib.Path, num_components: int) -> dict[str, np.ndarray]:
    """Maps the arrays of a shard into memory, and checks them."""
    try:
        arrays = {
            name: np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in _ARRAYS
        }
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


def write_teacher_shards(
    teacher: Teacher,
    corpus: Corpus,
    directory: str | os.PathLike[str],
    components: int = 128,
    dtype: str = "int8",
    fit_tokens: int = 50_000,
    max_length: int = 100,
    report: Callable[[str], None] = lambda line: None,
    progress: bool = False,
) -> TeacherShards:
    """Asks a teacher for the targets of a corpus and writes them, or continues an earlier call.

    Principal components of the teacher's vectors are fitted to the beginnings of all files. Each
    block of lines of the corpus is a shard. A shard is complete or absent, so a call that was
    interrupted is continued by the same call.

    Args:
        teacher: `Teacher`.
        corpus: `Corpus`.
        directory: path of the directory to write; created if absent.
        components: int. Number of principal components to keep. Defaults to `128`.
        dtype: str. `"int8"`, the default, a byte for each component, or `"float16"`.
        fit_tokens: int. Number of tokens that the components are fitted to. Defaults to `50_000`.
        max_length: int. Longer sentences are cut into parts of this many tokens. Defaults to `100`.
        report: function that is called with each line of text for the user. By default, lines are
            discarded.
        progress: bool. Whether to show a progress bar. Defaults to `False`.

    Returns:
        `TeacherShards`.

    Raises:
        ValueError: if an argument is out of range, if the corpus is empty, if the teacher returns
            NaN or arrays of wrong shapes, or if `directory` holds the targets of another teacher,
            corpus or of other settings.
        OSError: if a file cannot be written. Complete shards are kept.

    Example:

    ```python
    corpus = elmo_keras.training.Corpus("reviews/*.txt")
    teacher = elmo_keras.training.TransformerTeacher("all-MiniLM-L6-v2/")
    elmo_keras.training.write_teacher_shards(teacher, corpus, "targets/")
    ```
    """
    directory = pathlib.Path(directory).expanduser()
    values = {"components": components, "fit_tokens": fit_tokens, "max_length": max_length}
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(
                f"`{name}` must be a positive int. Received: {name}={value!r}. Leave it out for "
                "the default."
            )
    if dtype not in DTYPES:
        raise ValueError(
            f"`dtype` must be one of {DTYPES}. Received: dtype={dtype!r}. Leave it out for 'int8'."
        )
    settings = {
        **values,
        "dtype": dtype,
        "tokenizer": corpus.tokenizer.method,
        "split_sentences": corpus.split_sentences,
        "files": [path.name for path in corpus.files],
    }
    manifest = _start(directory, settings)
    with describing_errors(directory, "Complete shards are kept.", "Run the command again."):
        projection = _load_or_fit(teacher, corpus, directory, settings)
    report(
        f"{projection.matrix.shape[1]} principal components of {len(projection.mean)} values keep "
        f"{projection.explained:.1%} of the variance."
    )
    with ProgressBar("Teaching", "sentences", enabled=progress) as bar:
        for file in range(len(corpus.files)):
            for block in corpus.blocks(file):
                name = f"shard-{file:05d}-{block.line:010d}"
                sentences = cut_sentences(block.sentences, max_length)
                if name not in manifest["shards"] and sentences:
                    path = directory / name
                    with describing_errors(path, "Complete shards are kept.", "Run it again."):
                        _write_shard(teacher, sentences, projection, dtype, path, bar)
                    manifest["shards"].append(name)
                    _save_manifest(directory, manifest)
    if not manifest["shards"]:
        raise corpus.empty_error()
    manifest["complete"] = True
    _save_manifest(directory, manifest)
    shards = TeacherShards(directory)
    size = sum(path.stat().st_size for path in directory.glob("shard-*/*.npy"))
    report(f"{len(shards):,} sentences, {shards.num_tokens:,} tokens, {size / 1e6:,.0f} MB.")
    return shards


def _start(directory: pathlib.Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the manifest of a new directory, or of an earlier call with the same settings."""
    if not (directory / MANIFEST).exists():
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "settings": settings,
            "shards": [],
            "complete": False,
        }
        _save_manifest(directory, manifest)
        return manifest
    manifest = _load_manifest(directory)
    old = manifest["settings"]
    differences = [
        f"{name} was {old.get(name)!r} and is {value!r}"
        for name, value in settings.items()
        if old.get(name) != value
    ]
    if differences:
        raise ValueError(
            f"The targets in {directory} must be continued with the same settings. "
            f"Received: {'; '.join(differences)}. Choose another directory, or the settings of the "
            "earlier call."
        )
    return manifest


def _load_or_fit(
    teacher: Teacher, corpus: Corpus, directory: pathlib.Path, settings: dict[str, Any]
) -> Projection:
    path = directory / PROJECTION
    if path.exists():
        projection = load_projection(path)
        _check_same_teacher(teacher, directory, projection)
        return projection
    projection = fit_to_corpus(
        teacher, corpus, settings["components"], settings["fit_tokens"], settings["max_length"]
    )
    save_projection(projection, path)
    return projection


def _check_same_teacher(teacher: Teacher, directory: pathlib.Path, projection: Projection) -> None:
    """Compares the teacher's vectors of a sentence with those in the first shard, if any."""
    for path in sorted(directory.glob("shard-*"))[:1]:
        shard = _open_shard(path, projection.matrix.shape[1])
        stored = _read_sentence(shard, 0, projection)
        targets = check_targets(teacher.targets([stored.tokens]), [stored.tokens])
        vectors = projection(targets.vectors)[stored.has_target]
        if shard["vectors"].dtype == np.int8:
            vectors = vectors.clip(-projection.bound, projection.bound)
        # Values are rounded, and a GPU may compute slightly different ones.
        error = np.abs(vectors - stored.vectors[stored.has_target]).max(initial=0)
        if not np.array_equal(targets.has_target, stored.has_target) or error > 0.1:
            raise ValueError(
                f"The targets in {directory} must be continued by the same teacher. Received: "
                f"vectors that differ by up to {error:.2f} for a sentence that is stored. Choose "
                "another directory, or the earlier teacher."
            )


def _save_manifest(directory: pathlib.Path, manifest: dict[str, Any]) -> None:
    text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
    write_atomically(directory / MANIFEST, text_content(text).write)


def _write_shard(
    teacher: Teacher,
    sentences: list[list[str]],
    projection: Projection,
    dtype: str,
    path: pathlib.Path,
    bar: ProgressBar,
) -> None:
    parts, has_target = [], []
    for start in range(0, len(sentences), _SENTENCES):
        some = sentences[start : start + _SENTENCES]
        targets = check_targets(teacher.targets(some), some)
        vectors = np.where(targets.has_target[:, None], projection(targets.vectors), 0)
        if dtype == "int8":
            vectors = np.rint(vectors / np.maximum(projection.bound / 127, 1e-12)).clip(-127, 127)
        parts.append(vectors.astype(dtype))
        has_target.append(targets.has_target)
        bar.advance(len(some), tokens=sum(map(len, some)))
    texts = [" ".join(tokens).encode("utf-8") for tokens in sentences]
    arrays = {
        "text": np.frombuffer(b"".join(texts), "uint8"),
        "text_ends": np.cumsum([len(text) for text in texts], dtype="int64"),
        "token_ends": np.cumsum([len(tokens) for tokens in sentences], dtype="int64"),
        "vectors": np.concatenate(parts),
        "has_target": np.concatenate(has_target),
    }
    partial = path.with_name(f".{path.name}.partial")
    for directory in (partial, path):  # what a killed process has left
        shutil.rmtree(directory, ignore_errors=True)
    partial.mkdir()
    for name, array in arrays.items():
        with open(partial / f"{name}.npy", "wb") as file:
            np.save(file, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
    os.replace(partial, path)
    sync_directory(path.parent)
