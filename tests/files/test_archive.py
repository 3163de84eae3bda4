import functools
import gzip
import io
import pathlib
import random
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile

import pytest

from elmo_keras.files import archive
from elmo_keras.files.archive import is_archive, unpacked

MIB = 1 << 20
NOISE = random.Random(0).randbytes(5000)
FILES = {"options.json": b'{"lstm": {}}', "weights.hdf5": NOISE, "vocab/empty.txt": b""}
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED


@pytest.fixture(autouse=True)
def outside(tmp_path, monkeypatch):
    """A folder for the temporary folders, in which nothing else may change."""
    folder = tmp_path / "outside" / "temporary"
    folder.mkdir(parents=True)
    (folder.parent / "mine.txt").write_text("mine")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    left = sorted(path.relative_to(folder.parent) for path in folder.parent.rglob("*"))
    assert left == [pathlib.Path("mine.txt"), pathlib.Path("temporary")]
    assert (folder.parent / "mine.txt").read_text() == "mine"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "archive"


def write_zip(path, files, method=DEFLATED):
    """`files` are pairs, for a name may be there twice; a name may be a `ZipInfo`."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)


def write_tar(path, files, mode="w", format=tarfile.PAX_FORMAT):
    """`files` are pairs; a name may be a `TarInfo`."""
    with tarfile.open(path, mode, format=format) as archive:
        for name, content in files:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def write_tar_gz(path, files):
    write_tar(path, files, "w:gz")


def content_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def unpack(path):
    with unpacked(path) as folder:
        return content_of(folder)


def refused(path, *words):
    """What is said of an archive that is refused."""
    with pytest.raises(
        ValueError, match="must .* Received: .* pass the path of the folder"
    ) as error:
        with unpacked(path):
            raise RuntimeError("It is unpacked.")
    assert str(path) in str(error.value)
    for word in words:
        assert word in str(error.value)


WRITERS = {
    "zip": write_zip,
    "stored zip": lambda path, files: write_zip(path, files, STORED),
    "tar": write_tar,
    "old tar": lambda path, files: write_tar(path, files, format=tarfile.GNU_FORMAT),
    "tar.gz": write_tar_gz,
}
all_kinds = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


class TestGood:
    @all_kinds
    @pytest.mark.parametrize("top", ["", "./", "model/", "./a//b/"])
    def test_all_files(self, path, write, top, outside):
        write(path, [(top + name, content) for name, content in FILES.items()])
        assert is_archive(path)
        with unpacked(path) as folder:
            assert folder.parent == outside
            inside = folder / top
            assert content_of(inside) == FILES
            assert len(content_of(folder)) == len(FILES)
        assert not folder.exists()

    @all_kinds
    def test_long_names(self, path, write):
        name = "/".join("a" * 60 for _ in range(5)) + "/weights é.hdf5"
        write(path, [(name, NOISE)])
        assert unpack(path) == {name: NOISE}

    @all_kinds
    def test_what_macos_adds_is_left_out(self, path, write):
        junk = ["__MACOSX/._weights.hdf5", "model/.DS_Store", "model/._weights.hdf5", ".DS_Store"]
        write(path, [*((name, b"junk") for name in junk), ("model/weights.hdf5", NOISE)])
        assert unpack(path) == {"model/weights.hdf5": NOISE}

    def test_folders_of_a_zip(self, path):
        write_zip(path, [("model/", b""), ("model/empty/", b""), ("model/a", NOISE), ("./", b"")])
        with unpacked(path) as folder:
            assert content_of(folder) == {"model/a": NOISE}
            assert (folder / "model" / "empty").is_dir()

    @pytest.mark.parametrize("mode", ["w", "w:gz"])
    def test_folders_of_a_tar(self, path, tmp_path, mode):
        source = tmp_path / "source"
        (source / "empty").mkdir(parents=True)
        (source / "a").write_bytes(NOISE)
        with tarfile.open(path, mode) as archive:
            archive.add(source, arcname=".")
        with unpacked(path) as folder:
            assert content_of(folder) == {"a": NOISE}
            assert (folder / "empty").is_dir()

    def test_zip_after_something_else(self, path):
        write_zip(path, FILES.items())
        path.write_bytes(b"#!/bin/sh\n" * 100 + path.read_bytes())
        assert is_archive(path)
        assert unpack(path) == FILES

    def test_zip_inside_of_a_tar(self, path):
        write_zip(path, FILES.items())
        inner = path.read_bytes()
        write_tar(path, [("inner.zip", inner)])
        assert unpack(path) == {"inner.zip": inner}

    def test_permissions_are_not_those_of_the_archive(self, path):
        info = tarfile.TarInfo("a")
        info.mode = 0o6777
        write_tar(path, [(info, b"a")])
        with unpacked(path) as folder:
            assert not (folder / "a").stat().st_mode & 0o7111

    def test_the_callers_error_is_the_callers(self, path):
        write_zip(path, FILES.items())
        with pytest.raises(KeyError, match="mine"):
            with unpacked(path) as folder:
                raise KeyError("mine")
        assert not folder.exists()


class TestKinds:
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
    def test_other_files(self, path, content):
        path.write_bytes(content)
        assert not is_archive(path)
        refused(path, "a file in another format")

    @pytest.mark.parametrize("mode", ["w:bz2", "w:xz"])
    def test_other_compression(self, path, mode):
        write_tar(path, FILES.items(), mode)
        assert not is_archive(path)
        refused(path, "must be a zip, tar or tar.gz archive")

    def test_no_file(self, path, tmp_path):
        assert not is_archive(path)
        assert not is_archive(tmp_path)
        with pytest.raises(FileNotFoundError), unpacked(path):
            pass

    @pytest.mark.parametrize("writer", ["zip", "tar.gz"])
    def test_what_is_left_of_an_archive(self, path, writer):
        WRITERS[writer](path, FILES.items())
        path.write_bytes(path.read_bytes()[:40])
        assert is_archive(path)

    @all_kinds
    def test_without_files(self, path, write):
        write(path, [("__MACOSX/a", b"a")])
        refused(path, "must hold files", "without files")


@all_kinds
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
    def test_leading_out(self, path, write, name, problem):
        write(path, [("good", b"good"), (name, b"evil")])
        refused(path, problem)

    @pytest.mark.parametrize(
        "names", [("a/b", "a/b"), ("a/b", "./a//b"), ("a", "a/b"), ("a/b", "a")]
    )
    @pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
    def test_twice(self, path, write, names):
        write(path, [(name, b"x") for name in names])
        refused(path, "must have")

    def test_two_cases(self, path, write):
        write(path, [("a", b"a"), ("A", b"A")])
        assert unpack(path) == {"a": b"a", "A": b"A"}

    def test_too_long_for_the_file_system(self, path, write):
        write(path, [("a" * 300, b"x")])
        refused(path, "File name too long")

    def test_too_many(self, path, write, monkeypatch):
        monkeypatch.setattr(archive, "_MOST_MEMBERS", 20)
        write(path, [(f"{i}", b"x") for i in range(20)])
        assert len(unpack(path)) == 20
        write(path, [(f"{i}", b"x") for i in range(21)])
        refused(path, "at most 20 members")

    def test_no_name(self, path, write):
        write(path, [("./.", b"x")])
        refused(path, "a name for every file")

    def test_disk_is_full(self, path, write, monkeypatch):
        write(path, [("a", NOISE), ("b", NOISE)])
        full = shutil.disk_usage(path.parent)
        reserve = 1 << 30
        for free in [0, reserve, reserve + 2 * len(NOISE) - 1]:
            monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: full._replace(free=free))
            refused(path, "must fit on the disk", "1,024 MiB")
        enough = full._replace(free=reserve + 2 * len(NOISE))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: enough)
        assert len(unpack(path)) == 2


def patched(path, old, new, count=None):
    """Replaces bytes of a file, all of them or those of the last places."""
    content = path.read_bytes()
    assert content.count(old) >= (count or 1)
    path.write_bytes(new.join(content.rsplit(old, count or -1)))


class TestZip:
    def test_nul_in_a_name(self, path):
        write_zip(path, [("good", b"x"), ("evil_name", b"x")])
        patched(path, b"evil_name", b"evil\0name")
        refused(path, "NUL")

    def test_names_that_differ(self, path):
        write_zip(path, [("good", b"x")])
        patched(path, b"good", b"evil", count=1)
        refused(path, "damaged", "good")

    @pytest.mark.parametrize(
        "kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFSOCK]
    )
    @pytest.mark.parametrize("name", ["evil", "evil/"])
    def test_not_plain(self, path, kind, name):
        info = zipfile.ZipInfo(name)
        info.create_system = 3
        info.external_attr = (kind | 0o777) << 16
        write_zip(path, [("good", b"x"), (info, b"/etc/passwd")])
        refused(path, "only plain files", "evil")

    @pytest.mark.parametrize("flag", [0x1, 0x40, 0x41])
    def test_encrypted(self, path, flag):
        write_zip(path, [("secret", b"x")])
        with zipfile.ZipFile(path) as archive:
            place = archive.start_dir + 8
        content = bytearray(path.read_bytes())
        content[place] |= flag
        path.write_bytes(content)
        refused(path, "encrypted", "secret")

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_other_methods(self, path, method):
        write_zip(path, [("a", NOISE)], method)
        refused(path, "stored or deflated", f"method {method}")

    def test_unknown_method(self, path):
        write_zip(path, [("a", NOISE)])
        patch_directory(path, 10, "<H", 99)
        refused(path, "method 99")

    def test_much_of_nothing(self, path):
        write_zip(path, [("a", bytes(16 * MIB))])
        with unpacked(path) as folder:
            assert (folder / "a").stat().st_size == 16 * MIB
        write_zip(path, [("a", bytes(32 * MIB))])
        refused(path, "no more than 200 times", "33,554,432")

    def test_lying_packed_size(self, path):
        """It would allow for any unpacked size."""
        write_zip(path, [("a", bytes(32 * MIB))])
        patch_directory(path, 20, "<I", 10 * MIB)
        refused(path, "overlap")

    @pytest.mark.parametrize("method", [STORED, DEFLATED])
    @pytest.mark.parametrize("size", [0, 1, len(NOISE) - 1, len(NOISE) + 1, 10 * MIB])
    def test_lying_size(self, path, method, size):
        write_zip(path, [("a", NOISE), ("b", NOISE)], method)
        patch_directory(path, 24, "<I", size)
        refused(path, "damaged")

    def test_lying_size_and_checksum(self, path):
        """A small member on paper, a large one in fact: no more is written than on paper."""
        write_zip(path, [("a", bytes(32 * MIB))])
        patch_directory(path, 24, "<I", 10)
        patch_directory(path, 16, "<I", zipfile.crc32(bytes(10)))
        assert unpack(path) == {"a": bytes(10)}

    def test_more_than_it_says(self, path, monkeypatch):
        """If zipfile gave more than the size on paper, it would be noticed."""
        write_zip(path, [("a", NOISE)])
        monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda self, n: b"x" * n)
        refused(path, "is longer than its header says")

    def test_overlapping_members(self, path):
        write_zip(path, [("a", NOISE)], STORED)
        content = path.read_bytes()
        with zipfile.ZipFile(path) as archive:
            start = archive.start_dir
        entry = content[start:-22]
        end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 3, 3, 3 * len(entry), start, 0)
        path.write_bytes(content[:start] + 3 * entry + end)
        with zipfile.ZipFile(path) as archive:
            assert len(archive.infolist()) == 3
        refused(path, "overlap")

    @pytest.mark.parametrize("method", [STORED, DEFLATED])
    def test_damaged_content(self, path, method):
        write_zip(path, [("first", b"x"), ("a", NOISE)], method)
        place = path.read_bytes().index(NOISE[:50] if method == STORED else b"PK\3\4", 1) + 300
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.write_bytes(content)
        refused(path, "damaged")

    def test_damaged_name(self, path):
        write_zip(path, [("é", b"x")])
        patched(path, "é".encode(), b"\xff\xff")
        refused(path, "UnicodeDecodeError")

    @pytest.mark.parametrize("method", [STORED, DEFLATED])
    def test_truncated(self, path, method):
        check_truncated(path, lambda: write_zip(path, FILES.items(), method))


def patch_directory(path, offset, format, value):
    """Sets a field of the first member in the central directory of a zip."""
    with zipfile.ZipFile(path) as archive:
        place = archive.start_dir + offset
    content = bytearray(path.read_bytes())
    struct.pack_into(format, content, place, value)
    path.write_bytes(content)


def check_truncated(path, write, padding=0):
    write()
    assert unpack(path) == FILES
    content = path.read_bytes()[: -padding or None]
    ends = {round(i * (len(content) - 1) / 19) for i in range(20)} | {len(content) - 7}
    assert len(ends) >= 20
    for end in ends:
        path.write_bytes(content[:end])
        refused(path)


def header(name, size, kind=tarfile.REGTYPE):
    """A tar header that says of its size what we want."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
class TestTar:
    KINDS = [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.GNUTYPE_SPARSE,
        b"Z",
    ]

    @staticmethod
    def write(path, mode, *blocks):
        content = b"".join(blocks)
        path.write_bytes(content if mode == "w" else gzip.compress(content))

    @pytest.mark.parametrize("kind", KINDS)
    def test_not_plain(self, path, mode, kind):
        info = tarfile.TarInfo("evil")
        info.type = kind
        info.linkname = "../../mine.txt"
        write_tar(path, [("good", b"x"), (info, b"")], mode)
        refused(path, "only plain files", "evil")

    def test_file_through_a_link(self, path, mode):
        info = tarfile.TarInfo("way")
        info.type = tarfile.SYMTYPE
        info.linkname = ".."
        write_tar(path, [(info, b""), ("way/evil", b"evil")], mode)
        refused(path, "only plain files", "way")

    def test_sparse(self, path, mode):
        info = tarfile.TarInfo("evil")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        info.pax_headers |= {"GNU.sparse.name": "evil", "GNU.sparse.realsize": str(1 << 40)}
        write_tar(path, [("good", b"x"), (info, b"1\n0\n1\n".ljust(512, b"\0") + b"x")], mode)
        refused(path, "only plain files", "evil")

    def test_nul_in_a_name(self, path, mode):
        info = tarfile.TarInfo("evil")
        info.pax_headers = {"path": "evil\0name"}
        write_tar(path, [(info, b"x")], mode)
        refused(path, "NUL")

    @pytest.mark.parametrize("size", [-1, -512, -1024, -(1 << 40)])
    @pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
    def test_negative_size(self, path, mode, size, kind):
        self.write(path, mode, header("good", 0), header("evil", size, kind), bytes(10240))
        refused(path)

    @pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
    def test_long_header(self, path, mode, kind):
        self.write(path, mode, header("evil", 1 << 40, kind), bytes(10240))
        refused(path, "headers of at most")

    def test_many_headers(self, path, mode):
        long = header("evil", 100_000, tarfile.GNUTYPE_LONGNAME) + b"a".ljust(100_352, b"\0")
        self.write(path, mode, header("good", 0), 12 * long, header("evil", 0), bytes(1024))
        refused(path, "headers of at most")
        short = header("evil", 1, tarfile.GNUTYPE_LONGNAME) + bytes(512)
        self.write(path, mode, 1000 * short, header("evil", 0), bytes(1024))
        refused(path, "recursion")

    def test_lying_size(self, path, mode):
        self.write(path, mode, header("a", 10 * MIB), NOISE, bytes(10240))
        refused(path, "damaged", "ends after")

    def test_lying_size_of_what_is_left_out(self, path, mode):
        self.write(path, mode, header("a", 0), header(".DS_Store", 10 * MIB), bytes(10240))
        refused(path, "damaged")

    def test_damaged_header(self, path, mode):
        """tarfile by itself takes it for the end."""
        good = header("a", 0)
        self.write(path, mode, good, b"b" + header("a", 0)[1:], good, bytes(1024))
        refused(path, "the archive has no end marker")

    @pytest.mark.parametrize("end", [b"", bytes(511), header("b", 0)[:300]])
    def test_no_end(self, path, mode, end):
        self.write(path, mode, header("a", 0), end)
        refused(path, "the archive has no end marker")

    @pytest.mark.parametrize("end", [bytes(512), bytes(1024), bytes(10240) + NOISE])
    def test_end(self, path, mode, end):
        self.write(path, mode, header("a", 3), b"abc".ljust(512, b"\0"), end)
        assert unpack(path) == {"a": b"abc"}

    def test_truncated(self, path, mode):
        # Of the zeros that follow a tar archive one block is enough.
        content = 3 * 512 + 512 + 5120
        padding = 10240 - content - 511 if mode == "w" else 0
        write = functools.partial(write_tar, path, FILES.items(), mode, tarfile.GNU_FORMAT)
        check_truncated(path, write, padding)


class TestTarGz:
    def test_much_of_nothing(self, path):
        write_tar_gz(path, [("a", bytes(8 * MIB))])
        assert len(unpack(path)["a"]) == 8 * MIB
        write_tar_gz(path, [("a", bytes(16 * MIB)), ("b", bytes(16 * MIB))])
        refused(path, "no more than 200 times")

    @pytest.mark.parametrize("name", [".DS_Store", "end"])
    def test_much_of_nothing_that_is_not_written(self, path, name):
        blocks = [header("a", 0), header(name, 40 * MIB if name == ".DS_Store" else 0)]
        path.write_bytes(gzip.compress(b"".join([*blocks, bytes(40 * MIB)])))
        refused(path, "no more than 200 times")

    def test_damaged_checksum(self, path):
        write_tar_gz(path, FILES.items())
        content = bytearray(path.read_bytes())
        content[-8] ^= 1
        path.write_bytes(content)
        refused(path, "BadGzipFile")

    def test_only_the_end_of_the_stream_is_missing(self, path):
        """All members are there, and the end of the archive as well."""
        write_tar_gz(path, FILES.items())
        path.write_bytes(path.read_bytes()[:-8])
        refused(path, "EOFError")


@all_kinds
def test_damaged_anywhere(path, write):
    """Another bit: an error that is ours, or an archive that is as good."""
    write(path, FILES.items())
    content = path.read_bytes()
    generator = random.Random(1)
    for _ in range(60):
        damaged = bytearray(content)
        damaged[generator.randrange(len(damaged))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        try:
            unpack(path)
        except ValueError as error:
            assert f"`{path}` must " in str(error)
