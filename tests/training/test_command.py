"""The commands of pretraining: from text to a model, its adaptation, and their errors."""

import pathlib

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import elmo_keras
from elmo_keras import BidirectionalLanguageModel, training
from elmo_keras.training import command
from elmo_keras_cli.app import app
from tests import small_models
from tests.training import small_run

# `make test-pretraining` runs them.
pytestmark = pytest.mark.slow

SMALL = ["--units", "16", "--projection", "6", "--filters", "2x4", "--batch-size", "4"]
SMALL += ["--window", "5", "--log-every", "10"]


def call(*arguments, code=0):
    """The output of a command, in one line. It leaves TensorFlow's threads to the other tests."""
    environment = {"TF_NUM_INTRAOP_THREADS": "0"}
    result = CliRunner().invoke(app, list(map(str, arguments)), env=environment)
    output = " ".join((result.output + (result.stderr or "")).split())
    assert result.exit_code == code, output
    return output


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Two files of text, each line of two sentences."""
    folder = tmp_path_factory.mktemp("text")
    corpus = small_run.write_corpus(folder / "corpus")
    lines = [" ".join(tokens) for tokens in corpus]
    for number in range(2):
        pairs = zip(lines[number::4], lines[number + 2 :: 4])
        content = "".join(f"{one.capitalize()}. {other.capitalize()}!\n" for one, other in pairs)
        (folder / f"{number}.txt").write_text(content)
    return folder


@pytest.fixture(scope="module")
def pretrained(text, tmp_path_factory):
    """A run of the command on that text."""
    run = tmp_path_factory.mktemp("run")
    output = call(
        *["pretrain", f"{text}/*.txt", "--output", run, "--split-sentences", "--tokens", 800],
        *["--words", 30, "--negatives", 10, "--validation", text / "1.txt", *SMALL],
    )
    return run, output


def test_pretrain(text, pretrained):
    run, output = pretrained
    assert "vocabulary of 30 words" in output and "M weights" in output
    assert "step 40/40 800 tokens" in output and "tokens/s" in output
    assert "validation perplexity" in output and "preset" in output
    again = ["pretrain", f"{text}/*.txt", "--output", run, "--split-sentences", "--tokens", 800]
    assert "after step 40" in call(*again, "--negatives", 10, *SMALL)
    model = BidirectionalLanguageModel.from_preset(run / "preset")
    assert model.tokenizer.method == "words"
    held_out = list(training.Corpus(text / "1.txt", split_sentences=True))
    expected = model.perplexity(held_out)
    output = call("evaluate", run / "preset", text / "1.txt", "--split-sentences")
    assert f"perplexity {expected.mean:,.3f}: {expected.forward:,.3f} forward" in output


def test_evaluate_of_an_empty_text(pretrained, tmp_path):
    (tmp_path / "empty").write_text("\n \n")
    error = call("evaluate", pretrained[0] / "preset", tmp_path / "empty", code=1)
    assert f"no token in {tmp_path}/empty" in error


def test_epochs(text, tmp_path):
    """Half a pass is half of the words and sentence ends."""
    folder = tmp_path / "run"
    call("pretrain", text / "0.txt", "--output", folder, "--epochs", 0.5, "--negatives", 99, *SMALL)
    corpus = training.Corpus(text / "0.txt")
    tokens = sum(len(sentence) + 1 for sentence in corpus)
    last = (folder / "log.jsonl").read_text().splitlines()[-1]
    assert f'"step": {-(-round(tokens / 2) // 20)},' in last


def test_tokenized_text_is_the_same_corpus(text, tmp_path):
    call("tokenize", f"{text}/*.txt", "--output", tmp_path / "tokens", "--split-sentences")
    assert list(training.Corpus(tmp_path / "tokens", "whitespace")) == list(
        training.Corpus(f"{text}/*.txt", split_sentences=True)
    )
    output = call(
        *["vocabulary", tmp_path / "tokens", "--tokenizer", "whitespace", "--size", 20],
        *["--output", tmp_path / "words.txt"],
    )
    assert "vocabulary of 20 words" in output and "at 50" in output and "GiB" in output
    words = (tmp_path / "words.txt").read_text().splitlines()
    assert words[:3] == ["<S>", "</S>", "<UNK>"] and len(words) == 20


def test_adapting_keeps_the_softmax_it_finds(text, pretrained, tmp_path):
    run, _ = pretrained
    before = BidirectionalLanguageModel.from_preset(run / "preset")
    common = [text / "0.txt", "--split-sentences", "--tokens", 20, "--learning-rate", 1e-9]
    common += ["--negatives", 10, *SMALL]
    call("pretrain", *common, "--from", run / "preset", "--output", tmp_path / "own")
    after = BidirectionalLanguageModel.from_preset(tmp_path / "own/preset")
    sentences = list(training.Corpus(text / "1.txt", split_sentences=True))
    np.testing.assert_allclose(after.score(sentences), before.score(sentences), rtol=1e-4)

    # HDF5 has no softmax: a new one is made for the words that are named.
    small_models.write_checkpoint(
        tmp_path / "hdf5", small_models.options(), small_models.datasets(small_models.options())
    )
    given = ["--from", tmp_path / "hdf5", "--vocabulary", run / "vocabulary.txt"]
    call("pretrain", *common, *given, "--output", tmp_path / "fresh")
    fresh = BidirectionalLanguageModel.from_preset(tmp_path / "fresh/preset")
    assert fresh.vocabulary == before.vocabulary
    given = elmo_keras.ElmoLayer.from_preset(tmp_path / "hdf5", output="top")
    tuned = elmo_keras.ElmoLayer.from_preset(tmp_path / "fresh/preset", output="top")
    np.testing.assert_allclose(tuned([["w1"]]), given([["w1"]]), atol=1e-4)
    error = call("pretrain", *common, "--from", tmp_path / "hdf5", "--output", "x", code=1)
    assert "must hold a softmax" in error


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["absent.txt"], "`files` must be a file"),
        (["{text}/0.txt", "--size", "huge"], "`size` must be one of mini, small"),
        (["{text}/0.txt", "--filters", "3by4"], "`filters` must be pairs of a width and a count"),
        (["{text}/0.txt", "--strategy", "magic"], "`strategy` must be one of"),
        (["{text}/0.txt", "--dropout", "1.5"], "`dropout` must be a number"),
        (["{text}/0.txt", "--epochs", "0"], "`epochs` must be positive"),
        (["{text}/0.txt", "--vocabulary", "{text}/0.txt"], "must hold <S>, </S>, <UNK>"),
        (["{text}/0.txt", "--tokenizer", "spaces"], "`method` must be one of"),
        (["{empty}"], "no token in"),
    ],
    ids=[
        "files",
        "size",
        "filters",
        "strategy",
        "dropout",
        "epochs",
        "vocabulary",
        "tokenizer",
        "empty corpus",
    ],
)
def test_bad_arguments(text, tmp_path, arguments, message):
    (tmp_path / "empty").write_text("")
    places = {"text": text, "empty": tmp_path / "empty"}
    arguments = [argument.format(**places) for argument in arguments]
    tokens = [] if "--epochs" in arguments else ["--tokens", 20]
    arguments = [*SMALL, "--output", tmp_path / "run", *tokens, *arguments]
    error = call("pretrain", *arguments, code=1)
    assert "Error: " in error and message in error
    assert not (tmp_path / "run" / "checkpoint.h5").exists()


def test_an_empty_validation_text_is_no_error(text, tmp_path):
    (tmp_path / "empty").write_text("")
    arguments = [text / "0.txt", "--tokens", 20, "--validation", tmp_path / "empty", *SMALL]
    call("pretrain", *arguments, "--output", tmp_path / "run")


def test_undecodable_bytes_are_reported(text, tmp_path):
    (tmp_path / "text").write_bytes(b"a word\nsome \xff\xfe bytes\n" * 9)
    output = call(
        "pretrain", tmp_path / "text", "--output", tmp_path / "run", "--tokens", 20, *SMALL
    )
    assert "bytes are not UTF-8" in output


def test_threads_are_left_alone_where_they_were_set(monkeypatch):
    keras.ops.ones(1)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    command.set_thread_counts()
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    command.set_thread_counts()  # TensorFlow has begun: no error
    assert pathlib.Path(command.__file__).is_file()
