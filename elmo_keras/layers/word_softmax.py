"""The softmax over the words of a language model, full or sampled."""

from typing import Any

import keras
from keras import ops

from elmo_keras import backend


@keras.saving.register_keras_serializable(package="elmo_keras")
class WordSoftmax(keras.layers.Layer):
    """The output softmax of a language model, over all words or over a sample of words.

    ```
    logit(word) = kernel[word] . x + bias[word]
    ```

    Logits are float32 at least, whatever dtype the products are computed in.

    Args:
        num_words: int, at least 2. Number of words in the vocabulary.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Input shape:
        `(..., dim)` float.

    Output shape:
        `(..., num_words)` float, log-probabilities.

    Raises:
        ValueError: if `num_words` is not an int of at least 2.

    Example:

    >>> import elmo_keras, keras
    >>> layer = elmo_keras.layers.WordSoftmax(5)
    >>> log_probabilities = layer(keras.ops.ones((2, 3)))
    >>> print(keras.ops.round(keras.ops.sum(keras.ops.exp(log_probabilities), axis=-1), 3).numpy())
    [1. 1.]

    References:
        - [Jozefowicz et al., 2016](https://arxiv.org/abs/1602.02410)
        - bilm-tf, `bilm/training.py`, `_build_loss`
    """

    def __init__(self, num_words: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(num_words, int) or num_words < 2:
            raise ValueError(
                f"`num_words` must be an int of at least 2. Received: {num_words!r}. Pass the size "
                "of the vocabulary."
            )
        self.num_words = num_words

    def build(self, input_shape: Any) -> None:
        dim = input_shape[-1]
        self.kernel = self.add_weight(
            shape=(self.num_words, dim),
            initializer=keras.initializers.RandomNormal(stddev=dim**-0.5),
            name="kernel",
        )
        self.bias = self.add_weight(shape=(self.num_words,), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        return ops.log_softmax(self.logits(inputs), axis=-1)

    def logits(self, inputs: Any) -> Any:
        """Computes the logits of all words.

        Args:
            inputs: `(..., dim)` float.

        Returns:
            `(..., num_words)` float, float32 at least.
        """
        return self._cast(ops.matmul(inputs, ops.transpose(self.kernel))) + self._bias()

    def sampled_loss(
        self,
        inputs: Any,
        targets: Any,
        log_expected: Any,
        negatives: Any,
        negatives_log_expected: Any,
    ) -> Any:
        """Computes the sampled softmax loss.

        It is the negative log-probability of each target among the target and a sample of words.
        The logits are corrected by the expected count of each word in the sample. A target that is
        in the sample counts once.

        Args:
            inputs: `(rows, dim)` float.
            targets: `(rows,)` int, indices of words.
            log_expected: `(rows,)` float, the logarithm of each target's expected count in the
                sample.
            negatives: `(sample,)` int, the indices of the words of the sample, all different.
            negatives_log_expected: `(sample,)` float, the logarithm of each negative's expected
                count in the sample.

        Returns:
            `(rows,)` float, the loss of each target.

        References:
            - [Jean et al., 2015](https://arxiv.org/abs/1412.2007)
        """
        inputs = ops.cast(inputs, self.compute_dtype)
        targets, negatives, log_expected, negatives_log_expected = map(
            ops.convert_to_tensor, (targets, negatives, log_expected, negatives_log_expected)
        )
        true = self._true_logits(inputs, targets) - log_expected
        rest = log_sum_exp(
            inputs,
            ops.cast(backend.take_rows(self.kernel, negatives), self.compute_dtype),
            self._cast(backend.take_rows(self.bias, negatives)) - negatives_log_expected,
        )
        ones = ops.ones_like(negatives)
        is_sampled = ops.take(ops.scatter(negatives[:, None], ones, (self.num_words,)), targets)
        # The sum already contains a target that is in the sample.
        return ops.where(is_sampled > 0, rest, ops.logaddexp(rest, true)) - true

    def full_loss(self, inputs: Any, targets: Any) -> Any:
        """Computes the negative log-probability of each target among all words.

        Args:
            inputs: `(rows, dim)` float.
            targets: `(rows,)` int, indices of words.

        Returns:
            `(rows,)` float, the loss of each target.
        """
        inputs = ops.cast(inputs, self.compute_dtype)
        with backend.gradients_of(self):
            rest = log_sum_exp(inputs, self._kernel(), self._bias())
        return rest - self._true_logits(inputs, targets)

    def _true_logits(self, inputs: Any, targets: Any) -> Any:
        rows = backend.take_rows(self.kernel, targets)  # (rows, dim)
        rows = ops.cast(rows, self.compute_dtype)
        products = ops.sum(self._cast(inputs) * self._cast(rows), axis=-1)
        return products + self._cast(backend.take_rows(self.bias, targets))

    def _cast(self, x: Any) -> Any:
        """Casts to float32, or float64 for float64 input; converts a Variable to a tensor."""
        is_double = keras.backend.standardize_dtype(x.dtype) == "float64"
        return ops.cast(x, "float64" if is_double else "float32")

    def _kernel(self) -> Any:
        return ops.cast(self.kernel, self.compute_dtype)

    def _bias(self) -> Any:
        return self._cast(self.bias)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.num_words)

    def compute_output_spec(self, inputs: Any) -> Any:
        dtype = "float64" if self.compute_dtype == "float64" else "float32"
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update({"num_words": self.num_words})
        return config


@ops.custom_gradient
def log_sum_exp(x: Any, kernel: Any, bias: Any) -> Any:
    """Computes the logarithm of the sum over all words of `exp(kernel[word] . x + bias[word])`.

    The hand-written gradient scales the small factors of its products by the weight of each row,
    instead of the `(rows, words)` exponentials.

    Args:
        x: `(rows, dim)` float.
        kernel: `(words, dim)` float, of the dtype of `x`.
        bias: `(words,)` float, float32 at least.

    Returns:
        `(rows,)` float, of the dtype of `bias`.
    """
    logits = ops.cast(ops.matmul(x, ops.transpose(kernel)), bias.dtype) + bias
    highest = ops.max(logits, axis=-1, keepdims=True)
    exponentials = ops.exp(logits - highest)  # (rows, words)
    total = ops.sum(exponentials, axis=-1, keepdims=True)
    exponentials = ops.cast(exponentials, x.dtype)

    def gradient(*inputs: Any, upstream: Any = None) -> tuple[Any, Any, Any]:
        # TensorFlow and JAX pass the upstream gradient by position, PyTorch passes it by name.
        arriving = inputs[0] if upstream is None else upstream
        weights = ops.cast(arriving[:, None] / total, x.dtype)  # (rows, 1)
        transposed = ops.transpose(exponentials)
        return (
            ops.matmul(exponentials, kernel) * weights,
            ops.matmul(transposed, x * weights),
            ops.cast(ops.matmul(transposed, weights)[:, 0], bias.dtype),
        )

    return ops.squeeze(highest + ops.log(total), axis=-1), gradient
