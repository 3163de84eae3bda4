"""A teacher that is a transformer in a local folder."""

import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from elmo_keras.files import safe_json
from elmo_keras.training.bert_model import BertModel
from elmo_keras.training.onnx_model import ADVICE, OnnxModel
from elmo_keras.training.teacher import Sentences, Teacher, TokenTargets
from elmo_keras.utils.optional_module import OptionalModule

tokenizers = OptionalModule("tokenizers", ADVICE)

TOKENIZER, SAFETENSORS = "tokenizer.json", "model.safetensors"
# Places of the ONNX model in folders of sentence-transformers and of Hugging Face's exporter.
ONNX_MODELS = (
    "model.onnx",
    "onnx/model.onnx",
    "model_quantized.onnx",
    "onnx/model_quantized.onnx",
    "model_int8.onnx",
    "onnx/model_int8.onnx",
    "onnx/model_qint8_avx512_vnni.onnx",
    "onnx/model_quint8_avx2.onnx",
)
_MAX_PIECES = 512


class TransformerTeacher(Teacher):
    """A transformer in a local folder, as sentence-transformers or Hugging Face save it.

    The vector of a token is the mean of the last layer's vectors over its word pieces. A token
    without pieces, such as a control character, has no target. Neither has a token after the
    transformer's maximum length.

    Args:
        folder: path of a folder with `tokenizer.json` and an ONNX model: one of `ONNX_MODELS`, or
            the only `.onnx` file in it. Without an ONNX model, `model.safetensors` and
            `config.json` of a BERT model.
        max_pieces: int or `None`. Maximum number of word pieces of a sentence, special tokens
            included. Defaults to `None`: `max_seq_length` of `sentence_bert_config.json`, or
            `max_position_embeddings` of `config.json`, at most 512.
        max_batch_pieces: int. Maximum number of pieces in a batch, padding included. Defaults to
            `512`, which is fast on CPUs; use more on a GPU.
        threads: int. CPU threads of an ONNX model; 0, the default, for all cores.

    Raises:
        ValueError: if the folder lacks a file, holds several models, or the model has other inputs
            or outputs.
        ImportError: if onnxruntime or tokenizers is not installed.

    Example:

    ```python
    teacher = elmo_keras.training.TransformerTeacher("all-MiniLM-L6-v2/")
    vectors, has_target = teacher.targets([["A", "warm", "film", "."]])
    ```

    References:
        - [Reimers and Gurevych, 2019](https://arxiv.org/abs/1908.10084), Sentence-BERT
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        max_pieces: int | None = None,
        max_batch_pieces: int = 512,
        threads: int = 0,
    ) -> None:
        self.folder = pathlib.Path(folder).expanduser()
        model, tokenizer = _find_files(self.folder)
        self.max_pieces = _max_pieces(self.folder) if max_pieces is None else max_pieces
        if not isinstance(self.max_pieces, int) or self.max_pieces < 3:
            raise ValueError(
                "`max_pieces` must be an int of at least 3. "
                f"Received: max_pieces={max_pieces!r}. Leave it out for the model's own limit."
            )
        self.max_batch_pieces = max_batch_pieces
        self._tokenizer = _load_tokenizer(tokenizer)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.max_pieces)
        is_onnx = model.suffix == ".onnx"
        self._model = OnnxModel(model, threads) if is_onnx else BertModel(self.folder)

    def targets(self, sentences: Sentences) -> TokenTargets:
        """See `Teacher`."""
        encodings = self._tokenizer.encode_batch(list(sentences), is_pretokenized=True)
        starts = np.concatenate([[0], np.cumsum([len(tokens) for tokens in sentences])])
        sums: Any = None
        counts = np.zeros(starts[-1], "float32")
        for indices in self._batches([len(encoding.ids) for encoding in encodings]):
            vectors = self._run([encodings[index] for index in indices])
            if sums is None:
                sums = np.zeros((starts[-1], vectors.shape[-1]), "float32")
            rows, places, tokens = [], [], []
            for row, index in enumerate(indices):
                for place, word in enumerate(encodings[index].word_ids):
                    if word is not None:
                        rows.append(row)
                        places.append(place)
                        tokens.append(starts[index] + word)
            if tokens:
                # The pieces of a token stand one after the other.
                first = np.flatnonzero(np.diff(tokens, prepend=-1))
                distinct = np.asarray(tokens)[first]
                sums[distinct] = np.add.reduceat(vectors[rows, places], first)
                counts[distinct] = np.diff(first, append=len(tokens))
        if sums is None:
            sums = np.zeros((0, 1), "float32")
        return TokenTargets(sums / np.maximum(counts, 1)[:, None], counts > 0)

    def _batches(self, lengths: list[int]) -> list[list[int]]:
        """Groups sentences of similar length, at most `max_batch_pieces` pieces each."""
        batches: list[list[int]] = []
        for index in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
            is_full = batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] > (
                self.max_batch_pieces
            )
            if not batches or is_full:
                batches.append([])
            batches[-1].append(index)
        return batches

    def _run(self, encodings: Sequence[Any]) -> np.ndarray:
        """Computes the vectors `(sentences, pieces, dim)` of encoded sentences."""
        shape = len(encodings), max(len(encoding.ids) for encoding in encodings)
        ids, mask = np.zeros(shape, "int64"), np.zeros(shape, "int64")
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        return self._model(ids, mask)


def _find_files(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Returns the paths of the model and of the tokenizer in a folder."""
    models = [folder / name for name in ONNX_MODELS if (folder / name).is_file()]
    if not models and folder.is_dir():
        models = sorted(folder.glob("*.onnx")) or sorted(folder.glob("onnx/*.onnx"))
        if len(models) > 1:
            raise ValueError(
                f"`folder` must hold one ONNX model. Received: {[path.name for path in models]} in "
                f"{folder}. Name the one to use model.onnx."
            )
    if not models and (folder / SAFETENSORS).is_file():
        models = [folder / SAFETENSORS]
    tokenizer = folder / TOKENIZER
    missing = [] if models else ["model.onnx or model.safetensors"]
    missing += [] if tokenizer.is_file() else [TOKENIZER]
    if missing:
        raise ValueError(
            "`folder` must hold a transformer: a model and tokenizer.json. "
            f"Received: {str(folder)!r}, without {' and '.join(missing)}. Export the model to "
            "ONNX, for example with `optimum-cli export onnx`, and save its fast tokenizer there."
        )
    return models[0], tokenizer


def _max_pieces(folder: pathlib.Path) -> int:
    limit = _MAX_PIECES
    for name, key in (
        ("config.json", "max_position_embeddings"),
        ("sentence_bert_config.json", "max_seq_length"),
    ):
        if (folder / name).is_file():
            value = safe_json.load(folder / name, "a transformer").get(key)
            if isinstance(value, int) and value >= 3:
                limit = min(limit, value)
    return limit


def _load_tokenizer(path: pathlib.Path) -> Any:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        _add_prefix_spaces(content.get("pre_tokenizer"))
        return tokenizers.Tokenizer.from_str(json.dumps(content))
    except ImportError:
        raise
    except Exception as error:  # tokenizers raises plain Exceptions.
        raise ValueError(
            f"{path} must be the file of a fast tokenizer. Received: {error}. Save the tokenizer "
            "again."
        ) from error


def _add_prefix_spaces(pre_tokenizer: Any) -> None:
    """Makes a pre-tokenizer of bytes, as RoBERTa's, put a space before every token.

    Without it, the tokens of a sentence would be read as one word.
    """
    if isinstance(pre_tokenizer, dict):
        if pre_tokenizer.get("type") == "ByteLevel":
            pre_tokenizer["add_prefix_space"] = True
        for part in pre_tokenizer.get("pretokenizers", []):
            _add_prefix_spaces(part)
