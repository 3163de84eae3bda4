"""The demo and its command."""

import keras
import numpy as np
import pytest

from elmo_keras import ElmoTextClassifier, datasets, demo

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the demo ends in a SavedModel"
)


def unavailable():
    raise datasets.DatasetUnavailable("neither network nor folder")


def test_without_data_it_says_so(monkeypatch):
    monkeypatch.setattr(datasets, "load_sst2", unavailable)
    lines = []
    splits = demo.load_sentiment(lines.append)
    assert splits == datasets.load_own_sentiment()
    assert "ELMO_KERAS_DATA" in lines[0]


def test_a_server_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="does not exist") as error:
        demo.serve(tmp_path / "absent", ["text"])
    assert str(error.value).splitlines()[1].startswith("Traceback")  # without TensorFlow's log


def test_served_answers_must_be_those_of_the_model():
    probabilities = np.array([[0.25, 0.75], [0.6, 0.4]])
    labels = ["positive", "negative"]
    demo.check_served([("positive", 0.75001), ("negative", 0.6)], labels, probabilities)
    for served in (
        [("positive", 0.75), ("positive", 0.6)],
        [("positive", 0.75), ("negative", 0.61)],
    ):
        with pytest.raises(RuntimeError, match="Received for sentence 1: .* from `predict`"):
            demo.check_served(served, labels, probabilities)


@pytest.mark.slow
def test_demo(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "load_sst2", unavailable)
    lines = []
    result = demo.run(tmp_path, lines.append)
    assert result["accuracy"] > 0.6
    model = keras.saving.load_model(tmp_path / "classifier.keras")
    probabilities = model.predict(demo.SENTENCES, verbose=0)
    assert [label for label, _ in result["served"]] == model.classify(demo.SENTENCES)
    for row, (_, probability) in zip(probabilities, result["served"]):
        assert probability == pytest.approx(row.max(), abs=demo.TOLERANCE)
    assert any("held-out" in line for line in lines)
    for sentence, expected, (label, _) in zip(demo.SENTENCES, demo.EXPECTED, result["served"]):
        [line] = [line for line in lines if sentence in line]
        assert ("expected" in line) == (label != expected)


class Fitted(Exception):
    """Ends the demo when it has called `fit`."""


@pytest.mark.parametrize(
    "epochs, expected",
    [(None, {}), (1, {"epochs": 1, "frozen_epochs": 0}), (5, {"epochs": 5, "frozen_epochs": 2})],
)
def test_epochs_of_the_phases(epochs, expected, monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "load_sst2", unavailable)

    def fit(self, x, y, validation_data, **options):
        assert options == expected
        raise Fitted

    monkeypatch.setattr(ElmoTextClassifier, "fit", fit)
    with pytest.raises(Fitted):
        demo.run(tmp_path, [].append, epochs=epochs)
