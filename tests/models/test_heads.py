"""Heads of task models, compared with numpy."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras.models import Head
from tests.models.check_task import needs_strings, toy_elmo
from tests.models.second_parts import SENTENCES, TASKS, WORDS, LogitHead, answers, make
from tests.small_models import IS_TENSORFLOW, to_numpy

TEMPERATURE = 3.0
SENTENCE_WEIGHTS = [2.0, 0.0, 1.0, 1.0]

each_task = pytest.mark.parametrize("name", TASKS)


def numpy_scores(model, name):
    """Scores of a linear model on a BagOfWords: for each sentence `([time,] labels)`."""
    table = to_numpy(model.backbone.embedding.embeddings)
    kernel, bias = (to_numpy(weight) for weight in model.layers[-1].weights)
    ids = [np.array([WORDS.index(word) + 1 for word in row], int) for row in SENTENCES]
    vectors = [table[row] for row in ids]
    if name == "classifier":
        # The mean and the maximum over the words; zeros for a sentence without words.
        vectors = [
            np.concatenate([row.mean(axis=0), row.max(axis=0)]) if len(row) else np.zeros(8)
            for row in vectors
        ]
    return [row @ kernel + bias for row in vectors]


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def label_indices(name):
    """Indices of the true labels of each sentence, as arrays `(labels,)`."""
    _, labels, y = TASKS[name]
    return [np.array([labels.index(label) for label in np.atleast_1d(row)], int) for row in y]


def numpy_losses(scores, name):
    """Cross-entropies of each sentence's labels, as arrays `(labels,)`."""
    probabilities = [np.atleast_2d(softmax(row)) for row in scores]
    rows = zip(probabilities, label_indices(name), strict=True)
    return [-np.log(row[np.arange(len(indices)), indices]) for row, indices in rows]


def evaluate(model, name, **options):
    return model.evaluate(SENTENCES, TASKS[name][2], return_dict=True, verbose=0, **options)


@needs_strings
@each_task
def test_probabilities_and_answers(name):
    _, labels, _ = TASKS[name]
    model = make(name, head=LogitHead(TEMPERATURE))
    scores = numpy_scores(model, name)
    probabilities = model.predict(SENTENCES, verbose=0)
    for actual, row in zip(probabilities, scores, strict=True):
        actual = actual[: len(row)] if name == "tagger" else actual
        np.testing.assert_allclose(actual, softmax(row / TEMPERATURE), atol=1e-6)
    if name == "tagger":
        assert not probabilities[2, 1:].any() and not probabilities[3].any()
    expected = [[labels[index] for index in np.atleast_1d(row.argmax(-1))] for row in scores]
    assert answers(name, model) == (expected if name == "tagger" else [e for [e] in expected])


@needs_strings
@each_task
def test_loss_and_metrics(name):
    model = make(name, head=LogitHead(TEMPERATURE))
    scores = numpy_scores(model, name)
    losses = numpy_losses([row / TEMPERATURE for row in scores], name)
    result = evaluate(model, name)
    np.testing.assert_allclose(result["loss"], np.concatenate(losses).mean(), rtol=1e-5)
    is_correct = [
        np.atleast_1d(row.argmax(-1)) == indices
        for row, indices in zip(scores, label_indices(name), strict=True)
    ]
    np.testing.assert_allclose(result["accuracy"], np.concatenate(is_correct).mean(), rtol=1e-6)

    weighted = [weight * loss for weight, loss in zip(SENTENCE_WEIGHTS, losses, strict=True)]
    result = evaluate(model, name, sample_weight=SENTENCE_WEIGHTS)
    np.testing.assert_allclose(result["loss"], np.concatenate(weighted).mean(), rtol=1e-5)


@needs_strings
@each_task
def test_a_keras_loss_leaves_padding_out(name):
    model = make(name, head=LogitHead(TEMPERATURE))
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    expected = np.concatenate(numpy_losses(numpy_scores(model, name), name)).mean()
    np.testing.assert_allclose(evaluate(model, name)["loss"], expected, rtol=1e-5)


@needs_strings
@each_task
def test_a_trained_head_is_saved_and_cloned(name, tmp_path):
    cls, _, y = TASKS[name]
    model = make(name, head=LogitHead(TEMPERATURE))
    model.compile(keras.optimizers.Adam(0.1))
    model.fit(SENTENCES, y, epochs=5, verbose=0)
    model.save(tmp_path / "model.keras")
    model.save_to_preset(tmp_path / "preset")
    clone = model.clone()
    clone.set_weights(model.get_weights())
    expected, expected_loss = model.predict(SENTENCES, verbose=0), evaluate(model, name)["loss"]
    copies = {
        "keras": keras.saving.load_model(tmp_path / "model.keras"),
        "preset": cls.from_preset(tmp_path / "preset"),
        "clone": clone,
    }
    for copy in copies.values():
        assert copy.head.temperature == TEMPERATURE
        np.testing.assert_array_equal(copy.predict(SENTENCES, verbose=0), expected)
        assert evaluate(copy, name)["loss"] == pytest.approx(expected_loss, rel=1e-6)


@pytest.mark.parametrize("member", ["scores", "loss"])
def test_a_head_without_its_members_is_named(member):
    with pytest.raises(TypeError, match=f"A Head must define `{member}`; Head does not"):
        getattr(Head(), member)(*[None] * (1 if member == "scores" else 3))


@needs_strings
@pytest.mark.skipif(not IS_TENSORFLOW, reason="tf.distribute is TensorFlow's")
def test_a_loss_of_its_own_under_a_strategy():
    """The loss and the step of two replicas are those of one device."""
    program = f"""
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from tests.models.second_parts import SENTENCES, CLASSES, LogitHead, make
losses, weights = [], []
for devices in (["CPU:0"], ["CPU:0", "CPU:1"]):
    with tf.distribute.MirroredStrategy(devices).scope():
        model = make("classifier", head=LogitHead({TEMPERATURE}))
        model.run_eagerly = False
        model.compile(keras.optimizers.SGD(0.5))
    weights_before = model.get_weights()
    history = model.fit(SENTENCES, CLASSES, 4, 1, 0, shuffle=False)
    losses.append(history.history["loss"][0])
    weights.append(model.get_weights())
np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
for one, two in zip(*weights):
    np.testing.assert_allclose(two, one, atol=1e-5)
assert any(abs(one - old).max() > 1e-3 for one, old in zip(weights[0], weights_before))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]


@keras.saving.register_keras_serializable(package="test_heads")
class TwoLayers(LogitHead):
    """A head with a layer of layers, whose weights have generated names, and wild padding."""

    def build(self, labels, per_token):
        super().build(labels, per_token)
        inner = [keras.layers.Dense(3), keras.layers.Dense(len(labels))]
        self.dense = keras.Sequential(inner, name="two")
        self.dense.supports_masking = True

    def decode(self, scores, mask):
        indices = keras.ops.argmax(scores, axis=-1)
        return indices if mask is None else keras.ops.where(mask, indices, -7)


@needs_strings
@each_task
def test_names_that_keras_generates_do_not_matter_in_a_preset(name, tmp_path):
    model = make(name, head=TwoLayers())
    model.save_to_preset(tmp_path)
    keras.layers.Dense(1)  # another number in the next generated names
    loaded = TASKS[name][0].from_preset(tmp_path)
    expected = model.predict(SENTENCES, verbose=0)
    np.testing.assert_array_equal(loaded.predict(SENTENCES, verbose=0), expected)


@needs_strings
@pytest.mark.skipif(not IS_TENSORFLOW, reason="only TensorFlow exports SavedModels of strings")
def test_any_value_may_stand_at_padding(tmp_path):
    import tensorflow as tf

    model = make("tagger", head=TwoLayers())
    model.export(tmp_path / "served")
    served = tf.saved_model.load(str(tmp_path / "served"))
    labels = served.tokens(elmo_keras.text.pad(SENTENCES))["labels"].numpy()
    actual = [[label.decode() for label in row if label] for row in labels]
    assert actual == model.tag(SENTENCES, batch_size=3)


class Unregistered(LogitHead):
    pass


@needs_strings
def test_parts_that_a_preset_cannot_hold_are_refused(tmp_path):
    with pytest.raises(ValueError, match="`head` must be registered.*Received: Unregistered"):
        make("classifier", head=Unregistered()).save_to_preset(tmp_path)
    model = make("classifier")
    model.layers[-1].enable_lora(1)
    with pytest.raises(ValueError, match="must have no LoRA weights"):
        model.save_to_preset(tmp_path)
    assert not list(tmp_path.iterdir())


class Lost(LogitHead):
    """A head with a weight outside of the graph."""

    def build(self, labels, per_token):
        super().build(labels, per_token)
        self.transitions = keras.Variable(np.zeros((2, 2), "float32"))


class LostLayer(Lost):
    def build(self, labels, per_token):
        LogitHead.build(self, labels, per_token)
        self.others = [keras.layers.Dense(2)]
        self.others[0].build((None, 2))


@pytest.mark.parametrize(
    "head, name", [(Lost, "transitions"), (LostLayer, "others")], ids=["variable", "layer"]
)
def test_weights_outside_of_the_graph_are_refused(head, name):
    with pytest.raises(
        ValueError, match=f"Every weight of a head.*Received: `{name}` of {head.__name__}"
    ):
        make("classifier", head=head())


def test_a_head_belongs_to_one_model():
    head = LogitHead()
    make("classifier", head=head)
    with pytest.raises(ValueError, match=r"A head must belong to one model.*\['cat', 'dog'\]"):
        make("tagger", head=head)


@needs_strings
@each_task
def test_regularizers_are_a_part_of_the_loss(name):
    def loss(**options):
        keras.utils.set_random_seed(2)
        model = make(name, toy_elmo(**options))
        return evaluate(model, name)["loss"], model

    plain, _ = loss()
    regularized, model = loss(mix_regularizer=keras.regularizers.L2(0.5))
    scalars = [to_numpy(mix.scalars) for mix in model.backbone.scalar_mixes]
    assert regularized == pytest.approx(plain + 0.5 * sum((v**2).sum() for v in scalars), rel=1e-5)
    for mix, values in zip(model.backbone.scalar_mixes, scalars, strict=True):
        mix.scalars.assign(np.ones_like(values))
    # Equal scalars are the same mix: only the penalty differs.
    penalty = 0.5 * sum(values.size for values in scalars)
    assert evaluate(model, name)["loss"] == pytest.approx(plain + penalty, rel=1e-5)


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
@each_task
def test_wrong_parts_are_named(name, options, message):
    with pytest.raises(ValueError, match=message):
        make(name, **options)
