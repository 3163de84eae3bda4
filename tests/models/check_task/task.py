"""The model and the data that the checks of task models share."""

import importlib.util

import keras
import numpy as np
import pandas as pd
import pytest

import elmo_keras
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
        # Without dropout, losses are exact, unless a test asks for it.
        self.options = options if "head" in options else {"head_dropout": 0.0} | options
        self.cls, self.y = cls, y
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
        return model.fit(*args, **{"epochs": 1, "verbose": 0, "shuffle": False} | kwargs).history

    def evaluate(self, *args, model=None, **kwargs):
        """`(loss, accuracy)`."""
        model = model or self.model
        result = model.evaluate(*args, return_dict=True, verbose=0, **kwargs)
        return np.array([result["loss"], result["accuracy"]])

    def predict(self, x=None, model=None, **kwargs):
        return (model or self.model).predict(self.x if x is None else x, verbose=0, **kwargs)

    def expected_loss(self, weights=None, batch_size=NUMBER, rows=range(NUMBER)):
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

    def expected_accuracy(self):
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
