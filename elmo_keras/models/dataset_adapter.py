"""A user's tf.data.Dataset as what Keras' own loops take."""

from elmo_keras._optional import tensorflow as tf
from elmo_keras.models import batches, examples


def adapt_dataset(dataset, task, class_weight=None):
    """Maps a user's dataset of batches to the model's inputs and label numbers.

    Args:
        dataset: tf.data.Dataset of batches `x`, `(x, y)` or `(x, y, sample_weight)`: `x` sentences
            or tokens, string, or ids where the model starts at them; `y` label names or numbers.
        task: the `ElmoTask`.
        class_weight: dict as in `examples.class_weights`, or `None`.

    Raises:
        ValueError: if the dataset's elements are no such batches. What is wrong with their values
            comes, when they pass by, as an InvalidArgumentError.
    """
    of_class = examples.class_weights(class_weight, task.labels)

    def adapt(*batch):
        x, y, weights = (*batch, None, None)[:3]
        if isinstance(x, tf.RaggedTensor):
            x = batches.pad_ragged(x)
        if x.dtype == tf.string and x.shape.rank == 1:
            x = task.tokenizer(x)
        if x.dtype == tf.string and task.starts_at_ids:
            x = task.elmo.text_layer(x)
        if y is None:
            return (x,)
        if task.labels_per_token:
            y = _labels_of_tokens(y, x)
        y = _label_numbers(y, task)
        if weights is not None:
            if isinstance(weights, tf.RaggedTensor):
                weights = batches.pad_ragged(weights)
            weights = tf.cast(weights, "float32")
            if task.labels_per_token and weights.shape.rank == 1:
                weights = weights[:, tf.newaxis] * tf.ones_like(y, "float32")
        if class_weight is not None:
            weights = (1.0 if weights is None else weights) * tf.gather(of_class, y)
        return (x, y) if weights is None else (x, y, weights)

    spec = dataset.element_spec
    first, second = (*spec, None)[:2] if isinstance(spec, tuple) else (spec, None)
    shape, dtype = getattr(first, "shape", None), getattr(first, "dtype", None)
    ids_rank = 2 + len(task.elmo.token_encoder.ids_shape)
    is_known = shape is not None and shape.rank in ((1, 2) if dtype == tf.string else (ids_rank,))
    if second is not None and second.shape.rank not in (None, 1 + task.labels_per_token):
        is_known = False
    if not is_known:
        received = type(first).__name__ if shape is None else f"x of shape {shape}, {dtype}"
        raise ValueError(
            "A dataset's elements must be batches (x, y), x of shape (batch,) or (batch, "
            f"time), string. Received: {received}. Call `.batch(32)` on it."
        )
    if dtype != tf.string and not task.starts_at_ids:
        raise ids_error()
    return dataset.map(adapt).prefetch(2)


def _labels_of_tokens(y, x):
    """A batch of labels `(batch, time)` in a graph, checked to be as many as there are tokens.

    A ragged batch says itself how many labels each sentence has. In an array, labels may stand
    at padding, whatever they are, and none may lack elsewhere: none is `""` or -1.
    """
    message = "Every sentence must have as many labels as tokens. Received labels:"
    is_token = (
        tf.not_equal(x, "")
        if x.dtype == tf.string
        else tf.reduce_any(tf.not_equal(x, 0), axis=list(range(2, x.shape.rank)))
    )
    time = tf.shape(is_token)[1]
    if isinstance(y, tf.RaggedTensor):
        length = tf.reduce_sum(tf.cast(is_token, "int32"), axis=1)
        is_whole = tf.reduce_all(tf.equal(tf.cast(y.row_lengths(), "int32"), length))
        y = y.to_tensor(default_value=_no_label(y))
        missing = tf.maximum(time - tf.shape(y)[1], 0)
        y = tf.pad(y, [[0, 0], [0, missing]], constant_values=_no_label(y))
    else:
        is_whole = tf.equal(tf.shape(y)[1], time)
    # Whatever reads labels and tokens together must wait until their shapes are known to fit.
    with tf.control_dependencies([tf.debugging.Assert(is_whole, [message, y])]):
        has_label = tf.not_equal(y, _no_label(y))
    has_labels = tf.reduce_all(tf.logical_or(has_label, tf.logical_not(is_token)))
    with tf.control_dependencies([tf.debugging.Assert(has_labels, [message, y])]):
        return tf.identity(y)


def _label_numbers(y, task):
    """Label names or numbers in a graph as numbers, 0 where there is none."""
    if y.dtype == tf.string:
        is_label = tf.equal(y[..., tf.newaxis], tf.constant(task.labels))
        is_known = tf.reduce_any(is_label, axis=-1)
        numbers = tf.argmax(is_label, axis=-1, output_type="int32")
    else:
        numbers = tf.cast(y, "int32")
        is_known = (numbers >= 0) & (numbers < len(task.labels))
    if task.labels_per_token:  # The tokens have been found to have theirs.
        is_none = tf.equal(y, _no_label(y))
        is_known |= is_none
        numbers = tf.where(is_none, 0, numbers)
    tf.debugging.Assert(
        tf.reduce_all(is_known),
        [f"Labels must be among {task.labels[:30]}, those of the model. Received:", y],
    )
    return numbers


def _no_label(y):
    return "" if y.dtype == tf.string else -1


def ids_error():
    """The ValueError for ids where the graph starts at text."""
    return ValueError(
        "On TensorFlow this model starts at text. Received: ids. Pass sentences or token "
        "lists; for ids build a Keras model around its `elmo` layer."
    )
