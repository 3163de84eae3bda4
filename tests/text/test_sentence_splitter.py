"""split_sentences: texts of many scripts into sentences."""

import random
import sys

import pytest

from elmo_keras.text import sentence_splitter, split_sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["One thing.", "Another thing.", "A third"],
        ["Really?", "Really!", "Yes?!", "No..."],
        ['"Quite so."', "He left.", "(As ever.)", "“Why?”", "‘Ask.’", "[Sic.]", "«Bien.»"],
        ["Dr. Foo met Mrs. Bar in St. Baz.", "Prof. Qux did not."],
        ["J. R. Foo wrote it, cf. Bar and e.g. Baz, i.e. Nobody, in the U.S. Navy."],
        ["It costs 3.14 or 1,000.50 a piece.", "Ärger!", "Они ушли.", "Она нет."],
        ["It ends here. 5 of them did not.", "It did"],
        ["他来了。", "她呢？", "好！", "「走吧。」", "他说（真的。）", "完"],
        ["English first.", "然后中文。", "还有？！", "Then English."],
        ["no capital. behind it, nor. 7 numbers. _or so"],
        ["No.white space"],
        ["No white space here.Or there!And so on"],
        ["word"],
        ["What‽", "No‼", "“Oh⁉”", "Yes"],
        ["यह एक घर है।", "वह कहाँ है?", "“हाँ।”", "क्या!", "अच्छा॥", "ठीक"],
        ["یہ گھر ہے۔", "وہ کہاں ہے؟", "«ہاں؟»", "ٹھیک۔۔۔", "ہاں"],
        ["هل هذا بيت؟!", "(نعم؟)", "هو هنا.", "أين؟\u200f", "هناك"],
        ["Սա տուն է։", "Ո՞ւր է։", "Այո։", "«Ոչ։»", "Oh."],
        ["ይህ ቤት ነው።", "የት ነው፧", "አዎ፨", "እሺ"],
        ["ဒါက အိမ်ပါ။", "ဘယ်မှာလဲ။", "အင်း၊", "ဟုတ်"],
        ["នេះជាផ្ទះ។", "ចប់៕", "ᠮᠣᠩᠭᠣᠯ᠃", "ᠦᠭᠡᠢ᠉", "ꯃꯤ꯫", "x"],
    ],
)
def test_sentences(sentences):
    assert split_sentences(" ".join(sentences)) == sentences
    assert split_sentences("\u3000\n".join(sentences) + " \r\n") == sentences


def test_chinese_needs_no_white_space():
    sentences = ["他来了。", "她呢？！", "好！！", "“走吧。”", "他说（真的。）", "「完。」』"]
    assert split_sentences("".join(sentences)) == sentences
    assert split_sentences("完。" + "她" * 5) == ["完。", "她" * 5]


@pytest.mark.parametrize(
    "sentences",
    [
        ["यह घर है।", "वह भी॥", "(हाँ।)", "ठीक।।", "“ना”"],
        ["یہ ہے۔", "کہاں؟", "‘ہاں۔’", "«ٹھیک»"],
        ["نعم؟", "لا؟؟", "نعم؟!", "«لا؟»", "٣"],
        ["Այո։", "Ոչ։", "ok"],
        ["ነው።", "የት፧", "5"],
        ["ပါ။", "လဲ။", "["],
    ],
)
def test_other_scripts_need_no_white_space(sentences):
    assert split_sentences("".join(sentences)) == sentences


@pytest.mark.parametrize(
    "text, sentences",
    [
        ("है।, ठीक", ["है।, ठीक"]),  # SB8a: a comma, a colon, a dash
        ("है। — ठीक।: ना", ["है। — ठीक।: ना"]),
        ("کہاں؟، ہاں", ["کہاں؟، ہاں"]),
        ("है। । ठीक", ["है। ।", "ठीक"]),  # SB8a: another mark
        ("है।\u0301\u200d” ठीक", ["है।\u0301\u200d”", "ठीक"]),  # SB5: marks and format characters
        ("है। ” ठीक", ["है। ” ठीक"]),
        ("है।'\") ठीक", ["है।'\")", "ठीक"]),  # SB9
        ("है।“ठीक।”«ना।»", ["है।", "“ठीक।”", "«ना।»"]),
        ("।", ["।"]),
        ("। है", ["।", "है"]),
        ("See है। and, no. end", ["See है।", "and, no. end"]),
        ("a܀b߹c࠷d᙮e᱾f꘎g𑁇h𖫵i", ["a܀", "b߹", "c࠷", "d᙮", "e᱾", "f꘎", "g𑁇", "h𖫵", "i"]),
        ("完｡她﹖他︒", ["完｡", "她﹖", "他︒"]),
        ("a·b、c་d།e", ["a·b、c་d།e"]),  # no marks of a sentence's end
    ],
)
def test_marks_of_unicode(text, sentences):
    assert split_sentences(text) == sentences


@pytest.mark.parametrize("text", ["", " ", "\n", "\r\n\t\u00a0\u3000"])
def test_white_space_holds_none(text):
    assert split_sentences(text) == []


@pytest.mark.parametrize("word", ["Mr", "vs", "etc", "Inc", "A", "É", "a.m", "U.S.A", "(Dr", "“Lt"])
def test_abbreviations_end_no_sentence(word):
    text = f"So {word}. Foo said."
    assert split_sentences(text) == [text]
    assert split_sentences(f"{word}. Foo said.".lstrip("(“")) == [f"{word}. Foo said.".lstrip("(“")]
    # The same letters at the end of a longer word are not an abbreviation.
    assert split_sentences("So abc. Foo said.") == ["So abc.", "Foo said."]
    assert split_sentences("So xMr. Foo said.") == ["So xMr.", "Foo said."]
    # Other marks always end a sentence.
    assert split_sentences(f"So {word}! Foo said.") == [f"So {word}!", "Foo said."]


def test_nothing_but_white_space_is_lost():
    rng = random.Random(0)
    pieces = [*".!?…。！？।؟", *"\"'”’)]」』", *"“‘([「", *"  \n\u3000", *"aBéÉ5_中,है", "Mr"]
    cuts = 0
    for _ in range(3000):
        text = "".join(rng.choices(pieces, k=rng.randrange(30)))
        sentences = split_sentences(text)
        assert all(sentence and sentence == sentence.strip() for sentence in sentences)
        assert "".join("".join(sentences).split()) == "".join(text.split())
        cuts += len(sentences) > 1
    assert cuts > 1000


@pytest.mark.parametrize(
    "mark",
    [
        *".!?…。！？।؟",
        *(".)", "。」", "A. ", "? ", "'", "\u3000"),
        *("।)", "। ", "।,", "।'", "؟!", "।\u0301"),
    ],
)
def test_a_million_marks_take_no_time(mark):
    """Quadratic time would be hours."""
    text = mark * (1_000_000 // len(mark))
    sentences = split_sentences(f"Foo{text}")
    assert "".join("".join(sentences).split()) == "".join(f"Foo{text}".split())


@pytest.mark.parametrize(
    "text, sentences",
    [
        ("Wait… what", ["Wait… what"]),
        ("Wait… What", ["Wait…", "What"]),
        ("等等……什么", ["等等……", "什么"]),
        ("kam. über", ["kam. über"]),
        ("kam. Über", ["kam.", "Über"]),
    ],
)
def test_ellipsis_and_small_letters(text, sentences):
    assert split_sentences(text) == sentences


def test_regex_is_imported_when_it_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "regex", None)  # Its import now fails.
    sentence_splitter._other_end.cache_clear()
    assert split_sentences("One. Two? Three") == ["One.", "Two?", "Three"]
    with pytest.raises(ImportError, match="not ASCII: `pip install regex`"):
        split_sentences("Één। Twee.")
