"""Checkpoints of TensorFlow 1: bilm-tf's training checkpoints, and the modules of TF-Hub.

Both hold the weights of `bilm.py` under other names. TensorFlow 2 reads the files as they are;
no graph of TensorFlow 1 is run.

Sources: bilm-tf, `bilm/training.py` (`dump_weights` maps the names); TF-Hub's elmo/1 to elmo/3 and
DeepPavlov's modules, by the names of their variables.
"""

import contextlib
import math
import pathlib
import re
from collections.abc import Iterator, Mapping

import numpy as np

from elmo_keras.checkpoints import bilm
from elmo_keras.checkpoints.checkpoint import Checkpoint
from elmo_keras.checkpoints.loader import StrictLoader, identity_entry
from elmo_keras.checkpoints.options import Options
from elmo_keras.files import vocabulary_file
from elmo_keras.files.stored_array import StoredArray, read_finite
from elmo_keras.utils.optional_module import OptionalModule

tf = OptionalModule(
    "tensorflow",
    "TensorFlow 1 checkpoints and TF-Hub modules need it to be read. Convert them once where "
    "TensorFlow is installed, `elmo-keras convert SOURCE DESTINATION`, and load the result here.",
)

# Not the model's: the optimizer's and the trainer's own.
_TRAINING = re.compile(r"(/Adagrad|/Adam|/Adam_1|/Momentum)$|^(global_step|train_perplexity)$")
_TRAINING_PREFIX = "lm/"
_HUB_LSTM = re.compile(r"RNN_([01])/RNN/MultiRNNCell/Cell(\d{1,3})/rnn/lstm_cell/(.+)")
_HUB_MIXES = (
    ("aggregation/weights", "aggregation/scaling"),
    ("aggregation/elmo_output_ELMo_W", "aggregation/elmo_output_ELMo_gamma"),  # DeepPavlov's
)
# What TF-Hub's and DeepPavlov's modules were made with; their variables do not tell.
_HUB_OPTIONS = {"use_skip_connections": True, "cell_clip": 3, "proj_clip": 3}
_HUB_CNN_OPTIONS = {"activation": "relu", "max_characters_per_token": 50}
SOFTMAX = ("softmax/W", "softmax/b")


@contextlib.contextmanager
def open_training_checkpoint(
    options_path: pathlib.Path, prefix: pathlib.Path, vocabulary: pathlib.Path | None = None
) -> Iterator[Checkpoint]:
    """The biLM of a bilm-tf training checkpoint.

    Args:
        options_path: path of `options.json`.
        prefix: path of the checkpoint without `.index`, like `model.ckpt-935588`.
        vocabulary: path of a file with a word a line, for a model that reads words.

    Raises:
        ImportError: if TensorFlow is not installed.
        ValueError: if a file is damaged, or if they do not fit each other.
    """
    options = Options.read(options_path)
    words = None
    if options.reads_words and vocabulary is not None:
        words = vocabulary_file.read(vocabulary)
    datasets = _training_datasets(prefix)
    source = str(prefix)
    if any(name.startswith("rnn/") for name in datasets):
        raise ValueError(
            f"{source} must hold LSTMs of both directions. Received: one direction alone "
            "(`bidirectional` was off in training). ELMo needs both."
        )
    datasets = {
        _renamed_from_training(name): dataset
        for name, dataset in datasets.items()
        if name not in SOFTMAX
    }
    token_encoder, bilstm = bilm.build_layers(options, datasets, source, vocabulary=words)
    yield Checkpoint(
        format="bilm-tf training checkpoint, TensorFlow 1",
        source=source,
        token_encoder=token_encoder,
        bilstm=bilstm,
        table=bilm.weight_table(token_encoder, bilstm),
        arrays=datasets,
    )


def read_training_softmax(prefix: pathlib.Path) -> tuple[np.ndarray, np.ndarray] | None:
    """The softmax over words of a training checkpoint: `(kernel (words, dim), bias (words,))`.

    `None` if there is none. Of a model that shares its word embedding with the softmax the kernel
    is that embedding.
    """
    datasets = _training_datasets(prefix)
    kernel, bias = SOFTMAX
    if bias not in datasets:
        return None
    kernel = kernel if kernel in datasets else "embedding"
    if kernel not in datasets:
        return None
    return tuple(read_finite(datasets[name], name, str(prefix)) for name in (kernel, bias))


def _training_datasets(prefix):
    """The model's variables without the trainer's, and without `lm/`."""
    datasets = {}
    for name, dataset in _open(prefix).items():
        if not _TRAINING.search(name):
            datasets[name.removeprefix(_TRAINING_PREFIX)] = dataset
    return datasets


def _renamed_from_training(name):
    match = re.fullmatch(r"RNN_([01])/rnn/(?:multi_rnn_cell/cell_(\d{1,3})/)?lstm_cell/(.+)", name)
    return _lstm_name(match) if match else name


def _lstm_name(match):
    direction, layer, weight = match.groups()
    weight = {"kernel": "W_0", "bias": "B", "projection/kernel": "W_P_0"}.get(weight, weight)
    return f"{bilm.lstm_root(int(direction), int(layer or 0))}/{weight}"


@contextlib.contextmanager
def open_hub_module(prefix: pathlib.Path) -> Iterator[Checkpoint]:
    """The biLM of a TF-Hub module, with the weights of its mix.

    The module's sizes follow from its variables.

    Args:
        prefix: path of its variables without `.index`, `variables/variables`.

    Raises:
        ImportError: if TensorFlow is not installed.
        ValueError: if a file is damaged, or if the variables are those of another module.
    """
    source = str(prefix)
    variables, mix = {}, {}
    for name, dataset in _open(prefix).items():
        name = name.removeprefix("module/")
        if name.startswith("bilm/"):
            name = name.removeprefix("bilm/")
            match = _HUB_LSTM.fullmatch(name)
            variables[_lstm_name(match) if match else name] = dataset
        elif name.startswith("aggregation/"):
            mix[name] = dataset
        elif not _TRAINING.search(name):
            variables[name] = dataset  # The table will say that it is not used.
    options = Options(_hub_options(variables, source), source)
    token_encoder, bilstm = bilm.build_layers(options, variables, source, has_padding=True)
    yield Checkpoint(
        format="TF-Hub module, TensorFlow 1",
        source=source,
        token_encoder=token_encoder,
        bilstm=bilstm,
        table=[_with_padding(entry) for entry in bilm.weight_table(token_encoder, bilstm)],
        arrays=variables,
        mix=_read_mix(mix, bilstm.num_layers + 1, source),
    )


def _hub_options(variables: Mapping[str, StoredArray], source: str) -> dict:
    """The options that the shapes of a module's variables tell."""

    def shape(name, rank):
        if name not in variables or len(variables[name].shape) != rank:
            received = variables[name].shape if name in variables else "none"
            raise ValueError(
                f"{source} must hold the variables of an ELMo module. Received: {name} of shape "
                f"{received}. TF-Hub's elmo/1 to elmo/3 and DeepPavlov's can be read."
            )
        return variables[name].shape

    def number(pattern):
        found = [re.fullmatch(pattern, name) for name in variables]
        return 1 + max((int(match[1]) for match in found if match), default=-1)

    root = bilm.lstm_root(0, 0)
    gates = shape(f"{root}/B", 1)[0]
    projected = f"{root}/W_P_0"
    units = gates // 4
    lstm = {"dim": units, "n_layers": number(r"RNN_0/.*/Cell(\d{1,3})/.*"), **_HUB_OPTIONS}
    lstm["projection_dim"] = shape(projected, 2)[1] if projected in variables else units
    widths = [shape(f"CNN/W_cnn_{i}", 4) for i in range(number(r"CNN/W_cnn_(\d{1,3})"))]
    cnn = {
        "embedding": {"dim": shape("char_embed", 2)[1]},
        "filters": [[width, number] for _, width, _, number in widths],
        "n_highway": number(r"CNN_high_(\d{1,3})/.*"),
        **_HUB_CNN_OPTIONS,
    }
    return {"lstm": lstm, "char_cnn": cnn}


def _with_padding(entry):
    """A module's table of characters has the row of padding already."""
    if entry.name != "char_embed":
        return entry
    rows, dim = entry.shape
    return identity_entry(entry.name, (rows + 1, dim), *entry.paths)


def _read_mix(mix, num_layers, source):
    """The scalars and gamma of a module's mix; none of another kind may be there."""
    if not mix:
        return None
    weights, gamma = next((pair for pair in _HUB_MIXES if pair[0] in mix), _HUB_MIXES[0])
    scale_shape = () if weights == _HUB_MIXES[0][0] else (1,)
    shapes = {weights: (num_layers,), gamma: scale_shape}
    table = [identity_entry(name, shape, name) for name, shape in shapes.items()]
    StrictLoader(mix, source, table).check_table()
    scalars, scale = (read_finite(mix[name], name, source) for name in (weights, gamma))
    return scalars, float(scale.reshape(()))


def _open(prefix: pathlib.Path) -> dict[str, StoredArray]:
    """The variables of a checkpoint by name."""
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError, MemoryError) as error:
        raise ValueError(
            f"{prefix} must be a TensorFlow checkpoint. Received: {error}. A file of it is missing "
            "or damaged: fetch all of them again."
        ) from error
    if any("/.ATTRIBUTES/" in name for name in shapes):
        raise ValueError(
            f"{prefix} must hold the variables of a TensorFlow 1 model by name. Received: a "
            "checkpoint of TensorFlow 2 objects. A SavedModel of this package is for serving: load "
            "the .keras file, or the preset, that it was exported from."
        )
    claimed = sum(math.prod(shapes[name]) * dtypes[name].size for name in shapes)
    stored = sum(path.stat().st_size for path in prefix.parent.glob(f"{prefix.name}.data-*"))
    if claimed > stored:
        raise ValueError(
            f"{prefix} must hold what it says. Received: variables of {claimed} bytes in files of "
            f"{stored} bytes. A file is missing or cut short: fetch all of them again."
        )

    def read(name):
        try:
            return reader.get_tensor(name)
        except (tf.errors.OpError, IndexError, MemoryError) as error:
            raise ValueError(error) from error

    return {
        name: StoredArray(
            tuple(shapes[name]), np.dtype(dtypes[name].as_numpy_dtype), lambda name=name: read(name)
        )
        for name in shapes
    }
