"""Damaged and hostile zip archives."""

import stat
import struct
import zipfile

import pytest

from elmo_keras.files.archive import unpacked
from tests.files.archives import (
    DEFLATED,
    FILES,
    MIB,
    NOISE,
    STORED,
    assert_refused,
    assert_truncations_are_refused,
    flip_bit,
    unpack,
    write_zip,
)

# Offsets of fields in a member's entry of the central directory.
FLAGS, METHOD, CHECKSUM, COMPRESSED_SIZE, SIZE = 8, 10, 16, 20, 24


def directory_start(path):
    with zipfile.ZipFile(path) as archive:
        return archive.start_dir


def patch_directory(path, offset, format, value):
    """Sets a field of the first member in the central directory."""
    content = bytearray(path.read_bytes())
    struct.pack_into(format, content, directory_start(path) + offset, value)
    path.write_bytes(content)


def replace_bytes(path, old, new, count=-1):
    """Replaces bytes of a file everywhere, or only at the last `count` places."""
    content = path.read_bytes()
    assert content.count(old) >= abs(count)
    path.write_bytes(new.join(content.rsplit(old, count)))


class TestMembers:
    def test_nul_in_a_name(self, archive_path):
        write_zip(archive_path, [("good", b"x"), ("evil_name", b"x")])
        replace_bytes(archive_path, b"evil_name", b"evil\0name")
        assert_refused(archive_path, "NUL")

    def test_different_names_in_header_and_directory(self, archive_path):
        write_zip(archive_path, [("good", b"x")])
        replace_bytes(archive_path, b"good", b"evil", count=1)
        assert_refused(archive_path, "damaged", "good")

    def test_name_that_is_not_utf8(self, archive_path):
        write_zip(archive_path, [("é", b"x")])
        replace_bytes(archive_path, "é".encode(), b"\xff\xff")
        assert_refused(archive_path, "UnicodeDecodeError")

    @pytest.mark.parametrize(
        "file_type", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK, stat.S_IFCHR, stat.S_IFSOCK]
    )
    @pytest.mark.parametrize("name", ["evil", "evil/"])
    def test_special_file(self, archive_path, file_type, name):
        info = zipfile.ZipInfo(name)
        info.create_system = 3
        info.external_attr = (file_type | 0o777) << 16
        write_zip(archive_path, [("good", b"x"), (info, b"/etc/passwd")])
        assert_refused(archive_path, "only plain files", "evil")

    @pytest.mark.parametrize("flag", [0x1, 0x40, 0x41])
    def test_encrypted(self, archive_path, flag):
        write_zip(archive_path, [("secret", b"x")])
        patch_directory(archive_path, FLAGS, "<B", flag)
        assert_refused(archive_path, "encrypted", "secret")

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_other_methods(self, archive_path, method):
        write_zip(archive_path, [("a", NOISE)], method)
        assert_refused(archive_path, "stored or deflated", f"method {method}")

    def test_unknown_method(self, archive_path):
        write_zip(archive_path, [("a", NOISE)])
        patch_directory(archive_path, METHOD, "<H", 99)
        assert_refused(archive_path, "method 99")


class TestSizes:
    def test_high_compression_ratio(self, archive_path):
        write_zip(archive_path, [("a", bytes(16 * MIB))])
        with unpacked(archive_path) as folder:
            assert (folder / "a").stat().st_size == 16 * MIB
        write_zip(archive_path, [("a", bytes(32 * MIB))])
        assert_refused(archive_path, "no more than 200 times", "33,554,432")

    def test_false_compressed_size(self, archive_path):
        """A large compressed size would allow any unpacked size."""
        write_zip(archive_path, [("a", bytes(32 * MIB))])
        patch_directory(archive_path, COMPRESSED_SIZE, "<I", 10 * MIB)
        assert_refused(archive_path, "overlap")

    @pytest.mark.parametrize("method", [STORED, DEFLATED])
    @pytest.mark.parametrize("size", [0, 1, len(NOISE) - 1, len(NOISE) + 1, 10 * MIB])
    def test_false_size(self, archive_path, method, size):
        write_zip(archive_path, [("a", NOISE), ("b", NOISE)], method)
        patch_directory(archive_path, SIZE, "<I", size)
        assert_refused(archive_path, "damaged")

    def test_false_size_and_matching_checksum(self, archive_path):
        """No more bytes are written than the directory says, even if the member is larger."""
        write_zip(archive_path, [("a", bytes(32 * MIB))])
        patch_directory(archive_path, SIZE, "<I", 10)
        patch_directory(archive_path, CHECKSUM, "<I", zipfile.crc32(bytes(10)))
        assert unpack(archive_path) == {"a": bytes(10)}

    def test_more_bytes_than_the_header_says(self, archive_path, monkeypatch):
        """zipfile stops at the size in the header; this test does not rely on it."""
        write_zip(archive_path, [("a", NOISE)])
        monkeypatch.setattr(zipfile.ZipExtFile, "read", lambda self, n: b"x" * n)
        assert_refused(archive_path, "is longer than its header says")

    def test_overlapping_members(self, archive_path):
        write_zip(archive_path, [("a", NOISE)], STORED)
        content = archive_path.read_bytes()
        start = directory_start(archive_path)
        entry = content[start:-22]
        end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 3, 3, 3 * len(entry), start, 0)
        archive_path.write_bytes(content[:start] + 3 * entry + end)
        with zipfile.ZipFile(archive_path) as archive:
            assert len(archive.infolist()) == 3
        assert_refused(archive_path, "overlap")


@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_damaged_content(archive_path, method):
    write_zip(archive_path, [("first", b"x"), ("a", NOISE)], method)
    mark = NOISE[:50] if method == STORED else b"PK\3\4"
    flip_bit(archive_path, archive_path.read_bytes().index(mark, 1) + 300)
    assert_refused(archive_path, "damaged")


@pytest.mark.parametrize("method", [STORED, DEFLATED])
def test_truncated(archive_path, method):
    assert_truncations_are_refused(
        archive_path, lambda: write_zip(archive_path, FILES.items(), method)
    )
