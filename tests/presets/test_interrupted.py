"""A save that is killed at any moment leaves the old model or the new one, never a mixture.

The tests copy the folder before each operation on files, and load each copy.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import elmo_keras
from elmo_keras import BidirectionalLanguageModel, ElmoTextClassifier, checkpoints, presets
from elmo_keras.convert import convert
from elmo_keras.presets import loading
from tests import small_models
from tests.checkpoints.hdf5_arrays import read_arrays
from tests.fresh_process import ROOT
from tests.kills import digest_of, states_of

WORDS = {0: ["<S>", "</S>", "<UNK>", "the", "cat"], 1: ["<S>", "</S>", "<UNK>", "a", "dog"]}
LABELS = {0: ["negative", "positive"], 1: ["cold", "warm", "hot"]}


def layer(seed):
    """A layer whose values depend on the seed, and whose shapes do not."""
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


def classifier(seed):
    model = ElmoTextClassifier(layer(seed), LABELS[seed], hidden_dim=2 + seed)
    rng = np.random.default_rng(seed)
    for weight in model.weights[len(model.backbone.weights) :]:
        weight.assign(rng.standard_normal(weight.shape).astype("float32"))
    return model


def weights_of(model):
    return [small_models.to_numpy(weight).tobytes() for weight in model.weights]


def content(source):
    """Returns everything in a source, for comparisons; `None` if it holds no model."""
    try:
        loaded = loading.load(source, elmo_keras.ElmoLayer, with_softmax=True)
    except ValueError as error:
        assert "Received: no model in" in str(error), error
        return None
    softmax = None
    if loaded.softmax is not None:
        kernel, bias, vocabulary = loaded.softmax
        softmax = kernel.tobytes(), bias.tobytes(), vocabulary
    return loaded.layer.dropout, weights_of(loaded.layer), softmax


def classifier_content(source):
    """Returns everything in a preset of a classifier; the content of any other preset."""
    try:
        model = ElmoTextClassifier.from_preset(source)
    except ValueError as error:
        assert "which holds no task model, and no `labels`" in str(error), error
        return content(source)
    return model.labels, model.backbone.dropout, weights_of(model)


def assert_old_or_new(contents, old, new):
    """Asserts that the first contents are the old model, and all later ones the new model."""
    assert old != new and contents[-1] == new
    count = contents.index(new)
    assert contents == [old] * count + [new] * (len(contents) - count)


def saved(folder, copies, *saves):
    """Runs saves; returns the states during the last one, and the content before and after it."""
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


def as_classifier(seed):
    return lambda folder: classifier(seed).save_to_preset(folder)


def without_list(folder):
    """Turns a preset into a preset of an early version, whose config does not list its files."""
    config = json.loads((folder / "config.json").read_text())
    del config["elmo_keras_files"]
    (folder / "config.json").write_text(json.dumps(config))


SAVES = {
    "the first save": [as_language_model(1)],
    "a layer over a language model": [as_language_model(0), as_layer(1)],
    "a language model over a layer": [as_layer(0), as_language_model(1)],
    "over an early version": [as_language_model(0), without_list, as_language_model(1)],
}


@pytest.mark.parametrize("saves", SAVES)
def test_presets(tmp_path, saves):
    states, old, new = saved(tmp_path / "preset", tmp_path / "states", *SAVES[saves])
    assert len(states) > 8
    assert_old_or_new([content(state) for state in states], old, new)
    for state in states[::5]:
        before = digest_of(state)
        content(state)
        assert digest_of(state) == before  # Reading does not complete a save.
    language_model(0).save_to_preset(state)  # The next save completes it.
    assert not any(path.name.startswith(".") for path in state.iterdir())
    assert content(state)[2][2] == WORDS[0]


@pytest.mark.parametrize("save", [as_classifier(0), as_layer(0)], ids=["classifier", "layer"])
def test_a_classifier_over_an_older_preset(tmp_path, save):
    folder = tmp_path / "preset"
    save(folder)
    old = classifier_content(folder)
    with states_of(folder, tmp_path / "states") as states:
        as_classifier(1)(folder)
    assert len(states) > 8
    contents = [classifier_content(state) for state in states]
    assert_old_or_new(contents, old, classifier_content(folder))


def test_a_layer_ignores_the_softmax_of_a_replaced_language_model(tmp_path):
    as_language_model(0)(tmp_path)
    without_list(tmp_path)
    as_layer(1)(tmp_path)
    assert (tmp_path / "softmax_weights.hdf5").exists()  # Files that are not listed are kept.
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


def export_of_words(seed):
    def save(folder):
        encoder = elmo_keras.layers.WordEmbedding(5, 6, WORDS[seed])
        elmo = elmo_keras.ElmoLayer(encoder, small_models.bilstm(cell_clip=seed + 1.0))
        elmo(np.ones((1, 2), "int32"))
        checkpoints.save_hdf5(elmo, folder)

    return save


def foreign_view(folder):
    """Returns everything that bilm-tf and AllenNLP read; `None` if they find no options."""
    if not (folder / "options.json").exists():
        return None
    options = json.loads((folder / "options.json").read_text())
    arrays = read_arrays(folder / "weights.hdf5")
    arrays = {name: array.tobytes() for name, array in arrays.items()}
    words = folder / "vocabulary.txt"
    has_words = "char_cnn" not in options
    return options["lstm"], arrays, words.read_text() if has_words else None


@pytest.mark.parametrize(
    "saves",
    [
        [export(0), export(1)],
        [export_of_words(0), export_of_words(1)],
        [export_of_words(0), export(1)],
    ],
    ids=["characters", "words", "characters over words"],
)
def test_hdf5(tmp_path, saves):
    folder = tmp_path / "hdf5"
    saves[0](folder)
    old = foreign_view(folder), words_and_weights(folder)
    with states_of(folder, tmp_path / "states") as states:
        saves[1](folder)
    new = foreign_view(folder), words_and_weights(folder)
    views = [foreign_view(state) for state in states]
    assert None in views and all(view in (old[0], None, new[0]) for view in views)
    for state in states:
        sources = [state, state / "weights.hdf5", (state / "options.json", state / "weights.hdf5")]
        directory, weights, pair = (words_and_weights(source) for source in sources)
        assert directory in (old[1], new[1]) and directory == weights == pair


def words_and_weights(source):
    elmo = elmo_keras.ElmoLayer.from_preset(source)
    return getattr(elmo.token_encoder, "vocabulary", None), weights_of(elmo.bilstm)


def test_hdf5_files_of_two_saves(tmp_path):
    for seed in (0, 1):
        export(seed)(tmp_path / str(seed))
    shutil.copy(tmp_path / "0/weights.hdf5", tmp_path / "1/weights.hdf5")
    with pytest.raises(ValueError, match="must hold the weights.hdf5 .* of another save"):
        elmo_keras.ElmoLayer.from_preset(tmp_path / "1")
    # A file of another name was not written by `save_hdf5`, so it is not compared.
    (tmp_path / "1/weights.hdf5").rename(tmp_path / "1/mine.hdf5")
    assert words_and_weights(tmp_path / "1") == words_and_weights(tmp_path / "0")


@pytest.mark.parametrize("format", ["both", "preset", "hdf5"])
def test_convert(tmp_path, format):
    source, out = tmp_path / "source", tmp_path / "out"
    as_language_model(1)(source)
    out.mkdir()
    with states_of(out, tmp_path / "states") as states:
        convert(source, out, format=format)
    contents = [content(state) for state in states]
    expected = content(out)
    assert expected[2] == content(source)[2]  # softmax and words
    count = contents.index(expected)
    assert contents == [None] * count + [expected] * (len(contents) - count)
    # After a kill that left no model, the same conversion works again.
    for state in states[: count - 1 : 3]:
        convert(source, state, format=format)
        assert content(state) == expected
        assert not any(path.name.startswith(".") for path in state.iterdir())


def test_a_reader_beside_a_writer(tmp_path, monkeypatch):
    """If a save completes while a preset is read, all files are read again."""
    as_language_model(1)(tmp_path / "other")
    as_language_model(0)(tmp_path / "preset")
    load, calls = loading._load, []

    def slow(*arguments):
        loaded = load(*arguments)
        calls.append(1)
        if len(calls) == 1:
            as_language_model(1)(tmp_path / "preset")
        return loaded

    with monkeypatch.context() as patch:
        patch.setattr(loading, "_load", slow)
        actual = content(tmp_path / "preset")
    assert len(calls) == 2 and actual == content(tmp_path / "other")


_SAVES = """
import itertools, sys
from tests.presets.test_interrupted import language_model

models = [language_model(seed) for seed in (0, 1)]
print("ready", flush=True)
for count in itertools.count():
    models[count % 2].save_to_preset(sys.argv[1])
    print(count, flush=True)
"""


@pytest.mark.slow
def test_processes_that_are_killed(tmp_path):
    expected = []
    for seed in (0, 1):
        as_language_model(seed)(tmp_path / str(seed))
        expected.append(content(tmp_path / str(seed)))
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
        assert content(folder) in expected
