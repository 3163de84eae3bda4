"""Arguments of `fit` and `evaluate`: their checks, and the split of validation data."""

from typing import Any

from elmo_keras.models.preprocessing.preprocessor import Examples
from elmo_keras.models.preprocessing.weights import read_weights


def check_labels_given(x: Any, y: Any, name: str | None = None) -> None:
    """Raises a ValueError if there are no labels to train or evaluate on.

    Args:
        x: sentences, token lists, ids or a `tf.data.Dataset`, which holds the labels itself.
        y: labels, or `None`.
        name: str. Name of the argument that holds `(x, y)`. Defaults to `None`: `x` and `y` are
            arguments.
    """
    if y is None and not hasattr(x, "element_spec"):
        where = "y=None" if name is None else f"no labels in `{name}`"
        raise ValueError(
            f"`y` must hold the labels of `x`. Received: {where}. Pass x and y, or a "
            "tf.data.Dataset of both."
        )


def split_examples(
    preprocessor: Any, data: tuple[Any, ...], fraction: float
) -> tuple[Examples, Examples]:
    """Reads lists and arrays, and takes their last part as validation data, as Keras does.

    Args:
        preprocessor: the `Preprocessor` of the model.
        data: tuple of `x`, `y`, sample weights and class weights. Class weights apply to the first
            part.
        fraction: float. Share of the sentences in the validation data.

    Returns:
        The examples of the first and of the last part.

    Raises:
        ValueError: if a part is empty, if the data have no length, and as `Preprocessor.examples`
            does.
    """
    x, y, sample_weight, class_weight = data
    if hasattr(x, "element_spec") or not hasattr(x, "__len__"):
        raise ValueError(
            "`validation_split` needs lists or arrays. "
            f"Received: {type(x).__name__}. Pass `validation_data`."
        )
    examples = preprocessor.examples(x, y, sample_weight)
    start = int(len(examples) * (1 - fraction))
    if not 0 < start < len(examples):
        raise ValueError(
            "`validation_split` must leave sentences on both sides. Received: "
            f"validation_split={fraction} of {len(examples)} sentences. Change it, or pass "
            "`validation_data`."
        )
    parts = slice(0, start), slice(start, None)
    indices = list(examples.y or ())
    first, last = (
        Examples(
            tuple(rows[part] for rows in examples.inputs),
            indices[part],
            None if examples.weights is None else examples.weights[part],
        )
        for part in parts
    )
    tokens = first.inputs[0] if preprocessor.per_token else None
    labels = preprocessor.labels
    first.weights = read_weights(first.weights, class_weight, indices[parts[0]], labels, tokens)
    return first, last


def labelled_batches(
    preprocessor: Any,
    data: tuple[Any, ...],
    batch_size: int,
    shuffle: bool,
    is_compiled: bool,
) -> Any:
    """Creates batches with labels in the form that Keras' training loops accept.

    Args:
        preprocessor: the `Preprocessor` of the model.
        data: tuple of `x` (sentences, token lists or ids, or a `tf.data.Dataset` of batches), `y`,
            sample weights and class weights. `y` and the weights may be `None`; `y` and the sample
            weights must be `None` for a Dataset, which holds them itself.
        batch_size: int.
        shuffle: bool. Whether each epoch has another order.
        is_compiled: bool. Whether each new shape is compiled.

    Raises:
        ValueError: for labels or sample weights beside a Dataset, and as `Preprocessor.examples`
            does.
    """
    x, y, sample_weight, class_weight = data
    if hasattr(x, "element_spec"):
        if y is not None or sample_weight is not None:
            raise ValueError(
                "A tf.data.Dataset must hold y and sample_weight itself. Received: y or "
                "sample_weight as an argument. Zip them into the dataset."
            )
        return preprocessor.dataset(x, class_weight, needs_labels=True)
    examples = preprocessor.examples(x, y, sample_weight, class_weight)
    return preprocessor.batches(examples, batch_size, shuffle, is_compiled=is_compiled)


def training_batches(
    preprocessor: Any,
    data: tuple[Any, ...],
    batch_size: int,
    shuffle: bool,
    is_compiled: bool,
    validation_data: Any = None,
    validation_split: float = 0.0,
    validation_batch_size: int | None = None,
) -> tuple[Any, Any]:
    """Creates the batches of `fit` and of its validation data.

    Args:
        preprocessor: as in `labelled_batches`.
        data: as in `labelled_batches`.
        batch_size: int.
        shuffle: bool. Whether each epoch has another order.
        is_compiled: bool. Whether each new shape is compiled.
        validation_data: a `tf.data.Dataset` or a tuple `(x, y)` or `(x, y, sample_weight)`; or
            `None`, the default.
        validation_split: float. Share of `data` to validate on if `validation_data` is `None`.
            Defaults to `0.0`.
        validation_batch_size: int. Defaults to `None`, for `batch_size`.

    Returns:
        Training batches and validation batches, `None` without validation data.

    Raises:
        ValueError: without labels, and as `split_examples` and `labelled_batches` do.
    """
    check_labels_given(*data[:2])
    if validation_split and validation_data is None:
        parts = split_examples(preprocessor, data, validation_split)
        sizes = batch_size, validation_batch_size or batch_size
        training, validation = (
            preprocessor.batches(part, size, is_shuffled, is_compiled=is_compiled)
            for part, size, is_shuffled in zip(parts, sizes, (shuffle, False))
        )
        return training, validation
    validation = None
    if validation_data is not None:
        if not isinstance(validation_data, (list, tuple)):
            validation_data = (validation_data,)
        own_x, own_y, own_weight = (*validation_data, None, None)[:3]
        check_labels_given(own_x, own_y, name="validation_data")
        held_out = own_x, own_y, own_weight, None
        size = validation_batch_size or batch_size
        validation = labelled_batches(preprocessor, held_out, size, False, is_compiled)
    training = labelled_batches(preprocessor, data, batch_size, shuffle, is_compiled)
    return training, validation
