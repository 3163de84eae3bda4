"""Files of the softmax over words that a biLM was trained with."""

import os
import pathlib
from typing import NamedTuple

import numpy as np

from elmo_keras.checkpoints import tensorflow_v1
from elmo_keras.checkpoints.tensorflow_v1 import SOFTMAX
from elmo_keras.files import stored_array, vocabulary_file
from elmo_keras.files.atomic_write import Content
from elmo_keras.files.file_set import FileSet
from elmo_keras.files.safe_hdf5 import hdf5_content, holds, open_datasets
from elmo_keras.layers.finite import check_weights

FILE, VOCABULARY = "softmax_weights.hdf5", "vocabulary.txt"
# Only for a softmax that is saved without a preset: a preset lists its softmax itself.
FILES = FileSet("softmax.json", (FILE, VOCABULARY))


class Softmax(NamedTuple):
    """A softmax over words, shared by both directions of a biLM.

    Attributes:
        kernel: `(words, dim)` float32. The logit of a word is the product of its row and a hidden
            state, plus its bias.
        bias: `(words,)` float32.
        vocabulary: the words in the order of the rows, or `None` if they are unknown.
    """

    kernel: np.ndarray
    bias: np.ndarray
    vocabulary: list[str] | None = None


def read_hdf5(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Reads the arrays `softmax/W` and `softmax/b` of a file in AllenNLP's format.

    Args:
        path: path of the file.

    Returns:
        `(kernel, bias)`: `(words, dim)` and `(words,)` float32.

    Raises:
        ValueError: if the file is damaged, or is not a softmax.
    """
    with open_datasets(path) as datasets:
        kernel, bias = (datasets[name].shape if name in datasets else None for name in SOFTMAX)
        if not kernel or len(kernel) != 2 or bias != kernel[:1]:
            raise ValueError(
                f"{path} must hold softmax/W of shape (words, dim) and softmax/b of shape "
                f"(words,). Received: shapes {kernel} and {bias}. Check that it is the right file."
            )
        weights, biases = (
            stored_array.read_finite(datasets[name], name, str(path)) for name in SOFTMAX
        )
        return weights, biases


def is_softmax(path: pathlib.Path) -> bool:
    """Returns whether a file holds a softmax in AllenNLP's format, judged by its content."""
    return holds(path, "softmax")


def contents(softmax: Softmax, dtype: str = "float32") -> dict[str, Content]:
    """Returns a softmax in AllenNLP's format and its words, one per line, as contents of files.

    Args:
        softmax: the softmax, in float32.
        dtype: dtype of the file, `"float32"` or `"float16"`. Defaults to `"float32"`.

    Returns:
        dict of contents by file name, to be written together with a model.

    Raises:
        ValueError: if a weight is not finite, or too large for float16.
    """
    arrays = dict(zip(SOFTMAX, (softmax.kernel, softmax.bias)))
    check_weights(arrays, "softmax")
    files = {FILE: hdf5_content(stored_array.to_dtype(arrays, dtype))}
    if softmax.vocabulary is not None:
        files[VOCABULARY] = vocabulary_file.content_of(softmax.vocabulary)
    return files


def save(softmax: Softmax, directory: str | os.PathLike) -> None:
    """Writes a softmax and its words beside a model of AllenNLP or bilm-tf.

    A preset in the same directory ignores this softmax: it uses only the softmax that it lists.
    Save a language model as a preset with its `save_to_preset`.

    Args:
        softmax: the softmax, in float32.
        directory: path of the directory for `softmax_weights.hdf5`, `vocabulary.txt` and
            `softmax.json`, which lists these two; created if it does not exist.

    Raises:
        ValueError: if a weight is not finite.
        OSError: if a file cannot be written. The old files are then unchanged.
    """
    FILES.write(pathlib.Path(directory), {}, contents(softmax))


def read(
    weights: pathlib.Path, is_training_checkpoint: bool, vocabulary: pathlib.Path | None = None
) -> Softmax | None:
    """Reads a softmax and its words; `None` if the checkpoint has no softmax.

    Args:
        weights: path of an HDF5 file, or of a training checkpoint without `.index`.
        is_training_checkpoint: whether `weights` is a training checkpoint.
        vocabulary: path of the file of words. Defaults to `None`: the words are unknown.

    Raises:
        ValueError: if a file is damaged, or if the number of words differs from the number of rows.
    """
    reader = tensorflow_v1.read_training_softmax if is_training_checkpoint else read_hdf5
    arrays = reader(weights)
    if arrays is None:
        return None
    kernel, bias = arrays
    words = None if vocabulary is None else vocabulary_file.read(vocabulary)
    if bias.shape != kernel.shape[:1] or (words is not None and len(words) != len(kernel)):
        raise ValueError(
            f"The softmax in {weights} must have one row and one bias for each word. Received: "
            f"kernel {kernel.shape}, bias {bias.shape}"
            + (f" and {len(words)} words in {vocabulary}" if words is not None else "")
            + ". Pass the vocabulary that the model was trained with."
        )
    return Softmax(kernel, bias, words)
