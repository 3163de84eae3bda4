"""The preset format of this package: the config of an encoder, and its weights by path.

| file | content |
|---|---|
| `config.json` | the encoder's class and config; the index of the other files |
| `model.weights.h5` | the encoder's weights by path |
| `metadata.json` | versions, date and number of parameters, for human readers |
| `softmax_weights.hdf5`, `vocabulary.txt` | the softmax of a language model and its words |
| `task.json`, `task.weights.h5` | class, config and head weights of a task model |
"""

import contextlib
import datetime
import json
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import keras
import numpy as np

from elmo_keras import backend
from elmo_keras.checkpoints import softmax
from elmo_keras.checkpoints.loader import MismatchError, StrictLoader
from elmo_keras.checkpoints.options import MAX_CHARACTERS, MAX_LAYERS
from elmo_keras.files import safe_json
from elmo_keras.files.atomic_write import Content, text_content
from elmo_keras.files.file_set import FileSet
from elmo_keras.files.safe_hdf5 import hdf5_content, open_datasets
from elmo_keras.files.stored_array import StoredArray, UnreadableArrayError, read_finite, to_dtype
from elmo_keras.layers.composite import Composite
from elmo_keras.layers.finite import check_weights

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
TASK, TASK_WEIGHTS = "task.json", "task.weights.h5"
FILES = FileSet(CONFIG, (WEIGHTS, METADATA, softmax.FILE, softmax.VOCABULARY, TASK, TASK_WEIGHTS))
DTYPES = ("float32", "float16")
ADVICE = "Fetch or save the preset again."
# Upper bounds of config values that cost time or memory before the weights are compared.
_LIMITS = {
    "num_layers": MAX_LAYERS,
    "num_highways": MAX_LAYERS,
    "num_representations": MAX_LAYERS,
    "max_characters": MAX_CHARACTERS,
}
_MAX_LABELS = 1_000_000
_Encoder = TypeVar("_Encoder", bound=Composite)


class SavedTask(NamedTuple):
    """The task model in a preset.

    Attributes:
        registered_name: Keras name of its class, such as `"elmo_keras>ElmoTagger"`.
        config: its config, without the encoder.
        weights: arrays of the layers outside of the encoder, by path.
        path: path of the config file, for errors.
        source: path of the weights file, for errors.
    """

    registered_name: str
    config: dict[str, Any]
    weights: dict[str, np.ndarray]
    path: str
    source: str


# === Saving ===


def save_preset(
    encoder: Composite,
    directory: Any,
    dtype: str = "float32",
    more: Mapping[str, Content] | None = None,
) -> None:
    """Writes an encoder as a preset, see `ElmoLayer.save_to_preset`.

    Args:
        encoder: a built text encoder of a class that is registered with Keras.
        directory: path of the directory; created if it does not exist.
        dtype: dtype of the weights in the file, `"float32"` or `"float16"`. Defaults to
            `"float32"`.
        more: contents of further files of the preset, by name. Defaults to none.

    Raises:
        ValueError: if the encoder is not built or is quantized, or if a weight is not finite.
        OSError: if the preset cannot be written; a previous one is then unchanged.
    """
    if dtype not in DTYPES:
        raise ValueError(
            f"`dtype` must be one of {DTYPES}. Received: dtype={dtype!r}. Pass one of them."
        )
    if not encoder.built:
        raise ValueError(
            "The layer must have weights to be saved. Received: a layer that is not built. Call it "
            "on a batch first."
        )
    if encoder.is_quantized:
        raise ValueError(
            "The weights of a preset must be floats. Received: quantized weights. Save the model "
            "as .keras, or save the layer before it is quantized."
        )
    arrays = arrays_of(encoder.preset_weights())
    check_weights(arrays, "layer")
    config = keras.saving.serialize_keras_object(encoder)
    config.pop("build_config", None)
    metadata = {
        "keras_version": keras.__version__,
        "parameter_count": sum(array.size for array in arrays.values()),
        "date_saved": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    contents = {
        WEIGHTS: hdf5_content(to_dtype(arrays, dtype)),
        METADATA: text_content(json.dumps(metadata, indent=2) + "\n"),
    }
    FILES.write(pathlib.Path(directory), config, contents | dict(more or {}))


def task_contents(
    config: Mapping[str, Any], weights: Mapping[str, keras.Variable], dtype: str = "float32"
) -> dict[str, Content]:
    """Returns the contents of the files that hold a task model without its encoder, by name.

    Args:
        config: dict of the `registered_name` and the `config` of the model.
        weights: weights outside of the encoder, by path.
        dtype: dtype of the weights in the file, `"float32"` or `"float16"`. Defaults to
            `"float32"`.

    Raises:
        ValueError: if a weight is not finite, or too large for float16.
    """
    arrays = arrays_of(weights)
    check_weights(arrays, "model")
    return {
        TASK: text_content(json.dumps(config, indent=2) + "\n"),
        TASK_WEIGHTS: hdf5_content(to_dtype(arrays, dtype)),
    }


def arrays_of(weights: Mapping[str, keras.Variable]) -> dict[str, np.ndarray]:
    """Converts weights to float32 arrays.

    Args:
        weights: the weights by path.

    Returns:
        dict of arrays by the same paths.
    """
    return {
        path: keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32"))
        for path, weight in weights.items()
    }


# === Loading ===


def load_preset(
    directory: pathlib.Path,
    cls: type[_Encoder],
    base: type[_Encoder] | None = None,
    **options: Any,
) -> _Encoder:
    """Loads the encoder of a preset.

    Args:
        directory: path of the directory of `config.json` and `model.weights.h5`.
        cls: class of the encoder. A preset of another subclass of `base` is loaded as an object of
            that subclass.
        base: base class of the encoders that the preset may hold. Defaults to `cls`.
        **options: arguments of the class that replace the saved ones.

    Raises:
        FileNotFoundError: if the directory holds no `config.json`.
        ValueError: if a file is damaged, if the files do not belong together, or if the class
            refuses an option.
    """
    saved = FILES.find(directory)
    if saved is None:
        raise FileNotFoundError(
            f"{directory} must hold a preset. Received: no {CONFIG} in it. Check the path."
        )
    path, config = saved.index_path, saved.content
    cls = _encoder_class(config, cls, base or cls, path)
    weights_path = saved.path(WEIGHTS)
    if not weights_path.is_file():
        raise ValueError(
            f"{directory} must hold a preset. Received: no {WEIGHTS} in it. Fetch or save the "
            "preset again."
        )
    saved.check(WEIGHTS)
    _check_sizes(config, path)
    with open_datasets(weights_path) as arrays:
        encoder = _make(cls, config["config"], options, path)
        try:
            _load_weights(encoder, arrays, str(weights_path), cls.replaced_weights(options))
        except (MismatchError, UnreadableArrayError):
            raise
        except Exception as error:
            if backend.in_distribution_strategy():
                raise  # The strategy may refuse LSTM states; the file is not at fault.
            # Depending on the config, any code of the layers may fail.
            raise _config_error(path, error) from error
    return encoder


def read_task(directory: pathlib.Path) -> SavedTask | None:
    """Reads the task model of a preset, without its encoder; `None` if the preset holds none.

    Args:
        directory: path of the preset.

    Raises:
        ValueError: if a file is damaged, or if the files do not belong together.
    """
    saved = FILES.find(directory)
    if saved is None or not saved.lists(TASK):
        return None
    saved.check(TASK, TASK_WEIGHTS)
    path, weights = saved.path(TASK), saved.path(TASK_WEIGHTS)
    content = safe_json.load(path, "the config of a task model")
    _check_sizes(content, path, max_items=_MAX_LABELS)
    if not is_config(content):
        raise safe_json.Reader(str(path), "the task.json of a preset").error(
            "registered_name", "the name of a task model", content
        )
    with open_datasets(weights) as arrays:
        values = {name: read_finite(array, name, str(weights)) for name, array in arrays.items()}
    # Bounds the memory of Dense layers, which are created before their weights are compared.
    largest = _largest_dimension(values)
    for name, hidden_dim in _find("hidden_dim", content["config"], "config"):
        if isinstance(hidden_dim, (int, float)) and not hidden_dim <= largest:
            raise _too_large(path, name, largest, hidden_dim)
    return SavedTask(content["registered_name"], content["config"], values, str(path), str(weights))


def _find(key: str, content: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yields the values of a key in nested dicts and lists, each with its name for errors."""
    if isinstance(content, dict):
        for own_key, value in content.items():
            if own_key == key:
                yield f"{name}.{key}", value
            yield from _find(key, value, f"{name}.{own_key}")
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from _find(key, value, f"{name}[{index}]")


def _largest_dimension(arrays: Mapping[str, np.ndarray]) -> int:
    return max((size for array in arrays.values() for size in array.shape), default=0)


def is_config(content: Any) -> bool:
    """Returns whether parsed JSON is the config of a Keras object."""
    return (
        isinstance(content, dict)
        and isinstance(content.get("registered_name"), str)
        and isinstance(content.get("config"), dict)
    )


def _encoder_class(
    config: Any, cls: type[_Encoder], base: type[_Encoder], path: pathlib.Path
) -> type[_Encoder]:
    """Returns the class of the encoder in a preset."""
    registered = None
    if is_config(config):
        registered = keras.saving.get_registered_object(config["registered_name"])
    if isinstance(registered, type):
        if issubclass(cls, registered):
            return cls
        if issubclass(registered, base):
            return registered
    raise safe_json.Reader(str(path), "the config.json of a preset").error(
        "registered_name",
        f"the name of a registered class of {base.__name__}s",
        config.get("registered_name") if isinstance(config, dict) else config,
    )


def _make(
    cls: type[_Encoder], config: dict[str, Any], options: dict[str, Any], path: pathlib.Path
) -> _Encoder:
    """Makes an encoder from a saved config and options that replace saved ones; not built."""
    try:
        return cls.from_config(_with_options(cls, config, options))
    except Exception as error:  # Depending on the config, any code of the layers may fail.
        if options:
            try:
                cls.from_config(_with_options(cls, config, {}))
            except Exception as config_error:
                raise _config_error(path, config_error) from config_error
            raise  # The config is correct: the class refused an option.
        raise _config_error(path, error) from error


def _config_error(path: pathlib.Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path} must be the config of a text encoder. Received: {type(error).__name__}: {error}. "
        "The file is damaged: fetch or save the preset again."
    )


def _load_weights(
    encoder: Composite, arrays: Mapping[str, StoredArray], source: str, replaced: tuple[str, ...]
) -> None:
    """Builds an encoder with all weights of a file.

    Args:
        encoder: the encoder, not built.
        arrays: arrays of the file, by path.
        source: name of the file, for errors.
        replaced: prefixes of the paths of weights that depend on the caller's options. They keep
            their initial values if the file has no weight of their shape.
    """
    loader = StrictLoader(arrays, source, described_by=CONFIG, advice=ADVICE)
    if not replaced:  # The layer allocates these as zeros, so their sizes are checked first.
        for path, shape in encoder.zero_weight_shapes().items():
            loader.check_array(path, shape)
    with loader.building() if encoder.has_named_parts else contextlib.nullcontext():
        encoder.build((None, None, *encoder.ids_shape))
    for path, weight in encoder.preset_weights().items():
        if loader.has_loaded(path):
            continue
        is_new = path not in arrays or tuple(arrays[path].shape) != tuple(weight.shape)
        if not (is_new and path.startswith(replaced)):
            weight.assign(loader.weight(path, tuple(weight.shape)))
    loader.check_all_used(ignored=replaced)


def _with_options(
    cls: type[Composite], config: dict[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the config of an encoder with other arguments.

    The encoder and its parts get the dtype in the options, or the global policy, as new layers do.
    A name that Keras generated is removed, because the layers of a model need different names.
    """
    dtype = keras.dtype_policies.serialize(keras.dtype_policies.get(options.get("dtype")))
    parts = {name: dict(config[name]["config"]) for name in cls.config_parts}
    for name, saved in {"layer": config, **parts}.items():
        policy = keras.dtype_policies.get(saved.get("dtype"))
        if not isinstance(policy, keras.dtype_policies.DTypePolicy):
            raise ValueError(f"the dtype of its {name} is not a policy: {policy!r}")
    parts = {
        name: {**config[name], "config": {**part, "dtype": dtype}} for name, part in parts.items()
    }
    config = {**config, **parts, **options, "dtype": dtype}
    name = config.get("name")
    if "name" not in options and isinstance(name, str) and _is_automatic(name, cls):
        del config["name"]
    return config


def _is_automatic(name: str, cls: type) -> bool:
    """Returns whether Keras generated a name: the class name in snake case, and a number."""
    snake_case = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
    return any(
        re.fullmatch(rf"{re.escape(stem)}(_\d+)?", name) for stem in (snake_case, "elmo_layer")
    )


def _check_sizes(
    content: Any, path: pathlib.Path, key: str = "", max_items: int = safe_json.MAX_FILTERS
) -> None:
    """Raises a ValueError for config values that would cost much time or memory."""
    if isinstance(content, dict):
        for name, value in content.items():
            _check_sizes(value, path, f"{key}.{name}" if key else name, max_items)
    elif isinstance(content, list):
        if len(content) > max_items:
            raise _too_large(path, f"the length of {key}", max_items, len(content))
        for value in content:
            _check_sizes(value, path, key, max_items)
    elif isinstance(content, (int, float)):
        limit = _LIMITS.get(key.rsplit(".", 1)[-1], safe_json.MAX_SIZE)
        if not abs(content) <= limit:
            raise _too_large(path, key, limit, content)


def _too_large(path: pathlib.Path, key: str, limit: int, received: Any) -> ValueError:
    return ValueError(
        f"In {path}, {key} must be at most {limit}. Received: {str(received)[:40]}. Check that the "
        f"file is the {path.name} of a preset."
    )
