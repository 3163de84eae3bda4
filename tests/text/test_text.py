"""Strings to integers, against plain Python."""

import keras
import numpy as np
import pytest

import elmo_keras
from elmo_keras.text import CharacterIds, CodePointIds, Tokenizer, WordIds, pad
from elmo_keras.text.conversion import clean, is_text, string_tensor

tf = pytest.importorskip("tensorflow", reason="strings need TensorFlow")

TOKENS = [
    *("a", "cat", "The", "don't", "naïve", "é" * 30, "東京", "我喜欢吃苹果", "🙂", "👨\u200d👩"),
    *("x" * 47, "x" * 48, "x" * 49, "x" * 50, "x" * 10_000, "é" * 24, "东" * 16, "東" * 17),
    *("a\x00b", "\x00", " ", "\u3000", "<S>", "</S>", "<s>", "<UNK>", "\ufffd", "\u0301"),
]


def ids_of(token, max_characters):
    """What bilm-tf makes of a token, and +1."""
    if token in ("<S>", "</S>"):
        middle = [256 if token == "<S>" else 257]
    else:
        middle = list(token.encode())[: max_characters - 2]
    row = [258, *middle, 259]
    return [x + 1 for x in row + [260] * (max_characters - len(row))]


@pytest.mark.parametrize("max_characters", [3, 10, 25, 50, 60])
def test_character_ids(max_characters):
    ids = CharacterIds(max_characters)([TOKENS, ["only", "two"], []]).numpy()
    assert ids.dtype == np.int32
    assert ids.shape == (3, len(TOKENS), max_characters)
    assert ids[0].tolist() == [ids_of(token, max_characters) for token in TOKENS]
    assert ids[1, 1].tolist() == ids_of("two", max_characters)
    assert not ids[1, 2:].any()
    assert not ids[2].any()


def test_boundaries():
    ids = CharacterIds(8, boundaries=True)([["a", "b"], [], ["c"]]).numpy()
    begin, end, nothing = ids_of("<S>", 8), ids_of("</S>", 8), [0] * 8
    a, b, c = (ids_of(token, 8) for token in "abc")
    assert ids.tolist() == [
        [begin, a, b, end],
        [begin, end, nothing, nothing],
        [begin, c, end, nothing],
    ]


def test_every_byte_has_its_id():
    tokens = tf.constant([[bytes([byte]) for byte in range(256)]])
    assert CharacterIds(3)(tokens).numpy()[0, :, 1].tolist() == list(range(1, 257))


@pytest.mark.parametrize("layer", [CharacterIds(5), Tokenizer()])
def test_empty_batches_have_a_step(layer):
    batch = [[], []] if isinstance(layer, CharacterIds) else ["", "  \t"]
    assert layer(batch).shape[:2] == (2, 1)
    empty = tf.zeros((0, 0) if isinstance(layer, CharacterIds) else (0,), "string")
    assert layer(empty).shape[:2] == (0, 1)


@pytest.mark.parametrize("layer", [CharacterIds(5, boundaries=True), Tokenizer(max_tokens=3)])
def test_text_layers_are_layers(layer, tmp_path):
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


@pytest.mark.parametrize(
    "text, tokens",
    [
        ("The cat sat.", ["The", "cat", "sat", "."]),
        ("It isn't bad, is it?", ["It", "is", "n't", "bad", ",", "is", "it", "?"]),
        ("We DON’T", ["We", "DO", "N’T"]),
        ("it's they've I'm we'd you'll", "it 's they 've I 'm we 'd you 'll".split()),
        ("do n't it 's", ["do", "n't", "it", "'s"]),
        ("'quoted'", ["'", "quoted", "'"]),
        ("$3.14, 1,000 or 10:30", ["$", "3.14", ",", "1,000", "or", "10:30"]),
        ("a well-known e-mail", ["a", "well-known", "e-mail"]),
        ("wait...", ["wait", "..."]),
        ("a\u00a0b\u3000c\x00d\u200be\n", ["a", "b", "c", "d", "e"]),
        ("我很喜欢。", ["我很喜欢", "。"]),
        ("naïve café e\u0301", ["naïve", "café", "e\u0301"]),
        ("<S> 🙂", ["<", "S", ">", "🙂"]),
        ("", []),
    ],
)
def test_words(text, tokens):
    made = [token.decode() for token in Tokenizer()([text]).numpy()[0] if token]
    assert made == tokens


def test_methods():
    text = ["Don't 我喜欢, ABC我!"]
    made = {
        method: " ".join(token.decode() for token in Tokenizer(method)(text).numpy()[0])
        for method in Tokenizer.METHODS
    }
    assert made == {
        "words": "Do n't 我喜欢 , ABC我 !",
        "whitespace": "Don't 我喜欢, ABC我!",
        "unicode_script": "Don ' t 我喜欢 , ABC 我 !",
        "chinese_characters": "Don ' t 我 喜 欢 , ABC 我 !",
    }


def test_lowercase_and_max_tokens():
    tokens = Tokenizer(lowercase=True, max_tokens=2)(["Ärger MIT allem", "X"]).numpy()
    assert [[t.decode() for t in row] for row in tokens] == [["ärger", "mit"], ["x", ""]]


def test_invalid_utf8_is_no_crash():
    tokens = Tokenizer()(tf.constant([b"\xff\xfe abc\xff"]))
    assert CharacterIds()(tokens).shape[0] == 1


@pytest.mark.parametrize(
    "text, cleaned",
    [
        ("abc", "abc"),
        ("é🙂", "é🙂"),
        ("a\udc80b", "a\ufffdb"),
        ("\ud83d\ude42", "🙂"),
        ("\ude42\ud83d", "\ufffd\ufffd"),
        (b"abc", "abc"),
        (b"\xff", b"\xff"),
    ],
)
def test_clean(text, cleaned):
    assert clean(text) == cleaned


def test_lone_surrogates_become_the_replacement_character():
    ids = CharacterIds(6)([["\udc80"]]).numpy()[0, 0].tolist()
    assert ids == ids_of("\ufffd", 6)


def test_pad():
    assert pad([["a", "b"], [], ["c", ""]]).numpy().tolist() == [
        [b"a", b"b"],
        [b"", b""],
        [b"c", b""],
    ]
    assert pad([]).shape == (0, 1)
    assert pad([[]]).shape == (1, 1)


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
    ids=str,
)
def test_bad_text(data, message):
    with pytest.raises(ValueError, match=message):
        string_tensor(data)


@pytest.mark.parametrize("data", ["abc", ["a"], [["a"], []], [[], ["a"]], np.array(["a"]), []])
def test_is_text(data):
    assert is_text(data)


@pytest.mark.parametrize("data", [1, [1], [[1]], np.zeros(3), None, {"a": 1}])
def test_is_no_text(data):
    assert not is_text(data)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: CharacterIds(2), "at least 3"),
        (lambda: CharacterIds(5.0), "at least 3"),
        (lambda: Tokenizer("nltk"), "`method` must be one of"),
        (lambda: Tokenizer(max_tokens=0), "`max_tokens` must be"),
        (lambda: CharacterIds()(["a", "b"]), "needs tokens of shape"),
        (lambda: Tokenizer()([["a", "b"]]), "needs sentences of shape"),
        (lambda: CharacterIds()(tf.zeros((2, 2))), "dtype=float32"),
    ],
)
def test_bad_use(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_plain_keras_model_fits_on_padded_tokens():
    inputs = keras.Input((None,), dtype="string")
    ids = elmo_keras.text.CharacterIds(5)(inputs)
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Dense(2)(ids))
    model = keras.Model(inputs, x)
    model.compile("sgd", "mse")
    model.fit(pad([["a"], ["b", "c"]]), np.zeros((2, 2)), verbose=0)


# === Words and code points ===


def test_word_ids():
    words = WordIds(["the", "", "cat"])
    assert words([["the", "dog", "cat"], ["cat"]]).numpy().tolist() == [[1, 4, 3], [3, 0, 0]]
    assert words([[], []]).numpy().tolist() == [[0], [0]]
    named = WordIds(["<UNK>", "the"], unknown="<UNK>")
    assert named([["the", "dog"]]).numpy().tolist() == [[2, 1]]
    again = WordIds.from_config(named.get_config())
    assert again.vocabulary == ["<UNK>", "the"]
    for vocabulary, options, message in (
        (["a", "a"], {}, "each token once. Received: 'a' at indices 0 and 1"),
        (["a\nb"], {}, "without line breaks. Received: 'a\\\\nb' at index 0"),
        (["a", 7], {}, "Received: 7 at index 1"),
        (["a"], {"unknown": "b"}, "a word of the vocabulary, or None. Received: unknown='b'"),
    ):
        with pytest.raises(ValueError, match=message):
            WordIds(vocabulary, **options)


def test_code_point_ids():
    marks = ["<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
    bos, eos, oov, pad, bow, eow = range(1, 7)
    layer = CodePointIds([*marks, "a", "🙂"], [*marks, "a", "aaa"], max_characters=5)
    got = layer([["a", "aaaaa", "🙂x"], ["<bos>", "<pad>"], []]).numpy().tolist()
    assert got == [
        [[7, eow, 7, bow, pad, pad], [8, eow, 7, 7, 7, bow], [oov, eow, 8, oov, bow, pad]],
        [[bos, eow, bos, bow, pad, pad], [oov, eow, oov, oov, 7, bow], [0] * 6],
        [[0] * 6] * 3,
    ]
    begin, end = layer.boundary_ids()
    assert begin.tolist() == [bos, eow, bos, bow, pad, pad]
    assert end.tolist() == [eos, eow, eos, bow, pad, pad]
    words_alone = CodePointIds(words=[*marks, "a"])
    assert words_alone([["a", "b"]]).numpy().tolist() == [[[7], [oov]]]
