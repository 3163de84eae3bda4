"""SavedModels that take text, and load where elmo_keras is not installed."""

import warnings

import keras

from elmo_keras._optional import tensorflow as tf
from elmo_keras.layers.elmo_layer import ElmoLayer
from elmo_keras.layers.finite import check_weights
from elmo_keras.models.elmo_task import ElmoTask
from elmo_keras.text.text_layer import at_least_one_step
from elmo_keras.text.tokenizer import Tokenizer


def export_saved_model(model, directory, verbose=False):
    """Writes a Keras model that starts at strings as a SavedModel.

    | endpoint | takes | for |
    |---|---|---|
    | `serve`, also `serving_default` | `text`: `(batch,)` string | every model |
    | `tokens` | `tokens`: `(batch, time)` string, `""` as padding | models that start at tokens |
    | `embed` | `text` | models with one ElmoLayer |
    | `embed_tokens` | `tokens` | those of them that start at tokens |

    `embed` and `embed_tokens` return `tokens`, `mask` and `embeddings`, the output of the
    ElmoLayer (`embeddings_0` and so on where it has several). Of an `ElmoTextClassifier` the
    others return `labels` `(batch,)` and `probabilities` `(batch, labels)`; of an `ElmoTagger`
    `tokens`, `labels` `(batch, time)` with `""` at padding, and `probabilities`; of another model
    `outputs` (`outputs_0` and so on of several).

    Args:
        model: a Functional Keras model, an `ElmoTask` or your own, with one input: sentences
            `(batch,)` or tokens `(batch, time)`, string. An `ElmoTask` may start at ids.
        directory: where to write.
        verbose: bool. Whether Keras prints the endpoints with all they hold. Defaults to `False`.

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
    start = _start(model)
    check_weights({weight.path: weight for weight in model.weights}, "model")
    elmo = _single_elmo(model)
    tokenizer = _tokenizer(model, elmo)
    embedder = elmo and keras.Model(model.inputs, _output_in(model, elmo))

    def to_input(tokens):
        return elmo.to_ids(tokens) if start == "ids" else tokens

    def predict(text):
        return _named(model(text, training=False))

    def predict_tokens(tokens):
        tokens = at_least_one_step(tokens)
        return _with_labels(model, tokens, model(to_input(tokens), training=False))

    def embed_text(text):
        return _embeddings(elmo, tokenizer(text), embedder(text, training=False))

    def embed_tokens(tokens):
        tokens = at_least_one_step(tokens)
        return _embeddings(elmo, tokens, embedder(to_input(tokens), training=False))

    text = [keras.InputSpec(shape=(None,), dtype="string", name="text")]
    tokens = [keras.InputSpec(shape=(None, None), dtype="string", name="tokens")]
    archive = keras.export.ExportArchive()
    for layer in model.layers:  # Not the model: its optimizer may hold what cannot be saved.
        archive.track(layer)
    if start == "sentences":
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


def _start(model):
    """What the model's graph starts at: `"sentences"`, `"tokens"` or, of a task, `"ids"`."""
    inputs = model.inputs if isinstance(getattr(model, "inputs", None), list) else []
    if len(inputs) == 1:
        rank = len(inputs[0].shape)
        if keras.backend.standardize_dtype(inputs[0].dtype) == "string" and rank in (1, 2):
            return "sentences" if rank == 1 else "tokens"
        if isinstance(model, ElmoTask) and model.elmo.text_layer is not None:
            return "ids"
    received = [(tuple(x.shape), keras.backend.standardize_dtype(x.dtype)) for x in inputs]
    raise ValueError(
        "`model` must be a Functional model with one input of strings: sentences (batch,) or "
        f"tokens (batch, time). Received: inputs {received}. Use model.export for other models."
    )


def _single_elmo(model):
    """The model's ElmoLayer, if it has one and applies it once itself, not inside a sub-model."""
    layers = _layers(model, ElmoLayer)
    if len(layers) == 1 and layers[0] in model.layers and len(_nodes(model, layers[0])) == 1:
        return layers[0]
    return None


def _layers(model, cls):
    return [layer for layer in model._flatten_layers() if isinstance(layer, cls)]


def _nodes(model, layer):
    """The applications of a layer that belong to the model; it may stand in others as well."""
    own = {id(node) for nodes in model._nodes_by_depth.values() for node in nodes}
    return [node for node in layer._inbound_nodes if id(node) in own]


def _output_in(model, layer):
    outputs = _nodes(model, layer)[0].output_tensors
    return outputs if len(outputs) > 1 else outputs[0]


def _tokenizer(model, elmo):
    """What splits raw sentences: the model's own layer, or the ElmoLayer's."""
    own = [layer for layer in model.layers if isinstance(layer, Tokenizer)]
    if len(own) == 1:
        return own[0]
    return elmo.tokenizer if elmo is not None else Tokenizer()


def _named(outputs):
    """Outputs as the dict that a signature needs."""
    if isinstance(outputs, (list, tuple)):
        return {f"outputs_{i}": output for i, output in enumerate(outputs)}
    return outputs if isinstance(outputs, dict) else {"outputs": outputs}


def _with_labels(model, tokens, outputs):
    if not isinstance(model, ElmoTask):
        return _named(outputs)
    labels = tf.gather(tf.constant(model.labels), tf.argmax(outputs, axis=-1))
    if not model.labels_per_token:
        return {"labels": labels, "probabilities": outputs}
    labels = tf.where(tf.equal(tokens, ""), "", labels)
    return {"tokens": tokens, "labels": labels, "probabilities": outputs}


def _embeddings(elmo, tokens, outputs):
    mask = tf.not_equal(tokens, "")
    if elmo.keep_boundaries:
        mask = tf.pad(mask, [[0, 0], [2, 0]], constant_values=True)  # two real steps more
    result = {"tokens": tokens, "mask": mask}
    if isinstance(outputs, (list, tuple)):
        result.update({f"embeddings_{i}": output for i, output in enumerate(outputs)})
    else:
        result["embeddings"] = outputs
    return result
