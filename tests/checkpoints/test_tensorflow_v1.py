"""Checkpoints of TensorFlow 1 load equal to their HDF5 twin."""

import json
import os
import shutil

import numpy as np
import pytest

import elmo_keras
from elmo_keras import presets
from tests import foreign_checkpoints, small_models
from tests.small_models import IS_TENSORFLOW, to_numpy

pytestmark = pytest.mark.skipif(not IS_TENSORFLOW, reason="TensorFlow reads its checkpoints")


def twins(tmp_path, **changes):
    """Options, datasets, and the vectors that their HDF5 file gives."""
    opts = small_models.options(**changes)
    arrays = small_models.datasets(opts)
    small_models.write_checkpoint(tmp_path / "twin", opts, arrays)
    return opts, arrays, vectors(tmp_path / "twin")


def vectors(source, x=None, **options):
    elmo = elmo_keras.ElmoLayer.from_preset(source, output="all", keep_boundaries=True, **options)
    return to_numpy(elmo(small_models.ids() if x is None else x))


@pytest.mark.parametrize(
    "changes",
    [{}, {"n_layers": 1}, {"n_layers": 3}, {"n_highway": 0}, {"activation": "tanh"}, {"dim": 6}],
    ids=str,
)
def test_a_training_checkpoint_is_its_dump(tmp_path, changes):
    opts, arrays, true = twins(tmp_path, n_characters=261, **changes)
    directory = foreign_checkpoints.write_training_checkpoint(tmp_path / "training", opts, arrays)
    np.testing.assert_array_equal(vectors(directory), true)
    np.testing.assert_array_equal(vectors(directory / "model.ckpt-7"), true)
    np.testing.assert_array_equal(vectors(directory / "model.ckpt-7.index"), true)


def test_the_newest_of_several_checkpoints(tmp_path):
    opts, arrays, true = twins(tmp_path)
    directory = tmp_path / "training"
    other = {name: array + 1 for name, array in arrays.items()}
    foreign_checkpoints.write_training_checkpoint(directory, opts, other, name="model.ckpt-100")
    foreign_checkpoints.write_training_checkpoint(directory, opts, arrays, name="model.ckpt-7")
    np.testing.assert_array_equal(vectors(directory), true)
    # TensorFlow's note may name a path of the author's machine.
    note = 'model_checkpoint_path: "/home/author/model.ckpt-7"\n'
    (directory / "checkpoint").write_text(note)
    np.testing.assert_array_equal(vectors(directory), true)
    (directory / "checkpoint").unlink()
    with pytest.raises(ValueError, match="several checkpoints: model.ckpt-100, model.ckpt-7"):
        vectors(directory)


def test_a_model_of_words(tmp_path):
    words, _ = foreign_checkpoints.words_and_softmax(6)
    opts, arrays = foreign_checkpoints.word_level(small_models.options(), words)
    small_models.write_checkpoint(tmp_path / "twin", opts, arrays)
    directory = foreign_checkpoints.write_training_checkpoint(tmp_path / "training", opts, arrays)
    for path in (tmp_path / "twin", directory):
        (path / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    tokens = [["the", "cat", "."], ["dog"]]
    true = vectors(tmp_path / "twin", tokens)
    np.testing.assert_array_equal(vectors(directory, tokens), true)


def test_one_direction_is_not_enough(tmp_path):
    opts = small_models.options()
    arrays = {
        name.replace("RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell/W_0", "rnn/multi_rnn_cell/x"): array
        for name, array in small_models.datasets(opts).items()
        if not name.startswith("RNN_1")
    }
    directory = foreign_checkpoints.write_training_checkpoint(tmp_path, opts, arrays)
    with pytest.raises(ValueError, match="one direction alone"):
        vectors(directory)


def test_the_softmax_is_kept(tmp_path):
    opts, arrays, _ = twins(tmp_path)
    words, softmax = foreign_checkpoints.words_and_softmax(6)
    directory = foreign_checkpoints.write_training_checkpoint(tmp_path / "t", opts, arrays, softmax)
    kernel, bias, vocabulary = presets.load_softmax(directory)
    np.testing.assert_array_equal(kernel, softmax[0])
    np.testing.assert_array_equal(bias, softmax[1])
    assert vocabulary is None
    (directory / "vocab-2016-09-10.txt").write_text("\n".join([*words, "!!!MAXTERMID"]))
    assert presets.load_softmax(directory).vocabulary == words
    (directory / "short.txt").write_text("a\nb\n")
    with pytest.raises(ValueError, match="and 2 words in .*short.txt"):
        presets.load_softmax(directory, vocabulary=directory / "short.txt")


def test_a_shared_softmax_is_the_embedding(tmp_path):
    words, softmax = foreign_checkpoints.words_and_softmax(6)
    opts, arrays = foreign_checkpoints.word_level(small_models.options(), words)
    variables = arrays | {"softmax/b": softmax[1]}
    directory = foreign_checkpoints.write_training_checkpoint(tmp_path, opts, variables)
    kernel, bias, _ = presets.load_softmax(directory)
    np.testing.assert_array_equal(kernel, arrays["embedding"])
    np.testing.assert_array_equal(bias, softmax[1])
    vectors(directory, np.array([[4, 5]]))


def test_no_softmax(tmp_path):
    opts, arrays, _ = twins(tmp_path)
    directory = foreign_checkpoints.write_training_checkpoint(tmp_path / "t", opts, arrays)
    for source in (directory, tmp_path / "twin", tmp_path / "twin" / "weights.hdf5"):
        with pytest.raises(ValueError, match="which holds none"):
            presets.load_softmax(source)


HUB = {"aggregation/weights": [0.3, -0.2, 0.7], "aggregation/scaling": 1.7}
DEEPPAVLOV = {
    "aggregation/elmo_output_ELMo_W": [0.3, -0.2, 0.7],
    "aggregation/elmo_output_ELMo_gamma": [1.7],
}


@pytest.mark.parametrize("prefix", ["module/", ""])
@pytest.mark.parametrize("mix", [HUB, DEEPPAVLOV], ids=["hub", "deeppavlov"])
def test_a_hub_module_with_its_mix(tmp_path, mix, prefix):
    opts, arrays, layers = twins(tmp_path)
    mix = {key: np.array(value, "float32") for key, value in mix.items()}
    directory = foreign_checkpoints.write_hub_module(tmp_path / "hub", arrays, mix, prefix)
    np.testing.assert_array_equal(vectors(directory), layers)
    elmo = elmo_keras.ElmoLayer.from_preset(directory)
    weights = np.exp([0.3, -0.2, 0.7])
    weights /= weights.sum()
    true = 1.7 * np.einsum("l,btld->btd", weights, layers[:, 1:-1])
    x = small_models.ids()
    for got, wanted, row in zip(to_numpy(elmo(x)), true, x):
        length = row.any(-1).sum()  # behind it, `true` has the end of the sentence
        np.testing.assert_allclose(got[:length], wanted[:length], atol=5e-6)
    # The module's `default`: the mean over the tokens.
    pooled = elmo_keras.layers.MaskedMeanPooling()(elmo(x))
    means = [row[: ids.any(-1).sum()].mean(0) for row, ids in zip(true, x) if ids.any()]
    got = [row for row, ids in zip(to_numpy(pooled), x) if ids.any()]
    np.testing.assert_allclose(got, means, atol=5e-6)


def test_a_hub_module_of_another_kind(tmp_path):
    foreign_checkpoints.write_variables(
        tmp_path / "variables" / "variables", {"embeddings": np.ones((3, 4))}
    )
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ValueError, match="must hold the variables of an ELMo module"):
        vectors(tmp_path)


def test_a_mix_that_does_not_fit(tmp_path):
    _, arrays, _ = twins(tmp_path)
    mix = {"aggregation/weights": np.ones(4, "float32"), "aggregation/scaling": np.float32(1)}
    directory = foreign_checkpoints.write_hub_module(tmp_path / "hub", arrays, mix)
    with pytest.raises(ValueError, match=r"aggregation/weights must be \(3,\), is \(4,\)"):
        vectors(directory)


def test_our_own_saved_model_is_no_hub_module(tmp_path):
    import keras

    inputs = keras.Input((None, 50), dtype="int32")
    keras.Model(inputs, small_models.elmo()(inputs)).export(tmp_path / "served", verbose=False)
    with pytest.raises(ValueError, match="A SavedModel of this package is for serving"):
        vectors(tmp_path / "served")


def test_variables_that_do_not_fit_the_options(tmp_path):
    opts, arrays, _ = twins(tmp_path)
    directory = foreign_checkpoints.write_training_checkpoint(tmp_path / "t", opts, arrays)
    (directory / "options.json").write_text(json.dumps(small_models.options(dim=17)))
    with pytest.raises(ValueError, match="wrong shape: .*belong to the same model|wrong shape"):
        vectors(directory)


@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
@pytest.mark.parametrize("share", np.linspace(0, 0.99, 20))
def test_a_checkpoint_cut_short(tmp_path_factory, checkpoint, part, share):
    directory = tmp_path_factory.mktemp("cut")
    for path in checkpoint.iterdir():
        shutil.copy(path, directory)
    path = directory / f"model.ckpt-7.{part}"
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(ValueError, match="model.ckpt-7"):
        vectors(directory)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    opts = small_models.options()
    directory = tmp_path_factory.mktemp("training")
    return foreign_checkpoints.write_training_checkpoint(
        directory, opts, small_models.datasets(opts)
    )
