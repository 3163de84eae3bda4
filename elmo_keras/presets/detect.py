"""Detects the format of a model from its files."""

import pathlib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

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
        paths: `(directory,)` of a preset or of ELMoForManyLangs, `(options, weights)` in HDF5,
            `(options, prefix)` of a training checkpoint, `(prefix,)` of a TF-Hub module. A prefix
            is the path of a TensorFlow checkpoint without `.index`.
        vocabulary: path of a file of words, or `None`.
    """

    format: str
    paths: tuple[pathlib.Path, ...]
    vocabulary: pathlib.Path | None = None


class FoundSoftmax(NamedTuple):
    """The files of a softmax.

    Attributes:
        weights: path of an HDF5 file, or of a training checkpoint without `.index`.
        is_training_checkpoint: whether `weights` is a training checkpoint, which may turn out to
            hold no softmax.
        vocabulary: path of the file of words, or `None`.
        saved: the file set that lists the softmax, or `None`.
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
        ValueError: if no format matches the files, or if several models are possible.
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
    """Finds the softmax in files; `None` if they hold none.

    A preset of this package lists its softmax. Another softmax in the same directory belongs to
    another model and is ignored.

    Args:
        paths: one directory, or files of one directory.
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
    """Returns a value that changes when something is saved in the directories of the paths."""
    directories = {path if path.is_dir() else path.parent for path in paths}
    return tuple(files.stamp(path) for path in sorted(directories) for files in FILE_SETS)


def _inner(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the only folder in a directory, as archives often have one; otherwise nothing."""
    inner = [
        child
        for child in sorted(path.iterdir())
        if child.is_dir() and not child.name.startswith(".")
    ]
    return inner if len(inner) == 1 else []


class _Directory:
    """Finds the files of a model or a softmax in one directory."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def model(self) -> Found | None:
        """Returns the model in the directory; `None` if it holds none."""
        config = place(self.path / native_format.CONFIG)
        if config.is_file() and (
            (self.path / native_format.WEIGHTS).is_file() or native_format.is_config(_json(config))
        ):
            return Found("preset", (self.path,))
        if any((self.path / n).is_file() for n in (manylangs.TOKEN_EMBEDDER, manylangs.ENCODER)):
            return Found("manylangs", (self.path,))
        if self.has_index(self.path / HUB_VARIABLES):
            return Found("hub", (self.path / HUB_VARIABLES,))
        weights = self._weights()
        if weights is not None:
            return self.of_weights(self._options(weights), weights)
        prefix = self.training_prefix()
        if prefix is not None:
            return self.of_training(prefix)
        return None

    def of_file(self, path: pathlib.Path) -> Found:
        """Returns the model that a file of the directory belongs to."""
        if path.suffix == ".pkl":
            return self.model() or self._raise(f"{path.name} alone")
        prefix = path.with_suffix("") if path.suffix == ".index" else path
        if self.has_index(prefix):
            return self.of_training(prefix)
        if path.suffix == ".json":
            return self.model() or self._raise(f"{path.name} alone")
        return self.of_weights(self._options(path), path)

    def of_weights(self, options: pathlib.Path, weights: pathlib.Path) -> Found:
        """Returns the model of a file of options and HDF5 weights."""
        vocabulary = self.vocabulary(self.saved(bilm_hdf5.FILES))
        return Found("hdf5", (place(options), place(weights)), vocabulary)

    def of_training(self, prefix: pathlib.Path) -> Found:
        """Returns the model of a training checkpoint."""
        return Found("training", (self._options(prefix), prefix), self.vocabulary())

    def softmax(self) -> FoundSoftmax | None:
        """Returns the softmax in the directory; `None` if it holds none."""
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
        """Returns whether the directory is a preset that lists its files, without a softmax."""
        saved = self.saved(native_format.FILES)
        return saved is not None and saved.digests is not None and not saved.lists(softmax.FILE)

    def softmax_at(self, path: pathlib.Path) -> FoundSoftmax | None:
        """Returns the softmax in a file of the directory; `None` if it holds none."""
        prefix = path.with_suffix("") if path.suffix == ".index" else path
        if self.has_index(prefix):
            return FoundSoftmax(prefix, True, self.vocabulary())
        listed = self._listed_softmax() if path.name == softmax.FILE else None
        if listed is not None:
            return listed
        return FoundSoftmax(path, False, self.vocabulary()) if softmax.is_softmax(path) else None

    def _listed_softmax(self) -> FoundSoftmax | None:
        for saved in filter(None, map(self.saved, FILE_SETS)):
            if saved.lists(softmax.FILE):
                weights = saved.path(softmax.FILE)
                return FoundSoftmax(weights, False, self.vocabulary(saved), saved)
        return None

    def saved(self, files: FileSet) -> SavedFiles | None:
        """Returns the files of a set in the directory; `None` if there are none."""
        try:
            return files.find(self.path)
        except ValueError:
            return None

    def vocabulary(self, saved: SavedFiles | None = None) -> pathlib.Path | None:
        """Returns the file of words; `None` if there is none, or if several are possible.

        Args:
            saved: the file set of the model. Defaults to `None`: the model has no file set.
        """
        if saved is not None and saved.lists(softmax.VOCABULARY):
            return saved.path(softmax.VOCABULARY)
        if saved is not None and not saved.is_complete:
            return None  # A file in the directory belongs to the replaced model.
        for pattern in ("vocabulary.txt", "vocab*.txt", "vocab*.txt.gz"):
            found = self.find(pattern)
            if found:
                return found[0] if len(found) == 1 else None
        return None

    def _weights(self) -> pathlib.Path | None:
        saved = self.saved(bilm_hdf5.FILES)
        if (
            saved is not None
            and saved.lists(bilm_hdf5.WEIGHTS)
            and saved.path(bilm_hdf5.WEIGHTS).is_file()
        ):
            return self.path / bilm_hdf5.WEIGHTS
        # Other HDF5 files in the directory may hold vectors, for example: look into them.
        files = self.find("*.hdf5", "*.h5")
        if len(files) > 1:
            files = [file for file in files if bilm_hdf5.is_weights(file)] or files
        return self._only(files, "weights") if files else None

    def _options(self, weights: pathlib.Path) -> pathlib.Path:
        saved = self.saved(bilm_hdf5.FILES)
        if saved is not None and not saved.is_complete:
            return saved.index_path
        files = self.find("options.json") or self.find("*options*.json")
        if not files:
            raise self.error(f"{weights.name} without options (JSON) beside it")
        return self._only(files, "options")

    def training_prefix(self) -> pathlib.Path | None:
        """Returns the training checkpoint, without `.index`; `None` if there is none.

        If there are several, TensorFlow's file `checkpoint` names the newest.
        """
        prefixes = [path.with_suffix("") for path in self.find("*.index")]
        note = self.path / "checkpoint"
        if len(prefixes) > 1 and note.is_file():
            text = note.read_bytes()[: 2**16].decode("utf-8", "replace")
            match = re.search(r'model_checkpoint_path: "([^"\n]*)"', text)
            # It may be a path on the author's machine.
            name = match[1].replace("\\", "/").rsplit("/", 1)[-1] if match else None
            prefixes = [prefix for prefix in prefixes if prefix.name == name] or prefixes
        return self._only(prefixes, "checkpoints") if prefixes else None

    def has_index(self, prefix: pathlib.Path) -> bool:
        """Returns whether a path is a TensorFlow checkpoint without `.index`."""
        return prefix.with_name(prefix.name + ".index").is_file()

    def find(self, *patterns: str) -> list[pathlib.Path]:
        """Returns the visible files whose names match a pattern, sorted."""
        return sorted(
            path
            for pattern in patterns
            for path in self.path.glob(pattern)
            if path.is_file() and not path.name.startswith(".")
        )

    def _only(self, paths: Sequence[pathlib.Path], noun: str) -> pathlib.Path:
        if len(paths) == 1:
            return paths[0]
        raise self.error(
            f"several {noun}: {', '.join(path.name for path in paths)}",
            "Name the two files as a pair (options, weights).",
        )

    def _raise(self, received: str) -> NoReturn:
        raise self.error(received)

    def error(
        self, received: str, advice: str = "Check that all files of the model are there."
    ) -> ValueError:
        """Returns the error for a directory without a model; lists the content of the directory.

        Args:
            received: description of the content.
            advice: last sentence of the error.
        """
        content = sorted(path.name for path in self.path.iterdir())
        shown = ", ".join([*content[:20], *(["..."] if len(content) > 20 else [])]) or "nothing"
        return ValueError(
            f"{EXPECTED} Received: {received} in {str(self.path)!r} (it holds: {shown}). {advice}"
        )


def _json(path: pathlib.Path) -> Any:
    try:
        return safe_json.load(path, "anything")
    except ValueError:
        return None
