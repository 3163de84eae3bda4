"""Checks of the errors for wrong texts, labels and datasets."""

import re

import numpy as np
import pandas as pd
import pytest

from tests.models.check_task.task import (
    HAS_STRINGS,
    LENGTHS,
    NUMBER,
    SENTENCES,
    TOKENS,
    WEIGHTS,
    char_ids,
    datasets,
    padded,
    tensor_slices,
    toy_elmo,
)
from tests.small_models import IS_TENSORFLOW


def check_bad_input(task, tmp_path):
    """What is wrong is said before anything is computed, with its place."""
    y = task.y
    cases = [
        (task.x, y[:3], {}, "one entry for each sentence. Received: 5 sentences and 3 entries"),
        (task.x, y, {"sample_weight": [1, 2]}, "Received: 2 entries for 5 sentences"),
        (task.x, "abc", {}, "`y` must be a list or an array. Received: str"),
        (
            task.x,
            None,
            {"sample_weight": WEIGHTS},
            "`y` must hold the labels of `x`. Received: y=None",
        ),
        (
            task.x,
            None,
            {"class_weight": {0: 2.0}},
            "`y` must hold the labels of `x`. Received: y=None",
        ),
        (task.x, y, {"class_weight": {"absent": 2.0}}, "Received: 'absent' in `class_weight`"),
        (task.x, y, {"class_weight": {9: 2.0}}, "Received: 9 in `class_weight`"),
        (task.x, y, {"class_weight": {-1: 2.0}}, "Received: -1 in `class_weight`"),
        (task.x, y, {"validation_split": 0.9}, "validation_split=0.9 of 5 sentences"),
        ([], [], {}, "`x` must hold at least one sentence"),
        (7, y, {}, "Received: int"),
        ({"x": SENTENCES}, y, {}, "Received: dict"),
        ([7, 8], y[:2], {}, "Received at position 0: dtype=int64, shape=()"),
        (np.ones((2, 3)), y[:2], {}, "Received at position 0: dtype=float64, shape=(3,)"),
        (char_ids()[..., :40], y, {}, "Received at position 0: dtype=int32, shape=(5, 40)"),
        (char_ids()[:, ::-1], y, {}, "in front of a token in sentence 0: move it"),
        ("a bare str", y, {}, "Received: the bare str 'a bare str'. Pass [text]"),
        (["a b", ["a", "b"]], y[:2], {}, "Received: 'a b' as sentence 0 and ['a', 'b']"),
        ([["a", "b"], "a b"], y[:2], {}, "Received: 'a b' as sentence 1 and ['a', 'b']"),
        ([["a"], ["a", "", "b"]], y[:2], {}, "an empty token at place 1 of sentence 1"),
        ([["a", None]], y[:1], {}, "Received: None, a missing text, as token 1 of sentence 0"),
    ]
    if IS_TENSORFLOW:
        cases.append((char_ids(), y, {}, "starts at text. Received: ids"))
    if HAS_STRINGS:
        batched, single = datasets(task)["sentences, names"], tensor_slices(SENTENCES, y)
        cases += [
            (batched, y, {}, "Zip them into the dataset"),
            (batched, None, {"sample_weight": WEIGHTS}, "Zip them into the dataset"),
            (batched, None, {"validation_split": 0.2}, "Pass `validation_data`"),
            (single, None, {}, "Received: x of shape ()"),
            (batched, None, {"class_weight": {"absent": 2.0}}, "'absent' in `class_weight`"),
        ]
    for x, y, options, message in cases:
        with pytest.raises(ValueError, match=re.escape(message)):
            task.fit(x, y, **options)
    for x, message in (("a b", "the bare str 'a b'"), (7, "Received: int")):
        with pytest.raises(ValueError, match=re.escape(message)):
            task.predict(x)
    with pytest.raises(ValueError, match="5 sentences and 3 entries"):
        task.evaluate(task.x, task.y[:3])

    elmo = toy_elmo()
    for labels, message in (
        ("NV", "`labels` must be a list of names (str). Received: labels='NV'"),
        ([0, 1], "list of names (str). Received: labels=[0, 1]"),
        (["", "a"], "list of names (str). Received: labels=['', 'a']"),
        (["a", "b", "a"], "at least two different names. Received: labels=['a', 'b', 'a']"),
        (["a"], "at least two different names. Received: labels=['a']"),
        ([], "at least two different names. Received: labels=[]"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            task.cls(elmo, labels)
    for options in ({"output": "all"}, {"num_representations": 2}, {"keep_boundaries": True}):
        with pytest.raises(ValueError, match="must give one vector for each token"):
            task.cls(toy_elmo(**options), task.labels)


def check_bad_datasets(task, tmp_path):
    """A dataset's values are looked at where they pass by."""
    if not HAS_STRINGS:
        pytest.skip("strings need TensorFlow")
    import tensorflow as tf

    wrong = ["no", "", "ADJ ", len(task.labels), -2]
    for label in wrong:
        # An error inside of `fit` leaves a model without weights on JAX: each has its own.
        y = [[label] * length for length in LENGTHS] if task.per_token else [label] * NUMBER
        message = "Labels must be among|as many labels as tokens"
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            task.fit(tensor_slices(TOKENS, y).batch(2), model=task.make())
    model = task.make()
    if IS_TENSORFLOW:
        data = tf.data.Dataset.from_tensor_slices(char_ids()).batch(2)
        with pytest.raises(ValueError, match="starts at text. Received: ids"):
            task.predict(data, model=model)
    with pytest.raises(ValueError, match="dataset's elements must be .* Received: .*dict"):
        task.predict(tf.data.Dataset.from_tensor_slices({"x": SENTENCES}).batch(2), model=model)
    with pytest.raises(ValueError, match=r"Call `.batch\(32\)` on it"):
        task.fit(tensor_slices(TOKENS, task.y), model=model)


def check_other_bad_input(task, tmp_path):
    """What no rule of its own catches must not end deep inside of Keras."""
    model = task.make()
    cases = [
        (task.x, None, {}, "`y`"),
        (task.x, task.y, {"class_weight": [1.0, 2.0]}, "`class_weight` must be a dict"),
        (iter(SENTENCES), task.y, {"validation_split": 0.4}, "iterator"),
        (np.array("a bare str"), task.y, {}, "a bare str"),
        (task.x, task.y, {"sample_weight": [[[1.0]]] * NUMBER}, "weight"),
    ]
    for x, y, options, message in cases:
        with pytest.raises(ValueError, match=message):
            task.fit(x, y, model=model, **options)
    with pytest.raises(ValueError, match="`y`"):
        task.evaluate(task.x, model=model)


def check_tables_and_gaps(task, tmp_path):
    """A table, a missing text, a token with a space: each is refused at every entry."""
    if not HAS_STRINGS:
        pytest.skip("strings need TensorFlow")
    y = task.y
    table = pd.DataFrame({"text": SENTENCES, "label": ["a"] * NUMBER})
    gaps = [SENTENCES[0], None, *SENTENCES[2:]]
    spaced = [*TOKENS[:4], ["Cats sat", "down"]]
    column = np.array(SENTENCES, dtype=object)[:, np.newaxis]  # df[["text"]].to_numpy()
    cases = [
        (table, "Received: DataFrame, a table with the columns 'text', 'label'"),
        (table[["text"]], "Pass one column of it, like table['text']"),
        (table.to_dict("list"), "Received: dict, a table"),
        (gaps, "Received: None, a missing text, as sentence 1"),
        (pd.Series(gaps), "a missing text, as sentence 1"),
        ([float("nan"), *SENTENCES[1:]], "Received: nan, a missing text, as sentence 0"),
        (spaced, "Received: 'Cats sat' as token 0 of sentence 4"),
        (column, "Received: 'A lovely film .' as token 0 of sentence 0"),
        (set(SENTENCES), "must have an order"),
    ]
    for x, message in cases:
        for enter in (
            lambda x: task.fit(x, y),
            lambda x: task.fit(task.x, y, validation_data=(x, y)),
            lambda x: task.evaluate(x, y),
            lambda x: task.predict(x),
        ):
            with pytest.raises(ValueError, match=re.escape(message)):
                enter(x)
    with pytest.raises(ValueError, match="`y` must have an order"):
        task.fit(task.x, {"a", "b"})
    with pytest.raises(ValueError, match="no labels in `validation_data`"):
        task.fit(task.x, y, validation_data=(task.x,))
    task.fit(dict.fromkeys(SENTENCES).keys(), y, validation_split=0.4)
    for labels in (pd.DataFrame({"label": y}), {"label": y}):
        with pytest.raises(ValueError, match="`y` must be one column.*'label'"):
            task.fit(task.x, labels)
    spaced_elmo = toy_elmo(allow_spaces=True)
    assert task.predict(spaced, model=task.make(spaced_elmo)).shape[0] == NUMBER


def check_labels_are_classes(task, tmp_path):
    """Soft, one-hot and nested labels, of lists and of datasets, which blame y and not x."""
    number, size = NUMBER, len(task.labels)

    def per_token(row):
        return [[row] * length for length in LENGTHS] if task.per_token else [row] * number

    one_hot = [1.0] + [0.0] * (size - 1)
    cases = [
        (per_token(0.3), "Probabilities of classes are not supported"),
        (per_token(1.0), "convert floats to int"),
        (per_token(one_hot), "np.argmax"),
        (per_token([0]), "np.ravel"),
        (per_token(None), "A label is missing"),
        (per_token(task.labels[0] + "x"), f"Did you mean {task.labels[0]!r}?"),
    ]
    for y, advice in cases:
        with pytest.raises(ValueError, match="A label must be.*" + re.escape(advice)):
            task.fit(task.x, y)
    if not HAS_STRINGS:
        return
    import tensorflow as tf

    time = (max(LENGTHS),) if task.per_token else ()
    model = task.make()
    cases = [
        (np.full((number, *time), 0.3), "'int32'"),
        (np.zeros((number, *time, size)), "tf.argmax(y, -1)"),
        (np.zeros((number, *time, 1)), "label_mode='int'"),
        (np.zeros((number, *time), bool), "'int32'"),
    ]
    for y, advice in cases:
        data = tf.data.Dataset.from_tensor_slices((padded(TOKENS), y)).batch(2)
        for enter in (task.fit, task.evaluate):
            with pytest.raises(ValueError, match="A dataset's y must be.*" + re.escape(advice)):
                enter(data, model=model)
        with pytest.raises(ValueError, match="A dataset's y must be"):
            task.fit(task.x, task.y, validation_data=data, model=model)
    alone = tf.data.Dataset.from_tensor_slices(padded(TOKENS)).batch(2)
    for enter in (task.fit, task.evaluate):
        with pytest.raises(ValueError, match="The dataset must hold labels"):
            enter(alone, model=model)
    features = tf.data.Dataset.from_tensor_slices(({"text": SENTENCES}, list(range(number))))
    with pytest.raises(ValueError, match="of the features 'text'. Pick the text"):
        task.fit(features.batch(2), model=model)
    column = tf.data.Dataset.from_tensor_slices((np.array(SENTENCES)[:, None], [0] * number))
    with pytest.raises(ValueError, match=r"x of shape \(None, 1\).*Drop the last axis"):
        task.fit(column.batch(2), model=model)
    task.fit(task.x, task.y, model=model)  # after all that, it can be trained
    spaced = tf.data.Dataset.from_tensor_slices(np.array([["Cats sat", "down"]] * 4)).batch(2)
    errors = (tf.errors.InvalidArgumentError, ValueError)  # in a graph, eagerly
    with pytest.raises(errors, match="must not contain white space"):
        task.predict(spaced, model=model)
