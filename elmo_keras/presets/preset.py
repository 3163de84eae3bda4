"""Our own format: a layer's config, and its weights by the paths of its parts."""

import datetime
import json
import pathlib
import re
from collections.abc import Mapping

import keras

from elmo_keras import kernels
from elmo_keras.checkpoints import json_file, loader, softmax
from elmo_keras.checkpoints.file_set import FileSet
from elmo_keras.checkpoints.hdf5_file import hdf5_content, open_datasets
from elmo_keras.checkpoints.options import MAX_CHARACTERS, MAX_LAYERS
from elmo_keras.checkpoints.softmax import Softmax
from elmo_keras.checkpoints.whole_file import text_content
from elmo_keras.layers.composite import given_weights, named_weights
from elmo_keras.layers.elmo_layer import ElmoLayer
from elmo_keras.layers.finite import check_weights

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
FILES = FileSet(CONFIG, (WEIGHTS, METADATA, softmax.FILE, softmax.VOCABULARY))
DTYPES = ("float32", "float16")
# What is made before weights are looked at: layers, mixes, the ids of a token.
_LIMITS = {
    "num_layers": MAX_LAYERS,
    "num_highways": MAX_LAYERS,
    "num_representations": MAX_LAYERS,
    "max_characters": MAX_CHARACTERS,
}
# The arguments of ElmoLayer that say which weights it has of its own.
_DECIDE_OWN_WEIGHTS = {"output", "num_representations", "state", "max_rows"}
# The name that Keras gives to a layer without one, unique in the program that made it.
_AUTOMATIC_NAME = re.compile(r"elmo_layer(_\d+)?")


def save_preset(
    layer: ElmoLayer, directory, dtype: str = "float32", softmax_with: Softmax | None = None
) -> None:
    """Writes a preset, see `ElmoLayer.save_to_preset`.

    Args:
        layer: built.
        directory: made if absent.
        dtype: one of `DTYPES`.
        softmax_with: the softmax of a language model around the layer, to be saved with it.

    Raises:
        ValueError: if the layer is not built, quantized, or has weights that are not finite.
        OSError: if the preset cannot be written; a previous one is then unchanged.
    """
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` must be one of {DTYPES}. Received: dtype={dtype!r}")
    if not layer.built:
        raise ValueError(
            "The layer must have weights to be saved. Received: a layer that is not built. Call it "
            "on a batch first."
        )
    if any(part.dtype_policy.quantization_mode for part in layer._flatten_layers()):
        raise ValueError(
            "A preset holds floats. Received: quantized weights. Save the model as .keras, or the "
            "layer before it is quantized."
        )
    arrays = {
        path: keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32"))
        for path, weight in _weights(layer).items()
    }
    check_weights(arrays, "layer")
    config = keras.saving.serialize_keras_object(layer)
    config.pop("build_config", None)
    metadata = {
        "keras_version": keras.__version__,
        "parameter_count": sum(array.size for array in arrays.values()),
        "date_saved": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    parts = {
        WEIGHTS: hdf5_content(loader.in_dtype(arrays, dtype)),
        METADATA: text_content(json.dumps(metadata, indent=2) + "\n"),
    }
    if softmax_with is not None:
        parts |= softmax.contents(softmax_with, dtype)
    FILES.write(pathlib.Path(directory), config, parts)


def load_preset(directory: pathlib.Path, cls=ElmoLayer, **options) -> ElmoLayer:
    """The layer in a directory that `save_preset` wrote.

    Args:
        directory: with `config.json` and `model.weights.h5`.
        cls: the class to build.
        **options: arguments of the class that replace the saved ones.

    Raises:
        ValueError: if a file is damaged, or if they do not fit each other; if an option has a value
            that the class refuses, the error of the class.
    """
    saved = FILES.find(directory)
    if saved is None:
        raise FileNotFoundError(f"{directory / CONFIG} is absent.")
    path, config = saved.index_path, saved.content
    if not is_config(config):
        raise json_file.Reader(str(path), "the config.json of a preset").error(
            "registered_name", "that of an ElmoLayer", config
        )
    weights_path = saved.path(WEIGHTS)
    if not weights_path.is_file():
        raise ValueError(f"{directory} must hold a preset. Received: no {WEIGHTS} in it.")
    saved.check(WEIGHTS)
    _check_sizes(config, path)
    with open_datasets(weights_path) as datasets:
        layer = _make(cls, config["config"], options, path)
        is_changed = bool(_DECIDE_OWN_WEIGHTS & options.keys())
        try:
            _fill(layer, datasets, str(weights_path), is_changed)
        except _Unfit as error:
            raise ValueError(str(error)) from error
        except Exception as error:
            if kernels.in_distribution_strategy():
                raise  # It may be that states are refused there, which is no fault of the file.
            # What a config holds decides which code fails, and how.
            raise _config_error(path, error) from error
    return layer


def _make(cls, config, options, path):
    """A layer of a saved config with other options, not built."""
    try:
        return cls.from_config(_with_options(config, options))
    # What a config holds decides which code fails, and how.
    except Exception as error:
        if options:
            try:
                cls.from_config(_with_options(config, {}))
            except Exception as own_error:
                raise _config_error(path, own_error) from own_error
            raise  # The config is right: the options are not, and the class says so.
        raise _config_error(path, error) from error


def _config_error(path, error):
    return ValueError(
        f"{path} must be the config of an ElmoLayer. Received: {type(error).__name__}: {error}. "
        "The file is damaged: fetch or save the preset again."
    )


def is_config(content) -> bool:
    """Whether parsed JSON is the config of a preset."""
    return (
        isinstance(content, dict)
        and content.get("registered_name") == "elmo_keras>ElmoLayer"
        and isinstance(content.get("config"), dict)
    )


def _fill(
    layer: ElmoLayer, datasets: Mapping[str, loader.Dataset], source: str, is_changed: bool
) -> None:
    """Builds a layer with the weights of a file, and checks that it has taken all of them.

    Args:
        is_changed: whether the caller asks for other mixes or states than the saved ones. Those
            that the file has no place for then begin anew, and its others are left.
    """
    used = set()

    def expect(path, shape):
        if path not in datasets:
            raise _unfit(source, f"missing: {path}")
        dataset = datasets[path]
        if tuple(dataset.shape) != tuple(shape):
            raise _unfit(source, f"wrong shape: {path} must be {shape}, is {dataset.shape}")
        if dataset.dtype.kind != "f":
            raise _unfit(source, f"wrong type: {path} must hold floats, holds {dataset.dtype}")
        return dataset

    def find(path, shape, dtype=None):
        dataset = expect(path, shape)
        used.add(path)
        try:
            return loader.value(loader.read(dataset, path, source), dtype)
        except ValueError as error:
            raise _Unfit(str(error)) from error

    if not is_changed:  # States are made as zeros first: not in a size that the file lacks.
        for name, shape in layer.lstm_states.shapes.items():
            expect(f"{layer.lstm_states.name}/{name}", shape)
    with given_weights(find):
        layer.build((None, None, *layer.token_encoder.ids_shape))
    for path, weight in _own_weights(layer).items():
        is_new = path not in datasets or tuple(datasets[path].shape) != tuple(weight.shape)
        if not (is_changed and is_new):
            weight.assign(find(path, weight.shape))
    own = ("scalar_mix_", "lstm_states/") if is_changed else ()
    left = [path for path in datasets if path not in used and not path.startswith(own)]
    if left:
        raise _unfit(source, f"not used: {', '.join(left[:20])}")


def _with_options(config, options):
    """A layer's config with other arguments.

    The dtype is the one asked for or, as for a new layer, the global policy: for the parts, too. A
    name that was automatic is left out: in a model each layer needs a name of its own.
    """
    dtype = keras.dtype_policies.serialize(keras.dtype_policies.get(options.get("dtype")))
    parts = {name: dict(config[name]["config"]) for name in ("token_encoder", "bilstm")}
    for name, saved in {"layer": config, **parts}.items():
        policy = keras.dtype_policies.get(saved.get("dtype"))
        if not isinstance(policy, keras.dtype_policies.DTypePolicy):
            raise ValueError(f"the dtype of its {name} is no policy: {policy!r}")
    parts = {
        name: {**config[name], "config": {**part, "dtype": dtype}} for name, part in parts.items()
    }
    config = {**config, **parts, **options, "dtype": dtype}
    name = config.get("name")
    if "name" not in options and isinstance(name, str) and _AUTOMATIC_NAME.fullmatch(name):
        del config["name"]
    return config


def _check_sizes(content, path, key=""):
    """Refuses numbers in a config that would keep a machine busy before a weight is looked at."""
    if isinstance(content, dict):
        for name, value in content.items():
            _check_sizes(value, path, f"{key}.{name}" if key else name)
    elif isinstance(content, list):
        if len(content) > json_file.MAX_FILTERS:
            raise _too_large(path, key, json_file.MAX_FILTERS, f"{len(content)} of them")
        for value in content:
            _check_sizes(value, path, key)
    elif isinstance(content, (int, float)):
        limit = _LIMITS.get(key.rsplit(".", 1)[-1], json_file.MAX_SIZE)
        if not abs(content) <= limit:
            raise _too_large(path, key, limit, content)


def _too_large(path, key, limit, received):
    return ValueError(
        f"In {path}, {key} must be at most {limit}. Received: {str(received)[:40]}. Check that the "
        "file is the config.json of a preset."
    )


class _Unfit(ValueError):
    """Weights that are not those of the config."""


def _unfit(source, received):
    return _Unfit(
        f"The weights in {source} must be those that its {CONFIG} describes. Received: {received}. "
        "Fetch or save the preset again."
    )


def _weights(layer):
    weights = named_weights(layer.token_encoder, "token_encoder")
    weights |= named_weights(layer.bilstm, "bilstm")
    return weights | _own_weights(layer)


def _own_weights(layer):
    """The weights of the mixes and of the states, by path."""
    return {
        f"{part.name}/{weight.name}": weight
        for part in (*layer.scalar_mixes, layer.lstm_states)
        for weight in part.weights
    }
