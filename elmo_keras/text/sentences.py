"""Where a text is cut into sentences."""

import re

# A mark that ends a sentence, what closes around it, and the white space behind it. Possessive, and
# from the first mark on: rows of thousands of marks would take quadratic time.
_LATIN_END = re.compile(r"(?<![.!?…])([.!?…]++[\"'”’»)\]]*+)\s+(?=[\"'“‘«(\[]*([^\W\d_]))")
# Chinese and Japanese marks need no white space behind them; their ellipsis is a double one.
_CJK_END = re.compile(
    r"(?<![。！？…])((?:[。！？]|……)[。！？…]*+[”’」』）》】]*+)(?=[^”’」』）》】。！？…])"
)
# Before a full stop that ends no sentence: initials, titles, and the like.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])(?:[^\W\d_]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Gov|Sen|"
    r"Rep|Mt|No|Vol|Fig|vs|cf|ca|c|e\.g|i\.e|etc|al|approx|Inc|Ltd|Co|Corp|[A-Za-z](?:\.[A-Za-z])+)"
    r"\.$"
)


def split_sentences(text: str) -> list[str]:
    """The sentences of a paragraph, by its punctuation.

    A rule of thumb for the training of language models, where a cut too many or too few does no
    harm: at full stops, question and exclamation marks that white space and a capital follow
    (initials and common English abbreviations aside), and at their Chinese forms.

    Args:
        text: str, a paragraph.

    Returns:
        list of str, without the white space around them; empty for a text of white space.

    Example:

    >>> split_sentences("Dr. Watson sat down. Did he? 我喜欢苹果。你呢？")
    ['Dr. Watson sat down.', 'Did he?', '我喜欢苹果。', '你呢？']
    """
    sentences, start = [], 0
    for match in _LATIN_END.finditer(text):
        end = match.end(1)
        if match[2].islower():
            continue
        if not _ABBREVIATION.search(text[max(start, end - 16) : end]):
            sentences.append(text[start:end])
            start = match.end()
    sentences.append(text[start:])
    sentences = [part for piece in sentences for part in _CJK_END.sub(r"\1\n", piece).split("\n")]
    return [part.strip() for part in sentences if part.strip()]
