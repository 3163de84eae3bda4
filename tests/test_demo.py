"""The demo and its command."""

import keras
import pytest

from elmo_keras import datasets, demo

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
        assert probability == pytest.approx(row.max(), abs=0.006)  # printed with two digits
    assert any("held-out" in line for line in lines)
