"""The demonstration: train a classifier, export it, and serve it from another process."""

import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import keras

from elmo_keras import datasets
from elmo_keras.encoders.elmo_layer import ElmoLayer
from elmo_keras.layers.bilstm_stack import BiLSTMStack
from elmo_keras.layers.char_cnn import CharCNN
from elmo_keras.models.elmo_text_classifier import ElmoTextClassifier

SENTENCES = [
    "A warm, funny film with a wonderful cast.",
    "The plot is dull and the acting is worse.",
    "It isn't bad at all: I laughed a lot.",
    "Two hours of my life that I will never get back.",
    "Not a single boring minute!",
]

# The serving process imports only TensorFlow. Arguments: the path of the SavedModel, the sentences.
SERVER = """
import sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
result = model.signatures["serving_default"](text=tf.constant(sys.argv[2:]))
for label, row in zip(result["labels"].numpy(), result["probabilities"].numpy()):
    print(f"{label.decode()}\\t{row.max():.2f}")
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


def run(directory: pathlib.Path, say: Callable[[str], None], epochs: int = 3) -> dict[str, Any]:
    """Trains, evaluates, saves, exports and serves a sentiment classifier.

    Args:
        directory: directory for `classifier.keras` and the SavedModel `served/`; created if it
            does not exist.
        say: function that is called with each line of text for the user.
        epochs: number of passes over SST-2. The built-in data always takes 20. Defaults to `3`.

    Returns:
        dict with `accuracy`, the share of correct labels on the test set; `seconds`, the total
        duration; and `served`, the (label, probability) pairs of the serving process for
        `SENTENCES`.

    Raises:
        RuntimeError: if the serving process fails.

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
    # The few built-in sentences need more passes.
    epochs = epochs if len(splits.train.sentences) > 1000 else 20
    elmo = small_elmo(dropout=0.3)
    model = ElmoTextClassifier(elmo, labels=["negative", "positive"], pooling="max")
    model.optimizer.learning_rate = 3e-3
    say(
        f"Model: ElmoTextClassifier with {model.count_params():,} weights, trained end to end on "
        f"{len(splits.train.sentences):,} sentences."
    )
    model.fit(*splits.train, validation_data=splits.dev, epochs=epochs)
    accuracy = model.evaluate(*splits.test, verbose=0, return_dict=True)["accuracy"]
    say(f"Accuracy on {len(splits.test.sentences):,} held-out sentences: {accuracy:.1%}")
    weights, gamma = elmo.layer_weights
    shares = ", ".join(f"{weight:.2f}" for weight in weights)
    say(f"Weights of ELMo's layers, tokens first: {shares}; gamma {gamma:.2f}")

    directory.mkdir(parents=True, exist_ok=True)
    model.save(directory / "classifier.keras")
    model.export(directory / "served")
    say(f"Saved: {directory / 'classifier.keras'} and the SavedModel {directory / 'served'}")
    say("A new process, which imports only TensorFlow, loads the SavedModel and classifies text:")
    served = serve(directory / "served", SENTENCES)
    for sentence, (label, probability) in zip(SENTENCES, served):
        say(f"  {label} {probability:.2f}  {sentence}")
    return {"accuracy": accuracy, "seconds": time.perf_counter() - start, "served": served}


def serve(saved_model: pathlib.Path, sentences: list[str]) -> list[tuple[str, float]]:
    """Classifies sentences in a new process that imports only TensorFlow.

    Args:
        saved_model: path of the SavedModel.
        sentences: sentences to classify.

    Returns:
        The (label, probability) pair of each sentence; probabilities have two decimal places.

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
    pairs = (line.split("\t") for line in answer.stdout.splitlines())
    return [(label, float(probability)) for label, probability in pairs]
