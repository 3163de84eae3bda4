"""Joiners, format characters and emoji in tokens, against Unicode's word boundaries."""

import random

import pytest
import regex

from elmo_keras.text import Tokenizer

tf = pytest.importorskip("tensorflow", reason="these methods need TensorFlow")

METHODS = ("words", "chinese_characters")
EMOJI = [
    *("🙂", "☺️", "☝🏻", "👍🏿", "❤️", "❤️\u200d🔥", "👨\u200d👩\u200d👧\u200d👦", "👩🏽\u200d⚕️"),
    *(
        "🏳️\u200d🌈",
        "🏴\u200d☠️",
        "🙂\u200d↔️",
        "🐦\u200d⬛",
        "🧑🏻\u200d❤️\u200d💋\u200d🧑🏼",
        "🇩🇪",
        "🇫🇷",
    ),
    *("‼️", "©️", "🀄", "#️⃣", "*️⃣", "1️⃣", "2⃣", "ℹ️"),
    "🏴" + "".join(chr(0xE0000 + ord(letter)) for letter in "gbsct\x7f"),
]


def tokens(method, text):
    """The tokens of `split`, which the call outside and inside of a graph must make as well."""
    tokenizer = Tokenizer(method)
    expected = tokenizer.split([text])[0]
    for call in (tokenizer, tf.function(tokenizer)):
        rows = call(tf.constant([text])).numpy().tolist()
        assert [token.decode() for token in rows[0] if token] == expected
    return expected


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "text, expected",
    [
        ("می\u200cشود، رفته\u200cام.", ["می\u200cشود", "،", "رفته\u200cام", "."]),
        ("ශ්\u200dරී ලංකා", ["ශ්\u200dරී", "ලංකා"]),
        ("क्\u200dष और र्\u200cक", ["क्\u200dष", "और", "र्\u200cक"]),
        ("അവൻ\u200d നൻ\u200d.", ["അവൻ\u200d", "നൻ\u200d", "."]),
        ("soft\u00adhyphen, \u00adx\u00ad y\u00ad.", ["soft\u00adhyphen", ",", "x", "y", "."]),
        ("a\u2060b \u2060 \ufeffc\u200ed", ["a\u2060b", "c\u200ed"]),
        ("a\u00ad\u200db\u200c\u2060c\u2060\u200c d", ["a\u00ad\u200db\u200c\u2060c", "d"]),
        ("a\u200bb \u200b", ["a", "b"]),
        ("\u200ca \u200db", ["a", "b"]),
        ("e\u0301\u200cx !\u0301 «\u200c", ["e\u0301\u200cx", "!\u0301", "«\u200c"]),
        ("(ι) «Ιησούς» ᾳ\u0345", ["(", "ι", ")", "«", "Ιησούς", "»", "ᾳ\u0345"]),
        ("hi😀😀🙂, you👍🏽2", ["hi", "😀", "😀", "🙂", ",", "you", "👍🏽", "2"]),
        ("a1️⃣2️⃣b3️⃣", ["a", "1️⃣", "2️⃣", "b", "3️⃣"]),
        ("🇩🇪🇫🇷🇩 🇪", ["🇩🇪", "🇫🇷", "🇩", "🇪"]),
        ("👍🏽🏽 🏽", ["👍🏽🏽", "🏽"]),
        ("".join(EMOJI), EMOJI),
        ("x".join(EMOJI), "x ".join(f"{emoji} " for emoji in EMOJI).split()),
    ],
)
def test_joiners_and_emoji(method, text, expected):
    assert tokens(method, text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "should\u00adn't cd\u200cdon't it\u200c's",
            "should n't cd\u200cdo n't it\u200c 's".split(" "),
        ),
        ("isn't\u200c 3.14\u200d", ["is", "n't\u200c", "3.14\u200d"]),
        ("well\u200c-known\u200c", ["well\u200c-known\u200c"]),
        ("步骤1️⃣打开", ["步骤", "1️⃣", "打开"]),
        ("葛\U000e0100城", ["葛\U000e0100城"]),
    ],
)
def test_words(text, expected):
    assert tokens("words", text) == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("步骤1️⃣打开", ["步", "骤", "1️⃣", "打", "开"]),
        ("葛\U000e0100城\ufe00。\ufe00", ["葛\U000e0100", "城\ufe00", "。\ufe00"]),
        ("我\u2060们\u200d a\u2060我", ["我", "们\u200d", "a", "我"]),
        ("カ\u200cナabc\u00addef1,2", ["カ\u200cナabc\u00addef1", ",", "2"]),
        ("a\u200cb1️⃣c", ["a\u200cb1️⃣c"]),
        ("a\x00b我\x00。", ["a", "b", "我", "。"]),
    ],
)
def test_chinese_characters(text, expected):
    assert tokens("chinese_characters", text) == expected


def test_chinese_characters_as_before():
    """Other text is split like with the regular expression of earlier versions."""
    rng = random.Random(0)
    alphabet = [
        *"aB3.,-'’_é东我、。🙂+$〇々〆カー",
        "\u0301",
        *" \t\u00a0\u3000\u2028\u200b",
        "\ue000",
    ]
    texts = ["".join(rng.choices(alphabet, k=rng.randrange(25))) for _ in range(1000)]
    # Earlier, a mark after a Chinese character or a symbol was a token.
    texts = [regex.sub(r"(?<![a-zA-Zé\d])\u0301", "", text) for text in texts]
    delimiter = regex.compile(r"[\p{Z}\p{C}]+|(\p{Han}|\p{P}|\p{S})")
    expected = [[part for part in delimiter.split(text) if part] for text in texts]
    assert Tokenizer("chinese_characters").split(texts) == expected


def unicode_words(text):
    """The words between Unicode's boundaries, format characters at their ends dropped."""
    words = regex.split(r"(?V1w)\b", text)
    words = [regex.sub(r"[\u00ad\u2060][\u00ad\u2060\u200c\u200d]*$", "", word) for word in words]
    return [word for word in words if regex.search(r"[^\p{Z}\p{C}]", word)]


@pytest.mark.parametrize("method", METHODS)
def test_words_end_at_the_boundaries_of_unicode(method):
    rng = random.Random(0)
    alphabets = [
        [*"abéشകക\u0d3f\u0301", "\u0d4d ", *"\u200c\u200d\u00ad\u2060 "],
        [*"👩👍❤🔥🏳🌈😀🏽🏿\ufe0f\u200d\u200d\U000e0067\U000e007f"],
        [*"🇩🇪🇫😀 "],
    ]
    texts = [
        "".join(rng.choices(alphabet, k=rng.randrange(1, 20)))
        for alphabet in alphabets
        for _ in range(1000)
    ]
    # Unicode attaches marks to white space as well, and a leading joiner to nothing.
    texts = [regex.sub(r"(?:^|(?<=\s))[\p{M}\p{Cf}\p{Sk}]+", "", text) for text in texts]
    assert Tokenizer(method).split(texts) == [unicode_words(text) for text in texts]


@pytest.mark.parametrize("method", METHODS)
def test_tokens_are_split_again_as_they_are(method):
    """`write_tokenized` writes tokens that "whitespace" reads again."""
    rng = random.Random(0)
    alphabet = [*"a1.-'我。", "n't", *"\u200c\u200d\u00ad\u2060\u200b\ufeff ", *EMOJI]
    texts = ["".join(rng.choices(alphabet, k=rng.randrange(20))) for _ in range(1000)]
    rows = Tokenizer(method).split(texts)
    assert Tokenizer("whitespace").split([" ".join(row) for row in rows]) == rows
    assert all(regex.search(r"[^\p{Z}\p{C}]", token) for row in rows for token in row)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "piece",
    ["a", "a1️⃣", "a\u200c", "a\u00ad", "a\u00ad ", "我\u00ad", "\u200c", "don't", "😀\u200d"],
)
def test_long_texts_take_linear_time(method, piece):
    """Quadratic time would be minutes."""
    text = piece * (300_000 // len(piece))
    visible = regex.sub(r"[\p{Z}\p{C}]", "", text)
    actual = Tokenizer(method).split([text])[0]
    assert regex.sub(r"[\p{Z}\p{C}]", "", "".join(actual)) == visible


@pytest.mark.parametrize("method", METHODS)
def test_tensorflow_alone_runs_it(method):
    graph = tf.function(Tokenizer(method)).get_concrete_function(tf.TensorSpec((None,), "string"))
    operations = {operation.type for operation in graph.graph.get_operations()}
    for function in graph.graph.as_graph_def().library.function:
        operations |= {node.op for node in function.node_def}
    assert "StaticRegexReplace" in operations
    assert not [name for name in operations if not hasattr(tf.raw_ops, name)]
    assert not Tokenizer(method).needs_tensorflow_text
    assert Tokenizer("unicode_script").needs_tensorflow_text
