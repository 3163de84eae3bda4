"""A rule-based sentence splitter."""

import functools
import re
from collections.abc import Iterator
from typing import Any

from elmo_keras.utils.optional_module import regex

# A mark that ends a sentence, closing quotes and brackets, and the white space after them. The
# quantifiers are possessive, and a match starts at the first mark of a row, so that a row of
# thousands of marks does not take quadratic time.
_LATIN = ".!?…‼‽⁇⁈⁉⸮⸼⹓⹔"
_LATIN_END = re.compile(rf"(?<![{_LATIN}])([{_LATIN}]++[\"'”’»)\]]*+)\s+(?=[\"'“‘«(\[]*([^\W\d_]))")
# Chinese and Japanese marks need no white space after them; their ellipsis is doubled.
_CJK_END = re.compile(
    r"(?<![。！？…])((?:[。！？]|……)[。！？…]*+[”’」』）》】]*+)(?=[^”’」』）》】。！？…])"
)
# Initials, titles and other abbreviations whose full stop does not end a sentence.
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])(?:[^\W\d_]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Gov|Sen|"
    r"Rep|Mt|No|Vol|Fig|vs|cf|ca|c|e\.g|i\.e|etc|al|approx|Inc|Ltd|Co|Corp|[A-Za-z](?:\.[A-Za-z])+)"
    r"\.$"
)


@functools.cache
def _other_end() -> Any:
    """Compiles the pattern for the end of a sentence after a mark that is not Latin or Chinese.

    A match that has started cannot fail, so a search takes linear time.
    """
    ignored = r"[\p{Sentence_Break=Extend}\p{Sentence_Break=Format}]"
    terminal = r"\p{Sentence_Break=STerm}\p{Sentence_Break=ATerm}"
    return regex.compile(
        rf"([\p{{Sentence_Break=STerm}}--[{_LATIN}。！？]](?:[{terminal}…]|{ignored})*+"
        rf"(?:[\p{{Pe}}\p{{Pf}}\"']{ignored}*+)*+)\s*+"
        # SB8a and SB9: a comma, another mark or a closing bracket continues the sentence.
        rf"(?=(?<continued>[{terminal}\p{{Sentence_Break=SContinue}}\p{{Pe}}\p{{Pf}}])?)",
        regex.V1,
    )


def _split_at_other_marks(text: str) -> Iterator[str]:
    start = 0
    for match in _other_end().finditer(text):
        if not match["continued"]:
            yield text[start : match.end(1)]
            start = match.end(1)
    yield text[start:]


def split_sentences(text: str) -> list[str]:
    """Splits a paragraph into sentences by its punctuation.

    The rules are approximate. They are meant for the training of language models, where a few wrong
    splits do no harm:

    - Full stops, question marks and exclamation marks end a sentence if white space and a letter
      that is not lower case follow. Exceptions are initials and common English abbreviations.
    - Their Chinese and Japanese forms also end a sentence without white space.
    - So do the marks of other scripts, such as the Devanagari danda, the Urdu full stop and the
      Arabic question mark: all characters with Unicode's property Sentence_Break=STerm
      (https://www.unicode.org/reports/tr29/). By rules SB8a and SB9, closing quotes and brackets
      belong to the sentence, and a comma or another mark continues it.

    Args:
        text: str, a paragraph.

    Returns:
        list of str without surrounding white space; an empty list for a text of white space.

    Example:

    >>> split_sentences("Dr. Watson sat down. Did he? 我喜欢苹果。你呢？")
    ['Dr. Watson sat down.', 'Did he?', '我喜欢苹果。', '你呢？']
    >>> split_sentences("यह एक घर है। वह कहाँ है?")
    ['यह एक घर है।', 'वह कहाँ है?']
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
    if not text.isascii():
        sentences = [part for piece in sentences for part in _split_at_other_marks(piece)]
    return [part.strip() for part in sentences if part.strip()]
