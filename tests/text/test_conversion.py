import keras
import numpy as np
import pytest

from elmo_keras.text import CharacterIds, pad
from elmo_keras.text.conversion import clean, is_text, string_tensor

pytest.importorskip("tensorflow", reason="strings need TensorFlow")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("abc", "abc"),
        ("é🙂", "é🙂"),
        ("a\udc80b", "a\ufffdb"),
        ("\ud83d\ude42", "🙂"),
        ("\ude42\ud83d", "\ufffd\ufffd"),
        (b"abc", "abc"),
        (b"\xff", b"\xff"),
    ],
    ids=[
        "ascii",
        "unicode",
        "lone surrogate",
        "surrogate pair",
        "swapped pair",
        "bytes",
        "bytes not utf-8",
    ],
)
def test_clean(text, expected):
    assert clean(text) == expected


def test_pad():
    assert pad([["a", "b"], [], ["c", ""]]).numpy().tolist() == [
        [b"a", b"b"],
        [b"", b""],
        [b"c", b""],
    ]
    assert pad([]).shape == (0, 1)
    assert pad([[]]).shape == (1, 1)


def test_a_plain_keras_model_fits_on_padded_tokens():
    inputs = keras.Input((None,), dtype="string")
    ids = CharacterIds(5)(inputs)
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Dense(2)(ids))
    model = keras.Model(inputs, x)
    model.compile("sgd", "mse")
    model.fit(pad([["a"], ["b", "c"]]), np.zeros((2, 2)), verbose=0)


@pytest.mark.parametrize(
    "data, message",
    [
        ("abc", "bare str"),
        (["a", 1], "Received: 1 of type int"),
        ([["a"], "b"], "'b' as sentence 1 and"),
        ([["a", None]], "Received: None"),
        ([["a", "", "b"]], "place 1 of sentence 0"),
        (np.array("abc"), "Put the text into a list"),
    ],
    ids=["str", "int", "tokens and a sentence", "missing", "a hole", "scalar array"],
)
def test_bad_text(data, message):
    with pytest.raises(ValueError, match=message):
        string_tensor(data)


@pytest.mark.parametrize(
    "data",
    ["abc", ["a"], [["a"], []], [[], ["a"]], np.array(["a"]), []],
    ids=["str", "sentences", "tokens", "empty sentence first", "array", "empty"],
)
def test_is_text(data):
    assert is_text(data)


@pytest.mark.parametrize(
    "data",
    [1, [1], [[1]], np.zeros(3), None, {"a": 1}],
    ids=["int", "ints", "nested ints", "floats", "None", "dict"],
)
def test_is_no_text(data):
    assert not is_text(data)
