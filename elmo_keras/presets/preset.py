"""Our own format: a layer's config, and its weights by the paths of its parts."""

import datetime
import json
import pathlib
from collections.abc import Mapping

import h5py
import keras
import numpy as np

from elmo_keras.checkpoints import json_file, loader
from elmo_keras.checkpoints.hdf5_file import open_datasets
from elmo_keras.checkpoints.options import MAX_CHARACTERS, MAX_LAYERS
from elmo_keras.checkpoints.whole_file import written_whole
from elmo_keras.layers.composite import given_weights, named_weights
from elmo_keras.layers.elmo_layer import ElmoLayer

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
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


def save_preset(layer: ElmoLayer, directory, dtype: str = "float32") -> None:
    """See `ElmoLayer.save_to_preset`."""
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
    if dtype == "float16":
        _check_range(arrays)
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    config = keras.saving.serialize_keras_object(layer)
    config.pop("build_config", None)
    metadata = {
        "keras_version": keras.__version__,
        "parameter_count": sum(array.size for array in arrays.values()),
        "date_saved": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    with written_whole(directory / WEIGHTS) as partial:
        with h5py.File(partial, "w") as file:
            for path, array in arrays.items():
                file.create_dataset(path, data=array.astype(dtype))
        _write_json(directory / CONFIG, config)
        _write_json(directory / METADATA, metadata)


def load_preset(directory: pathlib.Path, cls=ElmoLayer, **options) -> ElmoLayer:
    """The layer in a directory that `save_preset` wrote.

    Args:
        directory: with `config.json` and `model.weights.h5`.
        cls: the class to build.
        **options: arguments of the class that replace the saved ones.

    Raises:
        ValueError: if a file is damaged, or if they do not fit each other.
    """
    path = directory / CONFIG
    config = json_file.load(path, "a preset")
    if not is_config(config):
        raise json_file.Reader(str(path), "the config.json of a preset").error(
            "registered_name", "that of an ElmoLayer", config
        )
    weights_path = directory / WEIGHTS
    if not weights_path.is_file():
        raise ValueError(f"{directory} must hold a preset. Received: no {WEIGHTS} in it.")
    _check_sizes(config, path)
    with open_datasets(weights_path) as datasets:
        is_changed = bool(_DECIDE_OWN_WEIGHTS & options.keys())
        try:
            layer = cls.from_config(_with_options(config["config"], options))
            _fill(layer, datasets, str(weights_path), is_changed)
        except _Unfit as error:
            raise ValueError(str(error)) from error
        # What a config holds decides which code fails, and how.
        except Exception as error:
            raise ValueError(
                f"{path} must be the config of an ElmoLayer, and the arguments {sorted(options)} "
                f"must be its own. Received: {type(error).__name__}: {error}"
            ) from error
    return layer


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
        return loader.value(loader.read(dataset, path, source), dtype)

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
    """A layer's config with other arguments. Another dtype is that of its parts, too."""
    config = {**config, **options}
    if options.get("dtype") is not None:
        dtype = keras.dtype_policies.serialize(keras.dtype_policies.get(options["dtype"]))
        for name in ("token_encoder", "bilstm"):
            part = config[name]
            config[name] = {**part, "config": {**part["config"], "dtype": dtype}}
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


def _check_range(arrays):
    largest = max((float(np.abs(a).max()) for a in arrays.values() if a.size), default=0.0)
    if largest > float(np.finfo("float16").max):
        raise ValueError(
            "Weights must be below 65504 to be saved in float16. "
            f"Received: a weight of {largest:g}. Save them in float32."
        )


def _write_json(path, content):
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")
