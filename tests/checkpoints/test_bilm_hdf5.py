"""The published format: every variant against numpy, in and out, and what is wrong with a file."""

import json
import shutil

import h5py
import numpy as np
import pytest

import elmo_keras
from elmo_keras import checkpoints
from tests import small_models
from tests.numpy_reference import bilm, token_ids
from tests.small_models import to_numpy

SENTENCES = [["The", "cat", "sat", "."], ["naïve", "<S>", "x" * 200], ["a"]]


def ids(sentences, max_characters):
    """Ids of the tokens without boundaries, by the oracle, so that all backends can run this."""
    longest = max(map(len, sentences))
    out = np.zeros((len(sentences), longest, max_characters), "int32")
    for row, sentence in zip(out, sentences):
        row[: len(sentence)] = token_ids(sentence, max_characters)[1:-1]
    return out


VARIANTS = [
    {},
    {"n_layers": 1},
    {"n_layers": 3, "use_skip_connections": False},
    {"n_layers": None},
    {"use_skip_connections": "true"},
    {"use_skip_connections": None},
    {"n_highway": None},
    {"n_highway": 1, "activation": "tanh"},
    {"cell_clip": 0.3, "proj_clip": 0.1},
    {"cell_clip": None, "proj_clip": None},
    {"dim": 6},
    {"projection_dim": 12},
    {"n_characters": 261, "max_characters_per_token": 10},
    {"filters": [[1, 3], [4, 5], [7, 9]], "embedding": {"dim": 7}},
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_variants_equal_numpy(tmp_path, changes):
    opts = small_models.options(**changes)
    arrays = small_models.datasets(opts)
    small_models.write_checkpoint(tmp_path, opts, arrays)
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path, output="all", keep_boundaries=True)
    max_characters = opts["char_cnn"]["max_characters_per_token"]
    vectors = to_numpy(elmo(ids(SENTENCES, max_characters)))
    for row, tokens in zip(vectors, SENTENCES):
        true = bilm(tokens, opts, arrays)
        got = np.moveaxis(row[: len(tokens) + 2], 1, 0)
        np.testing.assert_allclose(got, true, atol=5e-6)


def test_carried_states_equal_numpy(tmp_path):
    opts = small_models.options()
    arrays = small_models.datasets(opts)
    small_models.write_checkpoint(tmp_path, opts, arrays)
    elmo = elmo_keras.ElmoLayer.from_preset(
        tmp_path, output="all", keep_boundaries=True, state="carry", max_rows=3
    )
    states = [{} for _ in SENTENCES]
    for _ in range(4):
        vectors = to_numpy(elmo(ids(SENTENCES, 50)))
        for row, tokens, state in zip(vectors, SENTENCES, states):
            true = bilm(tokens, opts, arrays, states=state)
            got = np.moveaxis(row[: len(tokens) + 2], 1, 0)
            np.testing.assert_allclose(got, true, atol=5e-6)


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_import_then_export_is_byte_equal(tmp_path, changes):
    opts = small_models.options(**changes)
    arrays = small_models.datasets(opts)
    small_models.write_checkpoint(tmp_path / "in", opts, arrays)
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path / "in")
    checkpoints.save_hdf5(elmo, tmp_path / "out")
    with h5py.File(tmp_path / "out" / "weights.hdf5") as file:
        written = {}
        file.visititems(
            lambda k, v: written.update({k: v[...]}) if isinstance(v, h5py.Dataset) else None
        )
    assert written.keys() == arrays.keys()
    for name, array in arrays.items():
        assert written[name].dtype == array.dtype
        assert written[name].tobytes() == array.tobytes(), name
    # The options mean the same: read again, they give the same model.
    again = elmo_keras.ElmoLayer.from_preset(tmp_path / "out")
    assert again.token_encoder.get_config() == {
        **elmo.token_encoder.get_config(),
        "dtype": again.token_encoder.get_config()["dtype"],
    }
    assert again.bilstm.get_config() == elmo.bilstm.get_config()
    out = json.loads((tmp_path / "out" / "options.json").read_text())
    assert out["char_cnn"]["n_characters"] == 262  # what programs ask for at inference


def test_options_of_the_layer_pass_on(tmp_path):
    small_models.write_checkpoint(
        tmp_path, small_models.options(), small_models.datasets(small_models.options())
    )
    elmo = elmo_keras.ElmoLayer.from_preset(
        tmp_path, trainable=False, dropout=0.5, num_representations=2, dtype="mixed_bfloat16"
    )
    assert elmo.trainable_weights == []
    assert elmo.token_encoder.compute_dtype == "bfloat16"
    assert len(elmo(small_models.ids())) == 2


def test_one_layer_names_of_bilm_tf(tmp_path):
    """Of one layer, bilm-tf's dump writes names that neither it nor AllenNLP reads."""
    opts = small_models.options(n_layers=1)
    arrays = small_models.datasets(opts)
    renamed = {k.replace("MultiRNNCell/Cell0/", ""): v for k, v in arrays.items()}
    small_models.write_checkpoint(tmp_path / "a", opts, arrays)
    small_models.write_checkpoint(tmp_path / "b", opts, renamed)
    a, b = (elmo_keras.ElmoLayer.from_preset(tmp_path / x) for x in "ab")
    np.testing.assert_array_equal(to_numpy(a(small_models.ids())), to_numpy(b(small_models.ids())))


# === Sources ===


@pytest.fixture
def checkpoint(tmp_path):
    opts = small_models.options()
    return small_models.write_checkpoint(tmp_path / "checkpoint", opts, small_models.datasets(opts))


def test_sources(checkpoint):
    options, weights = checkpoint / "options.json", checkpoint / "weights.hdf5"
    vectors = [
        to_numpy(elmo_keras.ElmoLayer.from_preset(source)(small_models.ids()))
        for source in (checkpoint, str(checkpoint), weights, (options, weights), [weights, options])
    ]
    for other in vectors[1:]:
        np.testing.assert_array_equal(other, vectors[0])


def test_other_hdf5_files_beside_the_weights(checkpoint):
    with h5py.File(checkpoint / "vectors.hdf5", "w") as file:
        file["0"] = np.zeros((2, 3))
    (checkpoint / "broken.h5").write_bytes(b"nothing")
    elmo_keras.ElmoLayer.from_preset(checkpoint)


def test_published_file_names(checkpoint):
    (checkpoint / "options.json").rename(checkpoint / "elmo_2x16_6_options.json")
    (checkpoint / "weights.hdf5").rename(checkpoint / "elmo_2x16_6_weights.hdf5")
    elmo_keras.ElmoLayer.from_preset(checkpoint)


@pytest.mark.parametrize(
    "source, message",
    [
        ("absent", "does not exist"),
        (7, "Received: 7 of type int"),
        (("a", "b", "c"), "3 paths"),
    ],
)
def test_bad_sources(source, message):
    with pytest.raises(ValueError, match=message):
        elmo_keras.ElmoLayer.from_preset(source)


def test_ambiguous_and_empty_directories(checkpoint, tmp_path):
    shutil.copy(checkpoint / "weights.hdf5", checkpoint / "more.hdf5")
    with pytest.raises(ValueError, match="more.hdf5, weights.hdf5.*Name the two files"):
        elmo_keras.ElmoLayer.from_preset(checkpoint)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no model in"):
        elmo_keras.ElmoLayer.from_preset(tmp_path / "empty")


# === What is wrong with a file ===


@pytest.mark.parametrize("name", sorted(small_models.datasets(small_models.options(n_layers=1))))
@pytest.mark.parametrize("what", ["missing", "shape", "type", "nan"])
def test_each_dataset_is_checked(tmp_path, name, what):
    opts = small_models.options(n_layers=1)
    arrays = small_models.datasets(opts)
    message = {
        "missing": f"missing: {name}",
        "shape": f"wrong shape: {name} must be",
        "type": f"wrong type: {name} must hold floats",
        "nan": f"{name} holds NaN",
    }[what]
    if what == "missing":
        del arrays[name]
        if name.endswith(("W_proj", "W_P_0")):
            message = "not used|wrong shape|missing"
    elif what == "shape":
        arrays[name] = arrays[name][..., :-1]
    elif what == "type":
        arrays[name] = arrays[name].astype("int32")
    else:
        arrays[name].flat[0] = np.nan
    small_models.write_checkpoint(tmp_path, opts, arrays)
    with pytest.raises(ValueError, match=message):
        elmo_keras.ElmoLayer.from_preset(tmp_path)


def test_what_is_left_over_is_named(tmp_path):
    opts = small_models.options(n_layers=1)
    small_models.write_checkpoint(
        tmp_path, opts, small_models.datasets(small_models.options(n_layers=2))
    )
    with pytest.raises(ValueError, match="not used: RNN_1/RNN/MultiRNNCell/Cell1/LSTMCell/W_0"):
        elmo_keras.ElmoLayer.from_preset(tmp_path)


@pytest.mark.parametrize("key", ["dim", "projection_dim", "n_highway", "filters", "embedding"])
def test_options_and_weights_that_disagree(checkpoint, key):
    other = {"dim": 17, "projection_dim": 7, "n_highway": 1, "filters": [[1, 4], [2, 9]]}
    other["embedding"] = {"dim": 5}
    (checkpoint / "options.json").write_text(json.dumps(small_models.options(**{key: other[key]})))
    with pytest.raises(ValueError, match="belong to the same model"):
        elmo_keras.ElmoLayer.from_preset(checkpoint)


@pytest.mark.parametrize("share", np.linspace(0, 0.99, 20))
def test_a_file_cut_short(checkpoint, share):
    path = checkpoint / "weights.hdf5"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="damaged or cut short"):
        elmo_keras.ElmoLayer.from_preset((checkpoint / "options.json", path))


BAD_OPTIONS = [
    ("lstm", None, "lstm must be an object"),
    ("char_cnn", None, "reads characters"),
    ("char_cnn", [], "char_cnn must be an object"),
    ("lstm.dim", "16", "lstm.dim must be a whole number"),
    ("lstm.dim", -1, "lstm.dim must be a whole number"),
    ("lstm.dim", True, "lstm.dim must be a whole number"),
    ("lstm.dim", float("inf"), "lstm.dim must be a whole number"),
    ("lstm.projection_dim", None, "lstm.projection_dim must be"),
    ("lstm.n_layers", 0, "lstm.n_layers must be"),
    ("lstm.cell_clip", "3", "lstm.cell_clip must be a positive number"),
    ("lstm.proj_clip", -3, "lstm.proj_clip must be a positive number"),
    ("lstm.use_skip_connections", "maybe", "use_skip_connections must be true or false"),
    ("lstm.use_skip_connections", [], "use_skip_connections must be true or false"),
    ("char_cnn.activation", "gelu", "char_cnn.activation must be 'relu' or 'tanh'"),
    ("char_cnn.activation", None, "char_cnn.activation must be 'relu' or 'tanh'"),
    ("char_cnn.filters", [[1]], "char_cnn.filters must be a list of pairs"),
    ("char_cnn.filters", None, "char_cnn.filters must be a list of pairs"),
    ("char_cnn.filters", [[51, 4]], "no wider than"),
    ("char_cnn.n_characters", 300, "char_cnn.n_characters must be 261 or 262"),
    ("char_cnn.n_highway", -1, "char_cnn.n_highway must be"),
    ("char_cnn.embedding", {}, "char_cnn.embedding.dim must be"),
    ("char_cnn.max_characters_per_token", 2, "max_characters_per_token must be"),
]


@pytest.mark.parametrize("key, value, message", BAD_OPTIONS, ids=str)
def test_bad_options_name_the_key(checkpoint, key, value, message):
    opts = small_models.options()
    *parents, last = key.split(".")
    part = opts
    for parent in parents:
        part = part[parent]
    part[last] = value
    if value is None:
        del part[last]
    (checkpoint / "options.json").write_text(json.dumps(opts))
    with pytest.raises(ValueError, match=message):
        elmo_keras.ElmoLayer.from_preset(checkpoint)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_options_that_are_no_options(checkpoint, content):
    (checkpoint / "options.json").write_bytes(content)
    with pytest.raises(ValueError, match="options"):
        elmo_keras.ElmoLayer.from_preset(checkpoint)


def test_what_the_format_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match="Call it on a batch first"):
        checkpoints.save_hdf5(small_models.elmo(), tmp_path)
    elmo = elmo_keras.ElmoLayer(
        small_models.char_cnn(activation="gelu"), small_models.bilstm(forget_bias=0.0)
    )
    with pytest.raises(ValueError, match="activation=gelu.*forget_bias=1.0"):
        checkpoints.save_hdf5(elmo, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not small_models.IS_TENSORFLOW, reason="int8 is tried on TensorFlow")
def test_quantized_and_adapted_weights(tmp_path):
    elmo = small_models.elmo()
    x = small_models.ids()
    elmo(x)
    gates = elmo.bilstm.forward_layers[0].cell.recurrent_gates
    gates.enable_lora(2)
    gates.lora_kernel_b.assign(np.ones(gates.lora_kernel_b.shape))
    checkpoints.save_hdf5(elmo, tmp_path)  # The adapted weights are the weights.
    merged = elmo_keras.ElmoLayer.from_preset(tmp_path)
    np.testing.assert_allclose(to_numpy(merged(x)), to_numpy(elmo(x)), atol=1e-6)
    elmo = small_models.elmo()
    elmo(x)
    elmo.token_encoder.projection.quantize("int8")
    with pytest.raises(ValueError, match="quantized weights"):
        checkpoints.save_hdf5(elmo, tmp_path)


def test_half_precision_weights_are_written_as_float32(tmp_path):
    elmo = elmo_keras.ElmoLayer(
        small_models.char_cnn(dtype="bfloat16"), small_models.bilstm(dtype="bfloat16")
    )
    elmo(small_models.ids())
    checkpoints.save_hdf5(elmo, tmp_path)
    with h5py.File(tmp_path / "weights.hdf5") as file:
        assert file["char_embed"].dtype == "float32"
    elmo_keras.ElmoLayer.from_preset(tmp_path)


def test_a_failed_save_leaves_what_was_there(tmp_path, monkeypatch):
    elmo = small_models.elmo()
    elmo(small_models.ids())
    checkpoints.save_hdf5(elmo, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save_hdf5(elmo, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
