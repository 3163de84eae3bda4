import keras
from keras import ops

from elmo_keras.layers.composite import Composite
from elmo_keras.layers.sentence_boundaries import add_boundaries, token_mask
from elmo_keras.layers.word_softmax import WordSoftmax


@keras.saving.register_keras_serializable(package="elmo_keras")
class LanguageModelHead(Composite):
    """The probability of every word of a sentence, by what is before and by what is behind it.

    The forward direction predicts a word from the vector of the one before, the backward direction
    from that of the one behind; both by one softmax.

    Args:
        num_words: int. Words of the vocabulary.
        begin: int. Number of the word `<S>`, which begins a sentence. Defaults to `0`.
        end: int. Number of the word `</S>`, which ends it. Defaults to `1`.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Call arguments:
        inputs: `(batch, time + 2, 2 * dim)` float, forward direction in front: the last layer of a
            biLM, sentence boundaries among the steps.
        words: `(batch, time)` int, the numbers of the words plus one; 0 as padding on the right.

    Returns:
        `(batch, time + 2, 2)` float, for each step the logarithm of its word's probability by the
        forward and by the backward direction. 0 where there is none: the begin of a sentence has
        no forward one, its end no backward one, and padding neither.

    Example:

    >>> import elmo_keras, keras
    >>> head = elmo_keras.layers.LanguageModelHead(num_words=5)
    >>> head(keras.ops.ones((1, 4, 6)), keras.ops.array([[4, 5]])).shape
    TensorShape([1, 4, 2])

    References:
        - [Peters et al., 2018](https://arxiv.org/abs/1802.05365), section 3.1
    """

    def __init__(self, num_words, begin=0, end=1, **kwargs):
        super().__init__(**kwargs)
        if not all(isinstance(mark, int) and 0 <= mark < num_words for mark in (begin, end)):
            raise ValueError(
                f"`begin` and `end` must be numbers of words, from 0 to {num_words - 1}. "
                f"Received: begin={begin!r}, end={end!r}"
            )
        self.num_words = num_words
        self.begin, self.end = begin, end
        self.supports_masking = True

    def build(self, inputs_shape, words_shape=None):
        self.softmax = WordSoftmax(self.num_words, dtype=self.dtype_policy, name="softmax")
        self.build_part(self.softmax, (None, inputs_shape[-1] // 2))
        self.keep_frozen()

    def call(self, inputs, words):
        words, mask = add_boundaries(words, token_mask(words), self.begin + 1, self.end + 1)
        words = ops.maximum(words - 1, 0)
        forward, backward = ops.split(inputs, 2, axis=-1)  # (batch, time + 2, dim)
        forward = self._log_probabilities(forward[:, :-1], words[:, 1:])
        backward = self._log_probabilities(backward[:, 1:], words[:, :-1])
        # Of each pair of neighbours both are there, or the right one is padding.
        forward, backward = (ops.where(mask[:, 1:], x, 0) for x in (forward, backward))
        forward = ops.pad(forward, [[0, 0], [1, 0]])
        backward = ops.pad(backward, [[0, 0], [0, 1]])
        return ops.stack([forward, backward], axis=-1)

    def _log_probabilities(self, x, words):
        rows = ops.reshape(x, (-1, x.shape[-1]))
        losses = self.softmax.full_loss(rows, ops.reshape(words, (-1,)))
        return -ops.reshape(losses, ops.shape(words))

    def compute_mask(self, inputs, previous_mask=None):
        return None  # What is 0 says itself where there is no word.

    def compute_output_shape(self, inputs_shape, words_shape=None):
        return (*inputs_shape[:2], 2)

    def compute_output_spec(self, inputs, words):
        dtype = "float64" if self.compute_dtype == "float64" else "float32"
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=dtype)

    def get_config(self):
        config = super().get_config()
        config.update({"num_words": self.num_words, "begin": self.begin, "end": self.end})
        return config
