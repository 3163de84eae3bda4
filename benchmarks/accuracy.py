"""Compares the test accuracy of an ElmoLayer and an Embedding, both trained from random weights.

    python benchmarks/accuracy.py sst2 ud_ewt --seeds 0 1 2

The two models of a task differ in the layer that computes token vectors: an `ElmoLayer`, or a
`StringLookup` of the training words with an `Embedding` of the same width. Head, optimizer, batch
size and early stopping (on the accuracy on the development set) are the same. Appends one line per
run to `accuracy.jsonl` in this directory, and prints the table.
"""

import argparse
import json
import pathlib
import statistics
import time

import keras
import tensorflow as tf

import elmo_keras
from elmo_keras import demo

RUNS = pathlib.Path(__file__).with_name("accuracy.jsonl")
DIM = 128  # size of a token vector in both models
EPOCHS = {"sst2": 6, "ud_ewt": 3}
LOADERS = {
    "sst2": elmo_keras.datasets.load_sst2,
    "trec": elmo_keras.datasets.load_trec,
    "ud_ewt": elmo_keras.datasets.load_ud_ewt,
}


def build(task, vectors, labels, words, dropout=0.3):
    """Builds a Keras model from tokens to probabilities.

    Args:
        task: str. Name of the task.
        vectors: `"elmo"` or `"embedding"`.
        labels: list of str.
        words: list of str. The vocabulary of the Embedding.
        dropout: float.
    """
    tokens = keras.Input((None,), dtype="string")
    if vectors == "elmo":
        x = demo.small_elmo(dropout=dropout, tokenizer="whitespace")(tokens)
    else:
        lookup = keras.layers.StringLookup(vocabulary=words, mask_token="")
        x = keras.layers.Embedding(lookup.vocabulary_size(), DIM, mask_zero=True)(lookup(tokens))
        x = keras.layers.Dropout(dropout)(x)
    if task == "sst2":
        x = elmo_keras.layers.MaskedMaxPooling()(x)
        accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    else:
        accuracy = elmo_keras.metrics.TokenAccuracy()
    x = keras.layers.Dense(len(labels), activation="softmax")(x)
    if task != "sst2":
        x = elmo_keras.layers.FillPadding()(x)
    model = keras.Model(tokens, x)
    model.compile(
        keras.optimizers.Adam(3e-3, global_clipnorm=5.0),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=[accuracy],
    )
    return model


def load(task):
    """Loads the splits of a task, with sentences as token lists, and its sorted labels."""
    splits = elmo_keras.datasets.Splits(
        *(
            part._replace(
                sentences=[s.split() if isinstance(s, str) else s for s in part.sentences]
            )
            for part in LOADERS[task]()
        )
    )
    labels = {x for y in splits.train.labels for x in ([y] if isinstance(y, str) else y)}
    return splits, sorted(labels)


def vocabulary(part):
    """Returns the distinct words of a split, sorted."""
    return sorted({word for row in part.sentences for word in row})


def examples(part, labels, shuffle=False):
    """Creates a tf.data.Dataset of single sentences: tokens, and the label index or indices."""
    index_of = {label: index for index, label in enumerate(labels)}
    tokens = tf.ragged.constant(part.sentences)
    if isinstance(part.labels[0], str):
        y = tf.constant([index_of[label] for label in part.labels])
    else:
        y = tf.ragged.constant([[index_of[x] for x in row] for row in part.labels], dtype="int32")
    dataset = tf.data.Dataset.from_tensor_slices((tokens, y))
    return dataset.shuffle(len(part.sentences)) if shuffle else dataset


def batches(part, labels, batch_size=32, shuffle=False):
    """Creates a tf.data.Dataset of padded batches."""

    def pad(tokens, y):
        return tokens.to_tensor(), y.to_tensor() if isinstance(y, tf.RaggedTensor) else y

    return examples(part, labels, shuffle).batch(batch_size).map(pad).prefetch(2)


def run(task, vectors, seed):
    """Trains one model and returns its results, as a line of `accuracy.jsonl`."""
    keras.utils.set_random_seed(seed)
    splits, labels = load(task)
    model = build(task, vectors, labels, vocabulary(splits.train))
    stop = keras.callbacks.EarlyStopping(
        "val_accuracy", mode="max", patience=2, restore_best_weights=True
    )
    start = time.time()
    history = model.fit(
        batches(splits.train, labels, shuffle=True),
        validation_data=batches(splits.dev, labels),
        epochs=EPOCHS[task],
        callbacks=[stop],
        verbose=2,
        shuffle=False,
    )
    seconds = time.time() - start
    _, accuracy = model.evaluate(batches(splits.test, labels), verbose=0)
    return {
        "task": task,
        "vectors": vectors,
        "seed": seed,
        "test_accuracy": accuracy,
        "dev_accuracy": max(history.history["val_accuracy"]),
        "epochs": len(history.epoch),
        "best_epoch": stop.best_epoch + 1,
        "seconds": round(seconds),
        "parameters": model.count_params(),
    }


def table(runs, columns=("task", "vectors", "parameters")):
    """Formats runs as a Markdown table with the mean and range over the seeds."""
    lines = [
        f"| {' | '.join(columns).replace('_', ' ')} | test accuracy, % | seeds |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for key in sorted({tuple(run[column] for column in columns) for run in runs}):
        values = [
            100 * run["test_accuracy"]
            for run in runs
            if tuple(run[column] for column in columns) == key
        ]
        spread = f"{statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"
        cells = [f"{value:,}" if isinstance(value, int) else str(value) for value in key]
        lines.append(f"| {' | '.join(cells)} | {spread} | {len(values)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=["sst2", "ud_ewt"])
    parser.add_argument("--vectors", nargs="*", default=["elmo", "embedding"])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    args = parser.parse_args()
    for seed in args.seeds:
        for task in args.tasks:
            for vectors in args.vectors:
                result = run(task, vectors, seed)
                with RUNS.open("a") as file:
                    file.write(json.dumps(result) + "\n")
    print(table([json.loads(line) for line in RUNS.read_text().splitlines()]))
