"""A user's tf.data.Dataset in the form that Keras' own loops take."""

from collections.abc import Mapping

from elmo_keras._optional import tensorflow as tf
from elmo_keras.models import batches, examples


def adapt_dataset(dataset, task, class_weight=None, needs_labels=False):
    """Maps a user's dataset of batches to the model's inputs and label numbers.

    Args:
        dataset: tf.data.Dataset of batches `x`, `(x, y)` or `(x, y, sample_weight)`: `x` sentences
            or tokens, string, or ids where the model starts at them; `y` label names or numbers.
        task: the `ElmoTask`.
        class_weight: dict as in `examples.class_weights`, or `None`.
        needs_labels: bool. Whether elements must hold `y`. Defaults to `False`.

    Raises:
        ValueError: if the dataset's elements are no such batches. Wrong values raise an
            InvalidArgumentError when they are read.
    """
    of_class = examples.class_weights(class_weight, task.labels)

    def adapt(*batch):
        x, y, weights = (*batch, None, None)[:3]
        if isinstance(x, tf.RaggedTensor):
            x = batches.pad_ragged(x)
        if x.dtype == tf.string and x.shape.rank == 1:
            x = task.tokenizer(x)
        if x.dtype == tf.string and task.starts_at_ids:
            x = task.elmo.to_ids(x)
        if y is None:
            return (x,)
        if task.labels_per_token:
            y = _labels_of_tokens(y, x)
        y = _label_numbers(y, task)
        if weights is not None:
            if isinstance(weights, tf.RaggedTensor):
                weights = batches.pad_ragged(weights)
            weights = _checked_weights(tf.cast(weights, "float32"))
            if task.labels_per_token and weights.shape.rank == 1:
                weights = weights[:, tf.newaxis] * tf.ones_like(y, "float32")
        if class_weight is not None:
            weights = (1.0 if weights is None else weights) * tf.gather(of_class, y)
        return (x, y) if weights is None else (x, y, weights)

    _check_elements(dataset.element_spec, task, needs_labels)
    return dataset.map(adapt).prefetch(2)


def _check_elements(spec, task, needs_labels):
    """Raises a ValueError unless the elements of a dataset are batches that the task can read."""
    x, y, weights = (*spec, None, None)[:3] if isinstance(spec, tuple) else (spec, None, None)
    _check_x(x, task)
    if y is None:
        if needs_labels:
            raise ValueError(
                "The dataset must hold labels, to train or evaluate on it: batches (x, y). "
                f"Received: elements of {spec}. Zip the labels into it: "
                "tf.data.Dataset.zip((texts, labels))."
            )
        return
    _check_y(y, task)
    rank = None if weights is None else weights.shape.rank
    if weights is not None and rank not in (None, 1, 1 + task.labels_per_token):
        raise ValueError(
            "A sentence has one sample weight, a token of a tagger also one of its own. "
            f"Received: sample weights of shape {weights.shape}. Pass them in shape (batch,)."
        )


def _check_x(x, task):
    if isinstance(x, Mapping):
        raise ValueError(
            "The dataset's elements must be batches (x, y) with text as x. Received: a "
            f"{type(x).__name__} of the features {', '.join(map(repr, x))}. Pick the text: "
            "`dataset.map(lambda row, y: (row['text'], y))`."
        )
    shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
    ids_rank = 2 + len(task.elmo.ids_shape)
    is_known = shape is not None and shape.rank in ((1, 2) if dtype == tf.string else (ids_rank,))
    if not is_known:
        received = type(x).__name__ if shape is None else f"x of shape {shape}, {dtype}"
        raise ValueError(
            "A dataset's elements must be batches (x, y), x of shape (batch,) or (batch, "
            f"time), string. Received: {received}. Call `.batch(32)` on it."
        )
    if dtype == tf.string and shape.rank == 2 and shape[1] == 1:
        raise ValueError(
            "A dataset's x must be sentences of shape (batch,) or tokens of shape (batch, time). "
            f"Received: x of shape {shape}, sentences of a single token. Drop the last axis: "
            "`dataset.map(lambda x, y: (tf.squeeze(x, -1), y))`."
        )
    if dtype != tf.string and not task.starts_at_ids:
        raise ids_error()


def _check_y(y, task):
    shape, dtype = getattr(y, "shape", None), getattr(y, "dtype", None)
    if shape is None:
        raise ValueError(
            "A dataset's y must be labels, the names or numbers of classes. Received: a "
            f"{type(y).__name__}. Pick the labels with `dataset.map`."
        )
    rank = 1 + task.labels_per_token
    is_class = dtype == tf.string or dtype.is_integer
    if shape.rank in (None, rank) and is_class:
        return
    advice = "Pass class numbers as integers: `dataset.map(lambda x, y: (x, tf.cast(y, 'int32')))`."
    if shape.rank == rank + 1 and shape[-1] == 1:
        advice = (
            "Drop the last axis: `dataset.map(lambda x, y: (x, tf.cast(tf.squeeze(y, -1), "
            "'int32')))`; of Keras' dataset utilities ask for label_mode='int'."
        )
    elif shape.rank == rank + 1:
        advice = (
            "Of one-hot labels pass the classes: `dataset.map(lambda x, y: (x, tf.argmax(y, "
            "-1)))`; of Keras' dataset utilities ask for label_mode='int'."
        )
    elif shape.rank != rank:
        one = "token" if task.labels_per_token else "sentence"
        advice = f"Pass one label for each {one}. Call `.batch(32)` on it if it has no batches."
    form = "(batch, time)" if task.labels_per_token else "(batch,)"
    raise ValueError(
        f"A dataset's y must be labels of shape {form}, names (string) or numbers (int) of "
        f"classes. Received: y of shape {shape}, {dtype.name}. {advice}"
    )


def _checked_weights(weights):
    is_weight = tf.reduce_all(tf.math.is_finite(weights) & (weights >= 0))
    message = "Sample weights must be finite numbers of at least 0. Received:"
    with tf.control_dependencies([tf.debugging.Assert(is_weight, [message, weights])]):
        return tf.identity(weights)


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
