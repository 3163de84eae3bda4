"""The pretrained models that come with the package."""

import random
import socket

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras import presets
from elmo_keras.presets.catalog import BUNDLED
from tests import small_models

# Sentences of our own.
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
    """Small enough for a wheel, with a card that says whose text it was."""
    files = {path.name: path for path in BUNDLED[name].iterdir()}
    assert sum(path.stat().st_size for path in files.values()) < 12e6
    card = files["README.md"].read_text(encoding="utf-8")
    assert card.startswith(f"# {name}") and "CC BY-SA" in card and "forward" in card


@pytest.mark.parametrize("name", BUNDLED)
def test_layer(name):
    elmo = elmo_keras.ElmoLayer.from_preset(name)
    assert elmo.compute_dtype == elmo.bilstm.compute_dtype == "float32"
    vectors = small_models.to_numpy(elmo([sentence.split() for sentence in SENTENCES[name]]))
    assert vectors.shape[::2] == (4, 256) and np.isfinite(vectors).all()
    # One word in two contexts: not the same, and not too different.
    word = {"elmo_mini_en": "bank", "elmo_mini_zh": "打"}[name]
    contexts = {
        "elmo_mini_en": ["the bank of the river", "the bank lent him money"],
        "elmo_mini_zh": ["他 打 电 话", "他 打 篮 球"],
    }[name]
    tokens = [sentence.split() for sentence in contexts]
    one, other = (
        vector[row.index(word)] for vector, row in zip(small_models.to_numpy(elmo(tokens)), tokens)
    )
    assert 0.1 < np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other) < 0.999


@pytest.mark.parametrize("name", BUNDLED)
def test_language_model(name):
    """A sentence is more probable than its words in another order, in both directions."""
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


def test_a_folder_of_that_name_comes_first(tmp_path, monkeypatch):
    layer = small_models.elmo()
    layer(small_models.ids())
    layer.save_to_preset(tmp_path / "elmo_mini_en")
    monkeypatch.chdir(tmp_path)
    assert elmo_keras.ElmoLayer.from_preset("elmo_mini_en").output_dim == 12


def test_unknown_names_are_told_the_known_ones():
    with pytest.raises(ValueError, match="'elmo_mini_en', 'elmo_mini_zh', 'small'"):
        elmo_keras.ElmoLayer.from_preset("elmo_mini_fr")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="Strings need TensorFlow.")
def test_raw_text():
    elmo = elmo_keras.ElmoLayer.from_preset("elmo_mini_zh")
    assert elmo(["我喜欢吃苹果。"]).shape == (1, 7, 256)
    elmo = elmo_keras.ElmoLayer.from_preset("elmo_mini_en")
    assert elmo(["It isn't bad."]).shape == (1, 5, 256)
