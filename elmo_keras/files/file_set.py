"""Sets of files that are replaced together: after a crash, all files are old or all are new.

A set has an index, a JSON file such as `config.json`, and parts, such as weights and vocabularies.
The index lists its parts with their digests. A save takes these steps. Each step is on the disk
before the next one starts.

1. Create the folder `.config.json.partial` and write the new parts and the new index into it.
2. Rename the folder to `.config.json.new`.
3. Move the old `config.json` into that folder, as `replaced.json`. **This rename commits the
   save.** If there is no old index, step 2 commits it.
4. Move the parts from the folder to their places, and remove old parts that the new index does not
   list.
5. Move the new `config.json` to its place, and remove the folder.

A reader therefore finds one of three states:

- `config.json` is in its place. It and its parts are complete; hidden folders do not matter.
- `config.json` is only in `.config.json.new`. The save was committed but not completed. Each new
  part is in that folder or already in its place. `FileSet.find` reads them there; it writes
  nothing.
- `config.json` is in neither place. There is no set.

Programs that ignore the hidden folders find the old files, no `config.json`, or the new files, but
never a mixture. The next save first completes a committed save (steps 4 and 5), or removes the
folders of a save that was interrupted before its commit.

Writers lock the directory, so that one process at a time saves there. Readers take no lock.

The digests detect a mixture that has another cause, for example copying only some of the files.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from elmo_keras.files import safe_json
from elmo_keras.files.atomic_write import (
    Content,
    describing_errors,
    sync_directory,
    text_content,
    write_synced,
)
from elmo_keras.files.safe_hdf5 import digest_in

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # mypy expects a module

KEY = "elmo_keras_files"  # key of the list of parts in an index
INDEXES = ("config.json", "options.json", "softmax.json")
_REPLACED = "replaced.json"
_HDF5 = (".h5", ".hdf5")
_DESCRIPTION = "a model's config"  # of an index, in errors


@dataclasses.dataclass(frozen=True)
class FileSet:
    """The names of the files in a set.

    Attributes:
        index: name of the JSON file that lists the parts, one of `INDEXES`.
        parts: names of all files that may be parts. A save may leave out some of them.

    Example:

    >>> import pathlib
    >>> from elmo_keras.files.atomic_write import text_content
    >>> files = FileSet("config.json", parts=("words.txt",))
    >>> folder = pathlib.Path("model")
    >>> files.write(folder, {"units": 3}, {"words.txt": text_content("the cat")})
    >>> saved = files.find(folder)
    >>> saved.check("words.txt")
    >>> saved.content["units"], saved.path("words.txt").read_text()
    (3, 'the cat')
    """

    index: str
    parts: tuple[str, ...]

    def write(
        self, directory: pathlib.Path, content: Mapping[str, Any], parts: Mapping[str, Content]
    ) -> None:
        """Replaces the set in a directory.

        Waits while another process writes into the directory.

        Args:
            directory: path of the directory; created if it does not exist.
            content: content of the index, without the list of parts. JSON must be able to hold it.
            parts: contents of the parts by name.

        Raises:
            OSError: if a file cannot be written, for example because the disk is full. Readers
                then find the old set or, if the error says so, the new one.
        """
        digests = {name: part.digest for name, part in parts.items()}
        index = json.dumps({**content, KEY: digests}, indent=2, ensure_ascii=False)
        with describing_errors(directory):
            directory.mkdir(parents=True, exist_ok=True)
        with _exclusive_lock(directory):
            with describing_errors(directory):
                self._finish(directory)
                self._stage(directory, {**parts, self.index: text_content(f"{index}\n")})
            with describing_errors(
                directory,
                f"The new files are complete in {self._new_folder(directory).name} and are read "
                "from there.",
                "Save again to move them to their places.",
            ):
                self._finish(directory)

    def find(self, directory: pathlib.Path) -> "SavedFiles | None":
        """Returns the set in a directory, or `None` if there is none.

        Raises:
            ValueError: if the index is not JSON, or if its list of parts is invalid.
        """
        # A concurrent save may move the index from the hidden folder to its place between the
        # first two checks: the third one finds it.
        for folder in (directory, self._new_folder(directory), directory):
            path = folder / self.index
            if path.is_file():
                with contextlib.suppress(FileNotFoundError):
                    content = safe_json.load(path, _DESCRIPTION)
                    return SavedFiles(directory, path, content, _digests(content, path))
        return None

    def found_at(self, index_path: pathlib.Path) -> "SavedFiles | None":
        """Returns the set whose index has this path, or `None` for any other file.

        Args:
            index_path: path of an index, in its place or in the hidden folder.

        Raises:
            ValueError: if the index is not JSON, or if its list of parts is invalid.
        """
        if index_path.name != self.index:
            return None
        folder = index_path.parent
        is_hidden = folder.name == self._new_folder(folder).name
        return self.find(folder.parent if is_hidden else folder)

    def place(self, path: pathlib.Path) -> pathlib.Path:
        """Returns the current path of a file: its own, or that in the hidden folder after a crash.

        Args:
            path: path at which the file belongs. Paths of other files are returned unchanged.
        """
        directory = path.parent
        if path.name in (self.index, *self.parts) and not (directory / self.index).is_file():
            with contextlib.suppress(ValueError):
                saved = self.find(directory)
                if saved is not None and (path.name == self.index or saved.lists(path.name)):
                    return saved.path(path.name)
        return path

    def leftovers(self, directory: pathlib.Path) -> list[pathlib.Path]:
        """Returns the hidden folders of interrupted saves."""
        return [folder for folder in self._hidden_folders(directory) if folder.exists()]

    def stamp(self, directory: pathlib.Path) -> tuple[tuple[str, int, int, int], ...]:
        """Returns a value that changes when a save is committed."""
        stamps = []
        for path in (directory / self.index, self._new_folder(directory) / self.index):
            with contextlib.suppress(OSError):
                status = path.stat()
                stamps.append((str(path), status.st_ino, status.st_mtime_ns, status.st_size))
        return tuple(stamps)

    def _partial_folder(self, directory: pathlib.Path) -> pathlib.Path:
        return directory / f".{self.index}.partial"

    def _new_folder(self, directory: pathlib.Path) -> pathlib.Path:
        return directory / f".{self.index}.new"

    def _hidden_folders(self, directory: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
        return self._partial_folder(directory), self._new_folder(directory)

    def _stage(self, directory: pathlib.Path, contents: Mapping[str, Content]) -> None:
        """Takes steps 1 to 3. If one of them fails, only the old set is left."""
        index = directory / self.index
        partial, new = self._hidden_folders(directory)
        has_old = index.exists()
        try:
            partial.mkdir()
            for name, content in contents.items():
                write_synced(partial / name, content)
            sync_directory(partial)
            os.replace(partial, new)
            sync_directory(directory)
            if has_old:
                os.replace(index, new / _REPLACED)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            is_committed = has_old and not index.exists()
            if not is_committed:
                shutil.rmtree(new, ignore_errors=True)
            raise

    def _finish(self, directory: pathlib.Path) -> None:
        """Takes steps 4 and 5 of a committed save; removes the hidden folders in any case."""
        index, new = directory / self.index, self._new_folder(directory)
        is_committed = not index.exists() and (new / self.index).exists()
        if is_committed:
            sync_directory(new)
            sync_directory(directory)
            listed = _listed(new / self.index)
            for name in self.parts:
                if name in listed and (new / name).exists():
                    os.replace(new / name, directory / name)
            unlisted = _listed(new / _REPLACED) - listed - self._listed_by_others(directory)
            # Only `self.parts`: an index of unknown origin may list any name.
            for name in self.parts:
                if name in unlisted:
                    (directory / name).unlink(missing_ok=True)
            sync_directory(directory)
            os.replace(new / self.index, index)
            sync_directory(directory)
        for folder in self.leftovers(directory):
            shutil.rmtree(folder)

    def _listed_by_others(self, directory: pathlib.Path) -> set[str]:
        """Returns the parts of the other sets in the same directory."""
        names: set[str] = set()
        for index in INDEXES:
            if index != self.index:
                other = FileSet(index, ())
                for folder in (directory, other._new_folder(directory)):
                    names |= _listed(folder / index)
        return names


@dataclasses.dataclass(frozen=True)
class SavedFiles:
    """A set as found in a directory.

    Attributes:
        directory: the directory in which the files belong.
        index_path: path of the index: in the directory, or in the hidden folder of a save that was
            committed but not completed.
        content: parsed content of the index.
        digests: digests of the parts by name; `None` if the index has no list of parts, because
            another program or an early version of this one wrote it.
    """

    directory: pathlib.Path
    index_path: pathlib.Path
    content: Any
    digests: Mapping[str, str] | None

    @property
    def is_complete(self) -> bool:
        """Whether all files are in their places."""
        return self.index_path.parent == self.directory

    def path(self, name: str) -> pathlib.Path:
        """Returns the path of a part, which need not exist."""
        staged = self.index_path.parent / name
        return staged if staged.exists() else self.directory / name

    def lists(self, name: str) -> bool:
        """Returns whether the index lists a file as a part."""
        return self.digests is not None and name in self.digests

    def check(self, *names: str) -> None:
        """Checks that the named parts belong to this index; ignores names that it does not list.

        Args:
            *names: names of files.

        Raises:
            ValueError: if a listed part is missing, or belongs to another save.
        """
        for name in names:
            if self.digests is None or name not in self.digests:
                continue
            path = self.path(name)
            if not path.is_file():
                raise self._error(name, f"no {name} in it")
            digest = _digest_of(path)
            # HDF5 files without a digest were written by another program, on purpose.
            if digest is not None and digest != self.digests[name]:
                raise self._error(name, f"a {name} of another save")

    def _error(self, name: str, received: str) -> ValueError:
        return ValueError(
            f"{self.directory} must hold the {name} that was saved with its "
            f"{self.index_path.name}. Received: {received}. Copy all files of one save into the "
            "directory, or save the model again."
        )


def _digest_of(path: pathlib.Path) -> str | None:
    if path.suffix in _HDF5:
        return digest_in(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digests(content: Any, path: pathlib.Path) -> dict[str, str] | None:
    """Returns the list of parts in the content of an index, or `None` if it has none."""
    if not isinstance(content, dict) or KEY not in content:
        return None
    digests = content[KEY]
    is_valid = isinstance(digests, dict) and all(
        isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)
        for digest in digests.values()
    )
    if not is_valid:
        reader = safe_json.Reader(str(path), "one that this package has written")
        raise reader.error(KEY, "names of files with their sha256", digests)
    return digests


def _listed(index_path: pathlib.Path) -> set[str]:
    """Returns the names of the parts in an index; an empty set for any other file."""
    with contextlib.suppress(ValueError, FileNotFoundError):
        return set(_digests(safe_json.load(index_path, _DESCRIPTION), index_path) or ())
    return set()


@contextlib.contextmanager
def _exclusive_lock(directory: pathlib.Path) -> Iterator[None]:
    """Locks a directory against other writers, on systems that can lock directories."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            handle = os.open(directory, os.O_RDONLY)
            stack.callback(os.close, handle)
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
