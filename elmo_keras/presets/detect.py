"""Detects the format of local files from their content."""

import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from elmo_keras.checkpoints import bilm_hdf5, manylangs, softmax
from elmo_keras.files import safe_json
from elmo_keras.files.file_set import FileSet, SavedFiles
from elmo_keras.presets import native_format
from elmo_keras.presets.locate import EXPECTED, FILE_SETS, place

HUB_VARIABLES = pathlib.PurePath("variables", "variables")


class Found(NamedTuple):
    """The files of one model.

    Attributes:
        format: `"preset"`, `"hdf5"`, `"training"`, `"hub"` or `"manylangs"`.
        directory: where they are.
        options: path of the JSON file of options, where the kind has one.
        weights: path of the weights; of a TensorFlow checkpoint without its `.index`.
        vocabulary: path of a file of words, if there is one.
    """

    format: str
    directory: pathlib.Path
    options: pathlib.Path | None = None
    weights: pathlib.Path | None = None
    vocabulary: pathlib.Path | None = None


class FoundSoftmax(NamedTuple):
    """The files of a softmax.

    Attributes:
        weights: path of an HDF5 file, or of a training checkpoint without its `.index`.
        is_training_checkpoint: which of them it is. Such a checkpoint may still have no softmax.
        vocabulary: path of the file of words, if there is one.
        saved: the set that they are parts of, or `None`.
    """

    weights: pathlib.Path
    is_training_checkpoint: bool
    vocabulary: pathlib.Path | None
    saved: SavedFiles | None = None


def detect(paths: Sequence[pathlib.Path]) -> Found:
    """Detects the format of a model from its files.

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


def find_softmax(paths: Sequence[pathlib.Path]) -> FoundSoftmax | None:
    """The softmax in files, or `None` if they hold none.

    A preset of this package holds the softmax that it lists: another one beside it belongs to
    another model.

    Args:
        paths: one directory, or files of it.
    """
    path = paths[-1]
    if not path.is_dir():
        return _Directory(path.parent).softmax_at(path)
    for directory in map(_Directory, (path, *_inner(path))):
        found = directory.softmax()
        if found is not None or directory.is_preset_without_softmax():
            return found
    return None


def stamp(paths: Sequence[pathlib.Path]) -> tuple:
    """A value that differs before and after something is saved where the files are."""
    places = {path if path.is_dir() else path.parent for path in paths}
    return tuple(files.stamp(place) for place in sorted(places) for files in FILE_SETS)


def _inner(path):
    """The one folder around all that archives often have, or nothing."""
    inner = [
        child
        for child in sorted(path.iterdir())
        if child.is_dir() and not child.name.startswith(".")
    ]
    return inner if len(inner) == 1 else []


class _Directory:
    """A directory and the questions asked of it."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def model(self) -> Found | None:
        """The model in the directory, or `None` if it holds none."""
        config = place(self.path / native_format.CONFIG)
        if config.is_file() and (
            (self.path / native_format.WEIGHTS).is_file() or native_format.is_config(_json(config))
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
        options, weights = place(options), place(weights)
        return Found(
            "hdf5", self.path, options, weights, self.vocabulary(self.saved(bilm_hdf5.FILES))
        )

    def of_training(self, prefix) -> Found:
        return Found("training", self.path, self._options(prefix), prefix, self.vocabulary())

    def softmax(self) -> FoundSoftmax | None:
        """The softmax in the directory."""
        if self.is_preset_without_softmax():
            return None
        listed = self._listed_softmax()
        if listed is not None:
            return listed
        files = [file for file in self.find("*.hdf5", "*.h5") if softmax.is_softmax(file)]
        if len(files) == 1:
            return FoundSoftmax(files[0], False, self.vocabulary())
        prefix = self.training_prefix()
        if prefix is not None and not files:
            return FoundSoftmax(prefix, True, self.vocabulary())
        return None

    def is_preset_without_softmax(self) -> bool:
        """Whether the directory holds a preset that lists its parts, and no softmax among them."""
        saved = self.saved(native_format.FILES)
        return saved is not None and saved.digests is not None and not saved.lists(softmax.FILE)

    def softmax_at(self, path) -> FoundSoftmax | None:
        """The softmax in a file of the directory."""
        prefix = path.with_suffix("") if path.suffix == ".index" else path
        if self.has_index(prefix):
            return FoundSoftmax(prefix, True, self.vocabulary())
        listed = self._listed_softmax() if path.name == softmax.FILE else None
        if listed is not None:
            return listed
        return FoundSoftmax(path, False, self.vocabulary()) if softmax.is_softmax(path) else None

    def _listed_softmax(self):
        for saved in filter(None, map(self.saved, FILE_SETS)):
            if saved.lists(softmax.FILE):
                weights = saved.path(softmax.FILE)
                return FoundSoftmax(weights, False, self.vocabulary(saved), saved)
        return None

    def saved(self, files: FileSet) -> SavedFiles | None:
        """The set of files in the directory, or `None` if there is none."""
        try:
            return files.find(self.path)
        except ValueError:
            return None

    def vocabulary(self, saved: SavedFiles | None = None) -> pathlib.Path | None:
        """The file of words, if there is one that must be it.

        Args:
            saved: the set that the model belongs to, if it belongs to one.
        """
        if saved is not None and saved.lists(softmax.VOCABULARY):
            return saved.path(softmax.VOCABULARY)
        if saved is not None and not saved.is_complete:
            return None  # One that is there is that of the model before.
        patterns = ("vocabulary.txt", "vocab*.txt", "vocab*.txt.gz")
        for pattern in patterns:
            found = self.find(pattern)
            if found:
                return found[0] if len(found) == 1 else None
        return None

    def _weights(self):
        saved = self.saved(bilm_hdf5.FILES)
        if (
            saved is not None
            and saved.lists(bilm_hdf5.WEIGHTS)
            and saved.path(bilm_hdf5.WEIGHTS).is_file()
        ):
            return self.path / bilm_hdf5.WEIGHTS
        # A directory may hold other HDF5 files, vectors for example: look inside.
        files = self.find("*.hdf5", "*.h5")
        if len(files) > 1:
            files = [file for file in files if bilm_hdf5.is_weights(file)] or files
        return self._only(files, "weights") if files else None

    def _options(self, weights):
        saved = self.saved(bilm_hdf5.FILES)
        if saved is not None and not saved.is_complete:
            return saved.index_path
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
        return safe_json.load(path, "anything")
    except ValueError:
        return None
