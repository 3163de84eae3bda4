"""The parts that task models are made of: their input, their dense head, their label names."""

from collections.abc import Mapping, Set

import keras

from elmo_keras import kernels
from elmo_keras.layers.elmo_layer import ElmoLayer
from elmo_keras.text.containers import to_batch


def text_input(elmo):
    """The Keras input of a task, and the check that its ElmoLayer gives one vector a token."""
    if not isinstance(elmo, ElmoLayer):
        raise ValueError(
            f"`elmo` must be an ElmoLayer. Received: {elmo!r} of type {type(elmo).__name__}. To "
            "load a preset or a checkpoint, call `from_preset(source, labels)` of the model."
        )
    if elmo.num_representations > 1 or elmo.output_choice == "all" or elmo.keep_boundaries:
        raise ValueError(
            "`elmo` must give one vector a token. Received: an ElmoLayer with "
            f"output={elmo.output_choice!r}, num_representations={elmo.num_representations}, "
            f"keep_boundaries={elmo.keep_boundaries}. Use output='mix', 'average', 'top' or a "
            "number, or build a Keras model around it."
        )
    is_strings = (
        keras.backend.backend() == "tensorflow"
        and elmo.text_layer is not None
        and not kernels.in_distribution_strategy()
    )
    if is_strings:
        return keras.Input((None,), dtype="string", name="tokens")
    return keras.Input((None, *elmo.token_encoder.ids_shape), dtype="int32", name="ids")


def dense_head(hidden_dim, head_dropout, num_labels, name):
    """The layers from vectors to probabilities, each behind its dropout, the last in float32."""
    head = []
    if hidden_dim:
        head.append(keras.layers.Dropout(head_dropout, name="hidden_dropout"))
        head.append(keras.layers.Dense(hidden_dim, activation="relu", name="hidden"))
    head.append(keras.layers.Dropout(head_dropout, name="output_dropout"))
    softmax = keras.layers.Dense(num_labels, activation="softmax", dtype="float32", name=name)
    return [*head, softmax]


def check_labels(labels):
    """The label names as a list of different str."""
    if isinstance(labels, (Mapping, Set)):
        raise ValueError(
            "`labels` must be a list: the place of a name in it is its number. Received: a "
            f"{type(labels).__name__}, {labels!r}. Sort the names into a list."
        )
    labels = to_batch(labels, "`labels`")
    is_list = hasattr(labels, "__iter__") and not isinstance(labels, (str, bytes))
    if not is_list or not all(isinstance(label, str) and label for label in labels):
        raise ValueError(
            f"`labels` must be a list of names (str). Received: labels={labels!r}. Name the "
            "classes, like labels=['negative', 'positive']."
        )
    labels = [str(label) for label in labels]
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise ValueError(
            f"`labels` must be at least two different names. Received: labels={labels!r}"
        )
    return labels
