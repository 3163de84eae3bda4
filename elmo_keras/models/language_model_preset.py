"""Presets of language models: the preset of an ElmoLayer, with its softmax and vocabulary."""

import os
from typing import Any

import keras

from elmo_keras.checkpoints import softmax
from elmo_keras.checkpoints.softmax import Softmax
from elmo_keras.encoders.elmo_layer import ElmoLayer
from elmo_keras.files import vocabulary_file
from elmo_keras.presets import loading, native_format


def load(cls: type, source: Any, vocabulary: Any, options: dict[str, Any]) -> Any:
    """See `BidirectionalLanguageModel.from_preset`.

    Args:
        cls: class of the model.
        source: as in `ElmoLayer.from_preset`.
        vocabulary: list of words, path of a file of words, or `None`.
        options: arguments of `ElmoLayer.from_preset`.
    """
    loaded = loading.load(source, ElmoLayer, with_softmax=True, **options)
    words = _words(vocabulary)
    if loaded.softmax is None:
        if words is None:
            raise ValueError(
                "`source` must hold a softmax and its words, or `vocabulary` must name the words "
                f"of a new softmax. Received: {str(source)!r}, which holds no softmax, and no "
                "`vocabulary`. Build a vocabulary with `elmo-keras vocabulary`."
            )
        return cls(loaded.layer, words)
    kernel, bias, own_words = loaded.softmax
    words = own_words if words is None else words
    if words is None or len(words) != len(bias):
        raise ValueError(
            "The vocabulary must have as many words as the softmax in the source, of "
            f"{len(bias):,} words. Received: "
            f"{'no vocabulary' if words is None else f'{len(words):,} words'}. Pass the file that "
            "the model was trained with as `vocabulary`."
        )
    model = cls(loaded.layer, words)
    if kernel.shape != tuple(model.head.softmax.kernel.shape):
        raise ValueError(
            "The kernel of the softmax must have the LSTMs' projection size, "
            f"{loaded.layer.bilstm.output_dim}, as its last axis. Received: a kernel of shape "
            f"{kernel.shape}. Pass the softmax of the same model."
        )
    model.head.softmax.kernel.assign(kernel)
    model.head.softmax.bias.assign(bias)
    return model


def save(model: Any, directory: str | os.PathLike, dtype: str = "float32") -> None:
    """See `BidirectionalLanguageModel.save_to_preset`.

    Args:
        model: the language model.
        directory: path of the directory.
        dtype: `"float32"` or `"float16"`.
    """
    kernel, bias = (
        keras.ops.convert_to_numpy(keras.ops.cast(weight, "float32"))
        for weight in (model.head.softmax.kernel, model.head.softmax.bias)
    )
    files = softmax.contents(Softmax(kernel, bias, model.vocabulary), dtype)
    native_format.save_preset(model.to_elmo_layer(), directory, dtype, files)


def _words(vocabulary: Any) -> Any:
    if vocabulary is None or isinstance(vocabulary, (list, tuple)):
        return vocabulary
    return vocabulary_file.read(vocabulary)
