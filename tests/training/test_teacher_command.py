"""The commands of teachers: `teach`, `pretrain --teacher`, and the errors of their arguments."""

import pytest
from typer.testing import CliRunner

import elmo_keras
from elmo_keras import training
from elmo_keras.training import teacher_command
from elmo_keras_cli.app import app
from tests import small_models
from tests.training import small_run, small_transformer
from tests.training.small_teacher import write_shards

SMALL = ["--units", "16", "--projection", "6", "--filters", "2x4", "--batch-size", "4"]
SMALL += ["--window", "5", "--log-every", "10", "--tokenizer", "whitespace"]


def call(*arguments, code=0):
    """The output of a command, in one line."""
    environment = {"TF_NUM_INTRAOP_THREADS": "0"}
    result = CliRunner().invoke(app, list(map(str, arguments)), env=environment)
    output = " ".join((result.output + (result.stderr or "")).split())
    assert result.exit_code == code, output
    return output


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return small_run.write_corpus(tmp_path_factory.mktemp("corpus") / "text")


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preset")
    elmo = small_models.elmo(tokenizer="whitespace")
    elmo.build((None, None, 50))
    elmo.save_to_preset(folder)
    return folder


def test_an_elmo_model_is_loaded(preset):
    teacher = teacher_command.load_teacher(preset, [1])
    assert isinstance(teacher, training.ElmoTeacher) and teacher.layers == [1]


def test_a_transformer_is_loaded(tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra `teacher` is not installed")
    pytest.importorskip("onnx", reason="the test writes an ONNX model")
    small_transformer.write(tmp_path)
    assert isinstance(teacher_command.load_teacher(tmp_path), training.TransformerTeacher)
    with pytest.raises(ValueError, match="must be left out for a transformer"):
        teacher_command.load_teacher(tmp_path, [1])
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="without tokenizer.json"):
        teacher_command.load_teacher(tmp_path)


def test_targets_are_opened(corpus, tmp_path):
    written = write_shards(corpus, tmp_path / "targets")
    lines = []
    opened = teacher_command.teacher_source(tmp_path / "targets", corpus, tmp_path, lines.append)
    assert opened.digest == written.digest
    assert "240 sentences" in lines[0]


def test_the_projection_of_a_live_teacher_is_kept(corpus, preset, tmp_path):
    first = teacher_command.teacher_source(preset, corpus, tmp_path / "run")
    assert isinstance(first, training.LiveTeacher)
    path = tmp_path / "run" / teacher_command.PROJECTION
    stored = path.read_bytes()
    again = teacher_command.teacher_source(preset, corpus, tmp_path / "run")
    assert again.projection.digest == first.projection.digest and path.read_bytes() == stored
    layer = small_models.elmo(tokenizer="whitespace")
    layer.build((None, None, 50))
    layer.save_to_preset(tmp_path / "another")
    with pytest.raises(ValueError, match="teacher_projection.npz was fitted to"):
        teacher_command.teacher_source(tmp_path / "another", corpus, tmp_path / "run")


def test_several_workers_need_targets(corpus, preset, tmp_path):
    with pytest.raises(ValueError, match="a directory of targets with strategy='multi_worker'"):
        teacher_command.teacher_source(preset, corpus, tmp_path, strategy="multi_worker")


def test_a_teacher_that_is_absent_leaves_no_run(corpus, tmp_path):
    output = call(
        *["pretrain", corpus.files[0], "--output", tmp_path / "run", "--teacher", tmp_path],
        *SMALL,
        code=1,
    )
    assert str(tmp_path) in output and "Traceback" not in output
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("is_live", [False, True])
def test_teach_and_pretrain(corpus, preset, tmp_path, is_live):
    teacher = preset
    if not is_live:
        teacher = tmp_path / "targets"
        arguments = ["teach", *corpus.files, "--teacher", preset, "--output", teacher]
        arguments += ["--tokenizer", "whitespace", "--components", 5, "--layers", 2]
        output = call(*arguments)
        assert "5 principal components of 12 values" in output and "240 sentences" in output
        assert f"Wrote {teacher}" in output.replace("\n", "")
    arguments = ["pretrain", *corpus.files, "--output", tmp_path / "run", *SMALL]
    arguments += ["--negatives", 10, "--teacher", teacher, "--teacher-weight", 3]
    output = call(*arguments, "--tokens", 400)
    assert "teacher error" in output
    assert "Resumes the run" in call(*arguments, "--tokens", 800)
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path / "run/preset")
    assert elmo([["w1"]]).shape == (1, 1, 12)
