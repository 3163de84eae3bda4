"""The language model: its probabilities compared with numpy, and its files."""

import itertools

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import BidirectionalLanguageModel, presets
from elmo_keras.checkpoints import save_hdf5
from elmo_keras.checkpoints.softmax import Softmax
from elmo_keras.checkpoints.softmax import save as save_softmax
from tests import numpy_reference, small_models
from tests.fresh_process import run

WORDS = ["<S>", "</S>", "<UNK>", "the", "cat", "sat", "down"]
SENTENCES = [["the", "cat", "sat"], ["down", "the", "dog", "sat", "the"], [], ["cat"]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint with a softmax: `(directory, options, datasets, kernel, bias)`."""
    directory = tmp_path_factory.mktemp("checkpoint")
    options = small_models.options()
    datasets = small_models.datasets(options)
    small_models.write_checkpoint(directory, options, datasets)
    rng = np.random.default_rng(1)
    kernel = rng.standard_normal((len(WORDS), 6)).astype("float32")
    bias = rng.standard_normal(len(WORDS)).astype("float32")
    save_softmax(Softmax(kernel, bias, WORDS), directory)
    return directory, options, datasets, kernel, bias


@pytest.fixture(scope="module")
def model(checkpoint):
    return BidirectionalLanguageModel.from_preset(checkpoint[0], tokenizer="whitespace")


def numpy_log_probabilities(tokens, checkpoint):
    """Log-probabilities `(time + 2, 2)` of a sentence, in numpy with float64."""
    _, options, datasets, kernel, bias = checkpoint
    words = ["<S>", *tokens, "</S>"]
    top = numpy_reference.bilm(tokens, options, datasets)[-1]
    numbers = [WORDS.index(word) if word in WORDS else 2 for word in words]
    out = np.zeros((len(words), 2))
    for place, number in enumerate(numbers):
        for direction, source in enumerate((place - 1, place + 1)):
            if 0 <= source < len(words):
                vector = top[source, 6 * direction : 6 * direction + 6]
                logits = kernel.astype("float64") @ vector + bias
                out[place, direction] = logits[number] - np.log(np.sum(np.exp(logits)))
    return out


def test_probabilities(model, checkpoint):
    actual = model.predict(SENTENCES, verbose=0)
    assert actual.shape == (4, 7, 2)
    for row, tokens in zip(actual, SENTENCES):
        expected = numpy_log_probabilities(tokens, checkpoint)
        np.testing.assert_allclose(row[: len(tokens) + 2], expected, atol=5e-6)
        assert not row[len(tokens) + 2 :].any()
    np.testing.assert_allclose(model.score(SENTENCES), actual.sum(axis=1), atol=1e-5)


def test_perplexity(model, checkpoint):
    sums = sum(numpy_log_probabilities(tokens, checkpoint).sum(axis=0) for tokens in SENTENCES)
    words = sum(len(tokens) + 1 for tokens in SENTENCES)
    forward, backward = np.exp(-sums / words)
    actual = model.evaluate(SENTENCES)
    assert actual["forward_perplexity"] == pytest.approx(forward, rel=1e-6)
    assert actual["backward_perplexity"] == pytest.approx(backward, rel=1e-6)
    assert actual["perplexity"] == pytest.approx(np.sqrt(forward * backward), rel=1e-6)
    assert actual["loss"] == pytest.approx(-sums.sum() / words / 2, rel=1e-6)
    assert model.perplexity(SENTENCES).num_words == words
    with pytest.raises(ValueError, match="at least one sentence"):
        model.perplexity([])


def test_a_sentence_alone_and_in_a_batch(model):
    alone = np.concatenate([model.score([tokens]) for tokens in SENTENCES])
    np.testing.assert_allclose(model.score(SENTENCES), alone, rtol=1e-5)


def test_probabilities_of_all_sentences_sum_to_1(model):
    """The probabilities of all one-word extensions of a sentence, and of its end, sum to 1."""
    tokens = ["the", "cat"]
    for direction, place in ((0, 3), (1, 0)):
        every = []
        for word in WORDS[2:]:
            sentence = [*tokens, word] if direction == 0 else [word, *tokens]
            step = place if direction == 0 else 1
            every.append(model.predict([sentence], verbose=0)[0, step, direction])
        # The end (the begin) of the sentence is a word, too; so is the other boundary.
        every.append(model.predict([tokens], verbose=0)[0, place, direction])
        top = model.elmo([tokens])[0]
        half = keras.ops.split(top, 2, axis=-1)[direction]
        rest = model.head.softmax(half[None, 2 if direction == 0 else 1])[0, direction]
        total = np.exp(every).sum() + np.exp(float(rest))
        assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_substitutes(model, direction):
    tokens, position = ["the", "cat", "sat"], 1
    scores = {}
    for word in WORDS[3:]:
        row = model.predict([["the", word, "sat"]], verbose=0)[0, position + 1]
        scores[word] = {"forward": row[0], "backward": row[1], "both": row.sum()}[direction]
    # The token at the position does not affect the prediction.
    expected = np.exp(np.array(list(scores.values()), "float64"))
    expected = dict(zip(scores, expected / expected.sum()))
    actual = model.substitutes(tokens, position, k=None, direction=direction)
    assert [word for word, _ in actual] == sorted(expected, key=expected.get, reverse=True)
    assert sum(probability for _, probability in actual) == pytest.approx(1, abs=1e-12)
    for word, probability in actual:
        assert probability == pytest.approx(expected[word], rel=1e-4)
    assert model.substitutes(tokens, -2, 2, direction) == actual[:2]


@pytest.mark.parametrize(
    "position, direction, message",
    [
        (2, "both", "one of the 2 tokens. Received: position=2"),
        (0, "left", "`direction` must be one of"),
    ],
)
def test_wrong_arguments_of_substitutes(model, position, direction, message):
    with pytest.raises(ValueError, match=message):
        model.substitutes(["the", "cat"], position, direction=direction)


def test_sentences_and_token_lists(model):
    text = ["the cat sat", "down the  dog sat the"]
    np.testing.assert_array_equal(model.score(text), model.score(SENTENCES[:2]))


def test_other_forms_of_a_checkpoint(model, checkpoint, tmp_path):
    model.save_to_preset(tmp_path / "preset")
    preset = BidirectionalLanguageModel.from_preset(tmp_path / "preset")
    np.testing.assert_allclose(preset.score(SENTENCES), model.score(SENTENCES), rtol=1e-6)
    model.save_to_preset(tmp_path / "half", dtype="float16")
    half = BidirectionalLanguageModel.from_preset(tmp_path / "half")
    np.testing.assert_allclose(half.score(SENTENCES), model.score(SENTENCES), rtol=2e-2)
    size = sum(path.stat().st_size for path in (tmp_path / "half").iterdir())
    assert size < sum(path.stat().st_size for path in (tmp_path / "preset").iterdir())
    # `ElmoLayer.from_preset` reads the same preset.
    elmo = elmo_keras.ElmoLayer.from_preset(tmp_path / "preset")
    direct = elmo_keras.ElmoLayer.from_preset(checkpoint[0], tokenizer="whitespace")
    np.testing.assert_allclose(elmo(SENTENCES), direct(SENTENCES), atol=1e-6)
    softmax = presets.load_softmax(tmp_path / "preset")
    np.testing.assert_array_equal(softmax.kernel, checkpoint[3])
    # The HDF5 export holds the same weights.
    save_hdf5(model.to_elmo_layer(), tmp_path / "hdf5")
    again = elmo_keras.ElmoLayer.from_preset(tmp_path / "hdf5", tokenizer="whitespace")
    np.testing.assert_array_equal(again(SENTENCES), direct(SENTENCES))


def test_a_new_softmax(checkpoint, tmp_path):
    small_models.write_checkpoint(tmp_path, checkpoint[1], checkpoint[2])
    with pytest.raises(ValueError, match="must hold a softmax.*elmo-keras vocabulary"):
        BidirectionalLanguageModel.from_preset(tmp_path)
    (tmp_path / "words.txt").write_text("\n".join(WORDS[:5]) + "\n")
    for vocabulary in (WORDS[:5], tmp_path / "words.txt"):
        new = BidirectionalLanguageModel.from_preset(tmp_path, vocabulary)
        assert new.vocabulary == WORDS[:5]
        # The softmax is new, and the LSTMs have the checkpoint's weights.
        expected = numpy_reference.bilm(["the"], *checkpoint[1:3])[-1]
        np.testing.assert_allclose(new.elmo([["the"]])[0], expected, atol=5e-6)
    with pytest.raises(ValueError, match="softmax in the source, of 7 words. Received: 5 words"):
        BidirectionalLanguageModel.from_preset(checkpoint[0], WORDS[:5])


def test_special_tokens_of_the_vocabulary():
    with pytest.raises(ValueError, match="must hold <S>, </S>, <UNK>.*without <UNK>"):
        BidirectionalLanguageModel(small_models.elmo(), ["<S>", "</S>", "the"])


def test_parts_are_shared(model):
    elmo = model.to_elmo_layer(output="average")
    assert elmo.bilstm is model.elmo.bilstm and elmo.token_encoder is model.elmo.token_encoder
    assert elmo.tokenizer is model.elmo.tokenizer


def test_frozen_parts_stay_frozen(tmp_path):
    elmo = small_models.elmo(tokenizer="whitespace")
    elmo.token_encoder.trainable = False
    model = BidirectionalLanguageModel(elmo, WORDS)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for one in (model, loaded):
        assert not one.elmo.token_encoder.trainable_weights
        assert one.elmo.bilstm.trainable_weights
        assert not one.to_elmo_layer().token_encoder.trainable_weights
    whole = small_models.elmo()
    whole.trainable = False
    assert len(BidirectionalLanguageModel(whole, WORDS).trainable_weights) == 2  # the softmax


def test_keras_file(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.score(SENTENCES), model.score(SENTENCES))
    assert loaded.vocabulary == model.vocabulary


@pytest.mark.slow
def test_export(model, tmp_path):
    model.export(tmp_path / "served", verbose=False)
    tokens = [row + [""] * (5 - len(row)) for row in SENTENCES]
    served = run(
        "import tensorflow as tf\n"
        "model = tf.saved_model.load(given['path'])\n"
        "result = model.serve(tf.constant(given['tokens'])).numpy()",
        {"path": str(tmp_path / "served"), "tokens": tokens},
        tmp_path,
    )
    np.testing.assert_allclose(served, model.predict(SENTENCES, verbose=0), atol=1e-6)


def test_large_vocabularies_come_in_small_batches(model, monkeypatch):
    from elmo_keras.models import language_model_parts as module

    expected = model.score(SENTENCES)
    monkeypatch.setattr(module, "_MAX_LOGITS", 1)
    np.testing.assert_allclose(model.score(SENTENCES), expected, rtol=1e-5)


def test_bilm_tf_training_checkpoint(shared):
    """The files of the trainer of bilm-tf are found, also for another vocabulary."""
    words = list(itertools.islice(WORDS, 3))
    source = shared / "fixtures" / "bilm_tf"
    new = BidirectionalLanguageModel.from_preset(source, words)
    assert np.isfinite(new.score([["a"]])).all()
