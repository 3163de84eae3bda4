"""Test accuracy with a pretrained preset, against the same model without it.

    python benchmarks/pretrained.py sst2 trec ud_ewt --preset elmo_mini_en --seeds 0 1 2

The models of a task differ in one thing, what turns tokens into vectors:

- `preset`: the ElmoLayer of the preset.
- `random`: an ElmoLayer of the same architecture, its weights random.
- `embedding`: for orientation, a `StringLookup` of the training words with an `Embedding` of the
  same width.

Upon them stands the same head, a bidirectional LSTM (then, for a whole sentence, maximum and mean
over time) and a Dense layer. One recipe trains them all, in two phases of Adam:

1. What is new learns, at the rate `RATES[0]`. Of `preset` that is the head and the mix of the
   layers, while the pretrained weights rest; `random` and `embedding` are new as a whole and learn
   end to end.
2. All learns, at the lower rate `RATES[1]`, from the best epoch so far: the biLM of the preset is
   fine-tuned, the others settle.

Epochs, batches, dropout and seeds are the same; the epoch of the best accuracy on the development
set, of both phases, is the one that is tested. Tokens are spelt as the text that the presets were
trained on, for all variants alike: straight quotes and brackets instead of those of the Penn
Treebank. Appends one line a run to `pretrained.jsonl` beside this file, and prints the table.
"""

import argparse
import json
import pathlib
import random
import time

import accuracy
import keras
import tensorflow as tf

import elmo_keras

RUNS = pathlib.Path(__file__).with_name("pretrained.jsonl")
VARIANTS = ["preset", "random", "embedding"]
COLUMNS = ["task", "variant", "preset", "sentences", "epochs", "rates", "parameters"]
RATES = [1e-3, 3e-4]  # of the two phases
EPOCHS = {"sst2": [3, 2], "trec": [6, 4], "ud_ewt": [2, 1]}  # of the two phases
UNITS = 128  # of the head's LSTM, in each direction
DROPOUT = 0.3
MAX_TOKENS = 640  # of a batch: about 32 sentences of SST-2

QUOTES = str.maketrans("“”‘’", "\"\"''")
SPELLINGS = {
    "``": '"',
    "''": '"',
    "`": "'",
    "--": "-",
    "-LRB-": "(",
    "-RRB-": ")",
    "-LSB-": "[",
    "-RSB-": "]",
    "-LCB-": "{",
    "-RCB-": "}",
}


class KeepBest(keras.callbacks.Callback):
    """Keeps the weights of the epoch of the best accuracy on the development set.

    Unlike `keras.callbacks.EarlyStopping`, through several calls of `fit`.
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
    """Sentences in the spelling that the presets were trained on."""

    def spell_token(token):
        token = token.translate(QUOTES)
        return SPELLINGS.get(token, token)

    return part._replace(sentences=[[spell_token(token) for token in s] for s in part.sentences])


def sample(part, number, seed):
    """So many of a part's sentences: SST-2 is not in a random order."""
    chosen = random.Random(seed).sample(range(len(part.sentences)), number)
    return part._replace(
        sentences=[part.sentences[index] for index in chosen],
        labels=[part.labels[index] for index in chosen],
    )


def elmo_layer(variant, preset):
    """The layer of a preset, or one of its architecture with random weights."""
    elmo = elmo_keras.ElmoLayer.from_preset(
        preset, dtype="float32", tokenizer="whitespace", dropout=DROPOUT
    )
    return elmo if variant == "preset" else elmo_keras.ElmoLayer.from_config(elmo.get_config())


def build(task, vectors, dim, labels, words):
    """A Keras model from tokens to probabilities.

    Args:
        task: str.
        vectors: an ElmoLayer, or `None` for an Embedding.
        dim: int. The width of the Embedding.
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
    """Compiles a model, with a new optimizer."""
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
    """A tf.data.Dataset of batches of sentences of like length."""

    def to_tensors(*rows):
        return tuple(tf.convert_to_tensor(row) for row in rows)

    dataset = accuracy.examples(part, labels, shuffle).map(to_tensors)
    return elmo_keras.text.batch_by_length(dataset, max_tokens=MAX_TOKENS).prefetch(2)


def run(task, variant, seed, preset, epochs, rates, limit=None):
    """Trains one model and returns what there is to know of it."""
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
    parser.add_argument("--preset", required=True, help="a name or a directory")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--limit", type=int, help="train on a sample of so many sentences")
    parser.add_argument("--epochs", type=int, nargs=2, help="of the two phases")
    parser.add_argument("--rates", type=float, nargs=2, default=RATES, help="of the two phases")
    parser.add_argument("--output", type=pathlib.Path, default=RUNS, help="file of the runs")
    args = parser.parse_args()
    if unknown := set(args.tasks) - set(EPOCHS):
        parser.error(f"tasks must be of {', '.join(EPOCHS)}. Received: {', '.join(unknown)}")
    for seed in args.seeds:
        for task in args.tasks:
            epochs = args.epochs or EPOCHS[task]
            for variant in args.variants:
                result = run(task, variant, seed, args.preset, epochs, args.rates, args.limit)
                with args.output.open("a") as file:
                    file.write(json.dumps(result) + "\n")
    print(accuracy.table([json.loads(line) for line in args.output.open()], COLUMNS))
