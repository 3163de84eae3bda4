"""`options.json`: errors name the wrong key."""

import json

import pytest

import elmo_keras
from tests import small_models


@pytest.fixture
def checkpoint(tmp_path):
    opts = small_models.options()
    return small_models.write_checkpoint(tmp_path / "checkpoint", opts, small_models.datasets(opts))


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
def test_errors_name_the_key(checkpoint, key, value, message):
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
def test_files_without_options(checkpoint, content):
    (checkpoint / "options.json").write_bytes(content)
    with pytest.raises(ValueError, match="options"):
        elmo_keras.ElmoLayer.from_preset(checkpoint)
