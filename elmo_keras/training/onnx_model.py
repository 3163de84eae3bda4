"""A transformer in an ONNX file, run by onnxruntime."""

import pathlib
from typing import Any

import numpy as np

from elmo_keras.utils.optional_module import OptionalModule

ADVICE = "A transformer as a teacher needs it: `pip install elmo_keras[teacher]`."
onnxruntime = OptionalModule("onnxruntime", ADVICE)

_SUPPORTED_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}


class OnnxModel:
    """A function from word pieces to the vectors of a transformer's last layer.

    Args:
        path: path of the ONNX file.
        threads: int. CPU threads; 0, the default, for all cores.

    Raises:
        ValueError: if the file is not an ONNX model, or if the model has other inputs or outputs.
        ImportError: if onnxruntime is not installed.
    """

    def __init__(self, path: pathlib.Path, threads: int = 0) -> None:
        self._session = _load_session(path, threads)
        self._inputs = [value.name for value in self._session.get_inputs()]
        outputs = [value for value in self._session.get_outputs() if len(value.shape or ()) == 3]
        unknown = sorted(set(self._inputs) - _SUPPORTED_INPUTS)
        if unknown or "input_ids" not in self._inputs or not outputs:
            raise ValueError(
                f"{path} must map input_ids, attention_mask and token_type_ids to vectors (batch, "
                f"pieces, dim). Received: inputs {self._inputs} and outputs "
                f"{[(value.name, value.shape) for value in self._session.get_outputs()]}. Export "
                "the model for feature extraction."
            )
        self._output = outputs[0].name

    def __call__(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Computes the vectors.

        Args:
            ids: `(batch, pieces)` int64.
            mask: `(batch, pieces)` int64, 1 for a piece and 0 for padding.

        Returns:
            `(batch, pieces, dim)` float32.
        """
        values = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        inputs = {name: values[name] for name in self._inputs}
        return self._session.run([self._output], inputs)[0]


def _load_session(path: pathlib.Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Threads that wait in a loop would take the cores of other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            str(path), options, providers=onnxruntime.get_available_providers()
        )
    except Exception as error:  # onnxruntime's errors have no common public base class.
        raise ValueError(
            f"{path} must be an ONNX model. Received: {error}. Export or download it again."
        ) from error
