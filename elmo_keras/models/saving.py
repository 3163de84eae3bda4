"""Saving and restoring whole models: complete files, finite weights, formats that can be loaded."""

import inspect
import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import keras

from elmo_keras.layers.finite import check_weights


def save(
    model: keras.Model,
    write: Callable,
    filepath: str | os.PathLike,
    overwrite: bool = True,
    zipped: bool | None = None,
    **kwargs: Any,
) -> None:
    """Saves a model as `.keras`, and replaces an existing file when the new one is complete.

    Keras writes in place, so a full disk or a killed process would leave no complete file.

    Args:
        model: the model.
        write: `keras.Model.save` of the model.
        filepath: path that ends in `.keras`.
        overwrite: bool. Whether an existing file may be replaced. Defaults to `True`.
        zipped: as in `keras.Model.save`.
        **kwargs: Further arguments of `keras.Model.save`.

    Raises:
        ValueError: if the path does not end in `.keras`, if the file exists and `overwrite` is
            `False`, or if a weight is not finite. Nothing has been written then.
        OSError: if the file cannot be written. An existing file is then unchanged.
    """
    path = pathlib.Path(filepath).resolve()  # A link stays, and its target is replaced.
    if zipped is False:  # a directory, whose files cannot be replaced in one operation
        check_model(model)
        write(filepath, overwrite=overwrite, zipped=False, **kwargs)
        return
    if path.suffix != ".keras":
        raise ValueError(
            f"`filepath` must end in .keras. Received: {str(path)!r}. Keras would write .h5 and "
            ".hdf5 files that it cannot load. Call `export` for a SavedModel."
        )
    if path.exists() and not overwrite:
        raise ValueError(
            f"`filepath` must not exist if overwrite=False. Received: {str(path)!r}, which exists. "
            "Choose another path, or pass overwrite=True."
        )
    check_model(model)
    partial = path.with_name(f".{path.stem}.partial.keras")
    try:
        write(partial, overwrite=True, zipped=zipped, **kwargs)
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, partial)
        os.replace(partial, path)
    except OSError as error:
        raise OSError(
            f"{path} could not be written: {error}. A file that existed before is unchanged. Free "
            "disk space and save again."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def check_model(model: keras.Model) -> None:
    """Raises a ValueError that names the weights of a model that hold NaN or infinity."""
    check_weights({weight.path: weight for weight in model.weights}, "model")


def check_format(format: str) -> None:
    """Raises a ValueError for an export format whose runtime cannot run these models."""
    if format != "tf_saved_model":
        raise ValueError(
            "`format` must be 'tf_saved_model'. Received: "
            f"format={format!r}. No other runtime can run these models yet: ONNX Runtime has no "
            "operation for the distinct words of a batch, LiteRT needs TensorFlow operations "
            "(Flex), and neither reads strings. Serve the SavedModel."
        )


def from_config(
    cls: Any, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
) -> keras.Model:
    """Creates a model from its config.

    Restores `trainable=False` only if the whole model was frozen; sub-layers restore their own flag
    from their configs.

    Args:
        cls: class of the model.
        config: the config. It holds the encoder as `backbone`; older files and language models hold
            it as `elmo`.
        custom_objects: dict of names to classes, for Keras' deserialization. Defaults to `None`.
    """
    config = dict(config)
    trainable = config.pop("trainable", True)
    parameters = inspect.signature(cls.__init__).parameters
    if "elmo" in config and "backbone" in parameters:
        config["backbone"] = config.pop("elmo")
    for name in ("backbone", "elmo", "head", "preprocessor"):
        if isinstance(config.get(name), dict):
            config[name] = keras.saving.deserialize_keras_object(
                config[name], custom_objects=custom_objects
            )
    model = cls(**config)
    if not trainable:
        model.trainable = False
    return model
