"""The layer that splits sentences into tokens."""

import re
import warnings
from typing import Any

import keras
import numpy as np

from elmo_keras.text.containers import to_batch
from elmo_keras.text.conversion import check_rows, is_list
from elmo_keras.text.text_layer import TextLayer, at_least_one_step
from elmo_keras.utils.optional_module import tensorflow as tf
from elmo_keras.utils.optional_module import tensorflow_text as tf_text

# Parts of the two patterns below, in RE2's syntax. RE2 has no lookaround, so a pattern matches a
# whole token with all characters that attach to it.
_JOINERS = "\u200c\u200d"  # ZERO WIDTH NON-JOINER and JOINER
_FORMAT = r"[^\P{Cf}\x{200B}]"  # ZERO WIDTH SPACE separates tokens.
_FORMAT_BUT_JOINERS = r"[^\P{Cf}\x{200B}-\x{200D}]"
_ATTACHED = rf"[\pM{_JOINERS}]*"
_FLAG = "[\U0001f1e6-\U0001f1ff]{2}"  # a pair of regional indicators
# Emoji that begin with a digit or a letter: keycaps, and INFORMATION SOURCE.
_KEYCAP = "[0-9]\ufe0f?\u20e3|\u2139\ufe0f"
# Characters that attach to a symbol: marks, joiners, skin tones, tags, and the next symbol of a ZWJ
# sequence.
_SYMBOL_ATTACHED = (
    "(?:\u200d[\u2190-\u2bff\U0001f000-\U0001f1e5\U0001f200-\U0001faff]"
    rf"|[\pM{_JOINERS}\x{{1F3FB}}-\x{{1F3FF}}\x{{E0020}}-\x{{E007F}}])*"
)
_WORD_CHARACTER = r"[\pL\pM\pN]"

# One token of "words"; the alternatives are in order of precedence. Each group is put between
# spaces. Characters outside of all groups (white space, control characters, stray format
# characters) are dropped. (?i) is limited to letters, because a case-insensitive \pM contains the
# Greek iota (through U+0345 COMBINING IOTA).
_WORDS = (
    r"[\pZ\pC]"
    rf"|([\pL\pM{_JOINERS}]*?){_FORMAT_BUT_JOINERS}*"  # 1: do
    rf"((?i:n['’]t)\b{_ATTACHED}|{_KEYCAP})"  # 2: n't
    rf"|(['’](?i:s|m|d|ll|re|ve)\b{_ATTACHED})"  # 3: 's
    rf"|(\pN+(?:[.,:]\pN+)+{_ATTACHED}"  # 4: 3.14, 1,000, 10:30,
    rf"|{_WORD_CHARACTER}(?:(?:{_FORMAT}+|[-_])?{_WORD_CHARACTER}|[{_JOINERS}])*"  # well-known,
    rf"|(?:{_FLAG}|\.{{2,}}|[^\pZ\pC]){_SYMBOL_ATTACHED})"  # ..., any other visible character
)
_WORDS_SPACED = r" \1 \2 \3 \4 "

# One token of "chinese_characters". Other runs of characters get their spaces from the neighbouring
# tokens; only runs with a format character need a match, because that character would be dropped.
# In other runs the search for a format character must end early, also before U+20E3 of a keycap.
_RUN_CHARACTER = r"[^\pZ\pC\pP\pS\p{Han}\x{20E3}\x{1F300}-\x{1FAFF}]"
_CHINESE = (
    r"[^\PZ ]|\pC"
    rf"|({_KEYCAP}"
    rf"|\p{{Han}}{_ATTACHED}"
    rf"|(?:{_FLAG}|[\pP\pS\x{{1F300}}-\x{{1FAFF}}]){_SYMBOL_ATTACHED}"
    rf"|{_RUN_CHARACTER}+(?:{_FORMAT}+{_RUN_CHARACTER}|[{_JOINERS}])"
    rf"(?:{_FORMAT}*{_RUN_CHARACTER}|[\x{{20E3}}{_JOINERS}])*)"
)
_CHINESE_SPACED = r" \1 "

# Scripts without spaces between words: Han, Hiragana, Katakana; and Thai, Lao, Tibetan, Myanmar,
# Khmer, whose words (in Tibetan: syllables) have more characters.
_EAST_ASIAN = (
    "\u2e80-\u2fdf\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
_SOUTHEAST_ASIAN = "\u0e01-\u0fbc\u1000-\u109f\u1780-\u17dd\ua9e0-\ua9fe\uaa60-\uaa7f"
_UNSPACED = re.compile(f"[{_EAST_ASIAN}{_SOUTHEAST_ASIAN}]")
_UNSPACED_RUN = re.compile(f"[{_EAST_ASIAN}]{{5,}}|[{_SOUTHEAST_ASIAN}]{{8,}}")
_UNSPACED_RUN_BYTES = 15  # length of the shortest run: 5 characters of 3 bytes


@keras.saving.register_keras_serializable(package="elmo_keras")
class Tokenizer(TextLayer):
    """Splits sentences into tokens, inside the graph.

    The published ELMo models were trained on Penn Treebank tokens. The default method approximates
    them with core TensorFlow ops: it separates punctuation, splits `do n't` and `it 's`, and keeps
    numbers and hyphenated words whole. It is not the Treebank tokenizer: if exact tokens matter,
    tokenize the text yourself and pass token lists.

    Invisible characters and emoji follow Unicode's rules for word boundaries
    (https://www.unicode.org/reports/tr29/, rules WB3c, WB4, WB15 and WB16) in `"words"` and
    `"chinese_characters"`:

    - Marks, U+200C ZERO WIDTH NON-JOINER and U+200D ZERO WIDTH JOINER belong to the character
      before them. A Persian, Hindi, Sinhala or Malayalam word that contains them is one token.
    - Other format characters, such as U+00AD SOFT HYPHEN and U+2060 WORD JOINER, are kept between
      two letters, digits or marks, and dropped elsewhere. U+200B ZERO WIDTH SPACE is white space.
    - An emoji is one token: a symbol with its variation selector, skin tone or tags, a sequence of
      symbols joined by U+200D, a flag (two regional indicators), or a keycap (`#`, `*` or a digit
      with U+20E3). Emoji that are not joined are separate tokens.

    `split`, and a call outside of a graph, warn once per tokenizer if `"words"` or
    `"unicode_script"` reads text without spaces, such as Chinese or Thai, as one long token.

    Args:
        method: str. How to split. Defaults to `"words"`.
            - `"words"`: as above; core TensorFlow ops, so that a SavedModel needs nothing else.
            - `"whitespace"`: only at white space, for text that is already tokenized.
            - `"unicode_script"`: tensorflow-text's `UnicodeScriptTokenizer`, at changes of script
              and at punctuation. A SavedModel with it needs tensorflow-text.
            - `"chinese_characters"`: each Chinese character, punctuation mark and symbol is a
              token, other text is split at white space; core TensorFlow ops.
        lowercase: bool. Whether to convert sentences to lower case first. The published models are
            cased. Defaults to `False`.
        max_tokens: int or `None`. Maximum number of tokens per sentence; the rest is dropped.
            Defaults to `None`, no maximum.
        **kwargs: Layer keyword arguments, like `name`.

    Input shape:
        `(batch,)` string. A Python list of str too.

    Output shape:
        `(batch, time)` string, `""` as padding. There is always at least one time step.

    Example:

    >>> import elmo_keras
    >>> elmo_keras.text.Tokenizer()(["It isn't bad, is it?"]).numpy().tolist()
    [[b'It', b'is', b"n't", b'bad', b',', b'is', b'it', b'?']]
    """

    METHODS = ("words", "whitespace", "unicode_script", "chinese_characters")

    def __init__(
        self,
        method: str = "words",
        lowercase: bool = False,
        max_tokens: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if method not in self.METHODS:
            raise ValueError(
                f"`method` must be one of {self.METHODS}. Received: method={method!r}. To use "
                "another tokenizer, pass token lists instead of sentences."
            )
        if max_tokens is not None and (not isinstance(max_tokens, int) or max_tokens < 1):
            raise ValueError(
                "`max_tokens` must be a positive int, or None to keep all tokens. "
                f"Received: max_tokens={max_tokens!r}. Correct it, or leave it out."
            )
        if not isinstance(lowercase, bool):
            raise ValueError(
                f"`lowercase` must be a bool. Received: lowercase={lowercase!r}. Pass True or "
                "False."
            )
        self.method = method
        self.lowercase = lowercase
        self.max_tokens = max_tokens
        self._has_warned = False

    @property
    def description(self) -> str:
        """The method, and the options that are not the default: `"words, lowercase"`."""
        parts = [self.method]
        parts += ["lowercase"] if self.lowercase else []
        parts += [] if self.max_tokens is None else [f"at most {self.max_tokens} tokens"]
        return ", ".join(parts)

    @property
    def needs_tensorflow_text(self) -> bool:
        """Whether the graph contains ops that only tensorflow-text registers."""
        return self.method == "unicode_script"

    def call(self, sentences: Any) -> Any:
        self.check_text(sentences, rank=1, form="sentences of shape (batch,), dtype string")
        tokens = self._split(sentences)
        if tf.executing_eagerly():
            self._warn_of_unspaced_text(tokens.flat_values.numpy(), tokens.row_splits.numpy())
        tokens = tokens[:, : self.max_tokens]
        return at_least_one_step(tokens.to_tensor(default_value=""))  # (batch, time)

    def _split(self, sentences: Any) -> Any:
        if self.lowercase:
            sentences = tf.strings.lower(sentences, encoding="utf-8")
        if self.method == "words":
            sentences = tf.strings.regex_replace(sentences, _WORDS, _WORDS_SPACED)
        elif self.method == "unicode_script":
            return tf_text.UnicodeScriptTokenizer().tokenize(sentences)
        elif self.method == "chinese_characters":
            sentences = tf.strings.regex_replace(sentences, _CHINESE, _CHINESE_SPACED)
        return tf.strings.split(sentences)

    def split(self, sentences: Any) -> list[list[str]]:
        """Splits sentences into lists of tokens without padding, outside of any graph.

        The method `"whitespace"` does not need TensorFlow.

        Args:
            sentences: list of str.

        Returns:
            list of lists of str; an empty list for a sentence without tokens.

        Raises:
            ValueError: if `sentences` is not a list of str.

        Example:

        >>> import elmo_keras
        >>> elmo_keras.text.Tokenizer("whitespace").split(["a b  c", ""])
        [['a', 'b', 'c'], []]
        """
        sentences = to_batch(sentences, "`sentences`")
        sentences = sentences if isinstance(sentences, (str, bytes)) else list(sentences)
        if isinstance(sentences, (str, bytes)) or any(map(is_list, sentences)):
            raise ValueError(
                f"`sentences` must be a list of str. Received: {sentences!r:.60}. Put a single "
                "sentence into a list; token lists are split already."
            )
        sentences = check_rows(sentences)
        if self.method == "whitespace" and not self.lowercase:
            # TensorFlow splits only at ASCII white space.
            rows = [
                (sentence.encode() if isinstance(sentence, str) else sentence).split()
                for sentence in sentences
            ]
        else:
            ragged = self._split(tf.constant(sentences, "string", shape=(len(sentences),)))
            tokens, ends = ragged.flat_values.numpy(), ragged.row_splits.numpy()
            self._warn_of_unspaced_text(tokens, ends)
            rows = [tokens[start:end] for start, end in zip(ends, ends[1:])]
        rows = [row[: self.max_tokens] for row in rows]
        return [[token.decode("utf-8", "replace") for token in row] for row in rows]

    def _warn_of_unspaced_text(self, tokens: np.ndarray, ends: np.ndarray) -> None:
        """Warns once if most of a sentence is text without spaces, read as long tokens.

        Args:
            tokens: array of bytes, the tokens of all sentences.
            ends: int array. Sentence `i` has the tokens from `ends[i]` to `ends[i + 1]`.
        """
        if self._has_warned or self.method not in ("words", "unicode_script"):
            return
        for index, token in enumerate(tokens):
            if len(token) < _UNSPACED_RUN_BYTES or token.isascii():
                continue
            token = token.decode("utf-8", "replace")
            if not _UNSPACED_RUN.search(token):
                continue
            row = np.searchsorted(ends, index, side="right")
            sentence = b"".join(tokens[ends[row - 1] : ends[row]]).decode("utf-8", "replace")
            # An English sentence may contain a Chinese name.
            if 2 * len(_UNSPACED.findall(sentence)) > len(sentence):
                self._has_warned = True
                warnings.warn(
                    "Text of a script that is written without spaces must be split into words or "
                    f"characters. Received: a sentence that Tokenizer({self.method!r}) reads as "
                    f"one token of {len(token)} characters, {token[:20]!r}"
                    f"{'...' if len(token) > 20 else ''}; a model cuts a token at its "
                    "`max_characters` bytes and does not see the rest. Use "
                    "Tokenizer('chinese_characters') for Chinese, a preset that reads the "
                    "language, such as 'elmo_mini_zh', or pass token lists.",
                    stacklevel=3,
                )
                return

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], None)

    def compute_output_spec(self, sentences: Any) -> Any:
        return keras.KerasTensor(self.compute_output_shape(sentences.shape), dtype="string")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "method": self.method,
                "lowercase": self.lowercase,
                "max_tokens": self.max_tokens,
            }
        )
        return config
