"""The demonstration: fine-tune a classifier, export it, and serve it from another process."""

import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from elmo_keras import datasets
from elmo_keras.encoders.elmo_layer import ElmoLayer
from elmo_keras.layers.bilstm_stack import BiLSTMStack
from elmo_keras.layers.char_cnn import CharCNN
from elmo_keras.models.elmo_text_classifier import ElmoTextClassifier

PRESET = "elmo_mini_en"
SENTENCES = [
    "A warm, funny film with a wonderful cast.",
    "The plot is dull and the acting is worse.",
    "It isn't bad at all: I laughed a lot.",
    "Two hours of my life that I will never get back.",
    "Not a single boring minute!",
]
EXPECTED = ["positive", "negative", "positive", "negative", "positive"]
# Maximum difference between served probabilities and those from `predict`, for float32 rounding.
TOLERANCE = 1e-4

# The serving process imports only TensorFlow. Arguments: the path of the SavedModel, the sentences.
SERVER = """
import json
import sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
result = model.signatures["serving_default"](text=tf.constant(sys.argv[2:]))
labels = [label.decode() for label in result["labels"].numpy()]
print(json.dumps([labels, result["probabilities"].numpy().tolist()]))
"""


def small_elmo(**options: Any) -> ElmoLayer:
    """Returns a new ElmoLayer that trains on a laptop; its vectors have 128 values.

    Args:
        **options: arguments of `ElmoLayer`.
    """
    filters = [(1, 16), (2, 16), (3, 32), (4, 64), (5, 64)]
    return ElmoLayer(
        CharCNN(filters=filters, projection_dim=64),
        BiLSTMStack(units=128, projection_dim=64),
        **options,
    )


def load_sentiment(say: Callable[[str], None]) -> datasets.Splits:
    """Loads SST-2 or, if it is not available, the sentences that come with the package.

    Args:
        say: function that is called with each line of text for the user.
    """
    try:
        splits = datasets.load_sst2()
        say("Data: SST-2, sentences from film reviews.")
    except datasets.DatasetUnavailable:
        splits = datasets.load_own_sentiment()
        say(
            "Data: a few sentences written for this project, because SST-2 is not available (no "
            "network, and ELMO_KERAS_DATA names no folder). Expect a low accuracy."
        )
    return splits


def run(
    directory: pathlib.Path, say: Callable[[str], None], epochs: int | None = None
) -> dict[str, Any]:
    """Fine-tunes, evaluates, saves, exports and serves a sentiment classifier.

    The classifier starts from the bundled preset `PRESET` and is trained in two phases, see
    `ElmoTextClassifier.fit`.

    Args:
        directory: directory for `classifier.keras` and the SavedModel `served/`; created if it
            does not exist.
        say: function that is called with each line of text for the user.
        epochs: number of passes over the data, the first half of them with a frozen backbone.
            Defaults to `None`, for as many as the amount of data needs.

    Returns:
        dict with `accuracy`, the share of correct labels on the test set; `seconds`, the total
        duration; and `served`, the (label, probability) pairs of the serving process for
        `SENTENCES`.

    Raises:
        RuntimeError: if the serving process fails, or if its answers differ from those of the
            trained model.

    Example:

    ```python
    import pathlib

    from elmo_keras import demo

    result = demo.run(pathlib.Path("demo_model"), say=print)
    print(result["accuracy"])
    ```
    """
    start = time.perf_counter()
    keras.utils.set_random_seed(0)
    splits = load_sentiment(say)
    model = ElmoTextClassifier.from_preset(PRESET, labels=["negative", "positive"])
    say(
        f"Model: ElmoTextClassifier on {PRESET}, {model.count_params():,} weights; first its head "
        f"is trained on {len(splits.train.sentences):,} sentences, then everything."
    )
    phases: dict[str, Any] = {}
    if epochs is not None:
        phases = {"epochs": epochs, "frozen_epochs": epochs // 2}
    model.fit(*splits.train, validation_data=splits.dev, **phases)
    accuracy = model.evaluate(*splits.test, verbose=0, return_dict=True)["accuracy"]
    say(f"Accuracy on {len(splits.test.sentences):,} held-out sentences: {accuracy:.1%}")
    weights, gamma = model.backbone.layer_weights
    shares = ", ".join(f"{weight:.2f}" for weight in weights)
    say(f"Weights of ELMo's layers, tokens first: {shares}; gamma {gamma:.2f}")

    directory.mkdir(parents=True, exist_ok=True)
    model.save(directory / "classifier.keras")
    model.export(directory / "served")
    say(f"Saved: {directory / 'classifier.keras'} and the SavedModel {directory / 'served'}")
    say("A new process, which imports only TensorFlow, loads the SavedModel and classifies text:")
    served = serve(directory / "served", SENTENCES)
    check_served(served, model.classify(SENTENCES), model.predict(SENTENCES, verbose=0))
    for sentence, expected, (label, probability) in zip(SENTENCES, EXPECTED, served):
        remark = "" if label == expected else f"  (expected: {expected})"
        say(f"  {label} {probability:.2f}  {sentence}{remark}")
    return {"accuracy": accuracy, "seconds": time.perf_counter() - start, "served": served}


def serve(saved_model: pathlib.Path, sentences: list[str]) -> list[tuple[str, float]]:
    """Classifies sentences in a new process that imports only TensorFlow.

    Args:
        saved_model: path of the SavedModel.
        sentences: sentences to classify.

    Returns:
        The most probable label of each sentence, and its probability.

    Raises:
        RuntimeError: if the process fails.
    """
    answer = subprocess.run(
        [sys.executable, "-c", SERVER, str(saved_model), *sentences],
        capture_output=True,
        text=True,
        check=False,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ},
    )
    if answer.returncode:
        reason = answer.stderr[max(0, answer.stderr.find("Traceback")) :]  # after TensorFlow's log
        raise RuntimeError(f"The serving process failed:\n{reason}")
    labels, probabilities = json.loads(answer.stdout.splitlines()[-1])
    return [(label, max(row)) for label, row in zip(labels, probabilities, strict=True)]


def check_served(
    served: list[tuple[str, float]], labels: list[str], probabilities: np.ndarray
) -> None:
    """Raises a RuntimeError if the answers of `serve` differ from those of the model.

    Args:
        served: the result of `serve`.
        labels: the labels that the model gives to the same sentences.
        probabilities: `(sentences, labels)`, the result of the model's `predict`.
    """
    for index, (answer, label, row) in enumerate(zip(served, labels, probabilities, strict=True)):
        if answer[0] != label or abs(answer[1] - float(row.max())) > TOLERANCE:
            raise RuntimeError(
                "The served model must give the answers of the trained one. Received for sentence "
                f"{index}: {answer[0]} with {answer[1]:.6f} from the serving process, {label} with "
                f"{row.max():.6f} from `predict`. Report this as a bug of elmo_keras."
            )
