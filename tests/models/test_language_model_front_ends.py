"""Language models with every front end, compared with ids written by hand and a numpy softmax."""

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import BidirectionalLanguageModel, backend, layers
from tests import small_models
from tests.small_models import to_numpy

WORDS = ["<S>", "</S>", "<UNK>", "我", "吃", "cat", "a🙂", "<bos>"]
SENTENCES = [
    ["我", "吃", "cat"],
    ["cat", "苹果", "a🙂", "我", "我"],
    [],
    ["<bos>", "<S>", "x" * 60, "吃"],  # boundaries of some encoders and words of others
]
SPECIAL_TOKENS = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
CHARACTERS = [*SPECIAL_TOKENS, *"我吃cat🙂<S>x"]
LENGTH = 8


def code_points(word):
    """The ids of a word's characters: 1-based, with begin and end swapped as in the program."""
    number = {entry: place + 1 for place, entry in enumerate(CHARACTERS)}
    middle = [word] if word in ("<bos>", "<eos>") else list(word)[: LENGTH - 2]
    row = [number["<eow>"], *(number.get(c, number["<oov>"]) for c in middle), number["<bow>"]]
    return row + [number["<pad>"]] * (LENGTH - len(row))


def number_in(words, unknown):
    return lambda word: words.index(word if word in words else unknown) + 1


KNOWN = ["<oov>", "<eos>", "<bos>", "cat", "吃", "xxxxxx"]
number_of_cut = number_in(KNOWN, "<oov>")
TABLE = ["<S>", "</S>", "<UNK>", "吃", "cat"]

# For each front end: its layer, its ids by hand, and the words that stand for boundaries.
FRONT_ENDS = {
    "code points": (
        lambda: layers.CodePointEncoder(
            CHARACTERS, filters=[(1, 4), (2, 8)], projection_dim=6, max_characters=LENGTH
        ),
        code_points,
        ("<bos>", "<eos>"),
    ),
    "both": (
        lambda: layers.CodePointEncoder(
            CHARACTERS, KNOWN, filters=[(2, 4)], projection_dim=6, max_characters=LENGTH
        ),
        lambda word: [number_of_cut(word[: LENGTH - 2]), *code_points(word)],
        ("<bos>", "<eos>"),
    ),
    "words of it": (
        lambda: layers.CodePointEncoder(None, KNOWN, projection_dim=6, max_characters=LENGTH),
        lambda word: [number_of_cut(word[: LENGTH - 2])],
        ("<bos>", "<eos>"),
    ),
    "words": (
        lambda: layers.WordEmbedding(5, 6, TABLE),
        number_in(TABLE, "<UNK>"),
        ("<S>", "</S>"),
    ),
}


@pytest.fixture(scope="module", params=FRONT_ENDS)
def front_end(request):
    """`(ElmoLayer, ids of a word by hand, words of the boundaries)`."""
    make, ids_of, boundaries = FRONT_ENDS[request.param]
    keras.utils.set_random_seed(3)
    elmo = elmo_keras.ElmoLayer(make(), small_models.bilstm(num_layers=1), tokenizer="whitespace")
    elmo.build((None, None, *elmo.token_encoder.ids_shape))
    for weight in elmo.weights:  # large enough that a wrong id shows
        weight.assign(np.random.default_rng(0).standard_normal(weight.shape))
    return elmo, ids_of, boundaries


@pytest.fixture
def model(front_end):
    keras.utils.set_random_seed(4)
    return BidirectionalLanguageModel(front_end[0], WORDS)


def by_hand(model, front_end, tokens):
    """Log-probabilities `(time + 2, 2)` of a sentence, from the LSTMs on ids made by hand."""
    elmo, ids_of, (begin, end) = front_end
    ids = np.array([[ids_of(word) for word in (begin, *tokens, end)]], "int32")
    vectors = elmo.token_encoder(keras.ops.convert_to_tensor(ids))
    top = to_numpy(elmo.bilstm(vectors)[0][-1])[0].astype("float64")
    kernel, bias = (to_numpy(weight).astype("float64") for weight in model.head.weights)
    numbers = [0, *(WORDS.index(word) if word in WORDS else 2 for word in tokens), 1]
    out = np.zeros((len(numbers), 2))
    for place, number in enumerate(numbers):
        for direction, source in enumerate((place - 1, place + 1)):
            if 0 <= source < len(numbers):
                logits = kernel @ top[source, 6 * direction : 6 * direction + 6] + bias
                out[place, direction] = logits[number] - np.log(np.sum(np.exp(logits)))
    return out


def check(model, front_end):
    expected = [by_hand(model, front_end, tokens) for tokens in SENTENCES]
    actual = model.predict(SENTENCES, verbose=0)
    for row, expected_row in zip(actual, expected, strict=True):
        np.testing.assert_allclose(row[: len(expected_row)], expected_row, atol=1e-4)
        assert not row[len(expected_row) :].any()
    sums = np.array([expected_row.sum(axis=0) for expected_row in expected])
    np.testing.assert_allclose(model.score(SENTENCES), sums, atol=1e-4)
    words = sum(len(tokens) + 1 for tokens in SENTENCES)
    means = np.exp(-sums.sum(axis=0) / words)
    assert model.perplexity(SENTENCES)[:2] == pytest.approx(tuple(means), rel=1e-4)


def test_scores_by_hand(model, front_end):
    assert model.starts_at_ids != small_models.IS_TENSORFLOW
    check(model, front_end)


@pytest.mark.skipif(not small_models.IS_TENSORFLOW, reason="elsewhere all graphs start at ids")
def test_scores_of_a_graph_that_starts_at_ids(model, front_end, monkeypatch):
    monkeypatch.setattr(backend, "in_distribution_strategy", lambda: True)
    keras.utils.set_random_seed(4)
    by_ids = BidirectionalLanguageModel(front_end[0], WORDS)
    assert by_ids.starts_at_ids
    check(by_ids, front_end)
    np.testing.assert_allclose(by_ids.score(SENTENCES), model.score(SENTENCES), rtol=1e-6)


def test_substitutes_by_hand(model, front_end):
    tokens = ["我", "吃", "cat"]
    # The token at the position does not affect the prediction.
    rows = {word: by_hand(model, front_end, ["我", word, "cat"])[2] for word in WORDS[3:]}
    for direction in ("forward", "backward", "both"):
        expected = {
            word: {"forward": row[0], "backward": row[1], "both": row.sum()}[direction]
            for word, row in rows.items()
        }
        total = np.log(np.sum(np.exp(list(expected.values()))))
        actual = model.substitutes(tokens, 1, k=None, direction=direction)
        assert [word for word, _ in actual] == sorted(expected, key=expected.get, reverse=True)
        for word, probability in actual:
            assert np.log(probability) == pytest.approx(expected[word] - total, abs=1e-3)


@pytest.mark.parametrize("front_end", ["both", "words"], indirect=True)
def test_saved_files(model, tmp_path):
    model.save_to_preset(tmp_path / "preset")
    loaded = BidirectionalLanguageModel.from_preset(tmp_path / "preset")
    np.testing.assert_allclose(loaded.score(SENTENCES), model.score(SENTENCES), rtol=1e-6)
    assert type(loaded.elmo.token_encoder) is type(model.elmo.token_encoder)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.score(SENTENCES), model.score(SENTENCES), rtol=1e-6)


def test_front_ends_without_a_vocabulary_are_refused():
    words = elmo_keras.layers.WordEmbedding(5, 6)
    with pytest.raises(ValueError, match="needs its vocabulary to make ids of words"):
        BidirectionalLanguageModel(elmo_keras.ElmoLayer(words, small_models.bilstm()), WORDS)
    with pytest.raises(ValueError, match="`elmo` must be an ElmoLayer. Received: 'elmo_mini_en'"):
        BidirectionalLanguageModel("elmo_mini_en", WORDS)
