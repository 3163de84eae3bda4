"""Writing of a teacher's target vectors."""

import json
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np

from elmo_keras.files.atomic_write import (
    describing_errors,
    sync_directory,
    text_content,
    write_atomically,
)
from elmo_keras.training.corpus import Corpus
from elmo_keras.training.projection import (
    Projection,
    check_same_teacher,
    cut_sentences,
    fit_to_corpus,
    load_projection,
    save_projection,
)
from elmo_keras.training.teacher import Teacher, check_targets
from elmo_keras.training.teacher_shards import (
    DTYPES,
    FORMAT,
    MANIFEST,
    PROJECTION,
    VERSION,
    TeacherShards,
    load_manifest,
    open_shard,
)
from elmo_keras.utils.progress_bar import ProgressBar

_SENTENCES = 512  # that the teacher is asked for at once


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
        "tokenizer": corpus.tokenizer.description,
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
                path = directory / name
                if name in manifest["shards"] and _is_damaged(path, projection):
                    manifest["shards"].remove(name)
                if name in manifest["shards"]:
                    _check_same_text(path, sentences)
                elif sentences:
                    manifest["complete"] = False
                    _save_manifest(directory, manifest)
                    with describing_errors(path, "Complete shards are kept.", "Run it again."):
                        _write_shard(teacher, sentences, projection, dtype, path, bar)
                    # A shard that replaces a damaged one keeps its place.
                    manifest["shards"] = sorted([*manifest["shards"], name])
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
    manifest = load_manifest(directory)
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
        check_same_teacher(teacher, projection, path)
        return projection
    projection = fit_to_corpus(
        teacher, corpus, settings["components"], settings["fit_tokens"], settings["max_length"]
    )
    save_projection(projection, path)
    return projection


def _is_damaged(path: pathlib.Path, projection: Projection) -> bool:
    try:
        open_shard(path, projection.matrix.shape[1])
    except ValueError:
        return True
    return False


def _check_same_text(path: pathlib.Path, sentences: list[list[str]]) -> None:
    """Checks that a shard of an earlier call holds the sentences of its block."""
    text = b"".join(" ".join(tokens).encode("utf-8") for tokens in sentences)
    if np.load(path / "text.npy", allow_pickle=False).tobytes() != text:
        raise ValueError(
            f"The targets in {path.parent} must be continued with the same corpus. Received: text "
            f"that differs from the text of {path.name}. Choose another directory, or the earlier "
            "corpus."
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
