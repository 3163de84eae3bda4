"""Compares the test accuracy of a pretrained preset with the same model from random weights.

    python benchmarks/pretrained.py sst2 trec ud_ewt --preset elmo_mini_en --seeds 0 1 2

The models of a task differ in the layer that computes token vectors:

- `preset`: the ElmoLayer of the preset.
- `random`: an ElmoLayer of the same architecture with random weights.
- `embedding`: for orientation, a `StringLookup` of the training words with an `Embedding` of the
  same width.

The head is the same: a bidirectional LSTM, for sentence labels followed by the maximum and the mean
over time, and a Dense layer. All models are trained with Adam in two phases:

1. With the learning rate `RATES[0]`. In `preset`, only the head and the mix of the layers are
   trained, and the pretrained weights are frozen. The other models are trained as a whole.
2. With the lower learning rate `RATES[1]`, from the best epoch of phase 1. All models are trained
   as a whole.

Epochs, batches, dropout and seeds are the same. The epoch with the best accuracy on the development
set, of both phases, is tested. Tokens are spelt as in the text of the presets' pretraining, with
straight quotes and brackets instead of the Penn Treebank's symbols. Appends one line per run to
`pretrained.jsonl` in this directory, and prints the table.
"""

import argparse
import json
import pathlib
import random
import time

import accuracy
import keras
import tensorflow as tf
from spelling import spell_token

import elmo_keras

RUNS = pathlib.Path(__file__).with_name("pretrained.jsonl")
VARIANTS = ["preset", "random", "embedding"]
COLUMNS = ["task", "variant", "preset", "sentences", "epochs", "rates", "parameters"]
RATES = [1e-3, 3e-4]  # learning rates of the two phases
EPOCHS = {"sst2": [3, 2], "trec": [6, 4], "ud_ewt": [2, 1]}  # epochs of the two phases
UNITS = 128  # units of the head's LSTM in each direction
DROPOUT = 0.3
MAX_TOKENS = 640  # tokens in a batch, about 32 sentences of SST-2


class KeepBest(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the best accuracy on the development set.

    Unlike `keras.callbacks.EarlyStopping`, it compares the epochs of several calls of `fit`.
    """

    def __init__(self):
        super().__init__()
        self.accuracies = []
        self.weights = None

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_accuracy"] > max(self.accuracies, default=-1.0):
            self.weights = self.model.get_weights()
        self.accuracies.append(logs["val_accuracy"])


def spell(part):
    """Converts sentences to the spelling of the presets' pretraining."""
    return part._replace(sentences=[[spell_token(token) for token in s] for s in part.sentences])


def sample(part, number, seed):
    """Samples sentences of a split at random, because SST-2 is not in random order."""
    chosen = random.Random(seed).sample(range(len(part.sentences)), number)
    return part._replace(
        sentences=[part.sentences[index] for index in chosen],
        labels=[part.labels[index] for index in chosen],
    )


def elmo_layer(variant, preset):
    """Loads the layer of a preset, or creates one of its architecture with random weights."""
    elmo = elmo_keras.ElmoLayer.from_preset(
        preset, dtype="float32", tokenizer="whitespace", dropout=DROPOUT
    )
    return elmo if variant == "preset" else elmo_keras.ElmoLayer.from_config(elmo.get_config())


def build(task, vectors, dim, labels, words):
    """Builds a Keras model from tokens to probabilities.

    Args:
        task: str. Name of the task.
        vectors: ElmoLayer, or `None` for an Embedding.
        dim: int. Size of the Embedding's vectors.
        labels: list of str.
        words: list of str. The vocabulary of the Embedding.
    """
    tokens = keras.Input((None,), dtype="string")
    if vectors is not None:
        x = vectors(tokens)
    else:
        lookup = keras.layers.StringLookup(vocabulary=words, mask_token="")
        x = keras.layers.Embedding(lookup.vocabulary_size(), dim, mask_zero=True)(lookup(tokens))
        x = keras.layers.Dropout(DROPOUT)(x)
    x = keras.layers.Bidirectional(keras.layers.LSTM(UNITS, return_sequences=True))(x)
    if task != "ud_ewt":
        pooled = [elmo_keras.layers.MaskedMaxPooling()(x), elmo_keras.layers.MaskedMeanPooling()(x)]
        x = keras.layers.Concatenate()(pooled)
    x = keras.layers.Dropout(DROPOUT)(x)
    x = keras.layers.Dense(len(labels), activation="softmax")(x)
    if task == "ud_ewt":
        x = elmo_keras.layers.FillPadding()(x)
    return keras.Model(tokens, x)


def compile_model(model, task, rate):
    """Compiles a model with a new optimizer."""
    if task == "ud_ewt":
        metric = elmo_keras.metrics.TokenAccuracy()
    else:
        metric = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(
        keras.optimizers.Adam(rate, global_clipnorm=5.0),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=[metric],
    )


def batches(part, labels, shuffle=False):
    """Creates a tf.data.Dataset of batches of sentences of similar length."""

    def to_tensors(*rows):
        return tuple(tf.convert_to_tensor(row) for row in rows)

    dataset = accuracy.examples(part, labels, shuffle).map(to_tensors)
    return elmo_keras.text.batch_by_length(dataset, max_tokens=MAX_TOKENS).prefetch(2)


def run(task, variant, seed, preset, epochs, rates, limit=None):
    """Trains one model and returns its results, as a line of `pretrained.jsonl`."""
    keras.utils.set_random_seed(seed)
    splits, labels = accuracy.load(task)
    train, dev, test = (spell(part) for part in splits)
    if limit is not None:
        train = sample(train, limit, seed)
    elmo = elmo_layer(variant, preset)
    dim = elmo.output_dim
    vectors = None if variant == "embedding" else elmo
    model = build(task, vectors, dim, labels, accuracy.vocabulary(train))

    training = batches(train, labels, shuffle=True)
    validation = batches(dev, labels).cache()
    best = KeepBest()
    start = time.time()
    for phase, (number, rate) in enumerate(zip(epochs, rates, strict=True)):
        if variant == "preset":
            elmo.token_encoder.trainable = elmo.bilstm.trainable = phase > 0
        compile_model(model, task, rate)
        model.fit(
            training,
            validation_data=validation,
            epochs=number,
            callbacks=[best],
            verbose=2,
            shuffle=False,
        )
        if best.weights is not None:
            model.set_weights(best.weights)
    seconds = time.time() - start
    result = model.evaluate(batches(test, labels), verbose=0, return_dict=True)
    record = {
        "task": task,
        "variant": variant,
        "preset": pathlib.Path(preset).name,
        "seed": seed,
        "sentences": len(train.sentences),
        "test_accuracy": result["accuracy"],
        "dev_accuracy": max(best.accuracies),
        "dev_accuracies": best.accuracies,
        "epochs": "+".join(map(str, epochs)),
        "rates": ", ".join(f"{rate:g}" for rate in rates),
        "seconds": round(seconds),
        "parameters": model.count_params(),
    }
    if vectors is not None:
        weights, gamma = elmo.layer_weights
        record["layer_weights"] = [float(weight) for weight in weights]
        record["gamma"] = float(gamma)
    return record


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=list(EPOCHS), help="sst2, trec, ud_ewt")
    parser.add_argument("--preset", required=True, help="name or directory of the preset")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--limit", type=int, help="number of training sentences, sampled")
    parser.add_argument("--epochs", type=int, nargs=2, help="epochs of the two phases")
    parser.add_argument(
        "--rates", type=float, nargs=2, default=RATES, help="learning rates of the two phases"
    )
    parser.add_argument("--output", type=pathlib.Path, default=RUNS, help="file to append to")
    args = parser.parse_args()
    if unknown := set(args.tasks) - set(EPOCHS):
        parser.error(f"tasks must be among {', '.join(EPOCHS)}. Received: {', '.join(unknown)}")
    for seed in args.seeds:
        for task in args.tasks:
            epochs = args.epochs or EPOCHS[task]
            for variant in args.variants:
                result = run(task, variant, seed, args.preset, epochs, args.rates, args.limit)
                with args.output.open("a") as file:
                    file.write(json.dumps(result) + "\n")
    print(accuracy.table([json.loads(line) for line in args.output.open()], COLUMNS))
