"""Checks of the arguments of `fit` and `evaluate`, and the split of validation data."""

from typing import Any

from elmo_keras.text.containers import to_batch


def check_labels_given(x: Any, y: Any, name: str | None = None) -> None:
    """Raises a ValueError where labels are needed and neither `y` nor a dataset holds them."""
    if y is None and not hasattr(x, "element_spec"):
        where = "y=None" if name is None else f"no labels in `{name}`"
        raise ValueError(
            f"`y` must hold the labels of `x`. Received: {where}. Pass (x, y); only a "
            "tf.data.Dataset has them inside."
        )


def split_examples(x: Any, y: Any, sample_weight: Any, fraction: float) -> tuple[Any, ...]:
    """Splits the last part of lists and arrays off as validation data, as Keras does.

    Args:
        x: list, array or column of sentences.
        y: labels, as many.
        sample_weight: as many weights, or `None`.
        fraction: share of the sentences in the validation data.

    Returns:
        `x`, `y` and `sample_weight` of the first part, and a tuple of the three of the last part.

    Raises:
        ValueError: if one part is empty, or for data that cannot be sliced.
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
            f"validation_split={fraction} of {len(x)} sentences."
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
    """Batches with labels in the form that Keras' training loops accept.

    Args:
        preprocessor: the `Preprocessor` of the model.
        data: `x`, sentences or token lists, or a `tf.data.Dataset` of batches; `y`, labels, `None`
            beside a Dataset; sample weights, or `None`; class weights, or `None`.
        batch_size: int.
        shuffle: bool. Whether each epoch has another order.
        is_compiled: whether each new shape is compiled.

    Raises:
        ValueError: for labels beside a Dataset, and as `Preprocessor.examples`.
    """
    x, y, sample_weight, class_weight = data
    if hasattr(x, "element_spec"):
        if y is not None or sample_weight is not None:
            raise ValueError(
                "A tf.data.Dataset holds x, y and sample weights itself. Received: "
                "y or sample_weight beside it. Zip them into the dataset."
            )
        return preprocessor.dataset(x, class_weight, needs_labels=True)
    examples = preprocessor.examples(x, y, sample_weight, class_weight)
    return preprocessor.batches(examples, batch_size, shuffle, is_compiled=is_compiled)
