"""ELMoForManyLangs: vectors equal to those of the program and of the numpy reference."""

import json
import zipfile

import keras
import numpy as np
import pytest

import elmo_keras
from tests import foreign_checkpoints
from tests.fresh_process import run
from tests.numpy_reference import manylangs
from tests.small_models import IS_TENSORFLOW, to_numpy

pytest.importorskip("torch", reason="torch reads ELMoForManyLangs: make test-torch")
needs_strings = pytest.mark.skipif(not IS_TENSORFLOW, reason="strings need TensorFlow")

TOLERANCE = 5e-6
CHARACTERS = [*foreign_checkpoints.SPECIAL_TOKENS, *"abcdefghé我喜欢吃苹果東京🙂", "\u3000"]
WORDS = ["<oov>", "<bos>", "<eos>", "<pad>", "我", "喜欢", "abc", "a" * 48, "b" * 60, "<bow>"]
SENTENCES = [
    ["我", "喜欢", "苹果"],
    ["abc"],
    ["a" * 60, "b" * 60, "é🙂x", "zz"],  # words longer than a row of ids
    [" ", "\u3000", "\u00a0", "a"],  # white space, of which the dictionary has only U+3000
    ["<bos>", "a", "<eos>", "<bow>", "<pad>"],
    [],
]


def indices(entries):
    return entries and {entry: index for index, entry in enumerate(entries)}


def write(directory, seed=0, legacy=False, characters=CHARACTERS, words=WORDS, rows=0, **changes):
    """Writes a model; returns the numpy reference: a function from a sentence to its vectors."""
    config = foreign_checkpoints.manylangs_config(**changes)
    characters = characters if config["token_embedder"]["char_dim"] else None
    words = words if config["token_embedder"]["word_dim"] else None
    sizes = [len(entries or []) + rows for entries in (characters, words)]
    arrays = foreign_checkpoints.manylangs_arrays(config, *sizes, seed=seed, scale=2.0)
    foreign_checkpoints.write_manylangs(directory, config, arrays, characters, words, legacy)
    return lambda tokens: manylangs(tokens, config, *arrays, indices(characters), indices(words))


def load(source, **options):
    return elmo_keras.ElmoLayer.from_preset(
        source, **{"output": "all", "keep_boundaries": True} | options
    )


def ids(elmo, sentences):
    """Character and word ids, made by TensorFlow for all backends."""
    pytest.importorskip("tensorflow")
    return elmo.text_layer(sentences).numpy()


def assert_equals_reference(elmo, sentences, reference):
    vectors = to_numpy(elmo(ids(elmo, sentences)))
    for row, sentence in zip(vectors, sentences):
        expected = reference(sentence)
        actual = np.moveaxis(row[: len(sentence) + 2], 1, 0)
        np.testing.assert_allclose(actual, expected, atol=TOLERANCE, err_msg=str(sentence))


@pytest.mark.parametrize("name", ["char_and_word", "char_only_legacy"])
def test_vectors_of_elmo_for_many_langs(data, name):
    directory = data / "elmo_for_many_langs" / name
    sentences = json.loads((directory / "sentences.json").read_text())
    expected = np.load(directory / "expected_fresh.npz")
    elmo = load(directory, keep_boundaries=False)
    together = to_numpy(elmo(ids(elmo, sentences)))
    for i, sentence in enumerate(sentences):
        alone = np.moveaxis(to_numpy(elmo(ids(elmo, [sentence])))[0], 1, 0)
        assert np.abs(alone - expected[str(i)]).max() < TOLERANCE
        in_batch = np.moveaxis(together[i, : len(sentence)], 1, 0)
        assert np.abs(in_batch - expected[str(i)]).max() < TOLERANCE


VARIANTS = [
    {},
    {"legacy": True, "seed": 1},
    {"word_dim": 0},
    {"char_dim": 0},
    {"char_dim": 0, "legacy": True},
    {"n_layers": 1, "n_highway": 0},
    {"n_layers": 3, "n_highway": 1, "activation": "tanh"},
    {"cell_clip": 0.3, "proj_clip": 0.1},
    {"cell_clip": None, "proj_clip": None},
    {"max_characters_per_token": 10, "filters": [[1, 3], [5, 2], [10, 4]]},
    {"dim": 6, "projection_dim": 6, "seed": 2},
    {"rows": 3},  # rows of entries that the dictionary has lost
]


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_variants_equal_numpy(tmp_path, changes):
    reference = write(tmp_path, **changes)
    assert_equals_reference(load(tmp_path), SENTENCES, reference)


def test_word_marks_are_swapped_and_padding_is_not_zero(tmp_path):
    """These mistakes of the program change the vectors, so they must be reproduced."""
    reference = write(tmp_path)
    elmo = load(tmp_path)
    x = ids(elmo, [["abc"]])
    begin, end = (1 + CHARACTERS.index(mark) for mark in ("<eow>", "<bow>"))
    assert [x[0, 0, 1], x[0, 0, 5]] == [begin, end]
    swapped = x.copy()
    swapped[0, 0, [1, 5]] = end, begin
    vectors = to_numpy(elmo(swapped))[0, :3]
    assert np.abs(np.moveaxis(vectors, 1, 0) - reference(["abc"])).max() > 0.01
    table = elmo.token_encoder.char_cnn.char_embedding.embeddings
    padding = to_numpy(table)[1 + CHARACTERS.index("<pad>")]
    assert abs(np.linalg.norm(padding) - 1) < 1e-6


def test_keys_of_white_space(tmp_path):
    """The program strips the lines of a dictionary: such keys become U+3000, and the last holds."""
    characters = [*foreign_checkpoints.SPECIAL_TOKENS, "\u00a0", "a", "\u3000", "\u2003", "b"]
    write(tmp_path, characters=characters)
    encoder = elmo_keras.ElmoLayer.from_preset(tmp_path).token_encoder
    assert encoder.ids_layer.characters == [
        *foreign_checkpoints.SPECIAL_TOKENS,
        "",
        "a",
        "",
        "\u3000",
        "b",
    ]
    assert encoder.num_characters == len(characters)


def test_line_ends_within_an_entry(tmp_path):
    """Characters that Unicode counts as line ends can be part of an entry."""
    words = [*WORDS, "a\u2028b", "c\x85d", "e\x0cf"]
    reference = write(tmp_path, words=words)
    assert_equals_reference(load(tmp_path), [["a\u2028b", "c\x85d", "e\x0cf"]], reference)


@pytest.mark.parametrize("top", ["model", "model/inside"])
def test_archives(tmp_path, top):
    reference = write(tmp_path / "model" / "inside")
    with zipfile.ZipFile(tmp_path / "model.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (tmp_path / "model" / "inside").iterdir():
            archive.write(path, path.relative_to(tmp_path / top))
    assert_equals_reference(load(tmp_path / "model.zip"), SENTENCES[:2], reference)


def test_a_file_of_the_model(tmp_path):
    reference = write(tmp_path)
    assert_equals_reference(load(tmp_path / "encoder.pkl"), SENTENCES[:1], reference)


def test_the_hdf5_format_cannot_hold_it(tmp_path):
    write(tmp_path / "model")
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path / "model")
    with pytest.raises(ValueError, match="token_encoder=CodePointEncoder.*forget_bias=1.0"):
        elmo_keras.checkpoints.save_hdf5(elmo, tmp_path / "out")


def test_a_preset_of_the_model(tmp_path):
    reference = write(tmp_path / "model")
    load(tmp_path / "model").save_to_preset(tmp_path / "preset")
    assert_equals_reference(load(tmp_path / "preset"), SENTENCES, reference)


SERVE = """
import sys
import tensorflow as tf
served = tf.saved_model.load(given)
assert "elmo_keras" not in sys.modules
result = served.serve(tf.constant(["我 喜欢 abc", "苹果"]))["outputs"].numpy()
"""


@needs_strings
def test_saved_and_exported_models_hold_the_dictionaries(tmp_path):
    write(tmp_path / "model")
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path / "model", tokenizer="whitespace")
    inputs = keras.Input((), dtype="string")
    model = keras.Model(inputs, elmo(inputs))
    expected = model.predict(np.array(["我 喜欢 abc", "苹果"], dtype=object), verbose=0)
    model.save(tmp_path / "model.keras")
    elmo_keras.serving.export_saved_model(model, tmp_path / "served")
    for path in (tmp_path / "model").iterdir():
        path.unlink()
    loaded = keras.models.load_model(tmp_path / "model.keras")
    actual = loaded.predict(np.array(["我 喜欢 abc", "苹果"], dtype=object), verbose=0)
    np.testing.assert_array_equal(actual, expected)
    actual = run(SERVE, str(tmp_path / "served"), tmp_path)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


@needs_strings
def test_a_tagger_trains(tmp_path):
    write(tmp_path)
    tagger = elmo_keras.ElmoTagger.from_preset(tmp_path, labels=["A", "B"])
    before = [to_numpy(w) for w in tagger.elmo.trainable_weights]
    tagger.fit([["我", "abc"], ["zz"]], [["A", "B"], ["A"]], epochs=1, verbose=0)
    moved = [np.any(a != to_numpy(b)) for a, b in zip(before, tagger.elmo.trainable_weights)]
    assert all(moved)
    assert [len(tags) for tags in tagger.tag([["我"], []])] == [1, 0]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"name": "lstm"}, "encoder.name must be 'elmo'"),
        ({"activation": "gelu"}, "token_embedder.activation must be 'relu' or 'tanh'"),
    ],
    ids=str,
)
def test_unsupported_models(tmp_path, changes, message):
    write(tmp_path, **changes)
    with pytest.raises(ValueError, match=message):
        load(tmp_path)
