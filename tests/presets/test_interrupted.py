"""A save that is killed at any moment leaves the old model or the new one, never parts of both."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

import elmo_keras
from elmo_keras import BidirectionalLanguageModel, checkpoints, presets
from elmo_keras.convert import convert
from elmo_keras.presets import loading
from tests import small_models
from tests.fresh_process import ROOT
from tests.kills import digest_of, states_of

WORDS = {0: ["<S>", "</S>", "<UNK>", "the", "cat"], 1: ["<S>", "</S>", "<UNK>", "a", "dog"]}


def layer(seed):
    """A layer whose numbers differ from those of another seed, all of one shape."""
    elmo = elmo_keras.ElmoLayer(
        small_models.char_cnn(filters=[(2, 4)], num_highways=0, max_characters=5),
        small_models.bilstm(num_layers=1, units=4),
        dropout=seed / 10,
    )
    elmo.build((None, None, 5))
    rng = np.random.default_rng(seed)
    for weight in elmo.weights:
        weight.assign(rng.standard_normal(weight.shape).astype("float32") / 3)
    return elmo


def language_model(seed):
    model = BidirectionalLanguageModel(layer(seed), WORDS[seed])
    rng = np.random.default_rng(seed)
    for weight in model.head.weights:
        weight.assign(rng.standard_normal(weight.shape).astype("float32"))
    return model


def content(source):
    """All that a source holds, to be compared; `None` if it holds no model."""
    try:
        loaded = loading.load(source, elmo_keras.ElmoLayer, with_softmax=True)
    except ValueError as error:
        assert "Received: no model in" in str(error), error
        return None
    weights = [small_models.to_numpy(weight).tobytes() for weight in loaded.layer.weights]
    softmax = loaded.softmax
    if softmax is not None:
        softmax = (softmax.kernel.tobytes(), softmax.bias.tobytes(), softmax.vocabulary)
    return loaded.layer.dropout, weights, softmax


def assert_old_or_new(states, old, new):
    """That the states are the old model, and from some place on the new one."""
    found = [content(state) for state in states]
    assert old != new and found[-1] == new
    turn = found.index(new)
    assert all(one == old for one in found[:turn]) and all(one == new for one in found[turn:])


def saved(folder, copies, *saves):
    """The states that the last of some saves passes through, and the content before and after."""
    for save in saves[:-1]:
        save(folder)
    old = content(folder) if saves[:-1] else None
    with states_of(folder, copies) as states:
        saves[-1](folder)
    return states, old, content(folder)


def as_layer(seed):
    return lambda folder: layer(seed).save_to_preset(folder)


def as_language_model(seed):
    return lambda folder: language_model(seed).save_to_preset(folder)


def without_list(folder):
    """Turns a preset into one of an early version, whose config does not list its files."""
    config = json.loads((folder / "config.json").read_text())
    del config["elmo_keras_files"]
    (folder / "config.json").write_text(json.dumps(config))


SAVES = {
    "first": [as_language_model(1)],
    "a layer over a language model": [as_language_model(0), as_layer(1)],
    "a language model over a layer": [as_layer(0), as_language_model(1)],
    "over one of an early version": [as_language_model(0), without_list, as_language_model(1)],
}


@pytest.mark.parametrize("saves", SAVES)
def test_presets(tmp_path, saves):
    states, old, new = saved(tmp_path / "preset", tmp_path / "states", *SAVES[saves])
    assert len(states) > 8
    assert_old_or_new(states, old, new)
    for state in states[::5]:
        before = digest_of(state)
        content(state)
        assert digest_of(state) == before  # Reading ends no save.
    language_model(0).save_to_preset(state)  # The next save does.
    assert not any(path.name.startswith(".") for path in state.iterdir())
    assert content(state)[2][2] == WORDS[0]


def test_the_softmax_of_another_model_is_none(tmp_path):
    """A layer that replaces a language model has no softmax, and does not take the old one."""
    as_language_model(0)(tmp_path)
    without_list(tmp_path)
    as_layer(1)(tmp_path)
    assert (tmp_path / "softmax_weights.hdf5").exists()  # It may be anybody's.
    with pytest.raises(ValueError, match="must hold the softmax"):
        presets.load_softmax(tmp_path)
    with pytest.raises(ValueError, match="`source` must hold a softmax"):
        BidirectionalLanguageModel.from_preset(tmp_path)
    as_language_model(0)(tmp_path)
    assert presets.load_softmax(tmp_path).vocabulary == WORDS[0]


@pytest.mark.parametrize(
    "file, message",
    [
        ("config.json", "must hold the .* of another save"),
        ("model.weights.h5", "must hold the model.weights.h5 .* of another save"),
        ("softmax_weights.hdf5", "must hold the softmax_weights.hdf5 .* of another save"),
        ("vocabulary.txt", "must hold the vocabulary.txt .* of another save"),
    ],
)
def test_files_of_two_presets(tmp_path, file, message):
    for seed in (0, 1):
        as_language_model(seed)(tmp_path / str(seed))
    shutil.copy(tmp_path / "0" / file, tmp_path / "1" / file)
    with pytest.raises(ValueError, match=message):
        BidirectionalLanguageModel.from_preset(tmp_path / "1")


def export(seed):
    return lambda folder: checkpoints.save_hdf5(layer(seed), folder)


def of_words(seed):
    def save(folder):
        encoder = elmo_keras.layers.WordEmbedding(5, 6, WORDS[seed])
        elmo = elmo_keras.ElmoLayer(encoder, small_models.bilstm(cell_clip=seed + 1.0))
        elmo(np.ones((1, 2), "int32"))
        checkpoints.save_hdf5(elmo, folder)

    return save


def foreign_view(folder):
    """What bilm-tf and AllenNLP find: `None` if they find no options."""
    if not (folder / "options.json").exists():
        return None
    options = json.loads((folder / "options.json").read_text())
    with h5py.File(folder / "weights.hdf5") as file:
        arrays = {}
        file.visititems(
            lambda name, item: (
                arrays.update({name: item[()].tobytes()})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    words = folder / "vocabulary.txt"
    has_words = "char_cnn" not in options
    return options["lstm"], arrays, words.read_text() if has_words else None


@pytest.mark.parametrize(
    "saves", [[export(0), export(1)], [of_words(0), of_words(1)], [of_words(0), export(1)]]
)
def test_hdf5(tmp_path, saves):
    folder = tmp_path / "hdf5"
    saves[0](folder)
    old = foreign_view(folder), vectors(folder)
    with states_of(folder, tmp_path / "states") as states:
        saves[1](folder)
    new = foreign_view(folder), vectors(folder)
    seen = [foreign_view(state) for state in states]
    assert None in seen and all(one in (old[0], None, new[0]) for one in seen)
    for state in states:
        sources = [state, state / "weights.hdf5", (state / "options.json", state / "weights.hdf5")]
        found = [vectors(source) for source in sources]
        assert found[0] in (old[1], new[1]) and found[1] == found[2] == found[0]


def vectors(source):
    elmo = elmo_keras.ElmoLayer.from_preset(source)
    words = getattr(elmo.token_encoder, "vocabulary", None)
    return words, [small_models.to_numpy(weight).tobytes() for weight in elmo.bilstm.weights]


def test_hdf5_files_of_two_saves(tmp_path):
    for seed in (0, 1):
        export(seed)(tmp_path / str(seed))
    shutil.copy(tmp_path / "0/weights.hdf5", tmp_path / "1/weights.hdf5")
    with pytest.raises(ValueError, match="must hold the weights.hdf5 .* of another save"):
        elmo_keras.ElmoLayer.from_preset(tmp_path / "1")
    # A file of another name is taken for what its owner says that it is.
    (tmp_path / "1/weights.hdf5").rename(tmp_path / "1/mine.hdf5")
    assert vectors(tmp_path / "1") == vectors(tmp_path / "0")


@pytest.mark.parametrize("format", ["both", "preset", "hdf5"])
def test_convert(tmp_path, format):
    source, out = tmp_path / "source", tmp_path / "out"
    as_language_model(1)(source)
    out.mkdir()
    with states_of(out, tmp_path / "states") as states:
        convert(source, out, format=format)
    found = [content(state) for state in states]
    whole = content(out)
    assert whole[2] == content(source)[2]  # softmax and words
    turn = found.index(whole)
    assert found == [None] * turn + [whole] * (len(found) - turn)
    # Where nothing counts yet, the same command works.
    for state in states[: turn - 1 : 3]:
        convert(source, state, format=format)
        assert content(state) == whole
        assert not any(path.name.startswith(".") for path in state.iterdir())


def test_a_reader_beside_a_writer(tmp_path, monkeypatch):
    """A save that counts while a preset is read: all is read again."""
    as_language_model(1)(tmp_path / "other")
    as_language_model(0)(tmp_path / "preset")
    usual, calls = loading._load, []

    def slow(*arguments):
        loaded = usual(*arguments)
        calls.append(1)
        if len(calls) == 1:
            as_language_model(1)(tmp_path / "preset")
        return loaded

    with monkeypatch.context() as patch:
        patch.setattr(loading, "_load", slow)
        found = content(tmp_path / "preset")
    assert len(calls) == 2 and found == content(tmp_path / "other")


_SAVES = """
import itertools, sys
from tests.presets.test_interrupted import language_model

models = [language_model(seed) for seed in (0, 1)]
print("ready", flush=True)
for number in itertools.count():
    models[number % 2].save_to_preset(sys.argv[1])
    print(number, flush=True)
"""


@pytest.mark.slow
def test_processes_that_are_killed(tmp_path):
    wholes = []
    for seed in (0, 1):
        as_language_model(seed)(tmp_path / str(seed))
        wholes.append(content(tmp_path / str(seed)))
    folder = tmp_path / "preset"
    for seed in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", _SAVES, str(folder)],
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline() == "ready\n"
        assert process.stdout.readline() == "0\n"
        time.sleep(random.Random(seed).uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert content(folder) in wholes
