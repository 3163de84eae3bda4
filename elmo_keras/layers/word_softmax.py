import keras
from keras import ops

from elmo_keras import backend


@keras.saving.register_keras_serializable(package="elmo_keras")
class WordSoftmax(keras.layers.Layer):
    """The softmax over words at the end of a language model, full or sampled.

    ```
    logit(word) = kernel[word] . x + bias[word]
    ```

    Logits are float32 at least, whatever the type of the products.

    Args:
        num_words: int. Words of the vocabulary.
        **kwargs: Layer keyword arguments, like `name` and `dtype`.

    Input shape:
        `(..., dim)` float.

    Output shape:
        `(..., num_words)` float, the logarithms of probabilities.

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

    def __init__(self, num_words, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(num_words, int) or num_words < 2:
            raise ValueError(f"`num_words` must be an int of at least 2. Received: {num_words!r}")
        self.num_words = num_words

    def build(self, input_shape):
        dim = input_shape[-1]
        self.kernel = self.add_weight(
            shape=(self.num_words, dim),
            initializer=keras.initializers.RandomNormal(stddev=dim**-0.5),
            name="kernel",
        )
        self.bias = self.add_weight(shape=(self.num_words,), initializer="zeros", name="bias")

    def call(self, inputs):
        return ops.log_softmax(self.logits(inputs), axis=-1)

    def logits(self, inputs):
        """`(..., num_words)`, float32 at least."""
        return self._cast(ops.matmul(inputs, ops.transpose(self.kernel))) + self._bias()

    def sampled_loss(self, inputs, targets, log_expected, negatives, negatives_log_expected):
        """The negative log-probability of each target among itself and a sample of words.

        The logits are corrected by how often each word was to be expected in the sample. A target
        that is in the sample counts once.

        Args:
            inputs: `(rows, dim)` float.
            targets: `(rows,)` int, numbers of words.
            log_expected: `(rows,)` float, the logarithm of how often each target was to be
                expected in the sample.
            negatives: `(sample,)` int, numbers of different words.
            negatives_log_expected: `(sample,)` float, of these.

        Returns:
            `(rows,)` float.

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
        # A target that is in the sample is in the sum already.
        return ops.where(is_sampled > 0, rest, ops.logaddexp(rest, true)) - true

    def full_loss(self, inputs, targets):
        """The negative log-probability of each target among all words.

        Args:
            inputs: `(rows, dim)` float.
            targets: `(rows,)` int, numbers of words.

        Returns:
            `(rows,)` float.
        """
        inputs = ops.cast(inputs, self.compute_dtype)
        with backend.gradients_of(self):
            rest = log_sum_exp(inputs, self._kernel(), self._bias())
        return rest - self._true_logits(inputs, targets)

    def _true_logits(self, inputs, targets):
        rows = backend.take_rows(self.kernel, targets)  # (rows, dim)
        rows = ops.cast(rows, self.compute_dtype)
        products = ops.sum(self._cast(inputs) * self._cast(rows), axis=-1)
        return products + self._cast(backend.take_rows(self.bias, targets))

    def _cast(self, x):
        is_double = keras.backend.standardize_dtype(x.dtype) == "float64"
        return ops.cast(x, "float64" if is_double else "float32")  # of a Variable, a tensor

    def _kernel(self):
        return ops.cast(self.kernel, self.compute_dtype)

    def _bias(self):
        return self._cast(self.bias)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.num_words)

    def compute_output_spec(self, inputs):
        dtype = "float64" if self.compute_dtype == "float64" else "float32"
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=dtype)

    def get_config(self):
        config = super().get_config()
        config.update({"num_words": self.num_words})
        return config


@ops.custom_gradient
def log_sum_exp(x, kernel, bias):
    """`(rows,)`, the logarithm of the sum over all words of `exp(kernel[word] . x + bias[word])`.

    The gradient is written by hand: it scales the small factors of its products by what each row
    counts, and leaves the `(rows, words)` exponentials as they are.

    Args:
        x: `(rows, dim)` float.
        kernel: `(words, dim)` float, of the type of `x`.
        bias: `(words,)` float, float32 at least.
    """
    logits = ops.cast(ops.matmul(x, ops.transpose(kernel)), bias.dtype) + bias
    highest = ops.max(logits, axis=-1, keepdims=True)
    exponentials = ops.exp(logits - highest)  # (rows, words)
    total = ops.sum(exponentials, axis=-1, keepdims=True)
    exponentials = ops.cast(exponentials, x.dtype)

    def gradient(*inputs, upstream=None):
        # TensorFlow and JAX give what arrives as the one argument, PyTorch by name.
        arriving = inputs[0] if upstream is None else upstream
        weights = ops.cast(arriving[:, None] / total, x.dtype)  # (rows, 1)
        transposed = ops.transpose(exponentials)
        return (
            ops.matmul(exponentials, kernel) * weights,
            ops.matmul(transposed, x * weights),
            ops.cast(ops.matmul(transposed, weights)[:, 0], bias.dtype),
        )

    return ops.squeeze(highest + ops.log(total), axis=-1), gradient
