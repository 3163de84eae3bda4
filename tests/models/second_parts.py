"""A second encoder, head and preprocessor, and task models that are built with them."""

import keras
from keras import ops

import elmo_keras
from elmo_keras.models import ElmoTagger, ElmoTextClassifier, Head, Preprocessor
from elmo_keras.models.preprocessing.inputs import read_inputs
from tests.small_models import IS_TENSORFLOW

WORDS = ["a", "cat", "dog", "sat", "barked"]
SENTENCES = [["a", "cat", "sat"], ["a", "dog", "barked"], ["cat"], []]
CLASSES = ["cat", "dog", "cat", "dog"]
TAGS = [["DET", "NOUN", "VERB"], ["DET", "NOUN", "VERB"], ["NOUN"], []]
TASKS = {
    "classifier": (ElmoTextClassifier, ["cat", "dog"], CLASSES),
    "tagger": (ElmoTagger, ["DET", "NOUN", "VERB"], TAGS),
}


@keras.saving.register_keras_serializable(package="second_parts")
class BagOfWords(elmo_keras.TextEncoder):
    """An encoder without any part of ELMo: a Keras Embedding over word ids."""

    def __init__(self, dim=4, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.tokenizer = elmo_keras.text.Tokenizer()
        self.text_layer = elmo_keras.text.WordIds(WORDS)
        self.embedding = keras.layers.Embedding(len(WORDS) + 2, dim)
        self.fill = elmo_keras.layers.FillPadding()
        self.supports_masking = True

    @property
    def ids_shape(self):
        return ()

    @property
    def ids_limit(self):
        return len(WORDS) + 2

    @property
    def output_dim(self):
        return self.dim

    def numpy_ids(self, words):
        return self.text_layer.numpy_ids(words)

    def build(self, input_shape):
        self.build_part(self.embedding, (None, None))

    def call(self, inputs):
        ids = self.to_ids(inputs)
        return self.fill(self.embedding(ids), mask=ops.not_equal(ids, 0))

    def compute_output_spec(self, inputs):
        time = inputs.shape[1] if len(inputs.shape) > 1 else None
        return keras.KerasTensor((inputs.shape[0], time, self.dim), dtype=self.compute_dtype)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def get_config(self):
        return super().get_config() | {"dim": self.dim}


@keras.saving.register_keras_serializable(package="second_parts")
class LogitHead(Head):
    """A head whose scores are logits, divided by a temperature before the softmax."""

    def __init__(self, temperature=2.0):
        self.temperature = temperature

    def build(self, labels, per_token):
        super().build(labels, per_token)
        self.dense = keras.layers.Dense(len(labels), name="logits")
        self.fill = elmo_keras.layers.FillPadding(name="fill_padding")

    def scores(self, vectors):
        return self.dense(vectors) + 0.0  # an operation that loses the Keras mask

    def probabilities(self, scores, mask):
        x = keras.layers.Softmax(name="softmax")(scores / self.temperature)
        return self.fill(x, mask=mask) if self.per_token else x

    def loss(self, y, scores, mask, sample_weight=None):
        y = ops.one_hot(y, len(self.labels))
        losses = ops.categorical_crossentropy(y, scores / self.temperature, from_logits=True)
        weights = ops.ones_like(losses) if mask is None else ops.cast(mask, losses.dtype)
        count = ops.sum(weights)
        if sample_weight is not None:
            weights = weights * ops.cast(sample_weight, losses.dtype)
        return ops.sum(losses * weights) / count

    def get_config(self):
        return {"temperature": self.temperature}


@keras.saving.register_keras_serializable(package="second_parts")
class Lowercase(Preprocessor):
    """A preprocessor that reads all words in lower case."""

    def read(self, x):
        return ([[token.lower() for token in row] for row in read_inputs(x, self.encoder)],)

    def in_graph(self, x):
        import tensorflow as tf

        return super().in_graph(tf.strings.lower(x))


def make(task, backbone=None, **options):
    cls, labels, _ = TASKS[task]
    if "head" not in options:
        options = {"head_dropout": 0.0} | options  # Without dropout, losses are exact.
    keras.utils.set_random_seed(1)
    model = cls(backbone or BagOfWords(name="words"), labels, **options)
    model.run_eagerly = IS_TENSORFLOW
    return model


def answers(name, model, x=None):
    x = SENTENCES if x is None else x
    return model.tag(x) if name == "tagger" else model.classify(x)
