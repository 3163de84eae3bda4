"""Finds out what a source is, and reads it."""

import pathlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, TypeVar

from elmo_keras.checkpoints import hdf5, manylangs, tensorflow_checkpoint
from elmo_keras.checkpoints.checkpoint import Checkpoint
from elmo_keras.checkpoints.softmax import Softmax
from elmo_keras.checkpoints.softmax import read as read_softmax
from elmo_keras.layers.arguments import arguments_of, check_arguments
from elmo_keras.layers.elmo_layer import ElmoLayer
from elmo_keras.layers.word_embedding import WordEmbedding
from elmo_keras.presets import preset
from elmo_keras.presets.recognition import Found, find_softmax, recognise, stamp
from elmo_keras.presets.sources import local

_DECIDED_BY_CHECKPOINTS = {"token_encoder", "bilstm"}
_OF_SOURCES = {"sha256", "vocabulary", "token_embeddings"}
_ATTEMPTS = 5  # at reading files that are being replaced
_Result = TypeVar("_Result")


class Loaded(NamedTuple):
    """A layer, and what its source was found to be.

    Attributes:
        layer: the ElmoLayer, built.
        format: what its format is called.
        has_mix: whether the weights of its mix come from the source.
        softmax: the softmax over words that it was trained with, where the source keeps it and it
            was asked for; else `None`.
    """

    layer: ElmoLayer
    format: str
    has_mix: bool
    softmax: Softmax | None = None


def load_elmo_layer(source, cls=ElmoLayer, **options) -> ElmoLayer:
    """See `ElmoLayer.from_preset`."""
    return load(source, cls=cls, **options).layer


def load(
    source,
    cls=ElmoLayer,
    sha256=None,
    vocabulary=None,
    token_embeddings=None,
    with_softmax=False,
    **options,
) -> Loaded:
    """As `ElmoLayer.from_preset`, and says what the source was.

    Args:
        with_softmax: whether to read the softmax too, where there is one.
    """
    check_arguments(options, known_options(cls), f"{cls.__name__}.from_preset")
    with local(source, sha256) as paths:

        def read():
            found = recognise(paths)
            softmax = _read_softmax(paths, vocabulary) if with_softmax else None
            return _load(found, cls, vocabulary, token_embeddings, softmax, options)

        return _of_one_save(paths, read)


def known_options(cls=ElmoLayer) -> set[str]:
    """The names of the options that `from_preset` of a class of layers takes."""
    return arguments_of(cls) - _DECIDED_BY_CHECKPOINTS | _OF_SOURCES


def load_softmax(source, sha256=None, vocabulary=None) -> Softmax:
    """The softmax over words that a biLM was trained with, for those checkpoints that keep it.

    These are bilm-tf's training checkpoints, presets that were converted from them, and the
    `softmax_weights.hdf5` files beside AllenNLP's models.

    Args:
        source: as in `ElmoLayer.from_preset`, or the path or address of such a file.
        sha256: as there.
        vocabulary: path of the file of words, one a line; `None` looks for it beside the weights.

    Returns:
        A `Softmax` of `kernel (words, dim)`, `bias (words,)` and `vocabulary`, a list of str or
        `None` if there is no file of words.

    Raises:
        ValueError: if the source holds no softmax, or is damaged.
    """
    with local(source, sha256) as paths:
        softmax = _of_one_save(paths, lambda: _read_softmax(paths, vocabulary))
    if softmax is None:
        raise ValueError(
            "The source must hold the softmax that the model was trained with. Received: "
            f"{str(source)!r}, which holds none. Training checkpoints of bilm-tf do, and the "
            "softmax_weights.hdf5 of AllenNLP."
        )
    return softmax


def _of_one_save(paths: Sequence[pathlib.Path], read: Callable[[], _Result]) -> _Result:
    """Reads files, and reads them again if a save replaced some of them meanwhile."""
    for _ in range(_ATTEMPTS):
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
        f"{paths[-1]} must stay as it is while it is read. Received: a save during each of "
        f"{_ATTEMPTS} attempts. Wait until the other program has saved."
    )


def _load(found, cls, vocabulary, token_embeddings, softmax, options):
    if found.kind == "preset":
        _refuse_words(vocabulary, token_embeddings)
        layer = preset.load_preset(found.directory, cls=cls, **options)
        return Loaded(layer, "preset of elmo_keras", bool(layer.scalar_mixes), softmax)
    with _open(found, vocabulary, token_embeddings) as checkpoint:
        if not isinstance(checkpoint.token_encoder, WordEmbedding) and not softmax:
            _refuse_words(vocabulary, token_embeddings)
        layer = checkpoint.to_layer(cls=cls, **options)
        return Loaded(layer, checkpoint.format, checkpoint.mix is not None, softmax)


def _read_softmax(paths, vocabulary):
    found = find_softmax(paths)
    if found is None:
        return None
    words = found.vocabulary if vocabulary is None else pathlib.Path(vocabulary)
    if found.saved is not None:
        read_parts = [found.weights, *([words] if vocabulary is None and words else [])]
        found.saved.check(*(path.name for path in read_parts))
    return read_softmax(found.weights, found.is_training_checkpoint, words)


def _open(found: Found, vocabulary, token_embeddings) -> AbstractContextManager[Checkpoint]:
    words = found.vocabulary if vocabulary is None else pathlib.Path(vocabulary)
    if found.kind == "hdf5":
        return hdf5.open_hdf5(found.options, found.weights, words, token_embeddings)
    if token_embeddings is not None:
        raise ValueError(
            "`token_embeddings` stand beside HDF5 weights. Received: a source of another format."
        )
    if found.kind == "training":
        return tensorflow_checkpoint.open_training_checkpoint(found.options, found.weights, words)
    if found.kind == "hub":
        return tensorflow_checkpoint.open_hub_module(found.weights)
    return manylangs.open_manylangs(found.directory)


def _refuse_words(vocabulary, token_embeddings):
    if vocabulary is not None or token_embeddings is not None:
        raise ValueError(
            "`vocabulary` and `token_embeddings` are for models that read words. Received: a "
            "source of another kind."
        )
