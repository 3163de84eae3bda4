"""The members that text layers share, with one layer of tokens and one of sentences."""

import keras
import pytest

from elmo_keras.text import CharacterIds, Tokenizer, pad

tf = pytest.importorskip("tensorflow", reason="strings need TensorFlow")


@pytest.mark.parametrize("layer", [CharacterIds(5), Tokenizer()], ids=["tokens", "sentences"])
def test_empty_batches_have_a_step(layer):
    batch = [[], []] if isinstance(layer, CharacterIds) else ["", "  \t"]
    assert layer(batch).shape[:2] == (2, 1)
    empty = tf.zeros((0, 0) if isinstance(layer, CharacterIds) else (0,), "string")
    assert layer(empty).shape[:2] == (0, 1)


@pytest.mark.parametrize(
    "layer",
    [CharacterIds(5, boundaries=True), Tokenizer(max_tokens=3)],
    ids=["tokens", "sentences"],
)
def test_keras_contract(layer, tmp_path):
    """Config, symbolic shape and dtype, tf.data, tf.function, saving."""
    is_ids = isinstance(layer, CharacterIds)
    data = pad([["a", "bcdef"], ["é"]]) if is_ids else tf.constant(["a b c d", "e f"])
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    output = layer(data)
    inputs = keras.Input(data.shape[1:] if not is_ids else (None,), dtype="string")
    symbol = layer(inputs)
    assert symbol.dtype == output.dtype.name
    assert len(symbol.shape) == len(output.shape)
    model = keras.Model(inputs, symbol)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    dataset = tf.data.Dataset.from_tensors(data).map(layer)
    for made in (model(data), loaded(data), tf.function(layer)(data), next(iter(dataset))):
        assert made.numpy().tolist() == output.numpy().tolist()
