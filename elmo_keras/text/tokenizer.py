import re
import warnings

import keras
import numpy as np

from elmo_keras.text.containers import to_batch
from elmo_keras.text.conversion import check_rows, is_list
from elmo_keras.text.text_layer import TextLayer, at_least_one_step
from elmo_keras.utils.optional_module import tensorflow as tf
from elmo_keras.utils.optional_module import tensorflow_text as tf_text

# Parts of the two patterns below, in RE2's syntax. RE2 cannot look around, so a pattern matches a
# whole token, with all characters that attach to it.
_JOINERS = "\u200c\u200d"  # ZERO WIDTH NON-JOINER and JOINER
_FORMAT = r"[^\P{Cf}\x{200B}]"  # ZERO WIDTH SPACE separates tokens.
_FORMAT_BUT_JOINERS = r"[^\P{Cf}\x{200B}-\x{200D}]"
_ATTACHED = rf"[\pM{_JOINERS}]*"
_FLAG = "[\U0001f1e6-\U0001f1ff]{2}"  # a pair of regional indicators
# Emoji that begin with a digit or a letter: keycaps, and INFORMATION SOURCE.
_KEYCAP = "[0-9]\ufe0f?\u20e3|\u2139\ufe0f"
# Follow a symbol: marks, joiners, skin tones, tags; and the next symbol of a ZWJ sequence.
_SYMBOL_ATTACHED = (
    "(?:\u200d[\u2190-\u2bff\U0001f000-\U0001f1e5\U0001f200-\U0001faff]"
    rf"|[\pM{_JOINERS}\x{{1F3FB}}-\x{{1F3FF}}\x{{E0020}}-\x{{E007F}}])*"
)
_WORD_CHARACTER = r"[\pL\pM\pN]"

# One token of "words", alternatives in order of precedence. Each group is put between spaces; what
# no group takes (white space, control characters, stray format characters) is dropped. (?i) stands
# at letters alone: without regard to case \pM holds the Greek iota, for U+0345 COMBINING IOTA.
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

# One token of "chinese_characters". Most of the other runs need no match, since the tokens beside
# them bring the spaces: runs with a format character alone, which would be dropped otherwise.
# Without a format character the search for one must end soon: before U+20E3 of a keycap, too.
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

# Characters of scripts that put no spaces between words: Han, Hiragana, Katakana; and Thai, Lao,
# Tibetan, Myanmar, Khmer, whose words (in Tibetan, syllables) take more characters.
_EAST_ASIAN = (
    "\u2e80-\u2fdf\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff"
)
_SOUTHEAST_ASIAN = "\u0e01-\u0fbc\u1000-\u109f\u1780-\u17dd\ua9e0-\ua9fe\uaa60-\uaa7f"
_UNSPACED = re.compile(f"[{_EAST_ASIAN}{_SOUTHEAST_ASIAN}]")
_UNSPACED_RUN = re.compile(f"[{_EAST_ASIAN}]{{5,}}|[{_SOUTHEAST_ASIAN}]{{8,}}")
_UNSPACED_RUN_BYTES = 15  # of the shortest run, 5 characters of 3 bytes


@keras.saving.register_keras_serializable(package="elmo_keras")
class Tokenizer(TextLayer):
    """Sentences to tokens, inside the graph.

    Published ELMo models were trained on text with Penn Treebank tokens, and the default, made of
    core TensorFlow ops alone, comes near them: punctuation apart, `do n't` and `it 's` in two,
    numbers and hyphenated words whole. It is not the Treebank tokenizer: where a checkpoint's own
    tokens matter, tokenise outside and pass token lists.

    Invisible characters and emoji follow Unicode's rules for word boundaries
    (https://www.unicode.org/reports/tr29/, rules WB3c, WB4, WB15 and WB16) in `"words"` and
    `"chinese_characters"`:

    - Marks, U+200C ZERO WIDTH NON-JOINER and U+200D ZERO WIDTH JOINER belong to the character
      before them. A Persian, Hindi, Sinhala or Malayalam word that contains them is one token.
    - Other format characters, such as U+00AD SOFT HYPHEN and U+2060 WORD JOINER, stay between two
      letters, digits or marks, and are dropped elsewhere. U+200B ZERO WIDTH SPACE is white space.
    - An emoji is one token: a symbol with its variation selector, skin tone or tags, a sequence of
      symbols joined by U+200D, a flag (two regional indicators), or a keycap (`#`, `*` or a digit
      with U+20E3). Emoji that nothing joins are tokens of their own.

    `split`, and a call outside of a graph, warn once per tokenizer if `"words"` or
    `"unicode_script"` reads text without spaces, such as Chinese or Thai, as one long token.

    Args:
        method: str. How to split. Defaults to `"words"`.
            - `"words"`: as above; core TensorFlow ops, so a SavedModel loads anywhere.
            - `"whitespace"`: at white space alone, for text that is tokenised already.
            - `"unicode_script"`: tensorflow-text's `UnicodeScriptTokenizer`, at changes of script
              and at punctuation. A SavedModel with it needs tensorflow-text.
            - `"chinese_characters"`: every Chinese character, punctuation mark and symbol is a
              token, the rest is split at white space; core TensorFlow ops.
        lowercase: bool. Whether to lowercase first. Published models are cased. Defaults to
            `False`.
        max_tokens: int or `None`. Tokens kept of a sentence; the rest is cut off. Defaults to
            `None`, all of them.
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

    def __init__(self, method="words", lowercase=False, max_tokens=None, **kwargs):
        super().__init__(**kwargs)
        if method not in self.METHODS:
            raise ValueError(f"`method` must be one of {self.METHODS}. Received: method={method!r}")
        if max_tokens is not None and (not isinstance(max_tokens, int) or max_tokens < 1):
            raise ValueError(
                "`max_tokens` must be a positive int, or None to keep all tokens. "
                f"Received: max_tokens={max_tokens!r}"
            )
        if not isinstance(lowercase, bool):
            raise ValueError(f"`lowercase` must be a bool. Received: lowercase={lowercase!r}")
        self.method = method
        self.lowercase = lowercase
        self.max_tokens = max_tokens
        self._has_warned = False

    @property
    def needs_tensorflow_text(self):
        """Whether the graph holds ops that only tensorflow-text registers."""
        return self.method == "unicode_script"

    def call(self, sentences):
        self.check_text(sentences, rank=1, form="sentences of shape (batch,), dtype string")
        tokens = self._split(sentences)
        if tf.executing_eagerly():
            self._warn_of_unspaced_text(tokens.flat_values.numpy(), tokens.row_splits.numpy())
        tokens = tokens[:, : self.max_tokens]
        return at_least_one_step(tokens.to_tensor(default_value=""))  # (batch, time)

    def _split(self, sentences):
        if self.lowercase:
            sentences = tf.strings.lower(sentences, encoding="utf-8")
        if self.method == "words":
            sentences = tf.strings.regex_replace(sentences, _WORDS, _WORDS_SPACED)
        elif self.method == "unicode_script":
            return tf_text.UnicodeScriptTokenizer().tokenize(sentences)
        elif self.method == "chinese_characters":
            sentences = tf.strings.regex_replace(sentences, _CHINESE, _CHINESE_SPACED)
        return tf.strings.split(sentences)

    def split(self, sentences):
        """The tokens of sentences, as lists of str and without padding, outside of any graph.

        Whitespace alone is split without TensorFlow.

        Args:
            sentences: list of str.

        Returns:
            list of lists of str, an empty one for a sentence without tokens.

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
            # As TensorFlow does it: at ASCII white space alone.
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

    def _warn_of_unspaced_text(self, tokens, ends):
        """Warns once if a sentence is mostly text without spaces, read as long tokens.

        Args:
            tokens: array of bytes, the tokens of all sentences.
            ends: int array. Sentence `i` has the tokens from `ends[i]` to `ends[i + 1]`.
        """
        if self._has_warned or self.method not in ("words", "unicode_script"):
            return
        for place, token in enumerate(tokens):
            if len(token) < _UNSPACED_RUN_BYTES or token.isascii():
                continue
            token = token.decode("utf-8", "replace")
            if not _UNSPACED_RUN.search(token):
                continue
            row = np.searchsorted(ends, place, side="right")
            sentence = b"".join(tokens[ends[row - 1] : ends[row]]).decode("utf-8", "replace")
            # A name in Chinese is no reason to change the tokenizer of an English text.
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

    def compute_output_shape(self, input_shape):
        return (input_shape[0], None)

    def compute_output_spec(self, sentences):
        return keras.KerasTensor(self.compute_output_shape(sentences.shape), dtype="string")

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "method": self.method,
                "lowercase": self.lowercase,
                "max_tokens": self.max_tokens,
            }
        )
        return config
