"""The pretrained models in the package."""

import random
import socket

import numpy as np
import pytest

import elmo_keras
from elmo_keras import presets
from elmo_keras.presets.catalog import BUNDLED
from tests import small_models

SENTENCES = {
    "elmo_mini_en": [
        "The old bridge was built in the 18th century and destroyed during the war .",
        "She was born in London , where her father was a professor of history .",
        "In the north of the country , most of the people live in small villages .",
        "The first album of the band was released in the United States in 1994 .",
    ],
    "elmo_mini_zh": [
        "他 于 1994 年 出 生 于 中 国 北 京 市 。",
        "这 座 城 市 位 于 河 流 的 北 部 ， 人 口 约 十 万 。",
        "该 公 司 成 立 于 上 海 ， 是 中 国 最 大 的 公 司 之 一 。",
        "她 是 一 名 美 国 女 演 员 和 歌 手 。",
    ],
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.mark.parametrize("name", BUNDLED)
def test_files(name):
    """The files are small enough for a wheel, and the model card names the licence of the text."""
    files = {path.name: path for path in BUNDLED[name].iterdir()}
    assert sum(path.stat().st_size for path in files.values()) < 12e6
    card = files["README.md"].read_text(encoding="utf-8")
    assert card.startswith(f"# {name}") and "CC BY-SA" in card and "forward" in card


# One word in two contexts.
CONTEXTS = {
    "elmo_mini_en": ("bank", ["the bank of the river", "the bank lent him money"]),
    "elmo_mini_zh": ("打", ["他 打 电 话", "他 打 篮 球"]),
}


@pytest.mark.parametrize("name", BUNDLED)
def test_layer(name):
    elmo = elmo_keras.ElmoLayer.from_preset(name)
    assert elmo.compute_dtype == elmo.bilstm.compute_dtype == "float32"
    vectors = small_models.to_numpy(elmo([sentence.split() for sentence in SENTENCES[name]]))
    assert vectors.shape[::2] == (4, 256) and np.isfinite(vectors).all()
    word, contexts = CONTEXTS[name]
    tokens = [sentence.split() for sentence in contexts]
    a, b = (
        vector[row.index(word)] for vector, row in zip(small_models.to_numpy(elmo(tokens)), tokens)
    )
    assert 0.1 < np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b) < 0.999


@pytest.mark.parametrize("name", BUNDLED)
def test_language_model(name):
    """A sentence is more probable than the same words in random order."""
    model = elmo_keras.BidirectionalLanguageModel.from_preset(name)
    sentences = [sentence.split() for sentence in SENTENCES[name]]
    assert model.perplexity(sentences).mean < 250
    shuffled = [random.Random(seed).sample(row, len(row)) for seed, row in enumerate(sentences)]
    assert (model.score(sentences) > model.score(shuffled) + 5).all()
    assert presets.load_softmax(name).vocabulary == model.vocabulary


def test_substitutes():
    model = elmo_keras.BidirectionalLanguageModel.from_preset("elmo_mini_en")

    def words(sentence, position):
        return [word for word, _ in model.substitutes(sentence.split(), position, k=10)]

    months = "January February March April May June July August September October November December"
    assert len(set(words("He died on May 12 , 1879 .", 3)) & set(months.split())) >= 7
    assert "was" in words("He was born in London in 1879 and died there .", 1)[:3]
    assert "States" in words("It is the largest city in the United States .", 8)[:3]


def test_a_folder_takes_precedence_over_a_name(tmp_path, monkeypatch):
    layer = small_models.elmo()
    layer(small_models.ids())
    layer.save_to_preset(tmp_path / "elmo_mini_en")
    monkeypatch.chdir(tmp_path)
    assert elmo_keras.ElmoLayer.from_preset("elmo_mini_en").output_dim == 12


def test_errors_list_the_known_names():
    with pytest.raises(ValueError, match="'elmo_mini_en', 'elmo_mini_zh', 'small'"):
        elmo_keras.ElmoLayer.from_preset("elmo_mini_fr")


@pytest.mark.skipif(not small_models.IS_TENSORFLOW, reason="strings need TensorFlow")
@pytest.mark.parametrize(
    "name, sentence, num_tokens",
    [("elmo_mini_en", "It isn't bad.", 5), ("elmo_mini_zh", "我喜欢吃苹果。", 7)],
)
def test_raw_text(name, sentence, num_tokens):
    elmo = elmo_keras.ElmoLayer.from_preset(name)
    assert elmo([sentence]).shape == (1, num_tokens, 256)
