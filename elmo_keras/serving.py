"""SavedModels that take text, and load where elmo_keras is not installed."""

import os
import warnings
from typing import Any, Protocol, runtime_checkable

import keras

from elmo_keras.encoders.elmo_layer import ElmoLayer
from elmo_keras.encoders.text_encoder import TextEncoder
from elmo_keras.layers.finite import check_weights
from elmo_keras.layers.keras_internals import sub_layers
from elmo_keras.text.text_layer import at_least_one_step
from elmo_keras.text.tokenizer import Tokenizer
from elmo_keras.utils.optional_module import tensorflow as tf


@runtime_checkable
class _ServedModel(Protocol):
    """A model that says how it is served. Task models are such models.

    Attributes:
        backbone: the text encoder, for the endpoints `embed` and `embed_tokens`.
        tokenizer: splits sentences.
    """

    backbone: TextEncoder

    @property
    def tokenizer(self) -> Tokenizer: ...

    def serving_inputs(self, tokens: Any) -> Any:
        """The model's inputs for tokens `(batch, time)`, string, `""` as padding."""

    def serving_outputs(self, tokens: Any, outputs: Any) -> dict[str, Any]:
        """The answers of an endpoint, by name, for tokens and the model's outputs."""


def export_saved_model(
    model: keras.Model, directory: str | os.PathLike, verbose: bool = False
) -> None:
    """Writes a Keras model that starts at strings as a SavedModel.

    | endpoint | takes | for |
    |---|---|---|
    | `serve`, also `serving_default` | `text`: `(batch,)` string | every model |
    | `tokens` | `tokens`: `(batch, time)` string, `""` as padding | models that start at tokens |
    | `embed` | `text` | task models, and models with one ElmoLayer |
    | `embed_tokens` | `tokens` | those of them that start at tokens |

    `embed` and `embed_tokens` return `tokens`, `mask` and `embeddings`, the output of the encoder
    (`embeddings_0` and so on for several outputs). The other endpoints return the `serving_outputs`
    of a task model: an `ElmoTextClassifier` returns `labels` `(batch,)` and `probabilities`
    `(batch, labels)`; an `ElmoTagger` returns `tokens`, `labels` `(batch, time)` with `""` at
    padding, and `probabilities`. Other models return `outputs` (`outputs_0` and so on for several
    outputs).

    Args:
        model: a Functional Keras model, a task model or your own, with one input: sentences
            `(batch,)` or tokens `(batch, time)`, string. A task model may start at ids.
        directory: path of the directory to write.
        verbose: bool. Whether Keras prints the endpoints and their contents. Defaults to `False`.

    Raises:
        ValueError: if the model does not start at strings, holds an ElmoLayer with
            `state="carry"` or weights that are not finite, or the backend is not TensorFlow.

    Example:

    ```python
    elmo_keras.serving.export_saved_model(model, "served/")

    # elsewhere, with TensorFlow alone
    served = tf.saved_model.load("served/")
    served.serve(tf.constant(["A lovely film."]))["labels"]
    ```
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "A SavedModel of strings needs the TensorFlow backend. Received: the "
            f"{keras.backend.backend()} backend. Save the model as .keras, load it with "
            "KERAS_BACKEND=tensorflow and export it there."
        )
    starts_at_sentences = _starts_at_sentences(model)
    check_weights({weight.path: weight for weight in model.weights}, "model")
    encoder, vectors = _encoder(model)
    tokenizer = _tokenizer(model, encoder)
    embedder: Any = keras.Model(*vectors) if encoder else None

    def inputs_of(tokens):
        return model.serving_inputs(tokens) if isinstance(model, _ServedModel) else tokens

    def predict(text):
        return _by_name(model(text, training=False))

    def predict_tokens(tokens):
        tokens = at_least_one_step(tokens)
        outputs = model(inputs_of(tokens), training=False)
        if isinstance(model, _ServedModel):
            return model.serving_outputs(tokens, outputs)
        return _by_name(outputs)

    def embed_text(text):
        return _embeddings(encoder, tokenizer(text), embedder(text, training=False))

    def embed_tokens(tokens):
        tokens = at_least_one_step(tokens)
        return _embeddings(encoder, tokens, embedder(inputs_of(tokens), training=False))

    text = [keras.InputSpec(shape=(None,), dtype="string", name="text")]
    tokens = [keras.InputSpec(shape=(None, None), dtype="string", name="tokens")]
    archive = keras.export.ExportArchive()
    for layer in model.layers:  # Not the model: its optimizer may hold what cannot be saved.
        archive.track(layer)
    if starts_at_sentences:
        archive.add_endpoint("serve", predict, text)
        if embedder:
            archive.add_endpoint("embed", embed_text, text)
    else:
        archive.add_endpoint("serve", lambda text: predict_tokens(tokenizer(text)), text)
        archive.add_endpoint("tokens", predict_tokens, tokens)
        if embedder:
            archive.add_endpoint("embed", lambda text: embed_tokens(tokenizer(text)), text)
            archive.add_endpoint("embed_tokens", embed_tokens, tokens)
    archive.write_out(str(directory), verbose=verbose)

    if any(layer.needs_tensorflow_text for layer in _layers(model, Tokenizer)):
        warnings.warn(
            f"The SavedModel in {directory} holds tensorflow-text ops: a process that loads it "
            "must `import tensorflow_text` first. Tokenizer('words') needs TensorFlow alone.",
            stacklevel=2,
        )


def _starts_at_sentences(model):
    """Whether the model's graph starts at sentences; else it starts at tokens, or at their ids."""
    inputs = model.inputs if isinstance(getattr(model, "inputs", None), list) else []
    if len(inputs) == 1:
        rank = len(inputs[0].shape)
        if keras.backend.standardize_dtype(inputs[0].dtype) == "string" and rank in (1, 2):
            return rank == 1
        if isinstance(model, _ServedModel) and model.backbone.text_layer is not None:
            return False
    received = [(tuple(x.shape), keras.backend.standardize_dtype(x.dtype)) for x in inputs]
    raise ValueError(
        "`model` must be a Functional model with one input of strings: sentences (batch,) or "
        f"tokens (batch, time). Received: inputs {received}. Use model.export for other models."
    )


def _encoder(model):
    """The encoder whose vectors are served, and the inputs and outputs of a model of them.

    `None` unless there is one such layer, which the model itself applies once.
    """
    backbone = getattr(model, "backbone", None)
    encoders = [backbone] if isinstance(backbone, TextEncoder) else _layers(model, ElmoLayer)
    if len(encoders) != 1 or encoders[0] not in model.layers:
        return None, None
    (encoder,) = encoders
    outputs = []

    def call(layer, *args, **kwargs):
        result = layer(*args, **kwargs)
        if layer is encoder:
            outputs.append(result)
        return result

    # The layer may be a part of other models, too: its outputs in this one are computed again.
    graph = keras.models.clone_model(
        keras.Model(model.inputs, model.outputs),
        clone_function=lambda layer: layer,
        call_function=call,
    )
    return (encoder, (graph.inputs, outputs[0])) if len(outputs) == 1 else (None, None)


def _layers(model, cls):
    return [layer for layer in sub_layers(model) if isinstance(layer, cls)]


def _tokenizer(model, encoder):
    """The layer that splits raw sentences: the model's own, or the encoder's."""
    own = [layer for layer in model.layers if isinstance(layer, Tokenizer)]
    if len(own) == 1:
        return own[0]
    return encoder.tokenizer if encoder is not None else Tokenizer()


def _by_name(outputs):
    """Outputs as the dict that a signature needs."""
    if isinstance(outputs, (list, tuple)):
        return {f"outputs_{i}": output for i, output in enumerate(outputs)}
    return outputs if isinstance(outputs, dict) else {"outputs": outputs}


def _embeddings(encoder, tokens, outputs):
    mask = tf.not_equal(tokens, "")
    if encoder.keep_boundaries:
        mask = tf.pad(mask, [[0, 0], [2, 0]], constant_values=True)  # two steps more
    result = {"tokens": tokens, "mask": mask}
    if isinstance(outputs, (list, tuple)):
        result.update({f"embeddings_{i}": output for i, output in enumerate(outputs)})
    else:
        result["embeddings"] = outputs
    return result
