"""Inputs of task models."""

import os
from typing import Any

import keras

from elmo_keras import backend
from elmo_keras.encoders.text_encoder import TextEncoder
from elmo_keras.layers.sentence_boundaries import token_mask
from elmo_keras.utils.optional_module import tensorflow as tf


def task_inputs(encoder: Any, name: str = "") -> Any:
    """Creates the Keras input of a task model for one text.

    Args:
        encoder: the model's `TextEncoder`.
        name: str. Prefix of the input's name, for a model with several texts. Defaults to `""`.

    Returns:
        Keras tensor `(batch, time)`, string, of tokens; if strings cannot go into a graph,
        `(batch, time, *ids_shape)`, int32, of ids.

    Raises:
        ValueError: if the layer is not a `TextEncoder`, or does not return one vector for each
            token.
    """
    if not isinstance(encoder, TextEncoder):
        advice = "Subclass elmo_keras.TextEncoder to use another layer."
        if isinstance(encoder, (str, os.PathLike)):
            advice = "To load a preset or a checkpoint, call `from_preset(source, labels)`."
        raise ValueError(
            "`backbone` must be an ElmoLayer or another TextEncoder. Received: "
            f"{encoder!r} of type {type(encoder).__name__}. {advice}"
        )
    encoder.check_single_output()
    return text_input(encoder, name)


def text_input(encoder: TextEncoder, name: str = "") -> Any:
    """Creates the Keras input of a model for one text: tokens or, if need be, ids.

    See `task_inputs` for the arguments and the result. The encoder is not checked.
    """
    is_strings = (
        keras.backend.backend() == "tensorflow"
        and encoder.text_layer is not None
        and not backend.in_distribution_strategy()
    )
    if is_strings:
        return keras.Input((None,), dtype="string", name=f"{name}tokens")
    return keras.Input((None, *encoder.ids_shape), dtype="int32", name=f"{name}ids")


def input_mask(x: Any, starts_at_ids: bool) -> Any:
    """Computes the mask of the tokens in the input of a task model.

    Args:
        x: tokens `(batch, time)`, string, or ids `(batch, time, ...)`; or a list of several inputs,
            of which the first one is used.
        starts_at_ids: whether the inputs are ids.

    Returns:
        `(batch, time)` bool, `True` for tokens.
    """
    first = x[0] if isinstance(x, (list, tuple)) else x
    return token_mask(first) if starts_at_ids else tf.not_equal(first, "")
