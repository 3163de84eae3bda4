"""Export of SavedModels that accept text and load where elmo_keras is not installed."""

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
    """A model that defines its endpoints' inputs and outputs, such as a task model.

    Attributes:
        backbone: the text encoder, for the endpoints `embed` and `embed_tokens`.
    """

    backbone: TextEncoder

    def serving_inputs(self, text: Any) -> tuple[Any, Any]:
        """Returns the tokens of a text, and the model's inputs.

        Args:
            text: sentences `(batch,)` or tokens `(batch, time)`, string, `""` as padding; a tuple
                of them for a model with several texts.

        Returns:
            Tokens `(batch, time)`, string, of the first text; and the model's inputs.
        """

    def serving_outputs(self, tokens: Any, outputs: Any) -> dict[str, Any]:
        """Returns the outputs of an endpoint, by name, for tokens and the model's outputs."""


def export_saved_model(
    model: keras.Model, directory: str | os.PathLike, verbose: bool = False
) -> None:
    """Writes a Keras model that starts at strings as a SavedModel.

    | endpoint | input | exists for |
    |---|---|---|
    | `serve`, also `serving_default` | `text`: `(batch,)` string | every model |
    | `tokens` | `tokens`: `(batch, time)` string, `""` as padding | models that start at tokens |
    | `embed` | `text` | task models, and models with one ElmoLayer |
    | `embed_tokens` | `tokens` | the models of `embed` that start at tokens |

    `embed` and `embed_tokens` return `tokens`, `mask` and `embeddings`, the output of the encoder
    (`embeddings_0` and so on for several outputs). The other endpoints return the `serving_outputs`
    of a task model: an `ElmoTextClassifier` returns `labels` `(batch,)` and `probabilities`
    `(batch, labels)`; an `ElmoTagger` returns `tokens`, `labels` `(batch, time)` with `""` at
    padding, and `probabilities`. Other models return `outputs` (`outputs_0` and so on for several
    outputs).

    The endpoints of a task model run its preprocessor. A task model with several texts has one
    input for each, named after the inputs of the model: `left_tokens` has `left_text` in `serve`.

    Args:
        model: a Functional Keras model with one input, sentences `(batch,)` or tokens `(batch,
            time)`, string; or a task model, which may start at ids and may have several inputs.
        directory: path of the directory to write.
        verbose: bool. Whether Keras prints the endpoints and their contents. Defaults to `False`.

    Raises:
        ValueError: if the model does not start at strings, if it contains an ElmoLayer with
            `state="carry"` or weights that are not finite, or if the backend is not TensorFlow.

    Example:

    ```python
    elmo_keras.serving.export_saved_model(model, "served/")

    # in a process that needs only TensorFlow
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

    def read(*texts: Any) -> tuple[Any, Any]:
        """Returns the tokens and the model's inputs for sentences or tokens."""
        # At least one step, as in every batch of `fit` and `predict`.
        texts = tuple(x if x.shape.rank == 1 else at_least_one_step(x) for x in texts)
        if isinstance(model, _ServedModel):
            return model.serving_inputs(texts if len(texts) > 1 else texts[0])
        (x,) = texts
        tokens = at_least_one_step(tokenizer(x)) if x.shape.rank == 1 else x
        return tokens, x if starts_at_sentences else tokens

    def predict(*texts: Any) -> dict[str, Any]:
        if starts_at_sentences:
            return _by_name(model(*texts, training=False))
        tokens, inputs = read(*texts)
        outputs = model(inputs, training=False)
        if isinstance(model, _ServedModel):
            return model.serving_outputs(tokens, outputs)
        return _by_name(outputs)

    def embed(*texts: Any) -> dict[str, Any]:
        tokens, inputs = read(*texts)
        return _embeddings(encoder, tokens, embedder(inputs, training=False))

    names = _text_names(model)
    text = [keras.InputSpec(shape=(None,), dtype="string", name=f"{name}text") for name in names]
    tokens = [
        keras.InputSpec(shape=(None, None), dtype="string", name=f"{name}tokens") for name in names
    ]
    archive = keras.export.ExportArchive()
    # Tracks the layers, not the model: some optimizers cannot be saved.
    for layer in model.layers:
        archive.track(layer)
    archive.add_endpoint("serve", predict, text)
    if not starts_at_sentences:
        archive.add_endpoint("tokens", predict, tokens)
    if embedder:
        archive.add_endpoint("embed", embed, text)
        if not starts_at_sentences:
            archive.add_endpoint("embed_tokens", embed, tokens)
    archive.write_out(str(directory), verbose=verbose)

    if any(layer.needs_tensorflow_text for layer in _layers(model, Tokenizer)):
        warnings.warn(
            f"The SavedModel in {directory} holds tensorflow-text ops: a process that loads it "
            "must `import tensorflow_text` first. Tokenizer('words') needs only TensorFlow.",
            stacklevel=2,
        )


def _starts_at_sentences(model: keras.Model) -> bool:
    """Whether the model's graph starts at sentences. Otherwise it starts at tokens or ids."""
    inputs = model.inputs if isinstance(getattr(model, "inputs", None), list) else []
    if isinstance(model, _ServedModel) and model.backbone.text_layer is not None:
        return False
    if len(inputs) == 1:
        rank = len(inputs[0].shape)
        if keras.backend.standardize_dtype(inputs[0].dtype) == "string" and rank in (1, 2):
            return rank == 1
    received = [(tuple(x.shape), keras.backend.standardize_dtype(x.dtype)) for x in inputs]
    raise ValueError(
        "`model` must be a Functional model with one input of strings: sentences (batch,) or "
        f"tokens (batch, time). Received: inputs {received}. Use model.export for other models."
    )


def _text_names(model: keras.Model) -> list[str]:
    """Returns the prefixes of the names of the texts: `[""]` for a model with one text."""
    if len(model.inputs) == 1:
        return [""]
    return [x.name.removesuffix("tokens").removesuffix("ids") for x in model.inputs]


def _encoder(model: keras.Model) -> tuple[Any, Any]:
    """Returns the encoder for the `embed` endpoints, and `(inputs, outputs)` of a model of it.

    Returns `(None, None)` unless the model has exactly one encoder and applies it exactly once.
    """
    backbone = getattr(model, "backbone", None)
    encoders = [backbone] if isinstance(backbone, TextEncoder) else _layers(model, ElmoLayer)
    if len(encoders) != 1 or encoders[0] not in model.layers:
        return None, None
    (encoder,) = encoders
    outputs = []

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        result = layer(*args, **kwargs)
        if layer is encoder:
            outputs.append(result)
        return result

    # The layer may also belong to other models. Rebuilding the graph finds its output in this one.
    graph = keras.models.clone_model(
        keras.Model(model.inputs, model.outputs),
        clone_function=lambda layer: layer,
        call_function=call,
    )
    return (encoder, (graph.inputs, outputs[0])) if len(outputs) == 1 else (None, None)


def _layers(model: keras.Model, cls: type) -> list[Any]:
    return [layer for layer in sub_layers(model) if isinstance(layer, cls)]


def _tokenizer(model: keras.Model, encoder: TextEncoder | None) -> Tokenizer:
    """Returns the layer that splits raw sentences: the model's tokenizer, or the encoder's."""
    own = [layer for layer in model.layers if isinstance(layer, Tokenizer)]
    if len(own) == 1:
        return own[0]
    return encoder.tokenizer if encoder is not None else Tokenizer()


def _by_name(outputs: Any) -> dict[str, Any]:
    """Converts outputs to a dict, as a signature needs them."""
    if isinstance(outputs, (list, tuple)):
        return {f"outputs_{i}": output for i, output in enumerate(outputs)}
    return outputs if isinstance(outputs, dict) else {"outputs": outputs}


def _embeddings(encoder: TextEncoder, tokens: Any, outputs: Any) -> dict[str, Any]:
    """Returns the outputs of an `embed` endpoint by name."""
    mask = tf.not_equal(tokens, "")
    if encoder.keep_boundaries:
        mask = tf.pad(mask, [[0, 0], [2, 0]], constant_values=True)  # the sentence boundaries
    result = {"tokens": tokens, "mask": mask}
    if isinstance(outputs, (list, tuple)):
        result.update({f"embeddings_{i}": output for i, output in enumerate(outputs)})
    else:
        result["embeddings"] = outputs
    return result
