"""Loads encoders and softmaxes from sources of any format."""

import os
import pathlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, NamedTuple, TypeVar

import keras

from elmo_keras.checkpoints import bilm_hdf5, manylangs, tensorflow_v1
from elmo_keras.checkpoints.checkpoint import Checkpoint
from elmo_keras.checkpoints.softmax import Softmax
from elmo_keras.checkpoints.softmax import read as read_softmax
from elmo_keras.layers.word_embedding import WordEmbedding
from elmo_keras.presets import native_format
from elmo_keras.presets.detect import Found, detect, find_softmax, stamp
from elmo_keras.presets.locate import local
from elmo_keras.utils.arguments import arguments_of, check_arguments

_DECIDED_BY_CHECKPOINTS = {"token_encoder", "bilstm"}
SOURCE_OPTIONS = {"sha256", "vocabulary", "token_embeddings"}
_MAX_ATTEMPTS = 5  # to read files that another process is replacing
_Layer = TypeVar("_Layer", bound=keras.layers.Layer)
_Result = TypeVar("_Result")
_Path = str | os.PathLike


class Loaded(NamedTuple, Generic[_Layer]):
    """An encoder, and the facts that its source revealed.

    Attributes:
        layer: the encoder, built.
        format: name of the source's format.
        has_mix: whether the weights of the layer's mix come from the source.
        softmax: the softmax over words of a language model; `None` if the source holds none, or
            if it was not requested.
        task: the task model of a preset; `None` if the source holds none, or if it was not
            requested.
    """

    layer: _Layer
    format: str
    has_mix: bool
    softmax: Softmax | None = None
    task: native_format.SavedTask | None = None


def load(
    source: Any,
    cls: type[_Layer],
    *,
    base: type[_Layer] | None = None,
    sha256: Any = None,
    vocabulary: Any = None,
    token_embeddings: Any = None,
    with_softmax: bool = False,
    with_task: bool = False,
    **options: Any,
) -> Loaded[_Layer]:
    """Loads an encoder from any source, see `ElmoLayer.from_preset`.

    Args:
        source: a directory, file, pair of files, address or name.
        cls: the class to build. For a foreign checkpoint, it must take a token encoder and LSTMs
            as its first two arguments.
        base: class that the encoder of a preset may have. Defaults to `cls`.
        sha256: expected checksum of a download, or a pair of them. Defaults to `None`.
        vocabulary: path of a file of words, one per line. Defaults to `None`.
        token_embeddings: path of an HDF5 file of word vectors. Defaults to `None`.
        with_softmax: whether to read the softmax of a language model. Defaults to `False`.
        with_task: whether to read the task model of a preset. Defaults to `False`.
        **options: arguments of the class.

    Raises:
        ValueError: if an option is unknown, or if the source is not a model, damaged or unsafe.
        OSError: if an address cannot be reached.
    """
    check_arguments(options, known_options(cls), f"{cls.__name__}.from_preset")
    with local(source, sha256) as paths:

        def read() -> Loaded[_Layer]:
            found = detect(paths)
            softmax = _read_softmax(paths, vocabulary) if with_softmax else None
            loaded = _load(found, cls, base or cls, vocabulary, token_embeddings, softmax, options)
            if with_task and found.format == "preset":
                (directory,) = found.paths
                loaded = loaded._replace(task=native_format.read_task(directory))
            return loaded

        return _of_one_save(paths, read)


def known_options(cls: type) -> set[str]:
    """Returns the names of the options that `from_preset` of an encoder class accepts.

    Args:
        cls: class of the encoder.
    """
    return arguments_of(cls) - _DECIDED_BY_CHECKPOINTS | SOURCE_OPTIONS


def load_softmax(source: Any, sha256: Any = None, vocabulary: _Path | None = None) -> Softmax:
    """Loads the softmax over words that a biLM was trained with.

    These sources hold a softmax: bilm-tf's training checkpoints, presets of language models, and
    the `softmax_weights.hdf5` files that AllenNLP publishes beside its models.

    Args:
        source: as in `ElmoLayer.from_preset`, or the path or address of a file of a softmax.
        sha256: as in `ElmoLayer.from_preset`. Defaults to `None`.
        vocabulary: path of the file of words, one per line. Defaults to `None`: the file of words
            beside the weights.

    Returns:
        A `Softmax` of `kernel (words, dim)`, `bias (words,)` and `vocabulary`, a list of str or
        `None` if there is no file of words.

    Raises:
        ValueError: if the source holds no softmax, or is damaged.
        OSError: if an address cannot be reached.

    Example:

    ```python
    softmax = elmo_keras.presets.load_softmax("elmo_mini_en")
    softmax.kernel.shape  # (15000, 128)
    ```
    """
    with local(source, sha256) as paths:
        softmax = _of_one_save(paths, lambda: _read_softmax(paths, vocabulary))
    if softmax is None:
        raise ValueError(
            "The source must hold the softmax that the model was trained with. Received: "
            f"{str(source)!r}, which holds none. Pass a training checkpoint of bilm-tf, the "
            "preset of a language model, or a softmax_weights.hdf5 of AllenNLP."
        )
    return softmax


def _of_one_save(paths: Sequence[pathlib.Path], read: Callable[[], _Result]) -> _Result:
    """Reads files, and reads them again if another process has saved new ones meanwhile."""
    for _ in range(_MAX_ATTEMPTS):
        before = stamp(paths)
        try:
            result = read()
        except (ValueError, FileNotFoundError):
            if stamp(paths) == before:
                raise
        else:
            if stamp(paths) == before:
                return result
    raise ValueError(
        f"{paths[-1]} must not change while it is read. Received: a save during each of "
        f"{_MAX_ATTEMPTS} attempts. Wait until the other process has saved."
    )


def _load(
    found: Found,
    cls: type[_Layer],
    base: type[_Layer],
    vocabulary: _Path | None,
    token_embeddings: _Path | None,
    softmax: Softmax | None,
    options: dict[str, Any],
) -> Loaded[_Layer]:
    if found.format == "preset":
        _refuse_words(vocabulary, token_embeddings)
        (directory,) = found.paths
        layer = native_format.load_preset(directory, cls, base, **options)
        has_mix = bool(getattr(layer, "scalar_mixes", ()))
        return Loaded(layer, "preset of elmo_keras", has_mix, softmax)
    with _open(found, vocabulary, token_embeddings) as checkpoint:
        if not isinstance(checkpoint.token_encoder, WordEmbedding) and not softmax:
            _refuse_words(vocabulary, token_embeddings)
        layer = checkpoint.to_layer(cls, **options)
        return Loaded(layer, checkpoint.format, checkpoint.mix is not None, softmax)


def _read_softmax(paths: Sequence[pathlib.Path], vocabulary: _Path | None) -> Softmax | None:
    found = find_softmax(paths)
    if found is None:
        return None
    words = found.vocabulary if vocabulary is None else pathlib.Path(vocabulary)
    if found.saved is not None:
        read_parts = [found.weights, *([words] if vocabulary is None and words else [])]
        found.saved.check(*(path.name for path in read_parts))
    return read_softmax(found.weights, found.is_training_checkpoint, words)


def _open(
    found: Found, vocabulary: _Path | None, token_embeddings: _Path | None
) -> AbstractContextManager[Checkpoint]:
    words = found.vocabulary if vocabulary is None else pathlib.Path(vocabulary)
    if found.format == "hdf5":
        options, weights = found.paths
        return bilm_hdf5.open_hdf5(options, weights, words, token_embeddings)
    if token_embeddings is not None:
        raise ValueError(
            "`token_embeddings` must come with HDF5 weights. Received: `token_embeddings` with a "
            "source of another format. Leave them out, or pass the HDF5 weights of the model."
        )
    if found.format == "training":
        options, prefix = found.paths
        return tensorflow_v1.open_training_checkpoint(options, prefix, words)
    (path,) = found.paths
    if found.format == "hub":
        return tensorflow_v1.open_hub_module(path)
    return manylangs.open_manylangs(path)


def _refuse_words(vocabulary: _Path | None, token_embeddings: _Path | None) -> None:
    given = {"vocabulary": vocabulary, "token_embeddings": token_embeddings}
    names = [f"`{name}`" for name, value in given.items() if value is not None]
    if names:
        raise ValueError(
            "`vocabulary` and `token_embeddings` are for models that read words. Received: "
            f"{' and '.join(names)} with a source of another format. Leave them out."
        )
