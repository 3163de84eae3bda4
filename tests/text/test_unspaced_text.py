"""The warning about text without spaces that a tokenizer reads as one token."""

import warnings

import pytest

from elmo_keras.text import Tokenizer
from elmo_keras.training import Corpus

tf = pytest.importorskip("tensorflow", reason="these methods need TensorFlow")

CHINESE = "我喜欢吃苹果。"
SENTENCES = [
    CHINESE,
    "Gut. 我喜欢苹果",
    "彼はリンゴが好きです",
    "アイスクリーム",
    "ฉันชอบกินแอปเปิ้ล",
    "ຂ້ອຍມັກກິນໝາກແອັບເປິ້ນ",
    "ခုပျော်ရွှင်ပါတယ်",
    "ខ្ញុំចូលចិត្តផ្លែប៉ោម",
    "\U00020000\U00020001\U00020002\U00020003\U00020004",
]
SPACED = [
    "The Chinese 我喜欢吃苹果 means that I like to eat apples.",
    "我 喜欢 吃 苹果 。",
    "我很好。",
    "나는 사과를 좋아합니다.",
    "बहुत अच्छा",
    "བོད་སྐད་ཡིག་ལས་བསྒྲུབས",
    "a" * 100,
    "é" * 100,
    "",
]


def make(method):
    if method == "unicode_script":
        pytest.importorskip("tensorflow_text", reason=f"{method} needs tensorflow-text")
    return Tokenizer(method)


@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("call", ["split", "__call__"])
def test_it_warns_once_per_tokenizer(sentence, call):
    tokenizer = Tokenizer()
    with pytest.warns(UserWarning, match="without spaces must be split") as noted:
        for _ in range(3):
            getattr(tokenizer, call)(["The cat sat.", sentence, sentence])
        tokenizer.split([sentence])
        tokenizer([sentence])
    assert len(noted) == 1
    with pytest.warns(UserWarning, match="without spaces must be split"):
        Tokenizer.from_config(tokenizer.get_config()).split([sentence])


def test_the_message():
    with pytest.warns(UserWarning) as noted:
        Tokenizer().split(["ok", CHINESE])
    (message,) = [str(warning.message) for warning in noted]
    for part in (
        "Tokenizer('words') reads as one token of 6 characters, '我喜欢吃苹果';",
        "cuts a token at its `max_characters` bytes",
        "Use Tokenizer('chinese_characters') for Chinese",
        "'elmo_mini_zh'",
        "pass token lists",
    ):
        assert part in message
    with pytest.warns(UserWarning, match=f"of 100 characters, '{'我' * 20}'\\.\\.\\.;"):
        Tokenizer().split(["我" * 100])


def test_unicode_script_warns():
    with pytest.warns(UserWarning, match=r"Tokenizer\('unicode_script'\) reads as one token"):
        make("unicode_script").split([CHINESE])


@pytest.mark.parametrize("method", Tokenizer.METHODS)
def test_text_with_spaces_gives_no_warning(method):
    tokenizer = make(method)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tokenizer.split(SPACED if method != "unicode_script" else SPACED[1:5])
        tokenizer(SPACED[1:5])


@pytest.mark.parametrize("method", ["whitespace", "chinese_characters"])
def test_methods_without_a_warning(method):
    """The text of "whitespace" is tokenized already."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Tokenizer(method).split(SENTENCES)
        Tokenizer(method)(SENTENCES)


def test_graphs_give_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tf.function(Tokenizer())(tf.constant([CHINESE]))
        list(tf.data.Dataset.from_tensors([CHINESE]).map(Tokenizer()))


def test_invalid_utf8():
    with pytest.warns(UserWarning, match="without spaces"):
        Tokenizer().split([b"\xff" + CHINESE.encode()])


def test_a_corpus_warns(tmp_path):
    (tmp_path / "text").write_text(f"One.\n{CHINESE}\n{CHINESE}\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="chinese_characters") as noted:
        list(Corpus(tmp_path / "text"))
    assert len(noted) == 1
