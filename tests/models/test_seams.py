"""The seams of task models, each with a second user: an encoder, a head and a preprocessor."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import elmo_keras
from elmo_keras.files import atomic_write, safe_hdf5
from elmo_keras.models import ElmoTagger, ElmoTextClassifier, Head, Preprocessor, task_inputs
from elmo_keras.models.elmo_task import ElmoTask
from elmo_keras.models.preprocessing.inputs import read_inputs
from elmo_keras.presets import native_format
from tests.models.check_task import needs_strings, toy_elmo
from tests.small_models import IS_TENSORFLOW, to_numpy

WORDS = ["a", "cat", "dog", "sat", "barked"]
SENTENCES = [["a", "cat", "sat"], ["a", "dog", "barked"], ["cat"], []]
CLASSES = ["cat", "dog", "cat", "dog"]
TAGS = [["DET", "NOUN", "VERB"], ["DET", "NOUN", "VERB"], ["NOUN"], []]
TASKS = {
    "classifier": (ElmoTextClassifier, ["cat", "dog"], CLASSES),
    "tagger": (ElmoTagger, ["DET", "NOUN", "VERB"], TAGS),
}


@keras.saving.register_keras_serializable(package="test_seams")
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


@keras.saving.register_keras_serializable(package="test_seams")
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


@keras.saving.register_keras_serializable(package="test_seams")
class Lowercase(Preprocessor):
    """A preprocessor that reads all words in lower case."""

    def read(self, x):
        return ([[token.lower() for token in row] for row in read_inputs(x, self.encoder)],)

    def in_graph(self, x):
        import tensorflow as tf

        return super().in_graph(tf.strings.lower(x))


def make(task, backbone=None, **options):
    cls, labels, _ = TASKS[task]
    keras.utils.set_random_seed(1)
    model = cls(backbone or BagOfWords(name="words"), labels, **options)
    model.run_eagerly = IS_TENSORFLOW
    return model


def answers(name, model, x=None):
    x = SENTENCES if x is None else x
    return model.tag(x) if name == "tagger" else model.classify(x)


def numpy_scores(model):
    """Scores of the linear models above, in numpy: one array for each sentence."""
    table = to_numpy(model.backbone.embedding.embeddings)
    kernel, bias = (to_numpy(weight) for weight in model.layers[-1].weights)
    ids = [np.array([WORDS.index(word) + 1 for word in row], int) for row in SENTENCES]
    return [table[row] @ kernel + bias for row in ids]


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


# === A second encoder ===


@needs_strings
@pytest.mark.parametrize("name", TASKS)
def test_another_encoder_is_trained_and_saved(name, tmp_path):
    model = make(name)
    model.compile(keras.optimizers.Adam(0.1), "auto", metrics="auto")
    before = model.evaluate(SENTENCES, TASKS[name][2], return_dict=True, verbose=0)
    model.fit(SENTENCES, TASKS[name][2], epochs=30, verbose=0)
    after = model.evaluate(SENTENCES, TASKS[name][2], return_dict=True, verbose=0)
    assert after["loss"] < 0.5 * before["loss"]
    assert answers(name, model)[:3] == TASKS[name][2][:3]
    expected = model.predict(SENTENCES, verbose=0)

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(SENTENCES, verbose=0), expected)
    model.save_to_preset(tmp_path / "preset")
    loaded = TASKS[name][0].from_preset(tmp_path / "preset")
    assert type(loaded.backbone) is BagOfWords and loaded.labels == model.labels
    np.testing.assert_array_equal(loaded.predict(SENTENCES, verbose=0), expected)


@needs_strings
@pytest.mark.skipif(not IS_TENSORFLOW, reason="only TensorFlow exports SavedModels of strings")
@pytest.mark.parametrize("head", ["softmax", LogitHead()], ids=["softmax", "logits"])
@pytest.mark.parametrize("name", TASKS)
def test_another_encoder_and_head_are_exported(name, head, tmp_path):
    import tensorflow as tf

    model = make(name, head=head)
    model.export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    got = served.tokens(elmo_keras.text.pad(SENTENCES))
    expected = model.predict(SENTENCES, verbose=0)
    np.testing.assert_allclose(got["probabilities"].numpy(), expected, atol=1e-6)
    labels = [
        [label.decode() for label in np.atleast_1d(row) if label] for row in got["labels"].numpy()
    ]
    own = answers(name, model)
    assert labels == (own if name == "tagger" else [[label] for label in own])
    vectors = served.embed_tokens(elmo_keras.text.pad(SENTENCES))["embeddings"].numpy()
    np.testing.assert_array_equal(vectors, to_numpy(model.backbone(SENTENCES)))


def test_an_encoder_without_its_members_is_named():
    class Empty(elmo_keras.TextEncoder):
        pass

    with pytest.raises(TypeError, match="must define `ids_limit`; Empty does not"):
        _ = Empty().ids_limit
    with pytest.raises(TypeError, match=r"must define `numpy_ids\(\)`"):
        Empty().numpy_ids(["a"])


@pytest.mark.parametrize("name", TASKS)
def test_another_layer_is_refused(name):
    with pytest.raises(ValueError, match="another TextEncoder. Received: <Dense"):
        make(name, keras.layers.Dense(3))


# === A second head ===


@needs_strings
@pytest.mark.parametrize("name", TASKS)
def test_another_head(name, tmp_path):
    """Scores, probabilities, loss and answers are those of the head, in numpy."""
    cls, labels, y = TASKS[name]
    model = make(name, head=LogitHead(temperature=3.0))
    scores = numpy_scores(model)
    if name == "classifier":
        scores = [
            row.mean(axis=0) if len(row) else to_numpy(model.layers[-1].bias) for row in scores
        ]
    probabilities = model.predict(SENTENCES, verbose=0)
    for actual, row in zip(probabilities, scores):
        actual = actual[: len(row)] if name == "tagger" else actual
        np.testing.assert_allclose(actual, softmax(row / 3), atol=1e-6)
    if name == "tagger":
        assert not probabilities[2, 1:].any() and not probabilities[3].any()
    best = [np.atleast_1d(row.argmax(-1)) for row in scores]
    expected = [[labels[i] for i in row] for row in best]
    assert answers(name, model) == (expected if name == "tagger" else [e for [e] in expected])

    numbers = [[labels.index(label) for label in np.atleast_1d(row)] for row in y]
    losses = [
        -np.log(np.atleast_2d(softmax(row / 3))[np.arange(len(number)), number])
        for row, number in zip(scores, numbers)
        if len(number)
    ]
    result = model.evaluate(SENTENCES, y, return_dict=True, verbose=0)
    np.testing.assert_allclose(result["loss"], np.concatenate(losses).mean(), rtol=1e-5)
    correct = np.concatenate([np.atleast_1d(e) == n for e, n in zip(best, numbers) if len(n)])
    np.testing.assert_allclose(result["accuracy"], correct.mean(), rtol=1e-6)
    # A Keras loss of the scores leaves padding out as well.
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    plain = [
        -np.log(np.atleast_2d(softmax(row))[np.arange(len(number)), number])
        for row, number in zip(scores, numbers)
        if len(number)
    ]
    found = model.evaluate(SENTENCES, y, return_dict=True, verbose=0)
    np.testing.assert_allclose(found["loss"], np.concatenate(plain).mean(), rtol=1e-5)
    model.compile()
    weighted = np.concatenate([w * loss for w, loss in zip([2.0, 0.0, 1.0, 1.0], losses)])
    result = model.evaluate(
        SENTENCES, y, sample_weight=[2.0, 0.0, 1.0, 1.0], return_dict=True, verbose=0
    )
    np.testing.assert_allclose(result["loss"], weighted.sum() / len(weighted), rtol=1e-5)

    model.compile(keras.optimizers.Adam(0.1))
    model.fit(SENTENCES, y, epochs=20, verbose=0)
    expected = model.predict(SENTENCES, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.head.temperature == 3.0
    np.testing.assert_array_equal(loaded.predict(SENTENCES, verbose=0), expected)
    model.save_to_preset(tmp_path / "preset")
    loaded = cls.from_preset(tmp_path / "preset")
    np.testing.assert_array_equal(loaded.predict(SENTENCES, verbose=0), expected)
    clone = model.clone()
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(SENTENCES, verbose=0), expected)
    losses = [m.evaluate(SENTENCES, y, verbose=0)[0] for m in (model, clone, loaded)]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)


@pytest.mark.parametrize("member", ["scores", "loss"])
def test_a_head_without_its_members_is_named(member):
    with pytest.raises(TypeError, match=f"A Head must define `{member}`; Head does not"):
        getattr(Head(), member)(*[None] * (1 if member == "scores" else 3))


@needs_strings
@pytest.mark.parametrize("name", TASKS)
def test_regularizers_are_a_part_of_the_loss(name):
    def loss(**options):
        keras.utils.set_random_seed(2)
        model = make(name, toy_elmo(**options))
        return model.evaluate(SENTENCES, TASKS[name][2], return_dict=True, verbose=0)["loss"], model

    plain, _ = loss()
    regularized, model = loss(mix_regularizer=keras.regularizers.L2(0.5))
    scalars = [to_numpy(mix.scalars) for mix in model.backbone.scalar_mixes]
    for mix, values in zip(model.backbone.scalar_mixes, scalars):
        mix.scalars.assign(np.ones_like(values))
    # Equal scalars are the same mix: only the penalty differs.
    found = model.evaluate(SENTENCES, TASKS[name][2], return_dict=True, verbose=0)["loss"]
    assert found == pytest.approx(plain + 0.5 * sum(values.size for values in scalars), rel=1e-5)
    assert regularized == pytest.approx(plain + 0.5 * sum((v**2).sum() for v in scalars), rel=1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"head": "crv"}, "`head` must be 'softmax' or a Head. Received: head='crv'"),
        ({"head": LogitHead(), "hidden_dim": 3}, "belong to head='softmax'"),
        ({"head": LogitHead(), "head_dropout": 0.5}, "belong to head='softmax'"),
        ({"preprocessor": "none"}, "must be a Preprocessor, 'auto' or None"),
        ({"hiden_dim": 3}, "Received: hiden_dim=3. Did you mean hidden_dim"),
    ],
    ids=["name", "hidden_dim", "head_dropout", "preprocessor", "misspelt"],
)
@pytest.mark.parametrize("name", TASKS)
def test_wrong_parts_are_named(name, options, message):
    with pytest.raises(ValueError, match=message):
        make(name, **options)


# === A second preprocessor ===


@needs_strings
@pytest.mark.parametrize("name", TASKS)
def test_another_preprocessor(name, tmp_path):
    upper = [[word.upper() for word in row] for row in SENTENCES]
    model = make(name, preprocessor=Lowercase())
    model.optimizer.learning_rate = 0.0
    model.fit(upper, TASKS[name][2], verbose=0)
    expected = make(name).predict(SENTENCES, verbose=0)
    np.testing.assert_array_equal(model.predict(upper, verbose=0), expected)
    assert answers(name, model, upper) == answers(name, model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(upper, verbose=0), expected)
    model.save_to_preset(tmp_path / "preset")
    loaded = TASKS[name][0].from_preset(tmp_path / "preset")
    np.testing.assert_array_equal(loaded.predict(upper, verbose=0), expected)
    model.preprocessor = "auto"
    assert not np.array_equal(model.predict(upper, verbose=0), expected)


@needs_strings
@pytest.mark.parametrize("name", TASKS)
def test_the_preprocessor_in_a_dataset(name):
    """`dataset.map(model.preprocessor)` gives the batches of `fit`, and `None` accepts them."""
    import tensorflow as tf

    model = make(name)
    y = TASKS[name][2]
    labels = tf.ragged.constant(y) if name == "tagger" else tf.constant(y)
    data = tf.data.Dataset.from_tensor_slices((tf.ragged.constant(SENTENCES), labels)).batch(4)
    x, numbers = next(iter(data.map(model.preprocessor)))
    own_x, own_numbers = model.preprocessor(SENTENCES, y)
    np.testing.assert_array_equal(np.asarray(x), np.asarray(own_x))
    np.testing.assert_array_equal(np.asarray(numbers), np.asarray(own_numbers))
    _, _, weights = model.preprocessor(SENTENCES, y, [1.0, 2.0, 3.0, 0.0])
    assert np.asarray(weights).shape == np.asarray(own_numbers).shape
    assert np.asarray(model.preprocessor(SENTENCES)).shape == (4, 3)

    expected = model.evaluate(SENTENCES, y, batch_size=4, return_dict=True, verbose=0)
    probabilities = model.predict(SENTENCES, verbose=0)
    model.preprocessor = None
    found = model.evaluate(own_x, own_numbers, return_dict=True, verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(model.predict(own_x, verbose=0), probabilities, atol=1e-6)
    history = model.fit(own_x, own_numbers, batch_size=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    with pytest.raises(ValueError, match="need the preprocessor"):
        answers(name, model)


class SentencePairs(Preprocessor):
    """Reads pairs of sentences, for a model with two inputs."""

    def read(self, x):
        left, right = x
        return read_inputs(left, self.encoder), read_inputs(right, self.encoder)

    def in_graph(self, x):
        return tuple(super(SentencePairs, self).in_graph(part) for part in x)

    def check_spec(self, spec, needs_labels):
        return None


class PairClassifier(ElmoTask):
    """A model with two inputs: the scores are those of both means."""

    def __init__(self, backbone, labels):
        head = elmo_keras.models.DenseHead()
        head.build(labels, per_token=False)
        inputs = [task_inputs(backbone, name) for name in ("left_", "right_")]
        pool = elmo_keras.layers.MaskedMeanPooling()
        vectors = keras.layers.Concatenate()([pool(backbone(x)) for x in inputs])
        super().__init__(inputs, head.scores(vectors), backbone, head, SentencePairs())


@needs_strings
def test_a_model_with_two_inputs():
    keras.utils.set_random_seed(0)
    model = PairClassifier(BagOfWords(), ["same", "other"])
    model.run_eagerly = IS_TENSORFLOW
    left = SENTENCES[:3] + [["dog", "barked"]]
    right = [["cat"], ["a", "a", "a", "a", "dog"], ["sat"], ["cat"]]
    y = ["same", "same", "other", "other"]
    expected = model.predict((left, right), verbose=0)
    # One by one, and in another order: the rows of a pair stay together.
    for i in range(4):
        one = model.predict((left[i : i + 1], right[i : i + 1]), verbose=0)
        np.testing.assert_allclose(one[0], expected[i], atol=1e-6)
    np.testing.assert_allclose(
        model.predict((left[::-1], right[::-1]), batch_size=3, verbose=0)[::-1], expected, atol=1e-6
    )
    model.compile(keras.optimizers.Adam(0.1))
    model.fit((left, right), y, epochs=30, batch_size=2, verbose=0)
    result = model.evaluate((left, right), y, return_dict=True, verbose=0)
    assert result["loss"] < 0.3


# === Presets of task models ===


@needs_strings
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", TASKS)
def test_a_trained_task_comes_back_from_its_preset(name, dtype, tmp_path):
    cls, labels, y = TASKS[name]
    model = make(name, toy_elmo(state="warm", name="elmo"), hidden_dim=3, name="mine")
    model.backbone.warm_up(SENTENCES[:2])
    model.fit(SENTENCES, y, verbose=0)
    model.save_to_preset(tmp_path, dtype=dtype)
    loaded = cls.from_preset(tmp_path)
    assert loaded.get_config() == model.get_config()
    tolerance = 0 if dtype == "float32" else 2e-3
    for actual, expected in zip(loaded.get_weights(), model.get_weights()):
        np.testing.assert_allclose(actual, expected, atol=tolerance)
    assert loaded.compiled and answers(name, loaded) == answers(name, model)

    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path)
    for actual, expected in zip(elmo.get_weights(), model.backbone.get_weights()):
        np.testing.assert_allclose(actual, expected, atol=tolerance)
    other = cls.from_preset(tmp_path, labels=["x", "y", "z"], hidden_dim=7, trainable=False)
    assert other.labels == ["x", "y", "z"] and not other.backbone.trainable_weights
    assert cls.from_preset(tmp_path, name="other", dropout=0.5).backbone.dropout == 0.5


@needs_strings
def test_mistakes_with_task_presets(tmp_path):
    model = make("classifier", toy_elmo())
    model.save_to_preset(tmp_path / "task")
    model.backbone.save_to_preset(tmp_path / "layer")
    with pytest.raises(
        ValueError, match="hold a trained ElmoTagger.*holds the model elmo_keras>ElmoTextClassifier"
    ):
        ElmoTagger.from_preset(tmp_path / "task")
    with pytest.raises(ValueError, match="`labels` must name the labels.*holds no task model"):
        ElmoTextClassifier.from_preset(tmp_path / "layer")
    with pytest.raises(ValueError, match="Arguments of the head.*hidden_dim=3"):
        ElmoTextClassifier.from_preset(tmp_path / "task", hidden_dim=3)
    with pytest.raises(ValueError, match="Did you mean hidden_dim"):
        ElmoTextClassifier.from_preset(tmp_path / "task", hiden_dim=3)
    # A layer that is saved over a task leaves no head behind.
    model.backbone.save_to_preset(tmp_path / "task")
    with pytest.raises(ValueError, match="holds no task model"):
        ElmoTextClassifier.from_preset(tmp_path / "task")


def damage(directory, change):
    """Rewrites the task model of a preset, with digests that fit."""
    content = json.loads((directory / "task.json").read_text())
    with safe_hdf5.open_datasets(directory / "task.weights.h5") as stored:
        arrays = {name: array.read() for name, array in stored.items()}
    change(content, arrays)
    contents = {
        native_format.TASK: atomic_write.text_content(json.dumps(content)),
        native_format.TASK_WEIGHTS: safe_hdf5.hdf5_content(arrays),
    }
    elmo = elmo_keras.ElmoLayer.from_preset(directory)
    native_format.save_preset(elmo, directory, more=contents)


@needs_strings
@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c, a: c.update(registered_name="keras>Dense"), "holds the model keras>Dense"),
        (lambda c, a: c.update(registered_name=7), "registered_name must be"),
        (lambda c, a: c["config"].update(hidden_dim=2**31 - 1), "hidden_dim must be at most"),
        (lambda c, a: c["config"].update(hidden_dim=1e300), "hidden_dim must be at most"),
        (lambda c, a: c["config"].update(labels=7), "task.json must be the config of"),
        (lambda c, a: c["config"].update(nothing=7), "task.json must be the config of"),
        (lambda c, a: c["config"].update(head={"class_name": "x"}), "task.json must be the config"),
        (lambda c, a: c["config"].update(labels=["a", "b", "c"]), "wrong shape"),
        (lambda c, a: a.update({"9/x": np.ones(2, "float32")}), "not used: 9/x"),
        (lambda c, a: a.pop(next(iter(a))), "missing: "),
        (lambda c, a: a.update({k: v[:1] for k, v in a.items()}), "wrong shape"),
        (lambda c, a: a.update({k: v * np.nan for k, v in a.items()}), "must be finite"),
    ],
    ids=range(12),
)
def test_a_damaged_task_preset_is_refused(change, message, tmp_path):
    make("classifier", toy_elmo(), hidden_dim=3).save_to_preset(tmp_path)
    damage(tmp_path, change)
    with pytest.raises(ValueError, match=message) as caught:
        ElmoTextClassifier.from_preset(tmp_path)
    assert str(tmp_path) in str(caught.value)


@needs_strings
@pytest.mark.parametrize("file", ["task.json", "task.weights.h5"])
def test_a_task_preset_without_a_file_is_refused(file, tmp_path):
    make("classifier", toy_elmo()).save_to_preset(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(ValueError, match=file):
        ElmoTextClassifier.from_preset(tmp_path)
