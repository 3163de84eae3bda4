"""A transformer as the teacher: its vectors are aligned with tokens; unusable folders are named."""

import json
import sys

import numpy as np
import pytest

from elmo_keras import training
from tests.training import small_transformer
from tests.training.small_transformer import expected

pytest.importorskip("onnxruntime", reason="the extra `teacher` is not installed")
pytest.importorskip("onnx", reason="the test writes an ONNX model")


@pytest.fixture
def folder(tmp_path):
    return small_transformer.write(tmp_path / "small")


def test_the_vector_of_a_token_is_the_mean_of_its_pieces(folder):
    sentences = [["The", "cats", "sat"], ["mat", "."]]
    vectors, has_target = training.TransformerTeacher(folder).targets(sentences)
    rows = [(["the"], 6), (["cat", "##s"], 6), (["sat"], 6), (["mat"], 4), (["."], 4)]
    np.testing.assert_allclose(vectors, [expected(*row) for row in rows], rtol=1e-5)
    assert has_target.all()


def test_a_token_without_pieces_has_no_target(folder):
    sentences = [["cat", "\u200b", "sat"], ["\u200b"]]
    vectors, has_target = training.TransformerTeacher(folder).targets(sentences)
    assert has_target.tolist() == [True, False, True, False]
    np.testing.assert_allclose(vectors[2], expected(["sat"], 4), rtol=1e-5)


def test_tokens_of_a_byte_tokenizer_are_words_of_their_own(folder):
    """RoBERTa's tokenizers put no space before a token unless they are told to."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    numbers = {piece: number for number, piece in enumerate(["[UNK]", "Ġcat", "Ġsat", "cat"])}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    vectors, has_target = training.TransformerTeacher(folder).targets([["cat", "sat"]])
    np.testing.assert_allclose(vectors, small_transformer.VECTORS[[1, 2]] * 2, rtol=1e-5)
    assert has_target.all()


def test_tokens_after_the_limit_have_no_target(folder):
    teacher = training.TransformerTeacher(folder, max_pieces=4)
    vectors, has_target = teacher.targets([["cats", "sat", "on"], ["cat"]])
    assert has_target.tolist() == [True, False, False, True]
    np.testing.assert_allclose(vectors[0], expected(["cat", "##s"], 4), rtol=1e-5)


def test_the_limit_is_read_from_the_folder(folder):
    assert training.TransformerTeacher(folder).max_pieces == 512
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 128}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 64}))
    assert training.TransformerTeacher(folder).max_pieces == 64


def test_batches_do_not_change_the_vectors(folder):
    random = np.random.default_rng(0)
    words = ["the", "cats", "sat", "on", "mat", "."]
    sentences = [list(random.choice(words, random.integers(1, 9))) for _ in range(40)]
    whole, _ = training.TransformerTeacher(folder, max_batch_pieces=10_000).targets(sentences)
    small, _ = training.TransformerTeacher(folder, max_batch_pieces=1).targets(sentences)
    np.testing.assert_allclose(whole, small, rtol=1e-5)


@pytest.mark.parametrize("name", ["onnx/model.onnx", "model_quantized.onnx", "other.onnx"])
def test_the_model_is_found(tmp_path, name):
    small_transformer.write(tmp_path, name)
    assert len(training.TransformerTeacher(tmp_path).targets([["cat"]]).vectors) == 1


def test_several_unknown_models_are_refused(tmp_path):
    for name in ("one.onnx", "two.onnx"):
        small_transformer.write(tmp_path, name)
    with pytest.raises(ValueError, match="one ONNX model. Received: .*one.onnx.*two.onnx"):
        training.TransformerTeacher(tmp_path)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_folder_without_a_file_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"without {name}"):
        training.TransformerTeacher(folder)


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="without model.onnx or model.safetensors and tokenizer.json"
    ):
        training.TransformerTeacher(tmp_path / "absent")


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_truncated_file_is_refused(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=f"{name} must be"):
        training.TransformerTeacher(folder)


def test_a_model_of_other_inputs_is_refused(tmp_path):
    small_transformer.write(tmp_path, inputs=("input_ids", "attention_mask", "pixels"))
    with pytest.raises(ValueError, match="Received: inputs .*pixels"):
        training.TransformerTeacher(tmp_path)


@pytest.mark.parametrize("name", ["onnxruntime", "tokenizers"])
def test_a_missing_extra_is_named(folder, name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install elmo_keras\[teacher\]"):
        training.TransformerTeacher(folder)
