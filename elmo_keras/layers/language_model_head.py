"""The output layer of a bidirectional language model."""

from typing import Any

import keras
from keras import ops

from elmo_keras.layers.composite import Composite
from elmo_keras.layers.sentence_boundaries import add_boundaries, token_mask
from elmo_keras.layers.word_softmax import WordSoftmax


@keras.saving.register_keras_serializable(package="elmo_keras")
class LanguageModelHead(Composite):
    """The log-probability of each word of a sentence, given the words before and after it.

    The forward direction predicts a word from the vector of the previous word, the backward
    direction from the vector of the next word. Both share one softmax.

    Args:
        num_words: int. Number of words in the vocabulary.
        begin: int. Index of the word `<S>`, which begins a sentence. Defaults to `0`.
        end: int. Index of the word `</S>`, which ends a sentence. Defaults to `1`.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Call arguments:
        inputs: `(batch, time + 2, 2 * dim)` float, the output of a biLM's last layer including the
            sentence boundaries; the forward direction is the first half.
        words: `(batch, time)` int, the indices of the words plus one, 0 as padding on the right.

    Returns:
        `(batch, time + 2, 2)` float, the log-probability of each step's word in the forward and
        the backward direction. It is 0 where a direction predicts nothing: at the begin of a
        sentence in the forward direction, at its end in the backward direction, and at padding.

    Raises:
        ValueError: if `begin` or `end` is not the index of a word.

    Example:

    >>> import elmo_keras, keras
    >>> head = elmo_keras.layers.LanguageModelHead(num_words=5)
    >>> head(keras.ops.ones((1, 4, 6)), keras.ops.array([[4, 5]])).shape
    TensorShape([1, 4, 2])

    References:
        - [Peters et al., 2018](https://arxiv.org/abs/1802.05365), section 3.1
    """

    def __init__(self, num_words: int, begin: int = 0, end: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not all(isinstance(mark, int) and 0 <= mark < num_words for mark in (begin, end)):
            raise ValueError(
                f"`begin` and `end` must be indices of words, from 0 to {num_words - 1}. "
                f"Received: begin={begin!r}, end={end!r}. Pass the indices of <S> and </S> in the "
                "vocabulary."
            )
        self.num_words = num_words
        self.begin, self.end = begin, end
        self.supports_masking = True

    def build(self, inputs_shape: Any, words_shape: Any = None) -> None:
        self.softmax = WordSoftmax(self.num_words, dtype=self.dtype_policy, name="softmax")
        self.build_part(self.softmax, (None, inputs_shape[-1] // 2))
        self.keep_frozen()

    def call(self, inputs: Any, words: Any) -> Any:
        words, mask = add_boundaries(words, token_mask(words), self.begin + 1, self.end + 1)
        words = ops.maximum(words - 1, 0)
        forward, backward = ops.split(inputs, 2, axis=-1)  # (batch, time + 2, dim)
        forward = self._log_probabilities(forward[:, :-1], words[:, 1:])
        backward = self._log_probabilities(backward[:, 1:], words[:, :-1])
        # Of two adjacent steps, either both are real or the right one is padding.
        forward, backward = (ops.where(mask[:, 1:], x, 0) for x in (forward, backward))
        forward = ops.pad(forward, [[0, 0], [1, 0]])
        backward = ops.pad(backward, [[0, 0], [0, 1]])
        return ops.stack([forward, backward], axis=-1)

    def _log_probabilities(self, x: Any, words: Any) -> Any:
        rows = ops.reshape(x, (-1, x.shape[-1]))
        losses = self.softmax.full_loss(rows, ops.reshape(words, (-1,)))
        return -ops.reshape(losses, ops.shape(words))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None  # Outputs are 0 where there is no word.

    def compute_output_shape(self, inputs_shape: Any, words_shape: Any = None) -> Any:
        return (*inputs_shape[:2], 2)

    def compute_output_spec(self, inputs: Any, words: Any) -> Any:
        dtype = "float64" if self.compute_dtype == "float64" else "float32"
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update({"num_words": self.num_words, "begin": self.begin, "end": self.end})
        return config
