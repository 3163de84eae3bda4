"""Presets of task models: the preset of the backbone, with further files for the head."""

import functools
import inspect
import os
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from elmo_keras.checkpoints.loader import StrictLoader
from elmo_keras.encoders.elmo_layer import ElmoLayer
from elmo_keras.encoders.text_encoder import TextEncoder
from elmo_keras.files.stored_array import StoredArray
from elmo_keras.layers.keras_internals import sub_layers
from elmo_keras.models import saving
from elmo_keras.models.preprocessing.labels import check_labels
from elmo_keras.presets import loading, native_format
from elmo_keras.utils.arguments import arguments_of, check_arguments

# Arguments of the model that come from the preset or from the caller's `labels`, not from options.
_GIVEN = {"self", "kwargs", "backbone", "labels", "token_encoder", "bilstm"}
# Arguments of a trained model that options may replace, because weights do not depend on them.
_REPLACEABLE = {"name", "preprocessor"}


def load(cls: Any, source: Any, labels: Any, options: Mapping[str, Any]) -> Any:
    """See `ElmoTask.from_preset`.

    Args:
        cls: class of the model.
        source: as in `ElmoLayer.from_preset`.
        labels: label names for a new head, or `None` for the trained model of the source.
        options: arguments of the model and of its backbone.
    """
    if labels is not None:
        labels = check_labels(labels)
    own = inspect.signature(cls.__init__).parameters
    known = {*own, *arguments_of(ElmoLayer), *loading.SOURCE_OPTIONS} - _GIVEN
    check_arguments(options, known, f"{cls.__name__}.from_preset")
    model_options = {key: options[key] for key in options if key in own or key == "name"}
    encoder_options = {key: options[key] for key in options if key not in model_options}
    loaded = loading.load(
        source, ElmoLayer, base=TextEncoder, with_task=labels is None, **encoder_options
    )
    if labels is not None:
        return cls(loaded.layer, labels, **model_options)
    task: Any = loaded.task
    _check_task(cls, task, source, model_options)
    config = {**task.config, **model_options, "backbone": loaded.layer}
    try:
        model = saving.from_config(cls, config)
    except Exception as error:  # The config decides which code fails, and how.
        if model_options:
            raise
        raise ValueError(
            f"{task.path} must be the config of a {cls.__name__}. Received: "
            f"{type(error).__name__}: {error}. The file is damaged: fetch or save the preset again."
        ) from error
    _set_head_weights(model, task)
    return model


def _check_task(cls: Any, task: Any, source: Any, options: Mapping[str, Any]) -> None:
    """Raises a ValueError unless a source holds a trained model of a class."""
    name = keras.saving.get_registered_name(cls)
    if task is None or task.registered_name != name:
        actual = "no task model" if task is None else f"the model {task.registered_name}"
        raise ValueError(
            f"`source` must hold a trained {cls.__name__}, or `labels` must name the labels of a "
            f"new head. Received: {str(source)!r}, which holds {actual}, and no `labels`. Pass "
            "labels=['negative', 'positive'], for example."
        )
    fixed = sorted(options.keys() - _REPLACEABLE)
    if fixed:
        raise ValueError(
            "Arguments of the head must be equal to those of the trained model. Received: "
            f"{', '.join(f'{key}={options[key]!r}' for key in fixed)} without `labels`. Omit "
            "them, or pass `labels` for a new head."
        )


def save(model: Any, directory: str | os.PathLike, dtype: str) -> None:
    """See `ElmoTask.save_to_preset`.

    Args:
        model: the `ElmoTask`.
        directory: path of the directory.
        dtype: `"float32"` or `"float16"`.
    """
    if any(layer.quantization_mode for layer in model.layers):
        raise ValueError(
            "A model must have floating-point weights to be saved to a preset. Received: a model "
            "with a quantized head. Save it as .keras, or save the preset before you quantize it."
        )
    if any(getattr(layer, "lora_enabled", False) for layer in sub_layers(model)):
        raise ValueError(
            "A model must have no LoRA weights to be saved to a preset. Received: a model with "
            "LoRA. Save it as .keras."
        )
    for name in ("head", "preprocessor"):
        part = getattr(model, name)
        registered = keras.saving.get_registered_name(type(part))
        if part is not None and keras.saving.get_registered_object(registered) is None:
            raise ValueError(
                f"The class of `{name}` must be registered with Keras, so that the preset can be "
                f"loaded. Received: {type(part).__name__}. Decorate the class with "
                "@keras.saving.register_keras_serializable(package=...)."
            )
    config = model.get_config()
    del config["backbone"]
    content = {"registered_name": keras.saving.get_registered_name(type(model)), "config": config}
    files = native_format.task_contents(content, _head_weights(model), dtype)
    native_format.save_preset(model.backbone, directory, dtype, files)


def _head_weights(model: Any) -> dict[str, keras.Variable]:
    """Returns the weights outside of the backbone by the indices of layer and weight, and its name.

    Names of layers are not used, because they may differ in the next process.
    """
    layers = [layer for layer in model.layers if layer is not model.backbone and layer.weights]
    return {
        f"{index}/{place}/{weight.name}": weight
        for index, layer in enumerate(layers)
        for place, weight in enumerate(layer.weights)
    }


def _set_head_weights(model: Any, task: Any) -> None:
    arrays = {
        name: StoredArray(array.shape, array.dtype, functools.partial(np.asarray, array))
        for name, array in task.weights.items()
    }
    loader = StrictLoader(
        arrays, task.source, described_by=native_format.TASK, advice=native_format.ADVICE
    )
    values = {
        name: (weight, loader.weight(name, tuple(weight.shape)))
        for name, weight in _head_weights(model).items()
    }
    loader.check_all_used()
    for weight, value in values.values():
        weight.assign(value)
