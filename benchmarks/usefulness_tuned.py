"""Trained models of the usefulness benchmark: a task model of the library on each encoder.

The classifier and the tagger are the library's, with their default head. `fit` gets the training
set and the development set, from which the best epoch is chosen.

- `preset`: `from_preset` and `fit` without further arguments.
- `embedding` and `glove`: a StaticEmbedding, trained with the head from the beginning, because
  frozen random vectors are of no use. They need a higher learning rate and more epochs than a
  pretrained biLM: Adam with `RATE`, and about `BATCHES` batches.
"""

import keras
import numpy as np
import usefulness_features as features_of
import usefulness_tasks as tasks

import elmo_keras

PRESET_OPTIONS = {}  # further arguments of `fit` for a preset: none, its defaults
RATE = 3e-3
BATCHES = 1_500  # of all epochs together
EPOCHS = 3, 100  # bounds
BATCH_SIZE = 32
DIM = 256  # of the Embedding


class KeepBest(keras.callbacks.Callback):
    """Restores, after training, the weights of the epoch with the best development accuracy."""

    def on_train_begin(self, logs=None):
        self.best, self.weights = -1.0, None

    def on_epoch_end(self, epoch, logs=None):
        if logs["val_accuracy"] > self.best:
            self.best, self.weights = logs["val_accuracy"], self.model.get_weights()

    def on_train_end(self, logs=None):
        if self.weights is not None:
            self.model.set_weights(self.weights)


def run(name, features, budget, seed, args):
    """Trains a model, and returns its scores as percentages: `{"test": ..., "dev": ...}`.

    Args:
        name: str. The task.
        features: `"preset"`, `"embedding"` or `"glove"`.
        budget: int or `"all"`. Number of training examples.
        seed: int. Seed of the sample, of the head's weights and of the batches.
        args: the arguments of the program.
    """
    keras.utils.set_random_seed(seed)
    task, splits = tasks.TASKS[name], tasks.load(name)
    chosen = tasks.sample(len(splits.train.sentences), budget, seed)
    rows = [splits.train.sentences[index] for index in chosen]
    labels = [splits.train.labels[index] for index in chosen]
    # All labels of the task, because a small sample may lack some that occur in the other sets.
    names = sorted({x for part in splits for y in part.labels for x in as_list(y)})
    is_tagger = task.kind == tasks.TOKENS
    cls = elmo_keras.ElmoTagger if is_tagger else elmo_keras.ElmoTextClassifier

    options = {"validation_data": (splits.dev.sentences, splits.dev.labels), "verbose": 0}
    if features == "preset":
        preset = features_of.preset_of(task.language, args.preset)
        model = cls.from_preset(preset, names, tokenizer="whitespace")
        options |= PRESET_OPTIONS
    else:
        model = cls(encoder(features, rows, splits, args), names)
        model.compile(keras.optimizers.Adam(RATE, global_clipnorm=5.0))
        batches = -(-len(rows) // BATCH_SIZE)
        options["epochs"] = min(max(round(BATCHES / batches), EPOCHS[0]), EPOCHS[1])
        options["callbacks"] = [KeepBest()]
    model.fit(rows, labels, **options)

    predict = model.tag if is_tagger else model.classify
    return {
        part: float(tasks.score(name, split.labels, predict(split.sentences)))
        for part, split in (("test", splits.test), ("dev", splits.dev))
    }


def encoder(features, rows, splits, args):
    """Creates a trainable StaticEmbedding: GloVe, or random vectors of the training words."""
    if features == "glove":
        every_row = [row for part in splits for row in part.sentences]
        return features_of.glove_layer(every_row, args.glove, trainable=True)
    words = sorted({token for row in rows for token in row})
    layer = elmo_keras.StaticEmbedding(words, DIM, trainable=True)
    layer.build((None, None))
    # The initial values of a Keras Embedding.
    layer.set_weights([np.random.uniform(-0.05, 0.05, (len(words), DIM)).astype("float32")])
    return layer


def as_list(labels):
    """Returns the labels of an example as a list."""
    return [labels] if isinstance(labels, str) else labels
