"""What local files are, judged by what is in them."""

import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from elmo_keras.checkpoints import hdf5, json_file, manylangs, softmax
from elmo_keras.presets import preset
from elmo_keras.presets.sources import EXPECTED

HUB_VARIABLES = pathlib.PurePath("variables", "variables")


class Found(NamedTuple):
    """The files of one model.

    Attributes:
        kind: `"preset"`, `"hdf5"`, `"training"`, `"hub"` or `"manylangs"`.
        directory: where they are.
        options: path of the JSON file of options, where the kind has one.
        weights: path of the weights; of a TensorFlow checkpoint without its `.index`.
        vocabulary: path of a file of words, if there is one.
    """

    kind: str
    directory: pathlib.Path
    options: pathlib.Path | None = None
    weights: pathlib.Path | None = None
    vocabulary: pathlib.Path | None = None


def recognise(paths: Sequence[pathlib.Path]) -> Found:
    """Which model the files are.

    Args:
        paths: one directory, one file, or two files.

    Raises:
        ValueError: if there is nothing, or more than one thing, that it could be.
    """
    if len(paths) == 2:
        options, weights = paths if paths[1].suffix != ".json" else paths[::-1]
        return _Directory(weights.parent).of_weights(options, weights)
    (path,) = paths
    if not path.is_dir():
        return _Directory(path.parent).of_file(path)
    directory = _Directory(path)
    found = directory.model()
    if found is None:
        found = next((_Directory(inner).model() for inner in _inner(path)), None)
    if found is None:
        raise directory.error("no model")
    return found


def find_softmax(
    paths: Sequence[pathlib.Path],
) -> tuple[pathlib.Path, bool, pathlib.Path | None] | None:
    """`(weights, whether they are a training checkpoint, vocabulary or None)` of a softmax.

    `None` if the files hold none. A training checkpoint may still turn out to be without.

    Args:
        paths: one directory, or files of it.
    """
    path = paths[-1]
    if not path.is_dir():
        directory = _Directory(path.parent)
        prefix = path.with_suffix("") if path.suffix == ".index" else path
        if directory.has_index(prefix):
            return prefix, True, directory.vocabulary()
        return (path, False, directory.vocabulary()) if softmax.is_softmax(path) else None
    for directory in map(_Directory, (path, *_inner(path))):
        files = [file for file in directory.find("*.hdf5", "*.h5") if softmax.is_softmax(file)]
        if len(files) == 1:
            return files[0], False, directory.vocabulary()
        prefix = directory.training_prefix()
        if prefix is not None and not files:
            return prefix, True, directory.vocabulary()
    return None


def _inner(path):
    """The one folder around all that archives often have, or nothing."""
    inner = [child for child in sorted(path.iterdir()) if child.is_dir()]
    return inner if len(inner) == 1 else []


class _Directory:
    """A directory and the questions asked of it."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def model(self) -> Found | None:
        """The model in the directory, or `None` if it holds none."""
        config = self.path / preset.CONFIG
        if config.is_file() and (
            (self.path / preset.WEIGHTS).is_file() or preset.is_config(_json(config))
        ):
            return Found("preset", self.path)
        if any((self.path / n).is_file() for n in (manylangs.TOKEN_EMBEDDER, manylangs.ENCODER)):
            return Found("manylangs", self.path)
        if self.has_index(self.path / HUB_VARIABLES):
            return Found("hub", self.path, weights=self.path / HUB_VARIABLES)
        weights = self._weights()
        if weights is not None:
            return self.of_weights(self._options(weights), weights)
        prefix = self.training_prefix()
        if prefix is not None:
            return self.of_training(prefix)
        return None

    def of_file(self, path: pathlib.Path) -> Found:
        """The model that a file belongs to."""
        if path.suffix == ".pkl":
            return self.model() or self._raise(f"{path.name} alone")
        prefix = path.with_suffix("") if path.suffix == ".index" else path
        if self.has_index(prefix):
            return self.of_training(prefix)
        if path.suffix == ".json":
            return self.model() or self._raise(f"{path.name} alone")
        return self.of_weights(self._options(path), path)

    def of_weights(self, options, weights) -> Found:
        return Found("hdf5", self.path, options, weights, self.vocabulary())

    def of_training(self, prefix) -> Found:
        return Found("training", self.path, self._options(prefix), prefix, self.vocabulary())

    def vocabulary(self) -> pathlib.Path | None:
        """The file of words, if there is one that must be it."""
        patterns = ("vocabulary.txt", "vocab*.txt", "vocab*.txt.gz")
        for pattern in patterns:
            found = self.find(pattern)
            if found:
                return found[0] if len(found) == 1 else None
        return None

    def _weights(self):
        # A directory may hold other HDF5 files, vectors for example: look inside.
        files = self.find("*.hdf5", "*.h5")
        if len(files) > 1:
            files = [file for file in files if hdf5.is_weights(file)] or files
        return self._only(files, "weights") if files else None

    def _options(self, weights):
        files = self.find("options.json") or self.find("*options*.json")
        if not files:
            raise self.error(f"{weights.name} without options (JSON) beside it")
        return self._only(files, "options")

    def training_prefix(self):
        """The newest checkpoint of training, as TensorFlow's own note of it says."""
        prefixes = [path.with_suffix("") for path in self.find("*.index")]
        note = self.path / "checkpoint"
        if len(prefixes) > 1 and note.is_file():
            text = note.read_bytes()[: 2**16].decode("utf-8", "replace")
            match = re.search(r'model_checkpoint_path: "([^"\n]*)"', text)
            # It may be a path of the author's machine.
            name = match[1].replace("\\", "/").rsplit("/", 1)[-1] if match else None
            prefixes = [prefix for prefix in prefixes if prefix.name == name] or prefixes
        return self._only(prefixes, "checkpoints") if prefixes else None

    def has_index(self, prefix):
        return prefix.with_name(prefix.name + ".index").is_file()

    def find(self, *patterns) -> list[pathlib.Path]:
        """The files whose names fit a pattern."""
        return sorted(
            path
            for pattern in patterns
            for path in self.path.glob(pattern)
            if path.is_file() and not path.name.startswith(".")
        )

    def _only(self, paths, what):
        if len(paths) == 1:
            return paths[0]
        raise self.error(
            f"several {what}: {', '.join(path.name for path in paths)}",
            "Name the two files as a pair (options, weights).",
        )

    def _raise(self, received):
        raise self.error(received)

    def error(self, received, advice="Check that all files of the model are there."):
        """The ValueError that says what is in the directory."""
        content = sorted(path.name for path in self.path.iterdir())
        shown = ", ".join([*content[:20], *(["..."] if len(content) > 20 else [])]) or "nothing"
        return ValueError(
            f"{EXPECTED} Received: {received} in {str(self.path)!r} (it holds: {shown}). {advice}"
        )


def _json(path):
    try:
        return json_file.load(path, "anything")
    except ValueError:
        return None
