"""HDF5 files: writing, digests, and the limits for files of unknown origin."""

import h5py
import numpy as np
import pytest

from elmo_keras.files import safe_hdf5
from elmo_keras.files.safe_hdf5 import digest_in, hdf5_content, holds, open_datasets, write_arrays

ARRAYS = {
    "kernel": np.arange(6, dtype="float32").reshape(2, 3),
    "lstm/cell_0/bias": np.array([1, 2.5], "float16"),
    "scale": np.float32(1.5),
    "empty": np.empty((0, 3), "float32"),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.hdf5"


def write(path, arrays):
    content = hdf5_content(arrays)
    with open(path, "wb+") as file:
        content.write(file)
    return content.digest


def read(path):
    with open_datasets(path) as datasets:
        return {name: array.read() for name, array in datasets.items()}


class TestWriting:
    def test_round_trip(self, path):
        write(path, ARRAYS)
        with open_datasets(path) as datasets:
            assert datasets.keys() == ARRAYS.keys()
            for name, array in ARRAYS.items():
                assert datasets[name].shape == array.shape
                assert datasets[name].dtype == array.dtype
                np.testing.assert_array_equal(datasets[name].read(), array)

    def test_equal_arrays_give_equal_bytes(self, tmp_path):
        paths = tmp_path / "a", tmp_path / "b"
        for path in paths:
            write(path, ARRAYS)
        assert paths[0].read_bytes() == paths[1].read_bytes()


class TestDigest:
    def test_stored_in_the_file(self, path):
        digest = write(path, ARRAYS)
        assert len(digest) == 64
        assert digest_in(path) == digest

    @pytest.mark.parametrize(
        "change",
        [
            {"scale": np.float32(1.25)},
            {"scale": np.float64(1.5)},
            {"scale": np.full(1, 1.5, "float32")},
            {"more": np.float32(1.5)},
        ],
        ids=["value", "dtype", "shape", "name"],
    )
    def test_depends_on(self, change):
        assert hdf5_content(ARRAYS | change).digest != hdf5_content(ARRAYS).digest

    def test_file_without_a_digest(self, path, tmp_path):
        with open(path, "wb+") as file:
            write_arrays(file, ARRAYS)
        assert digest_in(path) is None
        assert digest_in(tmp_path / "absent") is None
        path.write_bytes(b"text")
        assert digest_in(path) is None


def test_holds(path, tmp_path):
    write(path, ARRAYS)
    assert holds(path, "other", "kernel")
    assert holds(path, "lstm/cell_0")
    assert not holds(path, "other")
    assert not holds(path)
    assert not holds(tmp_path / "absent", "kernel")
    path.write_bytes(b"text")
    assert not holds(path, "kernel")


def soft_link(file, path):
    file["link"] = h5py.SoftLink("/kernel")


def external_link(file, path):
    file["link"] = h5py.ExternalLink(str(path.with_name("other.hdf5")), "/kernel")


def external_values(file, path):
    external = [(str(path.with_name("other")), 0, 24)]
    file.create_dataset("link", shape=(6,), dtype="float32", external=external)


def virtual_values(file, path):
    layout = h5py.VirtualLayout((6,), "float32")
    layout[:] = h5py.VirtualSource(str(path.with_name("other.hdf5")), "kernel", (6,))
    file.create_virtual_dataset("link", layout)


def cycle(file, path):
    file.create_group("group")["group"] = file["/"]


def many_arrays(file, path):
    for number in range(40):
        file[f"{number}"] = number


def unwritten_values(file, path):
    file.create_dataset("a", shape=(10**9,), dtype="float32")


def compression_bomb(file, path):
    file.create_dataset("a", data=np.zeros(10**7, "float32"), compression="gzip")


def large_chunk(file, path):
    file.create_dataset("a", data=np.zeros(9), chunks=(2**22,), maxshape=(None,))


@pytest.mark.parametrize(
    "add, message",
    [
        (soft_link, "its arrays itself. Received: link, a link to weights.hdf5:/kernel"),
        (external_link, "its arrays itself. Received: link, a link to .*other.hdf5:/kernel"),
        (external_values, "its arrays itself. Received: link, whose values are in other files"),
        (virtual_values, "its arrays itself. Received: link, whose values are in other files"),
        (cycle, "or 20 levels of groups"),
        (many_arrays, "more than 30 arrays"),
        (unwritten_values, r"Received: a of shape \(1000000000,\), 4000000000 bytes"),
        (compression_bomb, r"Received: a of shape \(10000000,\), 40000000 bytes"),
        (large_chunk, "72 bytes in chunks of 33554432"),
    ],
)
def test_refused(path, monkeypatch, add, message):
    monkeypatch.setattr(safe_hdf5, "MAX_ITEMS", 30)
    with h5py.File(path, "w") as file:
        add(file, path)
    with pytest.raises(ValueError, match=f"{path} must hold .*{message}"):
        read(path)


@pytest.mark.parametrize("size", [0, 4, 500, 2000])
def test_damaged(path, size):
    write(path, ARRAYS)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match="must be an HDF5 file of weights. Received: .*fetch it"):
        read(path)


def test_compressed_weights(path):
    values = np.random.default_rng(0).standard_normal((100, 100)).astype("float32")
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=values, compression="gzip")
    np.testing.assert_array_equal(read(path)["a"], values)
