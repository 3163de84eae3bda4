import keras

from elmo_keras._optional import tensorflow as tf
from elmo_keras._optional import tensorflow_text as tf_text
from elmo_keras.text.strings import clean
from elmo_keras.text.text_layer import TextLayer, at_least_one_step

# One token of the default tokenizer, alternatives in order of precedence. Each group is put
# between spaces; what no group takes (white space, control characters) is dropped.
_TOKEN = (
    r"(?i)"
    r"(\p{L}*?)(n['’]t)\b"  # 1, 2: do n't
    r"|(['’](?:s|m|d|ll|re|ve)\b)"  # 3: 's
    r"|(\p{N}+(?:[.,:]\p{N}+)+"  # 4: 3.14, 1,000, 10:30,
    r"|[\p{L}\p{M}\p{N}]+(?:[-_][\p{L}\p{M}\p{N}]+)*"  # word, well-known,
    r"|\.{2,}"  # ...
    r"|[^\p{Z}\p{C}])"  # any other visible character
    r"|[\p{Z}\p{C}]"
)
_SPACED = r" \1 \2 \3 \4 "

# Where "chinese_characters" splits, and which of these places are tokens themselves.
_CHINESE_KEPT_DELIMITER = r"\p{Han}|\p{P}|\p{S}"
_CHINESE_DELIMITER = rf"[\p{{Z}}\p{{C}}]+|{_CHINESE_KEPT_DELIMITER}"


@keras.saving.register_keras_serializable(package="elmo_keras")
class Tokenizer(TextLayer):
    """Sentences to tokens, inside the graph.

    Published ELMo models were trained on text with Penn Treebank tokens, and the default, made of
    core TensorFlow ops alone, comes near them: punctuation apart, `do n't` and `it 's` in two,
    numbers and hyphenated words whole. It is not the Treebank tokenizer: where a checkpoint's own
    tokens matter, tokenise outside and pass token lists.

    Args:
        method: str. How to split. Defaults to `"words"`.
            - `"words"`: as above; core TensorFlow ops, so a SavedModel loads anywhere.
            - `"whitespace"`: at white space alone, for text that is tokenised already.
            - `"unicode_script"`: tensorflow-text's `UnicodeScriptTokenizer`, at changes of script
              and at punctuation.
            - `"chinese_characters"`: tensorflow-text's `regex_split`: every Chinese character,
              punctuation mark and symbol is a token, the rest is split at white space.
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

    @property
    def needs_tensorflow_text(self):
        """Whether the graph holds ops that only tensorflow-text registers."""
        return self.method in ("unicode_script", "chinese_characters")

    def call(self, sentences):
        self.check_text(sentences, rank=1, form="sentences of shape (batch,), dtype string")
        tokens = self._split(sentences)[:, : self.max_tokens]
        return at_least_one_step(tokens.to_tensor(default_value=""))  # (batch, time)

    def _split(self, sentences):
        if self.lowercase:
            sentences = tf.strings.lower(sentences, encoding="utf-8")
        if self.method == "words":
            sentences = tf.strings.regex_replace(sentences, _TOKEN, _SPACED)
        elif self.method == "unicode_script":
            return tf_text.UnicodeScriptTokenizer().tokenize(sentences)
        elif self.method == "chinese_characters":
            return tf_text.regex_split(sentences, _CHINESE_DELIMITER, _CHINESE_KEPT_DELIMITER)
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
        sentences = [clean(sentence) for sentence in sentences]
        if self.method == "whitespace" and not self.lowercase:
            # As TensorFlow does it: at ASCII white space alone.
            rows = [
                (sentence.encode() if isinstance(sentence, str) else sentence).split()
                for sentence in sentences
            ]
        else:
            ragged = self._split(tf.constant(sentences, "string", shape=(len(sentences),)))
            tokens, ends = ragged.flat_values.numpy(), ragged.row_splits.numpy()
            rows = [tokens[start:end] for start, end in zip(ends, ends[1:])]
        rows = [row[: self.max_tokens] for row in rows]
        return [[token.decode("utf-8", "replace") for token in row] for row in rows]

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
