"""Files of whole models: written whole, of finite weights, in formats that load again."""

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
    **kwargs,
) -> None:
    """Saves a model as `.keras`; a file that is there already stays until the new one is whole.

    Keras writes in place: a full disk, or a kill, would leave neither the old model nor the new.

    Args:
        model: the model.
        write: `keras.Model.save` of the model.
        filepath: path that ends in `.keras`.
        overwrite: bool. Whether a file that is there may be replaced. Defaults to `True`.
        zipped: as in `keras.Model.save`.
        **kwargs: Further arguments of `keras.Model.save`.

    Raises:
        ValueError: if the path does not end in `.keras`, if there is a file and `overwrite` is
            `False`, or if a weight is not finite. Nothing has been written then.
        OSError: if the file cannot be written. The old one is whole.
    """
    path = pathlib.Path(filepath).resolve()  # the file that a link leads to
    if zipped is False:  # a folder: its files cannot be put in place together
        check_model(model)
        write(filepath, overwrite=overwrite, zipped=False, **kwargs)
        return
    if path.suffix != ".keras":
        raise ValueError(
            f"`filepath` must end in .keras. Received: {str(path)!r}. The older formats .h5 and "
            ".hdf5 write models of this kind, but do not load them; for a SavedModel call `export`."
        )
    if path.exists() and not overwrite:
        raise ValueError(
            f"`filepath` must be a new file where `overwrite=False`. Received: {str(path)!r}, "
            "which exists. Name another one, or pass overwrite=True."
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
            f"{path} could not be written: {error}. A file that was there before is whole. Make "
            "room and save again."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def check_model(model: keras.Model) -> None:
    """Raises a ValueError that names the weights of a model that hold NaN or infinity."""
    check_weights({weight.path: weight for weight in model.weights}, "model")


def check_format(format: str) -> None:
    """Raises a ValueError for an export in a format whose runtime cannot run it."""
    if format != "tf_saved_model":
        raise ValueError(
            "`format` must be 'tf_saved_model'. Received: "
            f"format={format!r}. No other runtime can run the graph of these models yet: ONNX "
            "Runtime has no operation for the distinct words of a batch, LiteRT needs TensorFlow's "
            "own operations (Flex), and neither reads strings. Serve the SavedModel."
        )


def from_config(
    cls: Any, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
) -> keras.Model:
    """Builds a model around a layer from its config.

    Restores `trainable=False` only if the whole model was frozen; sub-layers restore their own flag
    from their configs.

    Args:
        cls: class of the model.
        config: the config; it holds the layer as `backbone`, or as `elmo` in older files and in
            language models.
        custom_objects: classes by name, for Keras' deserialization.
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
