"""Damaged and hostile tar archives, plain and compressed with gzip."""

import functools
import gzip
import tarfile

import pytest

from tests.files.archives import (
    FILES,
    MIB,
    NOISE,
    assert_refused,
    assert_truncations_are_refused,
    flip_bit,
    unpack,
    write_tar,
    write_tar_gz,
)

SPECIAL_TYPES = [
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.FIFOTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.GNUTYPE_SPARSE,
    b"Z",
]


def header(name, size, type=tarfile.REGTYPE):
    """Returns a tar header with any size."""
    info = tarfile.TarInfo(name)
    info.type = type
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def write_blocks(path, mode, *blocks):
    content = b"".join(blocks)
    path.write_bytes(content if mode == "w" else gzip.compress(content))


LONG_NAME = header("evil", 100_000, tarfile.GNUTYPE_LONGNAME) + b"a".ljust(100_352, b"\0")
SHORT_NAME = header("evil", 1, tarfile.GNUTYPE_LONGNAME) + bytes(512)


@pytest.mark.parametrize("mode", ["w", "w:gz"])
class TestTar:
    @pytest.mark.parametrize("type", SPECIAL_TYPES)
    def test_special_file(self, archive_path, mode, type):
        info = tarfile.TarInfo("evil")
        info.type = type
        info.linkname = "../../mine.txt"
        write_tar(archive_path, [("good", b"x"), (info, b"")], mode)
        assert_refused(archive_path, "only plain files", "evil")

    def test_file_through_a_link(self, archive_path, mode):
        info = tarfile.TarInfo("link")
        info.type = tarfile.SYMTYPE
        info.linkname = ".."
        write_tar(archive_path, [(info, b""), ("link/evil", b"evil")], mode)
        assert_refused(archive_path, "only plain files", "link")

    def test_sparse_file(self, archive_path, mode):
        info = tarfile.TarInfo("evil")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        info.pax_headers |= {"GNU.sparse.name": "evil", "GNU.sparse.realsize": str(1 << 40)}
        sparse = b"1\n0\n1\n".ljust(512, b"\0") + b"x"
        write_tar(archive_path, [("good", b"x"), (info, sparse)], mode)
        assert_refused(archive_path, "only plain files", "evil")

    def test_nul_in_a_name(self, archive_path, mode):
        info = tarfile.TarInfo("evil")
        info.pax_headers = {"path": "evil\0name"}
        write_tar(archive_path, [(info, b"x")], mode)
        assert_refused(archive_path, "NUL")

    @pytest.mark.parametrize("size", [-1, -512, -1024, -(1 << 40)])
    @pytest.mark.parametrize("type", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
    def test_negative_size(self, archive_path, mode, size, type):
        write_blocks(
            archive_path, mode, header("good", 0), header("evil", size, type), bytes(10240)
        )
        assert_refused(archive_path)

    @pytest.mark.parametrize("type", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
    def test_long_header(self, archive_path, mode, type):
        write_blocks(archive_path, mode, header("evil", 1 << 40, type), bytes(10240))
        assert_refused(archive_path, "headers of at most")

    @pytest.mark.parametrize(
        "headers, problem",
        [(12 * LONG_NAME, "headers of at most"), (1000 * SHORT_NAME, "recursion")],
        ids=["long", "short"],
    )
    def test_many_headers_of_one_member(self, archive_path, mode, headers, problem):
        write_blocks(archive_path, mode, header("good", 0), headers, header("evil", 0), bytes(1024))
        assert_refused(archive_path, problem)

    def test_false_size(self, archive_path, mode):
        write_blocks(archive_path, mode, header("a", 10 * MIB), NOISE, bytes(10240))
        assert_refused(archive_path, "damaged", "ends after")

    def test_false_size_of_a_skipped_file(self, archive_path, mode):
        write_blocks(
            archive_path, mode, header("a", 0), header(".DS_Store", 10 * MIB), bytes(10240)
        )
        assert_refused(archive_path, "damaged")

    def test_damaged_header(self, archive_path, mode):
        """tarfile alone would treat it as the end of the archive."""
        good = header("a", 0)
        write_blocks(archive_path, mode, good, b"b" + good[1:], good, bytes(1024))
        assert_refused(archive_path, "the archive has no end marker")

    @pytest.mark.parametrize("end", [b"", bytes(511), header("b", 0)[:300]])
    def test_missing_end_marker(self, archive_path, mode, end):
        write_blocks(archive_path, mode, header("a", 0), end)
        assert_refused(archive_path, "the archive has no end marker")

    @pytest.mark.parametrize("end", [bytes(512), bytes(1024), bytes(10240) + NOISE])
    def test_end_marker(self, archive_path, mode, end):
        write_blocks(archive_path, mode, header("a", 3), b"abc".ljust(512, b"\0"), end)
        assert unpack(archive_path) == {"a": b"abc"}

    def test_truncated(self, archive_path, mode):
        # tarfile pads an archive to 10,240 bytes with zeros; the end marker is one block of them.
        content = 3 * 512 + 512 + 5120
        padding = 10240 - content - 511 if mode == "w" else 0
        write = functools.partial(write_tar, archive_path, FILES.items(), mode, tarfile.GNU_FORMAT)
        assert_truncations_are_refused(archive_path, write, padding)


class TestTarGz:
    def test_high_compression_ratio(self, archive_path):
        write_tar_gz(archive_path, [("a", bytes(8 * MIB))])
        assert len(unpack(archive_path)["a"]) == 8 * MIB
        write_tar_gz(archive_path, [("a", bytes(16 * MIB)), ("b", bytes(16 * MIB))])
        assert_refused(archive_path, "no more than 200 times")

    @pytest.mark.parametrize("name, size", [(".DS_Store", 40 * MIB), ("end", 0)])
    def test_high_compression_ratio_of_skipped_bytes(self, archive_path, name, size):
        blocks = [header("a", 0), header(name, size), bytes(40 * MIB)]
        write_blocks(archive_path, "w:gz", *blocks)
        assert_refused(archive_path, "no more than 200 times")

    def test_damaged_checksum(self, archive_path):
        write_tar_gz(archive_path, FILES.items())
        flip_bit(archive_path, -8)
        assert_refused(archive_path, "BadGzipFile")

    def test_missing_checksum(self, archive_path):
        """All members and the end marker are present."""
        write_tar_gz(archive_path, FILES.items())
        archive_path.write_bytes(archive_path.read_bytes()[:-8])
        assert_refused(archive_path, "EOFError")
