"""Unpacking of archives in any format: complete archives, other files, unsafe names, damage."""

import gzip
import random
import shutil
import tarfile

import pytest

from elmo_keras.files import archive
from elmo_keras.files.archive import is_archive, unpacked
from tests.files.archives import (
    FILES,
    NOISE,
    WRITERS,
    assert_refused,
    contents_of,
    every_format,
    unpack,
    write_tar,
    write_zip,
)


class TestComplete:
    @every_format
    @pytest.mark.parametrize("top", ["", "./", "model/", "./a//b/"])
    def test_all_files(self, archive_path, write, top, temporary_root):
        write(archive_path, [(top + name, content) for name, content in FILES.items()])
        assert is_archive(archive_path)
        with unpacked(archive_path) as folder:
            assert folder.parent == temporary_root
            assert contents_of(folder / top) == FILES
            assert len(contents_of(folder)) == len(FILES)
        assert not folder.exists()

    @every_format
    def test_long_name(self, archive_path, write):
        name = "/".join("a" * 60 for _ in range(5)) + "/weights é.hdf5"
        write(archive_path, [(name, NOISE)])
        assert unpack(archive_path) == {name: NOISE}

    @every_format
    def test_files_of_macos_are_skipped(self, archive_path, write):
        junk = ["__MACOSX/._weights.hdf5", "model/.DS_Store", "model/._weights.hdf5", ".DS_Store"]
        files = [*((name, b"junk") for name in junk), ("model/weights.hdf5", NOISE)]
        write(archive_path, files)
        assert unpack(archive_path) == {"model/weights.hdf5": NOISE}

    def test_folders_of_a_zip(self, archive_path):
        files = [("model/", b""), ("model/empty/", b""), ("model/a", NOISE), ("./", b"")]
        write_zip(archive_path, files)
        with unpacked(archive_path) as folder:
            assert contents_of(folder) == {"model/a": NOISE}
            assert (folder / "model" / "empty").is_dir()

    @pytest.mark.parametrize("mode", ["w", "w:gz"])
    def test_folders_of_a_tar(self, archive_path, tmp_path, mode):
        source = tmp_path / "source"
        (source / "empty").mkdir(parents=True)
        (source / "a").write_bytes(NOISE)
        with tarfile.open(archive_path, mode) as file:
            file.add(source, arcname=".")
        with unpacked(archive_path) as folder:
            assert contents_of(folder) == {"a": NOISE}
            assert (folder / "empty").is_dir()

    def test_zip_after_other_content(self, archive_path):
        write_zip(archive_path, FILES.items())
        archive_path.write_bytes(b"#!/bin/sh\n" * 100 + archive_path.read_bytes())
        assert is_archive(archive_path)
        assert unpack(archive_path) == FILES

    def test_zip_inside_a_tar(self, archive_path):
        write_zip(archive_path, FILES.items())
        inner = archive_path.read_bytes()
        write_tar(archive_path, [("inner.zip", inner)])
        assert unpack(archive_path) == {"inner.zip": inner}

    def test_permissions_are_ignored(self, archive_path):
        info = tarfile.TarInfo("a")
        info.mode = 0o6777
        write_tar(archive_path, [(info, b"a")])
        with unpacked(archive_path) as folder:
            assert not (folder / "a").stat().st_mode & 0o7111

    def test_an_error_of_the_caller_passes(self, archive_path):
        write_zip(archive_path, FILES.items())
        with pytest.raises(KeyError, match="mine"):
            with unpacked(archive_path) as folder:
                raise KeyError("mine")
        assert not folder.exists()


class TestDetection:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{}",
            bytes(10240),
            gzip.compress(b"{}" * 1000, mtime=0),
            b"\x89HDF\r\n\x1a\n" + NOISE,
        ],
        ids=["empty", "json", "zeros", "json.gz", "hdf5"],
    )
    def test_other_files(self, archive_path, content):
        archive_path.write_bytes(content)
        assert not is_archive(archive_path)
        assert_refused(archive_path, "a file in another format")

    @pytest.mark.parametrize("mode", ["w:bz2", "w:xz"])
    def test_other_compression(self, archive_path, mode):
        write_tar(archive_path, FILES.items(), mode)
        assert not is_archive(archive_path)
        assert_refused(archive_path, "must be a zip, tar or tar.gz archive")

    def test_missing_file(self, archive_path, tmp_path):
        assert not is_archive(archive_path)
        assert not is_archive(tmp_path)
        with pytest.raises(FileNotFoundError), unpacked(archive_path):
            pass

    @pytest.mark.parametrize("format", ["zip", "tar.gz"])
    def test_truncated_archive(self, archive_path, format):
        WRITERS[format](archive_path, FILES.items())
        archive_path.write_bytes(archive_path.read_bytes()[:40])
        assert is_archive(archive_path)

    @every_format
    def test_archive_without_files(self, archive_path, write):
        write(archive_path, [("__MACOSX/a", b"a")])
        assert_refused(archive_path, "must hold files", "without files")


@every_format
class TestNames:
    @pytest.mark.parametrize(
        "name, problem",
        [
            ("/evil", "absolute"),
            ("//host/evil", "absolute"),
            ("../evil", "`..`"),
            ("a/../../evil", "`..`"),
            ("a/..", "`..`"),
            ("__MACOSX/../../evil", "`..`"),
            ("..\\evil", "backslash"),
            ("a\\b", "backslash"),
            ("C:evil", "drive letter"),
            ("c:/evil", "drive letter"),
            ("a/C:/evil", "drive letter"),
            ("a/" * 50 + "evil", "50 parts"),
        ],
    )
    def test_outside_the_folder(self, archive_path, write, name, problem):
        write(archive_path, [("good", b"good"), (name, b"evil")])
        assert_refused(archive_path, problem)

    @pytest.mark.parametrize(
        "names", [("a/b", "a/b"), ("a/b", "./a//b"), ("a", "a/b"), ("a/b", "a")]
    )
    @pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
    def test_duplicate(self, archive_path, write, names):
        write(archive_path, [(name, b"x") for name in names])
        assert_refused(archive_path, "must have")

    def test_two_cases(self, archive_path, write):
        write(archive_path, [("a", b"a"), ("A", b"A")])
        assert unpack(archive_path) == {"a": b"a", "A": b"A"}

    def test_too_long_for_the_file_system(self, archive_path, write):
        write(archive_path, [("a" * 300, b"x")])
        assert_refused(archive_path, "File name too long")

    def test_too_many(self, archive_path, write, monkeypatch):
        monkeypatch.setattr(archive, "_MOST_MEMBERS", 20)
        write(archive_path, [(f"{i}", b"x") for i in range(20)])
        assert len(unpack(archive_path)) == 20
        write(archive_path, [(f"{i}", b"x") for i in range(21)])
        assert_refused(archive_path, "at most 20 members")

    def test_empty(self, archive_path, write):
        write(archive_path, [("./.", b"x")])
        assert_refused(archive_path, "a name for every file")


RESERVE = 1 << 30
FITTING = RESERVE + 2 * len(NOISE)


@every_format
@pytest.mark.parametrize("free", [0, RESERVE, FITTING - 1, FITTING])
def test_free_space(archive_path, write, monkeypatch, free):
    write(archive_path, [("a", NOISE), ("b", NOISE)])
    usage = shutil.disk_usage(archive_path.parent)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    if free == FITTING:
        assert len(unpack(archive_path)) == 2
    else:
        assert_refused(archive_path, "must fit on the disk", "1,024 MiB")


@every_format
def test_flipped_bits(archive_path, write):
    """A damaged archive is refused with an error that names it, or unpacked."""
    write(archive_path, FILES.items())
    content = archive_path.read_bytes()
    generator = random.Random(1)
    for _ in range(60):
        damaged = bytearray(content)
        damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        archive_path.write_bytes(damaged)
        try:
            unpack(archive_path)
        except ValueError as error:
            assert f"`{archive_path}` must " in str(error)
