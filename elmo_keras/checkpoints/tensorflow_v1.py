"""Checkpoints of TensorFlow 1: bilm-tf's training checkpoints, and the modules of TF-Hub.

Both hold the weights of `bilm.py` under other names. TensorFlow 2 reads the files directly, without
running a graph of TensorFlow 1.

Sources: bilm-tf, `bilm/training.py` (`dump_weights` maps the names); the names of the variables in
TF-Hub's elmo/1 to elmo/3 and in DeepPavlov's modules.
"""

import contextlib
import functools
import math
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from elmo_keras.checkpoints import bilm
from elmo_keras.checkpoints.checkpoint import Checkpoint
from elmo_keras.checkpoints.loader import StrictLoader, identity_entry
from elmo_keras.checkpoints.options import Options
from elmo_keras.files.stored_array import StoredArray, read_finite
from elmo_keras.utils.optional_module import OptionalModule

tf = OptionalModule(
    "tensorflow",
    "TensorFlow 1 checkpoints and TF-Hub modules need it to be read. Convert them once where "
    "TensorFlow is installed, `elmo-keras convert SOURCE DESTINATION`, and load the result here.",
)

# Variables of the optimizer and of the trainer, which are not weights of the model.
_TRAINING = re.compile(r"(/Adagrad|/Adam|/Adam_1|/Momentum)$|^(global_step|train_perplexity)$")
_TRAINING_PREFIX = "lm/"
_HUB_LSTM = re.compile(r"RNN_([01])/RNN/MultiRNNCell/Cell(\d{1,3})/rnn/lstm_cell/(.+)")
# Names of the scalars and of gamma.
_HUB_MIXES = (
    ("aggregation/weights", "aggregation/scaling"),
    ("aggregation/elmo_output_ELMo_W", "aggregation/elmo_output_ELMo_gamma"),  # of DeepPavlov
)
# Options of the modules of TF-Hub and DeepPavlov that do not follow from their variables.
_HUB_OPTIONS = {"use_skip_connections": True, "cell_clip": 3, "proj_clip": 3}
_HUB_CNN_OPTIONS = {"activation": "relu", "max_characters_per_token": 50}
SOFTMAX = ("softmax/W", "softmax/b")


@contextlib.contextmanager
def open_training_checkpoint(
    options_path: pathlib.Path, prefix: pathlib.Path, vocabulary: pathlib.Path | None = None
) -> Iterator[Checkpoint]:
    """Opens the biLM of a bilm-tf training checkpoint, inside a `with` statement.

    Args:
        options_path: path of `options.json`.
        prefix: path of the checkpoint without `.index`, for example `model.ckpt-935588`.
        vocabulary: path of a file of words, one per line, for a model that reads words. Defaults
            to `None`.

    Raises:
        ImportError: if TensorFlow is not installed.
        ValueError: if a file is damaged, or if the files do not belong together.
    """
    options = Options.read(options_path)
    words = options.read_words(vocabulary)
    arrays = _training_arrays(prefix)
    source = str(prefix)
    if any(name.startswith("rnn/") for name in arrays):
        raise ValueError(
            f"{source} must hold LSTMs of both directions. Received: one direction alone "
            "(`bidirectional` was off in training). ELMo needs both: train the model again with "
            "`bidirectional`."
        )
    arrays = {
        _renamed_from_training(name): array for name, array in arrays.items() if name not in SOFTMAX
    }
    yield bilm.to_checkpoint(
        options,
        arrays,
        format="bilm-tf training checkpoint, TensorFlow 1",
        source=source,
        vocabulary=words,
    )


def read_training_softmax(prefix: pathlib.Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Reads the softmax over words of a training checkpoint; `None` if it has none.

    If the model shares its word embedding with the softmax, the kernel is the word embedding.

    Args:
        prefix: path of the checkpoint without `.index`.

    Returns:
        `(kernel, bias)`: `(words, dim)` and `(words,)` float32.

    Raises:
        ImportError: if TensorFlow is not installed.
        ValueError: if a file is damaged.
    """
    arrays = _training_arrays(prefix)
    kernel, bias = SOFTMAX
    kernel = kernel if kernel in arrays else "embedding"
    if kernel not in arrays or bias not in arrays:
        return None
    weights, biases = (read_finite(arrays[name], name, str(prefix)) for name in (kernel, bias))
    return weights, biases


def _training_arrays(prefix: pathlib.Path) -> dict[str, StoredArray]:
    """Returns the weights of the model, by their names without `lm/`."""
    return {
        name.removeprefix(_TRAINING_PREFIX): array
        for name, array in _open(prefix).items()
        if not _TRAINING.search(name)
    }


def _renamed_from_training(name: str) -> str:
    match = re.fullmatch(r"RNN_([01])/rnn/(?:multi_rnn_cell/cell_(\d{1,3})/)?lstm_cell/(.+)", name)
    return _lstm_name(match) if match else name


def _lstm_name(match: re.Match[str]) -> str:
    direction, layer, weight = match.groups()
    weight = {"kernel": "W_0", "bias": "B", "projection/kernel": "W_P_0"}.get(weight, weight)
    return f"{bilm.lstm_root(int(direction), int(layer or 0))}/{weight}"


@contextlib.contextmanager
def open_hub_module(prefix: pathlib.Path) -> Iterator[Checkpoint]:
    """Opens the biLM of a TF-Hub module and the weights of its mix, inside a `with` statement.

    The sizes of the model follow from the shapes of the variables.

    Args:
        prefix: path of the variables without `.index`: `variables/variables` in the module.

    Raises:
        ImportError: if TensorFlow is not installed.
        ValueError: if a file is damaged, or if the module is not an ELMo.
    """
    source = str(prefix)
    arrays, mix = {}, {}
    for name, array in _open(prefix).items():
        name = name.removeprefix("module/")
        if name.startswith("bilm/"):
            name = name.removeprefix("bilm/")
            match = _HUB_LSTM.fullmatch(name)
            arrays[_lstm_name(match) if match else name] = array
        elif name.startswith("aggregation/"):
            mix[name] = array
        elif not _TRAINING.search(name):
            arrays[name] = array  # The strict loader reports it as not used.
    options = Options(_hub_options(arrays, source), source)
    yield bilm.to_checkpoint(
        options,
        arrays,
        format="TF-Hub module, TensorFlow 1",
        source=source,
        has_padding=True,
        mix=_read_mix(mix, options.num_layers + 1, source),
    )


def _hub_options(arrays: Mapping[str, StoredArray], source: str) -> dict[str, Any]:
    """Derives the options of a module from the shapes of its variables."""

    def shape(name: str, rank: int) -> tuple[int, ...]:
        if name not in arrays or len(arrays[name].shape) != rank:
            received = arrays[name].shape if name in arrays else "none"
            raise ValueError(
                f"{source} must hold the variables of an ELMo module. Received: {name} of shape "
                f"{received}. The modules elmo/1 to elmo/3 of TF-Hub, and those of DeepPavlov, can "
                "be read."
            )
        return arrays[name].shape

    def count(pattern: str) -> int:
        matches = [re.fullmatch(pattern, name) for name in arrays]
        return 1 + max((int(match[1]) for match in matches if match), default=-1)

    root = bilm.lstm_root(0, 0)
    units = shape(f"{root}/B", 1)[0] // 4
    projection = f"{root}/W_P_0"
    lstm = {
        "dim": units,
        "projection_dim": shape(projection, 2)[1] if projection in arrays else units,
        "n_layers": count(r"RNN_0/.*/Cell(\d{1,3})/.*"),
        **_HUB_OPTIONS,
    }
    kernels = [shape(f"CNN/W_cnn_{i}", 4) for i in range(count(r"CNN/W_cnn_(\d{1,3})"))]
    cnn = {
        "embedding": {"dim": shape("char_embed", 2)[1]},
        "filters": [[width, filters] for _, width, _, filters in kernels],
        "n_highway": count(r"CNN_high_(\d{1,3})/.*"),
        **_HUB_CNN_OPTIONS,
    }
    return {"lstm": lstm, "char_cnn": cnn}


def _read_mix(
    mix: Mapping[str, StoredArray], num_layers: int, source: str
) -> tuple[np.ndarray, float] | None:
    """Reads the scalars and gamma of a module's mix, and refuses other variables beside them."""
    if not mix:
        return None
    weights, gamma = next((pair for pair in _HUB_MIXES if pair[0] in mix), _HUB_MIXES[0])
    gamma_shape = () if weights == _HUB_MIXES[0][0] else (1,)
    shapes = {weights: (num_layers,), gamma: gamma_shape}
    table = [identity_entry(name, shape, name) for name, shape in shapes.items()]
    StrictLoader(mix, source, table).check_table()
    scalars, scale = (read_finite(mix[name], name, source) for name in (weights, gamma))
    return scalars, float(scale.reshape(()))


def _open(prefix: pathlib.Path) -> dict[str, StoredArray]:
    """Returns the variables of a checkpoint by name."""
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError, MemoryError) as error:
        raise ValueError(
            f"{prefix} must be a TensorFlow checkpoint. Received: {error}. One of its files is "
            "missing or damaged: fetch all of them again."
        ) from error
    if any("/.ATTRIBUTES/" in name for name in shapes):
        raise ValueError(
            f"{prefix} must hold the variables of a TensorFlow 1 model by name. Received: a "
            "checkpoint of TensorFlow 2 objects. A SavedModel of this package is for serving: load "
            "the .keras file, or the preset, that it was exported from."
        )
    needed = sum(math.prod(shapes[name]) * dtypes[name].size for name in shapes)
    stored = sum(path.stat().st_size for path in prefix.parent.glob(f"{prefix.name}.data-*"))
    if needed > stored:
        raise ValueError(
            f"{prefix} must hold all values of its variables. Received: variables of {needed} "
            f"bytes in files of {stored} bytes. A file is missing or cut short: fetch all of them "
            "again."
        )

    def read(name: str) -> np.ndarray:
        try:
            return reader.get_tensor(name)
        except (tf.errors.OpError, IndexError, MemoryError) as error:
            raise ValueError(error) from error

    return {
        name: StoredArray(
            tuple(shapes[name]),
            np.dtype(dtypes[name].as_numpy_dtype),
            functools.partial(read, name),
        )
        for name in shapes
    }
