"""Writers of zip and tar archives, and assertions about unpacking them."""

import io
import random
import tarfile
import zipfile

import pytest

from elmo_keras.files.archive import unpacked

MIB = 1 << 20
NOISE = random.Random(0).randbytes(5000)
FILES = {"options.json": b'{"lstm": {}}', "weights.hdf5": NOISE, "vocab/empty.txt": b""}
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


def write_zip(path, files, method=DEFLATED):
    """Writes (name, content) pairs; a name may be a `ZipInfo` and may occur twice."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)


def write_tar(path, files, mode="w", format=tarfile.PAX_FORMAT):
    """Writes (name, content) pairs; a name may be a `TarInfo` and may occur twice."""
    with tarfile.open(path, mode, format=format) as archive:
        for name, content in files:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def write_tar_gz(path, files):
    write_tar(path, files, "w:gz")


WRITERS = {
    "zip": write_zip,
    "stored zip": lambda path, files: write_zip(path, files, STORED),
    "tar": write_tar,
    "old tar": lambda path, files: write_tar(path, files, format=tarfile.GNU_FORMAT),
    "tar.gz": write_tar_gz,
}
every_format = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


def contents_of(folder):
    """Returns the contents of all files in a folder, by relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def unpack(path):
    """Returns the contents of all files in an archive, by path."""
    with unpacked(path) as folder:
        return contents_of(folder)


def assert_refused(path, *words):
    """Asserts that unpacking raises a ValueError that names the archive and has these words."""
    with pytest.raises(
        ValueError, match="must .* Received: .* pass the path of the folder"
    ) as error:
        with unpacked(path):
            raise RuntimeError("The archive was unpacked.")
    for word in (str(path), *words):
        assert word in str(error.value)


def assert_truncations_are_refused(path, write, padding=0):
    """Cuts an archive of `FILES` at 20 places and asserts that each part is refused.

    Args:
        path: path of the archive.
        write: function that writes the archive.
        padding: number of bytes at the end that the archive does not need.
    """
    write()
    assert unpack(path) == FILES
    content = path.read_bytes()[: -padding or None]
    ends = {round(i * (len(content) - 1) / 19) for i in range(20)} | {len(content) - 7}
    assert len(ends) >= 20
    for end in ends:
        path.write_bytes(content[:end])
        assert_refused(path)


def flip_bit(path, place):
    """Changes the lowest bit of the byte at a place."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
