"""HDF5 files that hold more than plain arrays: links, external data, bombs, cycles."""

import zlib

import h5py
import numpy as np
import pytest

from tests.untrusted.jail import MIB

pytestmark = pytest.mark.slow


def instead(make):
    """Returns a change that replaces an array by `make(file, name, array, folder)`."""

    def change(path, name):
        with h5py.File(path, "a") as file:
            array = file[name][()]
            del file[name]
            made = make(file, name, array, path.parent)
            if made is not None:
                file[name] = made

    return change


def beside(make):
    """Returns a change that adds to a file with `make(file)`."""

    def change(path, name):
        with h5py.File(path, "a") as file:
            make(file)

    return change


def array_of(dtype, value=()):
    return instead(lambda file, name, x, folder: np.full(x.shape, value, dtype=dtype))


def dataset(shape=None, stored=None, **options):
    """Returns a change to a dataset with no stored values, or with one given chunk."""

    def make(file, name, array, folder):
        made = file.create_dataset(name, shape or array.shape, **{"dtype": "f4"} | options)
        if stored is not None:
            made.id.write_direct_chunk((0,) * len(made.shape), stored)

    return instead(make)


def external_link(file, name, array, folder):
    with h5py.File(folder / "other.data", "w") as other:
        other["x"] = array
    return h5py.ExternalLink("other.data", "/x")


def link_to_text(file, name, array, folder):
    (folder / "secret").write_text("secret")
    return h5py.ExternalLink(str(folder / "secret"), "/x")


def soft_link(file, name, array, folder):
    file["elsewhere"] = array
    return h5py.SoftLink("/elsewhere")


def external_storage(file, name, array, folder):
    (folder / "secret").write_bytes(array.tobytes())
    file.create_dataset(name, array.shape, "f4", external=[(str(folder / "secret"), 0, 10**9)])


def virtual(source):
    def make(file, name, array, folder):
        file["elsewhere"] = array
        with h5py.File(folder / "other.data", "w") as other:
            other["elsewhere"] = array
        layout = h5py.VirtualLayout(array.shape, "f4")
        layout[...] = h5py.VirtualSource(source, "elsewhere", array.shape)
        file.create_virtual_dataset(name, layout)

    return make


def references(file, name, array, folder):
    file.create_dataset(name, array.shape, h5py.ref_dtype)[...] = file.ref


def cycle(file):
    group = file.create_group("a/b")
    group["up"] = group.parent


def cycles(file):
    groups = [file.create_group(name) for name in "abc"]
    for group in groups:
        for number, other in enumerate(groups):
            group[f"{number}"] = other


def deep_groups(file):
    file["/".join("g" * 100)] = np.ones(3, "float32")


def many_arrays(file):
    file["many/one"] = np.ones(3, "float32")
    for number in range(20_000):
        file["many"].id.link(b"one", b"%d" % number, h5py.h5g.LINK_HARD)


def unknown_filter(file, name, array, folder):
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk(array.shape)
    settings.set_filter(32_000, h5py.h5z.FLAG_OPTIONAL)
    space = h5py.h5s.create_simple(array.shape)
    where = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    where.set_create_intermediate_group(True)
    made = h5py.h5d.create(
        file.id, name.encode(), h5py.h5t.NATIVE_FLOAT, space, dcpl=settings, lcpl=where
    )
    made.write_direct_chunk((0,) * array.ndim, array.tobytes())


def zeros(size):
    """Returns `size` zero bytes, a multiple of one MiB, compressed with zlib."""
    packer = zlib.compressobj(wbits=-15)
    one = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = (size % 65521) << 16 | 1
    return b"\x78\x9c" + one * (size // MIB) + packer.flush() + checksum.to_bytes(4, "big")


HOSTILE = {
    "external link": instead(external_link),
    "link to text": instead(link_to_text),
    "soft link": instead(soft_link),
    "soft link to itself": instead(lambda file, name, x, folder: h5py.SoftLink(f"/{name}")),
    "external storage": instead(external_storage),
    "virtual, of another file": instead(virtual("other.data")),
    "virtual, of this file": instead(virtual(".")),
    "references": instead(references),
    "region references": dataset(dtype=h5py.regionref_dtype),
    "lists": dataset(dtype=h5py.vlen_dtype("float32")),
    "text": array_of(h5py.string_dtype(), "1.5"),
    "text of one length": array_of("S3", b"1.5"),
    "compound": array_of([("real", "f4"), ("other", "i4")], 1),
    "opaque": array_of("V4", b"1.5"),
    "an array in each place": dataset(dtype=np.dtype(("f4", (4,)))),
    "huge items": dataset(dtype="S1000000000"),
    "nothing": instead(lambda file, name, x, folder: h5py.Empty("f4")),
    "scalar": instead(lambda file, name, x, folder: np.float32(1)),
    "group": instead(lambda file, name, x, folder: file.create_group(name) and None),
    "absurd shape": dataset((10**6, 10**6), chunks=True),
    "absurd shape without chunks": dataset((10**6, 10**6)),
    "largest shape": dataset((2**31, 2**31), chunks=(1, 1)),
    "many columns of nothing": dataset((0, 10**9)),
    "many rows of nothing": dataset((10**9, 0)),
    "bomb": dataset((2**27,), zeros(2**29), chunks=(2**27,), compression="gzip"),
    # The array has the right shape, but its only chunk is larger.
    "chunk that is a bomb": dataset(
        stored=zeros(2**29), chunks=(2**14, 2**13), maxshape=(None, None), compression="gzip"
    ),
    "damaged chunk": dataset(stored=b"nothing", chunks=True, compression="gzip"),
    "wrong checksum": dataset((2, 2), bytes(20), chunks=True, fletcher32=True),
    "unknown filter": instead(unknown_filter),
    "never written": dataset(),
    "never written, with a filler": dataset(fillvalue=1.0, chunks=True),
    "cycle": beside(cycle),
    "cycles": beside(cycles),
    "deep groups": beside(deep_groups),
    "many arrays": beside(many_arrays),
    "name that is not UTF-8": beside(lambda file: file.create_dataset(b"\xff", data=[1.0])),
}
ARRAYS = {
    "characters": "char_embed",
    "embeddings": "embedding",
    "preset": "token_encoder/char_embedding/embeddings",
}


@pytest.mark.parametrize("format", ARRAYS)
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_hdf5(model, format, what):
    target = model(format)
    HOSTILE[what](target.weights, ARRAYS[format])
    target.assert_refused(target.named)
