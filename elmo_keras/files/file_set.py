"""Files that belong together: after a kill at any moment all are the old ones, or all the new ones.

A set has an index, a JSON file that lists the other files, the parts, with their digests. Say the
index is `config.json`. A save takes these steps, and the disk has each before the next begins:

1. Parts and index are written into the folder `.config.json.partial`.
2. That folder is renamed to `.config.json.new`.
3. The old `config.json` is moved into that folder, as `replaced.json`. **Now the save counts**;
   where there was no old index, it counts from step 2 on.
4. The parts are moved out of the folder into their places, and old parts that the new index does
   not list are removed.
5. The new `config.json` is moved out into its place, and the folder is removed.

So there are three kinds of states, and what they mean to a reader:

- `config.json` is there: it and the parts beside it are whole, and hidden folders mean nothing.
- It is absent and in `.config.json.new`: the new files are whole, each in that folder or, if it is
  absent there, in its place. `FileSet.find` reads them so, and writes nothing.
- It is in neither: there is nothing.

Programs that know nothing of this find the old files, the new files, or no `config.json`, and never
old ones beside new ones. The next save ends a save that was killed after it counted, and removes
the leftovers of one that was killed before.

The digests tell files apart that something else has mixed, like a copy of some of the files.
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
    fcntl = None

KEY = "elmo_keras_files"  # of the list of parts in an index
INDEXES = ("config.json", "options.json", "softmax.json")
_REPLACED = "replaced.json"
_HDF5 = (".h5", ".hdf5")


@dataclasses.dataclass(frozen=True)
class FileSet:
    """The names of files that are written and read together.

    Attributes:
        index: name of the JSON file that lists the parts, one of `INDEXES`.
        parts: names of all files that may be parts.
    """

    index: str
    parts: tuple[str, ...]

    def write(
        self, directory: pathlib.Path, content: Mapping[str, Any], parts: Mapping[str, Content]
    ) -> None:
        """Replaces the set in a directory by another one.

        One process at a time writes into a directory; others wait.

        Args:
            directory: made if absent.
            content: of the index, for JSON; the list of parts is added.
            parts: contents by name.

        Raises:
            OSError: if something cannot be written, on a full disk say. Readers then find the old
                set, or, if the error says so, the new one.
        """
        digests = {name: part.digest for name, part in parts.items()}
        index = json.dumps({**content, KEY: digests}, indent=2, ensure_ascii=False)
        with describing_errors(directory):
            directory.mkdir(parents=True, exist_ok=True)
        with _alone(directory):
            with describing_errors(directory):
                self._finish(directory)
                self._stage(directory, {**parts, self.index: text_content(f"{index}\n")})
            new = self._new(directory)
            with describing_errors(
                directory,
                f"The new files are whole in {new.name}, where they are read.",
                "Save again to move them into their places.",
            ):
                self._finish(directory)

    def find(self, directory: pathlib.Path) -> "SavedFiles | None":
        """The set in a directory, or `None` for a directory without one.

        Raises:
            ValueError: if the index is not JSON, or lists anything but parts.
        """
        # While a save is at work, the index may come out of its folder between two looks.
        for folder in (directory, self._new(directory), directory):
            path = folder / self.index
            if path.is_file():
                with contextlib.suppress(FileNotFoundError):
                    content = safe_json.load(path, "a model's config")
                    return SavedFiles(directory, path, content, _digests(content, path))
        return None

    def found_at(self, index_path: pathlib.Path) -> "SavedFiles | None":
        """The set with an index at this path, or `None` for any other file.

        Raises:
            ValueError: as `find`.
        """
        if index_path.name != self.index:
            return None
        folder = index_path.parent
        return self.find(folder.parent if folder.name == self._new(folder).name else folder)

    def place(self, path: pathlib.Path) -> pathlib.Path:
        """Where the file is that belongs at a path: there or, after a kill, in the hidden folder.

        Args:
            path: of any file.
        """
        directory = path.parent
        if path.name in (self.index, *self.parts) and not (directory / self.index).is_file():
            with contextlib.suppress(ValueError):
                saved = self.find(directory)
                if saved is not None and (path.name == self.index or saved.lists(path.name)):
                    return saved.path(path.name)
        return path

    def leftovers(self, directory: pathlib.Path) -> list[pathlib.Path]:
        """The hidden folders that saves which were killed have left."""
        return [path for path in (self._partial(directory), self._new(directory)) if path.exists()]

    def stamp(self, directory: pathlib.Path) -> tuple:
        """A value that differs before and after a save counts."""
        stamps = []
        for path in (directory / self.index, self._new(directory) / self.index):
            with contextlib.suppress(OSError):
                status = path.stat()
                stamps.append((str(path), status.st_ino, status.st_mtime_ns, status.st_size))
        return tuple(stamps)

    def _new(self, directory):
        return directory / f".{self.index}.new"

    def _partial(self, directory):
        return directory / f".{self.index}.partial"

    def _stage(self, directory, contents):
        """Steps 1 to 3. If they fail, the old set is there and nothing else."""
        index, partial, new = directory / self.index, self._partial(directory), self._new(directory)
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
            if index.exists() or not has_old:  # Otherwise the save counts.
                shutil.rmtree(new, ignore_errors=True)
            raise

    def _finish(self, directory):
        """Steps 4 and 5 of a save that counts; removes the leftovers of one that does not."""
        partial, new = self._partial(directory), self._new(directory)
        if not (directory / self.index).exists() and (new / self.index).exists():
            sync_directory(new)
            sync_directory(directory)
            listed = _listed(new / self.index)
            for name in self.parts:
                if name in listed and (new / name).exists():
                    os.replace(new / name, directory / name)
            for name in self.parts:
                if name in _listed(new / _REPLACED) - listed - self._listed_by_others(directory):
                    (directory / name).unlink(missing_ok=True)
            sync_directory(directory)
            os.replace(new / self.index, directory / self.index)
            sync_directory(directory)
        for folder in (partial, new):
            if folder.exists():
                shutil.rmtree(folder)

    def _listed_by_others(self, directory):
        others = (FileSet(index, ()) for index in INDEXES if index != self.index)
        paths = (
            place / other.index for other in others for place in (directory, other._new(directory))
        )
        return set().union(*map(_listed, paths))


@dataclasses.dataclass(frozen=True)
class SavedFiles:
    """A set as it is in a directory.

    Attributes:
        directory: where the files belong.
        index_path: where the index is: in the directory, or in the folder of a save that was killed
            after it counted.
        content: of the index, parsed.
        digests: of the parts by name, or `None` for an index that lists none: it was written by
            another program, or by an early version of this one.
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
        """Where a part is, or would be."""
        staged = self.index_path.parent / name
        return staged if staged.exists() else self.directory / name

    def lists(self, name: str) -> bool:
        """Whether a file is a part."""
        return self.digests is not None and name in self.digests

    def check(self, *names: str) -> None:
        """Raises a ValueError for a listed part that is absent or of another save."""
        for name in names:
            if not self.lists(name):
                continue
            path = self.path(name)
            if not path.is_file():
                raise self._error(name, f"no {name} in it")
            found = _digest_of(path)
            # A file without a digest has been written by another program, on purpose.
            if found is not None and found != self.digests[name]:
                raise self._error(name, f"a {name} of another save")

    def _error(self, name, received):
        return ValueError(
            f"{self.directory} must hold the {name} that its {self.index_path.name} was saved with."
            f" Received: {received}. Copy all files of one save there, or save the model again."
        )


def _digest_of(path):
    if path.suffix in _HDF5:
        return digest_in(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digests(content, path):
    """The list of parts in the content of an index, or `None`."""
    if not isinstance(content, dict) or KEY not in content:
        return None
    digests = content[KEY]
    is_right = isinstance(digests, dict) and all(
        isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)
        for digest in digests.values()
    )
    if not is_right:
        reader = safe_json.Reader(str(path), "one that this package has written")
        raise reader.error(KEY, "names of files with their sha256", digests)
    return digests


def _listed(index_path):
    """The names of the parts in an index; an empty set for any other file."""
    with contextlib.suppress(ValueError, FileNotFoundError):
        return set(_digests(safe_json.load(index_path, "a model's config"), index_path) or ())
    return set()


@contextlib.contextmanager
def _alone(directory) -> Iterator[None]:
    """Inside, no other process writes into a directory, where the system has locks of folders."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            handle = os.open(directory, os.O_RDONLY)
            stack.callback(os.close, handle)
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
