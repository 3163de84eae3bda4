"""A BERT model in safetensors: equal to Hugging Face's transformers; unusable files are named."""

import json
import shutil

import numpy as np
import pytest

from elmo_keras import training
from elmo_keras.training.bert_model import BertModel
from tests.training import small_transformer

pytest.importorskip("safetensors", reason="the extra `teacher` is not installed")


@pytest.fixture
def folder(data, tmp_path):
    """A copy of the model that the test may damage."""
    return shutil.copytree(data / "bert", tmp_path / "bert")


def test_vectors_equal_those_of_transformers(data):
    """tests/data/bert holds the vectors that transformers 5.24 computes with torch 2.13."""
    model = BertModel(data / "bert")
    with np.load(data / "bert/expected.npz") as expected:
        actual = model(expected["ids"], expected["mask"])
        is_piece = expected["mask"] > 0
        np.testing.assert_allclose(actual[is_piece], expected["vectors"][is_piece], atol=2e-6)


def test_padding_does_not_change_the_vectors(data):
    model = BertModel(data / "bert")
    ids = np.array([[2, 9, 10, 3]])
    alone = model(ids, np.ones_like(ids))
    padded = model(np.pad(ids, [(0, 0), (0, 5)]), np.pad(np.ones_like(ids), [(0, 0), (0, 5)]))
    np.testing.assert_allclose(alone, padded[:, :4], atol=2e-6)


def test_a_folder_in_safetensors_is_a_teacher(folder, tmp_path):
    pytest.importorskip("onnx", reason="the test writes the tokenizer beside an ONNX model")
    small_transformer.write(tmp_path / "small")
    shutil.copy(tmp_path / "small/tokenizer.json", folder)
    teacher = training.TransformerTeacher(folder)
    assert teacher.max_pieces == 16
    vectors, has_target = teacher.targets([["The", "cats", "\u200b"]])
    model = BertModel(folder)
    ids = np.array([[2, 4, 5, 6, 3]])
    expected = model(ids, np.ones_like(ids))[0]
    np.testing.assert_allclose(vectors[0], expected[1], atol=2e-6)
    np.testing.assert_allclose(vectors[1], expected[2:4].mean(axis=0), atol=2e-6)
    assert has_target.tolist() == [True, True, False]


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "roberta"},
        {"hidden_act": "relu"},
        {"position_embedding_type": "relative_key"},
        {"num_attention_heads": 3},
        {"hidden_size": None},
    ],
)
def test_another_architecture_is_refused(folder, change):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match="must describe a BERT model.*optimum-cli"):
        BertModel(folder)


def test_a_folder_without_a_config_is_refused(folder):
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match="must also hold config.json"):
        BertModel(folder)


def test_a_truncated_file_is_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="must be a safetensors file"):
        BertModel(folder)


def test_weights_must_be_there_and_finite(folder):
    from safetensors import numpy as safetensors

    path = folder / "model.safetensors"
    weights = safetensors.load_file(path)
    name = "encoder.layer.1.output.dense.bias"
    safetensors.save_file({key: weights[key] for key in weights if key != name}, path)
    with pytest.raises(ValueError, match=f"without \\['{name}'\\]"):
        BertModel(folder)
    safetensors.save_file(weights | {name: weights[name] * np.float32("nan")}, path)
    with pytest.raises(ValueError, match=f"NaN or infinity in {name}"):
        BertModel(folder)


def test_weights_with_the_prefix_of_a_task_model(folder):
    from safetensors import numpy as safetensors

    path = folder / "model.safetensors"
    ids = np.array([[2, 4, 5, 3]])
    before = BertModel(folder)(ids, np.ones_like(ids))
    weights = safetensors.load_file(path)
    safetensors.save_file({f"bert.{name}": array for name, array in weights.items()}, path)
    np.testing.assert_array_equal(BertModel(folder)(ids, np.ones_like(ids)), before)
