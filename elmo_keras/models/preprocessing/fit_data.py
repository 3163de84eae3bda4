"""Arguments of `fit` and `evaluate`: their checks, and the split of validation data."""

from typing import Any

from elmo_keras.text.containers import to_batch


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


def split_examples(x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple[Any, ...]:
    """Takes the last part of lists and arrays as validation data, as Keras does.

    Args:
        x: list, array or column of sentences.
        y: labels of the sentences.
        sample_weight: weights of the sentences, or `None`.
        fraction: float. Share of the sentences in the validation data.

    Returns:
        `x`, `y` and `sample_weight` of the first part, and a tuple of the three for the last part.

    Raises:
        ValueError: if a part is empty, or if the data cannot be sliced.
    """
    if hasattr(x, "element_spec") or not hasattr(x, "__len__"):
        raise ValueError(
            "`validation_split` needs lists or arrays. "
            f"Received: {type(x).__name__}. Pass `validation_data`."
        )
    x, y, sample_weight = map(to_batch, (x, y, sample_weight), ("`x`", "`y`", "`sample_weight`"))
    start = int(len(x) * (1 - fraction))
    if not 0 < start < len(x):
        raise ValueError(
            "`validation_split` must leave sentences on both sides. Received: "
            f"validation_split={fraction} of {len(x)} sentences. Change it, or pass "
            "`validation_data`."
        )
    first, last = (
        [c if c is None else c[part] for c in (x, y, sample_weight)]
        for part in (slice(0, start), slice(start, None))
    )
    return *first, tuple(last)


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
    x, y, sample_weight, class_weight = data
    check_labels_given(x, y)
    if validation_split and validation_data is None:
        x, y, sample_weight, validation_data = split_examples(x, y, sample_weight, validation_split)
    validation = None
    if validation_data is not None:
        if not isinstance(validation_data, (list, tuple)):
            validation_data = (validation_data,)
        own_x, own_y, own_weight = (*validation_data, None, None)[:3]
        check_labels_given(own_x, own_y, name="validation_data")
        held_out = own_x, own_y, own_weight, None
        size = validation_batch_size or batch_size
        validation = labelled_batches(preprocessor, held_out, size, False, is_compiled)
    training_data = x, y, sample_weight, class_weight
    training = labelled_batches(preprocessor, training_data, batch_size, shuffle, is_compiled)
    return training, validation
