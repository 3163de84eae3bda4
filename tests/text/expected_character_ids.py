"""Words, and their character ids in plain Python."""

WORDS = [
    *("a", "cat", "The", "don't", "naïve", "é" * 30, "東京", "我喜欢吃苹果", "🙂", "👨\u200d👩"),
    *("x" * 47, "x" * 48, "x" * 49, "x" * 50, "x" * 1000, "x" * 10_000, "é" * 24, "é" * 25),
    *("東" * 16, "東" * 17, "东" * 16, "x" + "é" * 24, "xx" + "🙂" * 12, "\ufffd", "\u0301"),
    *("a\x00", "a\x00\x00", "\x00", "\x00" * 60, "a\x00b", "x" * 47 + "\x00", "x" * 48 + "\x00"),
    *("\x00a", "\x7f", "\x80", "ÿ", " ", "\u3000", "<S>", "</S>", "<s>", "<UNK>", "<S>x", ""),
]


def ids_of(word, max_characters):
    """The ids that bilm-tf gives a word, plus one; zeros for an empty word."""
    if not word:
        return [0] * max_characters
    middle = list(word.encode())[: max_characters - 2]
    middle = {"<S>": [256], "</S>": [257]}.get(word, middle)
    row = [258, *middle, 259]
    return [x + 1 for x in row + [260] * (max_characters - len(row))]
