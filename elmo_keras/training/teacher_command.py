"""The work of `elmo-keras teach` and of `elmo-keras pretrain --teacher`, as functions."""

import os
import pathlib
from collections.abc import Callable

from elmo_keras.encoders.elmo_layer import ElmoLayer
from elmo_keras.training.corpus import Corpus
from elmo_keras.training.projection import check_same_teacher, load_projection, save_projection
from elmo_keras.training.teacher import ElmoTeacher, Teacher
from elmo_keras.training.teacher_sentences import LiveTeacher
from elmo_keras.training.teacher_shards import MANIFEST, TeacherShards
from elmo_keras.training.transformer_teacher import TOKENIZER, TransformerTeacher

PROJECTION = "teacher_projection.npz"


def load_teacher(source: str | os.PathLike[str], layers: list[int] | None = None) -> Teacher:
    """Loads a teacher: a transformer in a folder, or any ELMo model.

    Args:
        source: path of a folder with `tokenizer.json` and an ONNX model, see `TransformerTeacher`;
            or any source of `ElmoLayer.from_preset`.
        layers: list of int, the layers of an ELMo model, see `ElmoTeacher`. Defaults to `None`.

    Raises:
        ValueError: if the source is not a model, or if `layers` are given for a transformer.
        FileNotFoundError: if the source does not exist.
        ImportError: if onnxruntime or tokenizers is not installed.
    """
    folder = pathlib.Path(source).expanduser()
    is_transformer = (folder / TOKENIZER).is_file() or any(folder.glob("**/*.onnx"))
    if folder.is_dir() and is_transformer:
        if layers is not None:
            raise ValueError(
                "`layers` must be left out for a transformer, whose last layer is used. "
                f"Received: layers={layers}."
            )
        return TransformerTeacher(folder)
    return ElmoTeacher(ElmoLayer.from_preset(source), layers)


def teacher_source(
    source: str | os.PathLike[str],
    corpus: Corpus,
    directory: pathlib.Path,
    report: Callable[[str], None] = lambda line: None,
    strategy: str = "none",
) -> TeacherShards | LiveTeacher:
    """Opens the targets of a directory, or a teacher that is asked during training.

    Args:
        source: path of a directory of targets, or a source of `load_teacher`.
        corpus: `Corpus` of the sentences that a teacher is asked about.
        directory: path of the pretraining run. The projection of a live teacher is kept there, so
            that a resumed run has the same targets.
        report: function that is called with each line of text for the user. By default, lines are
            discarded.
        strategy: str, see `pretrain_from_text`. Several workers need a directory of targets.
            Defaults to `"none"`.

    Raises:
        ValueError: as `TeacherShards` and `load_teacher` do, and if a projection in `directory`
            belongs to another teacher.
    """
    folder = pathlib.Path(source).expanduser()
    if (folder / MANIFEST).is_file():
        shards = TeacherShards(folder)
        report(f"Teacher: {len(shards):,} sentences, {shards.num_tokens:,} tokens in {folder}.")
        return shards
    if strategy == "multi_worker":
        raise ValueError(
            "`teacher` must be a directory of targets with strategy='multi_worker', because each "
            f"worker would ask a teacher of its own. Received: teacher={str(source)!r}. Write its "
            "targets with `elmo-keras teach`."
        )
    teacher = load_teacher(source)
    path = directory / PROJECTION
    known = load_projection(path) if path.exists() else None
    if known is not None:
        check_same_teacher(teacher, known, path)
    live = LiveTeacher(teacher, corpus, projection=known)
    if known is None:
        directory.mkdir(parents=True, exist_ok=True)
        save_projection(live.projection, path)
    report(f"Teacher: {source}, asked during training. Write its targets once with `teach`.")
    return live
