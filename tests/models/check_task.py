"""One check for all task models: text and label names in, probabilities and label names out.

A test module makes one `Task` and runs all of `CHECKS` on it:

    @pytest.fixture(scope="module")
    def task():
        return Task(ElmoTagger, TAGS)

    @pytest.mark.parametrize("check", CHECKS)
    def test_task(check, task, tmp_path):
        check(task, tmp_path)
"""

import gc
import importlib.util
import json
import pathlib
import re
import warnings

import keras
import numpy as np
import pandas as pd
import pytest

import elmo_keras
from elmo_keras.models import saving
from elmo_keras.models.preprocessing.inputs import read_inputs
from tests import small_models
from tests.small_models import IS_TENSORFLOW

BACKEND = keras.backend.backend()
# Strings are TensorFlow's on every backend, and it may be absent beside JAX and torch.
HAS_STRINGS = importlib.util.find_spec("tensorflow") is not None
needs_strings = pytest.mark.skipif(not HAS_STRINGS, reason="strings need TensorFlow")

SENTENCES = ["A lovely film .", "Awful !", "", "No , not again .", "Cats sat"]
TOKENS = [sentence.split() for sentence in SENTENCES]
LENGTHS = [len(tokens) for tokens in TOKENS]
NUMBER = len(TOKENS)
WEIGHTS = [0.5, 2.0, 1.0, 0.0, 3.0]


def toy_elmo(dtype=None, **options):
    """The smallest ElmoLayer that has all the parts."""
    cnn = small_models.char_cnn(filters=[(1, 4)], num_highways=0, dtype=dtype)
    return elmo_keras.ElmoLayer(
        cnn, small_models.bilstm(num_layers=1, units=5, dtype=dtype), dtype=dtype, **options
    )


def char_ids():
    """`TOKENS` as character ids, made without TensorFlow."""
    ids = np.zeros((NUMBER, max(LENGTHS), 50), dtype="int32")
    for row, tokens in zip(ids, TOKENS):
        for out, token in zip(row, tokens):
            out[:] = 261
            out[: len(token) + 2] = [259, *(byte + 1 for byte in token.encode()), 260]
    return ids


def tensor_slices(*columns):
    import tensorflow as tf

    columns = [tf.ragged.constant(c) if isinstance(c[0], list) else c for c in columns]
    return tf.data.Dataset.from_tensor_slices(tuple(columns))


class Task:
    """A class of task models, data for it, and one toy model that the checks share.

    It trains with plain SGD, whose steps are no larger than its gradients: rounding stays
    rounding. Models for one use come from `make`, and run eagerly on TensorFlow, where a toy
    trains faster than it is traced.

    Args:
        cls: the class.
        y: list of label names, one a sentence of `SENTENCES`, or a list for each.
        **options: arguments of the class, beside `elmo` and `labels`.
    """

    def __init__(self, cls, y, **options):
        keras.utils.set_random_seed(0)
        self.cls, self.y, self.options = cls, y, options
        self.per_token = cls.labels_per_token
        self.labels = sorted({name for row in y for name in (row if self.per_token else [row])})
        self.x = TOKENS if HAS_STRINGS else char_ids()
        self.model = self.make()
        compiled = self.model.get_compile_config()
        sgd = keras.saving.serialize_keras_object(keras.optimizers.SGD(0.0))
        self.model.compile_from_config(compiled | {"optimizer": sgd})
        self.model.run_eagerly = False
        self.traces = []
        compute_loss = self.model.compute_loss
        self.model.compute_loss = lambda *a, **k: self.traces.append(1) or compute_loss(*a, **k)

    @property
    def numbers(self):
        """The labels of each sentence as an int array; for one a sentence of one element."""
        rows = self.y if self.per_token else [[name] for name in self.y]
        return [np.array([self.labels.index(name) for name in row], dtype=int) for row in rows]

    def make(self, elmo=None, **options):
        model = self.cls(elmo or toy_elmo(), self.labels, **self.options | options)
        model.run_eagerly = IS_TENSORFLOW
        return model

    def fit(self, *args, model=None, learning_rate=0.0, **kwargs):
        """History of one epoch; rows keep their order, and by default the weights their values."""
        model = model or self.model
        model.optimizer.learning_rate = learning_rate
        return model.fit(*args, **{"verbose": 0, "shuffle": False} | kwargs).history

    def evaluate(self, *args, model=None, **kwargs):
        """`(loss, accuracy)`."""
        model = model or self.model
        result = model.evaluate(*args, return_dict=True, verbose=0, **kwargs)
        return np.array([result["loss"], result["accuracy"]])

    def predict(self, x=None, model=None, **kwargs):
        return (model or self.model).predict(self.x if x is None else x, verbose=0, **kwargs)

    def true_loss(self, weights=None, batch_size=NUMBER, rows=range(NUMBER)):
        """What Keras calls the loss, in numpy, from the probabilities.

        Of a batch, the sum of weight times loss over the number of labels, not of weights; of an
        epoch, the mean over its batches, each as often as it has sentences.

        Args:
            weights: list of a float, or of an array, for each sentence.
            batch_size: int.
            rows: the sentences.
        """
        probabilities = self.predict().astype("float64")
        losses = []
        for i in rows:
            row, number = np.atleast_2d(probabilities[i]), self.numbers[i]
            loss = -np.log(row[np.arange(len(number)), number])
            losses.append(loss if weights is None else loss * weights[i])
        total = 0
        for start in range(0, len(losses), batch_size):
            batch = losses[start : start + batch_size]
            total += len(batch) * np.concatenate(batch).sum() / max(1, sum(map(len, batch)))
        return total / len(losses)

    def true_accuracy(self):
        right = [
            np.argmax(np.atleast_2d(row)[: len(number)], axis=-1) == number
            for row, number in zip(self.predict(), self.numbers)
        ]
        return np.concatenate(right).mean()


def padded(rows):
    """Lists of numbers or names as one array `(n, longest)`."""
    rows = [list(row) for row in rows]
    filler = "" if isinstance(rows[0][0], str) else 0
    return np.array([row + [filler] * (max(LENGTHS) - len(row)) for row in rows])


def forms_of_x(task):
    """Everything that `x` may be, by name."""
    ids = {"array of ids": char_ids(), "list of ids": list(char_ids())}
    ids["unpadded ids"] = [row[:length] for row, length in zip(char_ids(), LENGTHS)]
    if not HAS_STRINGS:
        return ids
    import tensorflow as tf

    text = {
        "list of sentences": SENTENCES,
        "tuple of sentences": tuple(SENTENCES),
        "array of sentences": np.array(SENTENCES),
        "object array of sentences": np.array(SENTENCES, dtype=object),
        "tensor of sentences": tf.constant(SENTENCES),
        "list of bytes": [sentence.encode() for sentence in SENTENCES],
        "token lists": TOKENS,
        "padded token lists": padded(TOKENS).tolist(),
        "array of tokens": padded(TOKENS),
        "padded tensor": elmo_keras.text.pad(TOKENS),
        "ragged tensor": tf.ragged.constant(TOKENS),
        "Series of sentences": pd.Series(SENTENCES, index=range(9, 9 + NUMBER)),
        "Series of token lists": pd.Series(TOKENS),
        "StringDType": np.array(SENTENCES, dtype=np.dtypes.StringDType()),
    }
    return text if IS_TENSORFLOW else text | ids


def forms_of_y(task):
    """Everything that `y` may be, by name."""
    numbers = task.numbers if task.per_token else [int(row[0]) for row in task.numbers]
    forms = {"list of names": task.y, "list of numbers": numbers, "Series": pd.Series(task.y)}
    if task.per_token:
        forms["array of names"] = padded(task.y)
        forms["array of numbers"] = padded(numbers)
        forms["lists of numbers"] = [row.tolist() for row in numbers]
    else:
        forms["array of names"] = np.array(task.y)
        forms["array of numbers"] = np.array(numbers)
    if HAS_STRINGS:
        import tensorflow as tf

        forms["tensor of names"] = tf.constant(forms["array of names"])
        forms["tensor of numbers"] = tf.constant(forms["array of numbers"])
        if task.per_token:
            forms["ragged tensor"] = tf.ragged.constant(task.y)
    return forms


def datasets(task, batch_size=NUMBER):
    """The same sentences and labels as batched datasets, by name."""
    if not HAS_STRINGS:
        return {}
    numbers = [row.tolist() if task.per_token else int(row[0]) for row in task.numbers]
    pairs = {
        "sentences, names": (SENTENCES, task.y),
        "tokens, names": (TOKENS, task.y),
        "tokens, numbers": (TOKENS, numbers),
    }
    return {name: tensor_slices(*pair).batch(batch_size) for name, pair in pairs.items()}


# === The checks ===


def check_config(task, tmp_path):
    """The config is JSON, complete, and stays itself."""
    model = task.model
    as_json = json.dumps(model.get_config())
    again = task.cls.from_config(json.loads(as_json))
    assert json.dumps(again.get_config()) == as_json
    assert again.labels == task.labels
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    assert sorted(k for k in vars(again) if k[0] != "_") == sorted(
        k for k in vars(task.make()) if k[0] != "_"
    )
    name = f"elmo_keras>{task.cls.__name__}"
    assert keras.saving.get_registered_name(task.cls) == name
    frozen = task.make()
    frozen.trainable = False
    assert task.cls.from_config(frozen.get_config()).trainable_weights == []


def check_fit_forms(task, tmp_path):
    """The same data in another form is the same training."""
    start = task.model.get_weights()
    expected = None
    columns = {f"{name}": (x, task.y) for name, x in forms_of_x(task).items()}
    columns |= {f"{name}": (task.x, y) for name, y in forms_of_y(task).items()}
    columns |= {name: (data,) for name, data in datasets(task).items()}
    for name, data in columns.items():
        task.model.set_weights(start)
        task.fit(*data, learning_rate=0.5)
        result = task.evaluate(*data)
        expected = result if expected is None else expected
        np.testing.assert_allclose(result, expected, atol=1e-6, err_msg=name)
    assert abs(expected[0] - task.true_loss()) <= 1e-5
    task.model.set_weights(start)
    assert expected[0] < task.true_loss()


def check_predict_forms(task, tmp_path):
    expected = task.predict()
    for name, x in forms_of_x(task).items():
        np.testing.assert_allclose(task.predict(x), expected, atol=1e-6, err_msg=name)
    for name, data in datasets(task).items():
        np.testing.assert_allclose(task.predict(data), expected, atol=1e-6, err_msg=name)


def check_predict(task, tmp_path):
    """One float32 array, whatever the batches."""
    expected = task.predict()
    time = (max(LENGTHS),) if task.per_token else ()
    assert expected.shape == (NUMBER, *time, len(task.labels))
    for batch_size in (1, 2, NUMBER):
        for order in (range(NUMBER), range(NUMBER)[::-1]):
            got = task.predict([task.x[i] for i in order], batch_size=batch_size)
            assert type(got) is np.ndarray and got.dtype == np.float32
            assert got.shape == expected.shape
            np.testing.assert_allclose(got, expected[list(order)], atol=1e-5)
    is_label = np.ones((NUMBER, *time), dtype=bool)
    if task.per_token:
        is_label = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    np.testing.assert_allclose(expected.sum(-1)[is_label], 1, atol=1e-6)
    assert not expected[~is_label].any()
    # The longest sentence of those at hand.
    assert task.predict(task.x[1:3]).shape == (2, *(2,) * task.per_token, len(task.labels))
    assert task.predict([]).shape == (0, *(0,) * task.per_token, len(task.labels))


def check_evaluate(task, tmp_path):
    """Loss and accuracy are means over sentences, or over tokens."""
    for batch_size in (1, 2, NUMBER):
        loss, accuracy = task.evaluate(task.x, task.y, batch_size=batch_size)
        assert abs(loss - task.true_loss(batch_size=batch_size)) <= 1e-5
        assert abs(accuracy - task.true_accuracy()) <= 1e-6


def check_validation(task, tmp_path):
    last = slice(3, NUMBER)
    first = task.x[:3], task.y[:3]
    split = task.fit(task.x, task.y, validation_split=0.4)
    assert abs(split["loss"][0] - task.true_loss(batch_size=3, rows=range(3))) <= 1e-5
    assert abs(split["val_loss"][0] - task.true_loss(batch_size=2, rows=range(3, 5))) <= 1e-5
    given = task.fit(*first, validation_data=(task.x[last], task.y[last]))
    assert given == split
    weighted = task.fit(
        *first,
        validation_data=(task.x[last], task.y[last], WEIGHTS[last]),
        validation_batch_size=1,
        class_weight={0: 7.0},  # which is for training
    )
    true = task.true_loss(WEIGHTS, batch_size=1, rows=range(3, 5))
    assert abs(weighted["val_loss"][0] - true) <= 1e-5
    weighted = task.fit(task.x, task.y, sample_weight=WEIGHTS, validation_split=0.4)
    true = task.true_loss(WEIGHTS, batch_size=2, rows=range(3, 5))
    assert abs(weighted["val_loss"][0] - true) <= 1e-5
    for data in datasets(task).values():
        history = task.fit(*first, validation_data=data)
        assert abs(history["val_loss"][0] - task.true_loss()) <= 1e-5


def check_weights(task, tmp_path):
    """Weights of labels, sentences and tokens are one product, whatever they are given as."""
    class_weight = {task.labels[0]: 3.0, task.labels[-1]: 0.5}
    by_number = {0: 3.0, len(task.labels) - 1: 0.5}
    of_class = np.ones(len(task.labels))
    of_class[[0, -1]] = 3.0, 0.5
    of_label = [of_class[number] for number in task.numbers]
    both = [a * b for a, b in zip(WEIGHTS, of_label)]
    cases = [
        ({"class_weight": class_weight}, of_label),
        ({"class_weight": by_number}, of_label),
        ({"sample_weight": WEIGHTS}, WEIGHTS),
        ({"sample_weight": np.array(WEIGHTS)}, WEIGHTS),
        ({"sample_weight": WEIGHTS, "class_weight": class_weight}, both),
    ]
    if task.per_token:
        of_token = [np.arange(length) + weight for length, weight in zip(LENGTHS, WEIGHTS)]
        everything = [a * b for a, b in zip(of_token, of_label)]
        cases += [
            ({"sample_weight": of_token}, of_token),
            ({"sample_weight": padded(of_token)}, of_token),
            ({"sample_weight": of_token, "class_weight": class_weight}, everything),
            # Some by sentence, some by token.
            ({"sample_weight": [*of_token[:3], *WEIGHTS[3:]]}, [*of_token[:3], *WEIGHTS[3:]]),
        ]
    for options, weights in cases:
        history = task.fit(task.x, task.y, **options)
        assert abs(history["loss"][0] - task.true_loss(weights)) <= 1e-5, options
        if "class_weight" not in options:
            loss, accuracy = task.evaluate(task.x, task.y, **options)
            assert abs(loss - task.true_loss(weights)) <= 1e-5, options
            assert abs(accuracy - task.true_accuracy()) <= 1e-6, options
    if IS_TENSORFLOW:  # where a new shape costs no compilation
        history = task.fit(task.x, task.y, batch_size=2, class_weight=class_weight)
        assert abs(history["loss"][0] - task.true_loss(of_label, batch_size=2)) <= 1e-5

    for name, data in datasets(task).items():
        history = task.fit(data, class_weight=class_weight)
        assert abs(history["loss"][0] - task.true_loss(of_label)) <= 1e-5, name
    if HAS_STRINGS:
        data = tensor_slices(TOKENS, task.y, WEIGHTS).batch(NUMBER)
        history = task.fit(data, class_weight=class_weight)
        assert abs(history["loss"][0] - task.true_loss(both)) <= 1e-5
        if task.per_token:
            data = tensor_slices(padded(TOKENS), padded(task.y), padded(of_token)).batch(NUMBER)
            history = task.fit(data, class_weight=class_weight)
            assert abs(history["loss"][0] - task.true_loss(everything)) <= 1e-5


def check_training_and_saving(task, tmp_path):
    """Every weight trains; a file brings back model, optimizer and all."""
    model = task.make()
    before = [np.array(w) for w in model.trainable_weights]
    task.fit(task.x, task.y, model=model, learning_rate=0.01)
    for weight, old in zip(model.trainable_weights, before):
        assert np.abs(np.array(weight) - old).max() > 0, weight.path
    assert len(model.trainable_weights) == len(model.weights)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = IS_TENSORFLOW
    assert type(loaded) is task.cls
    assert loaded.get_config() == model.get_config()
    assert loaded.compiled
    np.testing.assert_allclose(task.predict(model=loaded), task.predict(model=model), atol=1e-6)
    np.testing.assert_allclose(
        task.evaluate(task.x, task.y, model=loaded),
        task.evaluate(task.x, task.y, model=model),
        atol=1e-6,
    )
    # The optimizer goes on where it stopped.
    assert [v.path for v in loaded.optimizer.variables] == [
        v.path for v in model.optimizer.variables
    ]
    for new, old in zip(loaded.optimizer.variables, model.optimizer.variables):
        np.testing.assert_array_equal(np.array(new), np.array(old))
    # What the user compiled it with, too.
    task.model.save(tmp_path / "model.keras")
    optimizer = keras.saving.load_model(tmp_path / "model.keras").optimizer
    assert isinstance(optimizer, keras.optimizers.SGD)

    weights = model.get_weights()
    model.save_weights(tmp_path / "model.weights.h5")
    model.set_weights([np.zeros_like(weight) for weight in weights])
    model.load_weights(tmp_path / "model.weights.h5")
    for new, old in zip(model.get_weights(), weights):
        np.testing.assert_array_equal(new, old)


def check_frozen(task, tmp_path):
    """With `trainable=False` the ElmoLayer stays as it is, after a reload, too."""
    model = task.make(toy_elmo(trainable=False))
    head = [w.path for w in model.trainable_weights]
    assert head and not any("elmo" in path.split("/")[0] for path in head)
    elmo = [np.array(w) for w in model.elmo.weights]
    task.fit(task.x, task.y, model=model, learning_rate=0.1)
    for weight, old in zip(model.elmo.weights, elmo):
        np.testing.assert_array_equal(np.array(weight), old)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [w.path for w in loaded.trainable_weights] == head
    assert len(loaded.weights) == len(model.weights)


def check_mixed_precision(task, tmp_path):
    model = task.make(toy_elmo(dtype="mixed_bfloat16"))
    history = task.fit(task.x, task.y, model=model, learning_rate=0.01)
    assert np.isfinite(history["loss"]).all()
    assert {w.dtype for w in model.weights} == {"float32"}
    assert keras.backend.standardize_dtype(model.elmo(char_ids()).dtype) == "bfloat16"
    got = task.predict(model=model)
    assert got.dtype == np.float32
    exact = task.make()
    exact.set_weights(model.get_weights())
    np.testing.assert_allclose(got, task.predict(model=exact), atol=0.05)


def check_traces(task, tmp_path):
    """Neither a length nor a number of rows needs a trace; run eagerly it is the same."""
    if not IS_TENSORFLOW:
        pytest.skip("shapes are compiled on JAX, and torch is eager")
    task.fit(task.x, task.y)
    task.evaluate(task.x, task.y)
    number = len(task.traces)
    task.fit(task.x, task.y, batch_size=1)
    task.evaluate(task.x, task.y, batch_size=2)
    assert len(task.traces) == number

    eager = task.make()
    eager.set_weights(task.model.get_weights())
    np.testing.assert_allclose(
        task.predict(model=eager, batch_size=2), task.predict(batch_size=2), atol=1e-6
    )
    np.testing.assert_allclose(
        task.evaluate(task.x, task.y, model=eager), task.evaluate(task.x, task.y), atol=1e-6
    )


def check_bad_input(task, tmp_path):
    """What is wrong is said before anything is computed, with its place."""
    y = task.y
    cases = [
        (task.x, y[:3], {}, "one entry a sentence. Received: 5 sentences and 3 entries"),
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


def check_from_preset(task, tmp_path):
    """Options find their way to the ElmoLayer and to the head."""
    opts = small_models.options()
    small_models.write_checkpoint(tmp_path / "elmo", opts, small_models.datasets(opts))
    model = task.cls.from_preset(
        tmp_path / "elmo",
        task.labels,
        hidden_dim=3,
        head_dropout=0.2,
        name="mine",
        trainable=False,
        dropout=0.3,
        layer_norm=True,
    )
    assert type(model) is task.cls
    assert model.name == "mine"
    assert (model.head.hidden_dim, model.head.dropout) == (3, 0.2)
    assert model.labels == task.labels
    assert (model.elmo.dropout, model.elmo.layer_norm) == (0.3, True)
    assert model.elmo.trainable_weights == [] and len(model.trainable_weights) == 4
    alone = elmo_keras.ElmoLayer.from_preset(tmp_path / "elmo", layer_norm=True)
    np.testing.assert_array_equal(
        small_models.to_numpy(model.elmo(char_ids())), small_models.to_numpy(alone(char_ids()))
    )
    with pytest.raises((TypeError, ValueError), match="hiden_dim"):
        task.cls.from_preset(tmp_path / "elmo", task.labels, hiden_dim=3)


def check_arrays_of_the_backend(task, tmp_path):
    """What `keras.ops` returns is data like any other."""
    y = forms_of_y(task)["array of numbers"]
    true = task.evaluate(task.x, task.y)
    result = task.evaluate(task.x, keras.ops.convert_to_tensor(y))
    np.testing.assert_allclose(result, true, atol=1e-6)
    if task.model.starts_at_ids:
        result = task.evaluate(keras.ops.convert_to_tensor(char_ids()), task.y)
        np.testing.assert_allclose(result, true, atol=1e-6)


def check_ids(task, tmp_path):
    """Ids are looked at before a compiled step could take whatever they are."""
    if not task.model.starts_at_ids:
        pytest.skip("the model starts at text")
    for wrong in (char_ids() + 300 * (char_ids() > 0), -char_ids()):
        with pytest.raises(ValueError, match=r"in \[0, 262\)"):
            task.predict(wrong)
    # Those of empty sentences alone are no text: TensorFlow may be absent.
    empty = [np.zeros((0, 50), dtype="int32")] * 2
    assert all(isinstance(row, np.ndarray) for row in read_inputs(empty, task.model.backbone))


def check_built(task, tmp_path):
    """Keras runs a model eagerly, once more for each batch on JAX, if one layer is not built."""
    model = task.make()
    assert [layer.name for layer in model._flatten_layers() if not layer.built] == []


def check_tensor_of_nothing(task, tmp_path):
    """As an empty list: a batch of no sentences."""
    if not HAS_STRINGS:
        pytest.skip("strings need TensorFlow")
    import tensorflow as tf

    for x in (tf.constant([], dtype="string"), tf.ragged.constant([], dtype="string")):
        assert task.predict(x).shape == task.predict([]).shape


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


def check_weights_are_numbers(task, tmp_path):
    """A weight that is no number would make every weight of the model NaN."""
    start = task.model.get_weights()
    first = task.labels[0]
    for wrong in (None, float("nan"), float("inf"), 1e300, "2", -1.0, True):
        message = re.escape(f"Received: {wrong!r} for label {first!r}")
        with pytest.raises(ValueError, match=f"A weight in `class_weight`.*{message}"):
            task.fit(task.x, task.y, class_weight={first: wrong})
        for data in datasets(task).values():
            with pytest.raises(ValueError, match=message):
                task.fit(data, class_weight={first: wrong})
        weights = [1.0, wrong, 1.0, 1.0, 1.0]
        if wrong is not True:  # a mask is a weight
            with pytest.raises(ValueError, match=r"in `sample_weight`.*for sentence 1"):
                task.fit(task.x, task.y, sample_weight=weights)
    with pytest.raises(ValueError, match="Received: None for sentence 1"):
        task.fit(task.x, task.y, sample_weight=np.ma.masked_array(WEIGHTS, [0, 1, 0, 0, 0]))
    if task.per_token:
        weights = [[1.0] * length for length in LENGTHS]
        weights[3][2] = None
        with pytest.raises(ValueError, match="Received: None for token 2 of sentence 3"):
            task.fit(task.x, task.y, sample_weight=weights)
    for before, after in zip(start, task.model.get_weights()):
        np.testing.assert_array_equal(before, after)
    if not HAS_STRINGS:
        return
    import tensorflow as tf

    for wrong in (float("nan"), float("inf"), -1.0):
        data = tensor_slices(TOKENS, task.y, [1.0, wrong, 1.0, 1.0, 1.0]).batch(2)
        with pytest.raises(tf.errors.InvalidArgumentError, match="Sample weights must be finite"):
            task.fit(data, model=task.make())


def check_labels_are_classes(task, tmp_path):
    """Soft, one-hot and nested labels, of lists and of datasets, which blame y and not x."""
    number, size = NUMBER, len(task.labels)

    def per_token(row):
        return [[row] * length for length in LENGTHS] if task.per_token else [row] * number

    one_hot = [1.0] + [0.0] * (size - 1)
    cases = [
        (per_token(0.3), "Shares of classes are no labels"),
        (per_token(1.0), "convert numbers to int"),
        (per_token(one_hot), "np.argmax"),
        (per_token([0]), "np.ravel"),
        (per_token(None), "A label is missing"),
        (per_token(task.labels[0] + "x"), f"Is {task.labels[0]!r} meant?"),
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
    with pytest.raises(errors, match="must not hold white space"):
        task.predict(spaced, model=model)


def check_compile(task, tmp_path):
    """`compile()` gives a task its own optimizer, loss and metrics back."""
    model = task.make()
    own = model.get_compile_config()
    model.compile("sgd", metrics=[])
    assert type(model.optimizer).__name__ == "SGD"
    model.compile()
    model.run_eagerly = IS_TENSORFLOW
    assert type(model.optimizer).__name__ == "Adam"
    assert (float(model.optimizer.learning_rate), model.optimizer.global_clipnorm) == (
        pytest.approx(1e-3),
        5.0,
    )
    again = model.get_compile_config()
    for config in (own, again):
        config["optimizer"]["config"].pop("name")
    assert json.dumps(again) == json.dumps(own)
    result = model.evaluate(task.x, task.y, return_dict=True, verbose=0)
    assert sorted(result) == ["accuracy", "loss"]
    model.compile(metrics=[])
    assert list(model.evaluate(task.x, task.y, return_dict=True, verbose=0)) == ["loss"]

    half = task.make(toy_elmo(dtype="mixed_float16"))
    for optimizer in ("auto", "sgd", keras.optimizers.SGD()):
        half.compile(optimizer)
        assert isinstance(half.optimizer, keras.optimizers.LossScaleOptimizer)
    half.compile("sgd", auto_scale_loss=False)
    assert not isinstance(half.optimizer, keras.optimizers.LossScaleOptimizer)


def check_loss_scale_is_saved(task, tmp_path):
    if not IS_TENSORFLOW:
        pytest.skip("once is enough")
    half = task.make(toy_elmo(dtype="mixed_float16"))
    task.fit(task.x, task.y, model=half)
    half.save(tmp_path / "half.keras")
    loaded = keras.saving.load_model(tmp_path / "half.keras")
    assert isinstance(loaded.optimizer, keras.optimizers.LossScaleOptimizer)
    assert isinstance(loaded.optimizer.inner_optimizer, keras.optimizers.Adam)


def check_clone(task, tmp_path):
    """`clone` keeps the class; Keras' `clone_model` cannot."""
    clone = task.model.clone()
    assert type(clone) is task.cls and clone.labels == task.labels and clone.compiled
    assert clone.get_config() == task.model.get_config()
    assert {id(w) for w in clone.weights}.isdisjoint({id(w) for w in task.model.weights})
    clone.set_weights(task.model.get_weights())
    np.testing.assert_array_equal(task.predict(model=clone), task.predict())


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")
def check_quantized(task, tmp_path):
    """A quantised model is saved and loaded with the same answers, in every mode."""
    if not IS_TENSORFLOW:
        pytest.skip("Keras quantises in the same way on every backend")
    for mode in ("int8", "int4", "float8"):
        model = task.make(hidden_dim=4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layers that Keras cannot quantise
            model.quantize(mode)
        expected = task.predict(model=model)
        model.save(tmp_path / "model.keras")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            loaded = keras.saving.load_model(tmp_path / "model.keras")
        loaded.run_eagerly = True
        np.testing.assert_array_equal(task.predict(model=loaded), expected)
        loaded.save(tmp_path / "again.keras")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Skipping variable loading for optimizer")
            again = keras.saving.load_model(tmp_path / "again.keras")
        again.run_eagerly = True
        np.testing.assert_array_equal(task.predict(model=again), expected)
        modes, own = (
            [getattr(layer, "quantization_mode", None) for layer in some._flatten_layers()]
            for some in (loaded, model)
        )
        assert modes == own and modes.count(mode) > 3


def check_refused_formats(task, tmp_path):
    """Files that nothing could load, and exports that nothing could run."""
    for name in ("model.h5", "model.hdf5", "model"):
        with pytest.raises(ValueError, match="must end in .keras"):
            task.model.save(tmp_path / name)
        assert not (tmp_path / name).exists()
    for format in ("onnx", "litert", "openvino", "torch"):
        with pytest.raises(ValueError, match=f"Received: format='{format}'. No other runtime"):
            task.model.export(tmp_path / "exported", format=format)
    assert not list(tmp_path.iterdir())


def check_save_is_whole(task, tmp_path):
    """An older file survives a failed save, and a weight that is not finite is not saved."""
    path = tmp_path / "model.keras"
    model = task.make()
    model.save(path)
    path.chmod(0o640)
    link = tmp_path / "link.keras"
    link.symlink_to(path)
    model.save(link)
    assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o640
    link.unlink()
    old = path.read_bytes()
    with pytest.raises(ValueError, match="which exists.*overwrite=True"):
        model.save(path, overwrite=False)

    def fail(filepath, **options):
        pathlib.Path(filepath).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device.*Make room"):
        saving.save(model, fail, path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.keras"] and path.read_bytes() == old

    weight = model.weights[-1]
    weight.assign(weight.value * float("nan"))
    with pytest.raises(ValueError, match=f"NaN or infinity in {weight.path}"):
        model.save(path)
    weights_file = tmp_path / "model.weights.h5"
    weights_file.write_bytes(old)
    with pytest.raises(ValueError, match=f"NaN or infinity in {weight.path}"):
        model.save_weights(weights_file, overwrite=True)
    assert weights_file.read_bytes() == old
    if IS_TENSORFLOW:
        with pytest.raises(ValueError, match=f"NaN or infinity in {weight.path}"):
            model.export(tmp_path / "exported")
    with pytest.raises(ValueError, match="probabilities of a model must be finite"):
        task.predict(model=model)
    assert path.read_bytes() == old


def check_from_preset_options(task, tmp_path):
    """A misspelt or wrong option is said before the source is read."""
    for options, message in (
        ({"poolin": "max"}, "Received: poolin='max'"),
        ({"hidden_dmi": 3}, "Did you mean hidden_dim?"),
        ({"dropuot": 0.1}, "Did you mean dropout?"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            task.cls.from_preset(tmp_path / "absent", task.labels, **options)
    for labels in (2, "NV", {"a": 0, "b": 1}, {"a", "b"}):
        with pytest.raises(ValueError, match="`labels` must be a list"):
            task.cls.from_preset(tmp_path / "absent", labels)
    with pytest.raises(ValueError, match=r"`backbone` must be an ElmoLayer.*from_preset"):
        task.cls("elmo_mini_en", task.labels)
    assert task.cls(toy_elmo(), pd.Series(["a", "b"])).labels == ["a", "b"]


def check_memory(task, tmp_path):
    """The graphs of a training are gone with its model."""
    if not IS_TENSORFLOW:
        pytest.skip("TensorFlow keeps gradients that are written by hand")

    def fold():
        model = task.make()
        model.run_eagerly = False
        task.fit(task.x, task.y, model=model)

    def graphs():
        gc.collect()
        return sum(type(item).__name__ == "FuncGraph" for item in gc.get_objects())

    fold()
    before = graphs()
    fold()
    assert graphs() <= before


def check_long_documents(task, tmp_path):
    """`predict` reads texts of similar length together, and gives them back in their order."""
    if not HAS_STRINGS:
        pytest.skip("strings need TensorFlow")
    x = [*TOKENS, ["word"] * 1100, *TOKENS]
    shapes = []
    model = task.make()
    model.run_eagerly = False
    one = [model.predict([row], verbose=0)[0] for row in (TOKENS[3], x[5])]
    step = model.preprocessor.batches

    def spy(*args, **kwargs):
        data = step(*args, **kwargs)
        shapes.extend(batch[0].shape[:2] for batch in data)
        return data

    model.preprocessor.batches = spy
    found = model.predict(x, batch_size=4, verbose=0)
    assert len(found) == len(x)
    longest = [time for rows, time in shapes if rows > 1]
    assert max(longest) < 10, shapes
    np.testing.assert_allclose(found[5], one[1], atol=1e-5)
    for place in (3, 9):
        row = found[place][: len(one[0])] if task.per_token else found[place]
        np.testing.assert_allclose(row, one[0], atol=1e-5)


CHECKS = [
    check_tables_and_gaps,
    check_weights_are_numbers,
    check_labels_are_classes,
    check_compile,
    check_loss_scale_is_saved,
    check_clone,
    check_quantized,
    check_refused_formats,
    check_save_is_whole,
    check_from_preset_options,
    check_long_documents,
    check_memory,
    check_config,
    check_fit_forms,
    check_predict_forms,
    check_predict,
    check_evaluate,
    check_validation,
    check_weights,
    check_training_and_saving,
    check_frozen,
    check_mixed_precision,
    check_traces,
    check_bad_input,
    check_from_preset,
    check_built,
    check_bad_datasets,
    check_other_bad_input,
    check_arrays_of_the_backend,
    check_ids,
    check_tensor_of_nothing,
]
