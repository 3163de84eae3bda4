"""Options of `from_preset`: mistakes are reported as in the constructor, for every format."""

import importlib.util

import pytest

import elmo_keras
from elmo_keras.checkpoints import loader
from tests import foreign_checkpoints, small_models
from tests.small_models import IS_TENSORFLOW

WORDS = ["<S>", "</S>", "<UNK>", "the", "cat"]


def write_sources(folder):
    """Yields the path of a model in every format that this machine can write."""
    opts = small_models.options()
    arrays = small_models.datasets(opts)
    elmo = small_models.elmo()
    elmo.build((None, None, 50))
    elmo.save_to_preset(folder / "preset")
    yield folder / "preset"
    yield small_models.write_checkpoint(folder / "hdf5", opts, arrays)
    word_opts, word_arrays = foreign_checkpoints.word_level(opts, WORDS)
    small_models.write_checkpoint(folder / "words", word_opts, word_arrays)
    (folder / "words/vocabulary.txt").write_text("".join(f"{word}\n" for word in WORDS))
    yield folder / "words"
    if IS_TENSORFLOW:
        yield foreign_checkpoints.write_training_checkpoint(folder / "training", opts, arrays)
        yield foreign_checkpoints.write_hub_module(folder / "hub", arrays, {})
    if importlib.util.find_spec("torch"):
        characters = foreign_checkpoints.SPECIAL_TOKENS
        config = foreign_checkpoints.manylangs_config(word_dim=0)
        arrays = foreign_checkpoints.manylangs_arrays(config, len(characters), 0)
        yield foreign_checkpoints.write_manylangs(
            folder / "manylangs", config, arrays, characters, None
        )


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return list(write_sources(tmp_path_factory.mktemp("models")))


# Wrong values of arguments of the constructor.
WRONG_VALUES = [
    ({"output": "last"}, r"`output` must be one of .*Received: output='last'"),
    ({"output": 7}, r"`output` must be one of .*from 0 to 2. Received: output=7"),
    ({"state": "cold"}, r"`state` must be one of .*Received: state='cold'"),
    ({"num_representations": 0}, r"`num_representations` must be at least 1"),
    (
        {"num_representations": 2, "output": "top"},
        r"`num_representations` > 1 requires output='mix'",
    ),
    ({"tokenizer": "sentences"}, r"sentences"),
    ({"dtype": "float99"}, r"float99"),
    ({"dropout": 2.0}, r"2\.0"),
]
WRONG_NAMES = [
    ({"poolin": "max"}, r"must be among .*dropout.*vocabulary.* Received: poolin='max'"),
    ({"dropuot": 0.1}, r"Received: dropuot=0\.1\. Did you mean dropout\?"),
    ({"vocabluary": "x"}, r"Did you mean vocabulary\?"),
    ({"bilstm": None}, r"Received: bilstm=None"),
]


@pytest.fixture
def no_weights(monkeypatch):
    """Fails if a weight is read."""

    def refuse(*arguments):
        raise AssertionError("a weight was read")

    monkeypatch.setattr(loader.StrictLoader, "weight", refuse)


def assert_refused(sources, options, message):
    """Asserts that no source loads with some options; returns the errors."""
    errors = []
    for source in sources:
        with pytest.raises(ValueError, match=message) as caught:
            elmo_keras.ElmoLayer.from_preset(source, **options)
        errors.append(str(caught.value))
    assert not any("config.json" in error or "damaged" in error for error in errors)
    return errors


@pytest.mark.parametrize("options, message", WRONG_VALUES, ids=str)
def test_wrong_values(sources, no_weights, options, message):
    with pytest.raises(ValueError) as expected:
        elmo_keras.ElmoLayer(small_models.char_cnn(), small_models.bilstm(), **options)
    errors = assert_refused(sources, options, message)
    assert set(errors) == {str(expected.value)}


@pytest.mark.parametrize("options, message", WRONG_NAMES, ids=str)
def test_wrong_names(sources, no_weights, options, message):
    assert_refused(sources, options, message)


def test_token_embeddings_with_another_format(sources):
    with pytest.raises(ValueError, match="`vocabulary` and `token_embeddings` are for models that"):
        elmo_keras.ElmoLayer.from_preset(sources[0], token_embeddings="vectors.hdf5")
    if IS_TENSORFLOW:
        with pytest.raises(ValueError, match="`token_embeddings` must come with HDF5 weights"):
            elmo_keras.ElmoLayer.from_preset(sources[3], token_embeddings="vectors.hdf5")
