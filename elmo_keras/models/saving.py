"""Files of whole models: written whole, of finite weights, in formats that load again."""

import os
import pathlib
import shutil
from collections.abc import Callable

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
