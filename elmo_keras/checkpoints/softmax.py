"""The softmax over words that a biLM was trained with, in the files that keep it."""

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
# For a softmax that is saved alone; the softmax of a preset is a part of the preset.
FILES = FileSet("softmax.json", (FILE, VOCABULARY))


class Softmax(NamedTuple):
    """A softmax over words; both directions of a biLM share it.

    Attributes:
        kernel: `(words, dim)` float32: a word's row times a hidden state is its logit.
        bias: `(words,)` float32.
        vocabulary: the words in the order of the rows, or `None`.
    """

    kernel: np.ndarray
    bias: np.ndarray
    vocabulary: list[str] | None = None


def read_hdf5(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """`(kernel, bias)` of a file as AllenNLP publishes them: `softmax/W` and `softmax/b`.

    Raises:
        ValueError: if the file is damaged, or holds something else.
    """
    with open_datasets(path) as datasets:
        shapes = [datasets[name].shape if name in datasets else None for name in SOFTMAX]
        kernel, bias = shapes
        if not kernel or len(kernel) != 2 or bias != kernel[:1]:
            raise ValueError(
                f"{path} must hold softmax/W of shape (words, dim) and softmax/b of shape "
                f"(words,). Received: shapes {kernel} and {bias}. Check which file it is."
            )
        return tuple(stored_array.read_finite(datasets[name], name, str(path)) for name in SOFTMAX)


def is_softmax(path: pathlib.Path) -> bool:
    """Whether a file holds a softmax as AllenNLP publishes them, judged by its content."""
    return holds(path, "softmax")


def contents(softmax: Softmax, dtype: str = "float32") -> dict[str, Content]:
    """The files of a softmax as AllenNLP publishes them, and of its words, one a line.

    Args:
        softmax: of float32 weights.
        dtype: that the file holds them in, `"float32"` or `"float16"`.

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


def save(softmax: Softmax, directory) -> None:
    """Writes a softmax and its words for a model of AllenNLP or bilm-tf in the same directory.

    Args:
        softmax: of float32 weights.
        directory: where `softmax_weights.hdf5`, `vocabulary.txt` and `softmax.json`, the list of
            the two, go; made if absent. A preset there does not take it for its own: save its
            language model with `save_to_preset`.

    Raises:
        ValueError: if a weight is not finite.
        OSError: if a file cannot be written. The old ones are then unchanged.
    """
    FILES.write(pathlib.Path(directory), {}, contents(softmax))


def read(
    weights: pathlib.Path, is_training_checkpoint: bool, vocabulary: pathlib.Path | None = None
) -> Softmax | None:
    """A softmax with its words, or `None` if the checkpoint has none.

    Args:
        weights: path of an HDF5 file, or of a training checkpoint without `.index`.
        is_training_checkpoint: which of them it is.
        vocabulary: path of the file of words, or `None`.

    Raises:
        ValueError: if a file is damaged, or if the words are not as many as the softmax' rows.
    """
    reader = tensorflow_v1.read_training_softmax if is_training_checkpoint else read_hdf5
    arrays = reader(weights)
    if arrays is None:
        return None
    kernel, bias = arrays
    words = None if vocabulary is None else vocabulary_file.read(vocabulary)
    if bias.shape != kernel.shape[:1] or (words is not None and len(words) != len(kernel)):
        raise ValueError(
            f"The softmax in {weights} must have a row and a bias for each word. Received: kernel "
            f"{kernel.shape}, bias {bias.shape}"
            + (f" and {len(words)} words in {vocabulary}" if words is not None else "")
            + ". Pass the vocabulary that the model was trained with."
        )
    return Softmax(kernel, bias, words)
