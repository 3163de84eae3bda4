"""A BERT model in safetensors, run by Keras."""

import pathlib
from typing import Any

import keras
import numpy as np
from keras import ops

from elmo_keras import backend
from elmo_keras.files import safe_json
from elmo_keras.training.onnx_model import ADVICE
from elmo_keras.utils.optional_module import OptionalModule

safetensors = OptionalModule("safetensors.numpy", ADVICE)

CONFIG, WEIGHTS = "config.json", "model.safetensors"
_EMBEDDINGS = (
    "embeddings.word_embeddings.weight",
    "embeddings.position_embeddings.weight",
    "embeddings.token_type_embeddings.weight",
)
_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads")


class BertModel:
    """A function from word pieces to the vectors of the last layer of a BERT model.

    MiniLM, BGE, GTE and E5 are models of this kind. Others can be exported to ONNX.

    Args:
        folder: path of a folder with `config.json` and `model.safetensors`.

    Raises:
        ValueError: if a file is missing or damaged, or if the model is not BERT.
        ImportError: if safetensors is not installed.

    References:
        - [Devlin et al., 2019](https://arxiv.org/abs/1810.04805)
        - Hugging Face's names of weights, `BertModel`
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._config = _read_config(folder / CONFIG)
        self._weights = _read_weights(folder / WEIGHTS, self._config)
        self._call = backend.graph(self._vectors)

    def __call__(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Computes the vectors; see `OnnxModel`."""
        vectors = self._call(
            ops.convert_to_tensor(ids, "int32"), ops.convert_to_tensor(mask, "float32")
        )
        return ops.convert_to_numpy(vectors)

    def _vectors(self, ids: Any, mask: Any) -> Any:
        words, positions, types = (self._weights[name] for name in _EMBEDDINGS)
        x = ops.take(words, ids, axis=0) + positions[: ops.shape(ids)[1]] + types[0]
        x = self._normalize(x, "embeddings.LayerNorm")  # (batch, pieces, dim)
        bias = (mask[:, None, None, :] - 1) * 1e9  # (batch, 1, 1, pieces)
        for layer in range(self._config["num_hidden_layers"]):
            name = f"encoder.layer.{layer}"
            attended = self._attend(x, bias, f"{name}.attention.self")
            attended = self._dense(attended, f"{name}.attention.output.dense")
            x = self._normalize(x + attended, f"{name}.attention.output.LayerNorm")
            inner = ops.gelu(self._dense(x, f"{name}.intermediate.dense"), approximate=False)
            x = self._normalize(
                x + self._dense(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm"
            )
        return x

    def _attend(self, x: Any, bias: Any, name: str) -> Any:
        """Computes self-attention, before its output projection."""
        heads = self._config["num_attention_heads"]
        batch, pieces, dim = ops.shape(x)[0], ops.shape(x)[1], x.shape[2]
        query, key, value = (
            ops.transpose(
                ops.reshape(self._dense(x, f"{name}.{part}"), (batch, pieces, heads, dim // heads)),
                (0, 2, 1, 3),
            )
            for part in ("query", "key", "value")
        )  # each (batch, heads, pieces, dim / heads)
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) / (dim // heads) ** 0.5
        y = ops.matmul(ops.softmax(scores + bias, axis=-1), value)
        return ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (batch, pieces, dim))

    def _dense(self, x: Any, name: str) -> Any:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return ops.matmul(x, ops.transpose(weight)) + bias  # PyTorch stores (out, in).

    def _normalize(self, x: Any, name: str) -> Any:
        mean = ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
        x = (x - mean) / ops.sqrt(variance + self._config.get("layer_norm_eps", 1e-12))
        return x * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _read_config(path: pathlib.Path) -> dict[str, Any]:
    if not path.is_file():
        raise ValueError(
            f"A folder with {WEIGHTS} must also hold {CONFIG}. Received: {str(path.parent)!r} "
            "without it. Save the model again, or export it to ONNX."
        )
    config = safe_json.load(path, "a BERT model")
    found = config if isinstance(config, dict) else {}
    is_bert = found.get("model_type") == "bert" and found.get("hidden_act", "gelu") == "gelu"
    is_bert = is_bert and found.get("position_embedding_type", "absolute") == "absolute"
    is_bert = is_bert and all(isinstance(found.get(size), int) for size in _SIZES)
    if not is_bert or found["hidden_size"] % found["num_attention_heads"]:
        raise ValueError(
            f"{path} must describe a BERT model with absolute positions and gelu. Received: "
            f"model_type={found.get('model_type')!r}, hidden_act={found.get('hidden_act')!r}. "
            "Export other models to ONNX, for example with `optimum-cli export onnx`."
        )
    return found


def _read_weights(path: pathlib.Path, config: dict[str, Any]) -> dict[str, Any]:
    try:
        arrays = safetensors.load_file(str(path))
    except ImportError:
        raise
    except Exception as error:  # safetensors' errors have no common public base class.
        raise ValueError(
            f"{path} must be a safetensors file. Received: {error}. Download it again."
        ) from error
    arrays = {name.removeprefix("bert."): array for name, array in arrays.items()}
    missing = sorted(_names(config) - arrays.keys())
    if missing:
        raise ValueError(
            f"{path} must hold the weights of a BERT model. Received: a file without "
            f"{missing[:3]}. Save the model again, or export it to ONNX."
        )
    weights = {name: np.asarray(arrays[name], "float32") for name in _names(config)}
    for name, array in weights.items():
        if not np.isfinite(array).all():
            raise ValueError(
                f"The weights in {path} must be finite. Received: NaN or infinity in {name}. Save "
                "the model again."
            )
    return {name: keras.ops.convert_to_tensor(array) for name, array in weights.items()}


def _names(config: dict[str, Any]) -> set[str]:
    """Returns the names of all weights that the vectors depend on."""
    parts = ["embeddings.LayerNorm"]
    for layer in range(config["num_hidden_layers"]):
        parts += [
            f"encoder.layer.{layer}.{part}"
            for part in (
                "attention.self.query",
                "attention.self.key",
                "attention.self.value",
                "attention.output.dense",
                "attention.output.LayerNorm",
                "intermediate.dense",
                "output.dense",
                "output.LayerNorm",
            )
        ]
    return {*_EMBEDDINGS} | {f"{part}.{kind}" for part in parts for kind in ("weight", "bias")}
