"""Language models in presets: the preset of an ElmoLayer, with the softmax and its words."""

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
                "`source` must hold a softmax and its words, or `vocabulary` must name words for a "
                f"new one. Received: {str(source)!r}, which holds none, and no `vocabulary`. Build "
                "one with `elmo-keras vocabulary`."
            )
        return cls(loaded.layer, words)
    kernel, bias, own_words = loaded.softmax
    words = own_words if words is None else words
    if words is None or len(words) != len(bias):
        raise ValueError(
            f"The vocabulary must be that of the softmax in the source, of {len(bias):,} words. "
            f"Received: {'none' if words is None else f'{len(words):,} words'}. Pass `vocabulary`, "
            "the file that the model was trained with."
        )
    model = cls(loaded.layer, words)
    if kernel.shape != tuple(model.head.softmax.kernel.shape):
        raise ValueError(
            "The softmax must be over vectors of the size of the LSTMs' projections, "
            f"{loaded.layer.bilstm.output_dim}. Received: kernel {kernel.shape}."
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


def _words(vocabulary):
    if vocabulary is None or isinstance(vocabulary, (list, tuple)):
        return vocabulary
    return vocabulary_file.read(vocabulary)
