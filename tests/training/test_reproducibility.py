"""A run is reproducible to the bit: from the seed of the command, and after a kill."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import BidirectionalLanguageModel, backend, training
from elmo_keras.training import command, run_checkpoint
from elmo_keras.training.model_sizes import MODEL_SIZES
from tests import small_models
from tests.fresh_process import ROOT
from tests.training import small_run
from tests.training.small_run import equal, kill_after, log_of, weights_of

SIZE = MODEL_SIZES["mini"]._replace(units=16, projection_dim=6, filters=((2, 4),))


def initial_weights(monkeypatch, folder, seed, **options):
    """The weights that the command starts from; the global seed differs from call to call."""
    keras.utils.set_random_seed(len(str(folder)) + 17)
    keras.random.uniform((1,))
    corpus = small_run.write_corpus(folder / "corpus")
    monkeypatch.setattr(command, "pretrain", lambda model, *_, **__: model)
    model = command.pretrain_from_text(
        corpus, folder / "run", SIZE, tokens=10, options={"seed": seed}, **options
    )
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def test_initial_weights_follow_the_seed(monkeypatch, tmp_path):
    first = initial_weights(monkeypatch, tmp_path / "a", 0)
    assert equal(first, initial_weights(monkeypatch, tmp_path / "another", 0))
    other = initial_weights(monkeypatch, tmp_path / "b", 1)
    matrices = [pair for pair in zip(first, other, strict=True) if pair[0].ndim > 1]
    assert len(matrices) > 10  # Biases start at constants.
    assert not any(np.array_equal(*pair) for pair in matrices)
    initial_weights(monkeypatch, tmp_path / "c", 2**40)  # larger than numpy's seeds


def test_a_new_softmax_follows_the_seed(monkeypatch, tmp_path):
    options = small_models.options()
    source = small_models.write_checkpoint(
        tmp_path / "source", options, small_models.datasets(options)
    )
    (tmp_path / "words").write_text("<S>\n</S>\n<UNK>\nw1\nw2\n")
    given = {"source": source, "vocabulary": tmp_path / "words"}
    first = initial_weights(monkeypatch, tmp_path / "a", 0, **given)
    assert equal(first, initial_weights(monkeypatch, tmp_path / "another", 0, **given))
    other = initial_weights(monkeypatch, tmp_path / "b", 1, **given)
    different = [one.shape for one, two in zip(first, other) if not np.array_equal(one, two)]
    assert different == [(5, 6)]  # The rest is the checkpoint's.


def pretrain_in_python(folder, seed):
    """A run of 6 steps of a model whose weights depend on `seed`, without regular checkpoints."""
    corpus = small_run.write_corpus(folder / "corpus")
    words, _ = training.build_vocabulary(corpus)
    keras.utils.set_random_seed(seed)
    model = BidirectionalLanguageModel(small_run.make_elmo(), words.tokens)
    settings = {"log_every": 1, "checkpoint_every": 1000}
    return training.pretrain(model, corpus, folder / "run", small_run.make_options(6), **settings)


def dying_after(number):
    """`backend.training_step` whose step raises an error after `number` steps."""
    usual = backend.training_step

    def training_step(*arguments):
        step, taken = usual(*arguments), []

        def take(batch, states):
            if len(taken) == number:
                raise RuntimeError("killed")
            taken.append(batch)
            return step(batch, states)

        return take

    return training_step


@pytest.mark.parametrize("steps", [0, 3])
def test_a_run_that_is_killed_before_its_first_checkpoint(tmp_path, monkeypatch, steps):
    """The resumed run has the random weights of the killed one."""
    whole = pretrain_in_python(tmp_path / "whole", seed=1)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="killed"):
        patch.setattr(backend, "training_step", dying_after(steps))
        pretrain_in_python(tmp_path / "parts", seed=1)
    assert run_checkpoint.load(tmp_path / "parts/run").state["step"] == 0
    resumed = pretrain_in_python(tmp_path / "parts", seed=2)
    assert equal(weights_of(resumed), weights_of(whole))
    assert log_of(tmp_path / "parts") == log_of(tmp_path / "whole")


def test_an_option_without_effect_on_shapes_is_refused(tmp_path):
    """A run is not resumed with another option of the LSTMs."""
    corpus = small_run.write_corpus(tmp_path / "corpus")
    words, _ = training.build_vocabulary(corpus)

    def pretrain(**options):
        elmo = elmo_keras.ElmoLayer(
            small_models.char_cnn(), small_models.bilstm(num_layers=1, **options)
        )
        model = BidirectionalLanguageModel(elmo, words.tokens)
        training.pretrain(model, corpus, tmp_path / "run", small_run.make_options(2))

    pretrain()
    with pytest.raises(ValueError, match="bilstm was 'BiLSTMStack, sha1"):
        pretrain(cell_clip=1.0)


def start(folder, *options):
    """`elmo-keras pretrain` in a process of its own, with two threads."""
    threads = {"TF_NUM_INTRAOP_THREADS": "2", "TF_NUM_INTEROP_THREADS": "2"}
    arguments = [
        *["pretrain", folder.parent / "corpus", "--tokenizer", "whitespace", "--output"],
        *[folder / "run", "--tokens", 60 * 20, "--units", 64, "--projection", 16, "--filters"],
        *["2x32,3x32", "--batch-size", 4, "--window", 5, "--negatives", 16, "--log-every", 1],
        *["--validate-every", 0, *options],
    ]
    return subprocess.Popen(
        [sys.executable, "-m", "elmo_keras_cli", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **threads},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(process, folder):
    """All arrays of the checkpoint that a run ends with."""
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    checkpoint = run_checkpoint.load(folder / "run")
    assert checkpoint.state["step"] == 60
    return checkpoint.arrays


def check_equal(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "adagrad"])
def test_one_command_three_times(tmp_path, optimizer):
    """The third run is killed before its first regular checkpoint."""
    small_run.write_corpus(tmp_path / "corpus", sentences=1000)
    folders = [tmp_path / name for name in ("first", "second", "killed")]
    options = ["--optimizer", optimizer, "--checkpoint-every", 100]
    first, second = (finish(start(folder, *options), folder) for folder in folders[:2])
    check_equal(first, second)
    killed = folders[2]
    assert kill_after(start(killed, *options), killed, 5, 0.0)
    assert run_checkpoint.load(killed / "run").state["step"] == 0
    check_equal(first, finish(start(killed, *options), killed))
    assert log_of(killed) == log_of(folders[0])
    seeded = tmp_path / "seeded"
    other = finish(start(seeded, *options, "--seed", 1), seeded)
    assert not np.array_equal(other["weights/softmax/kernel"], first["weights/softmax/kernel"])
