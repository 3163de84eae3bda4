"""Named sizes of biLMs, their number of weights and the memory that training needs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from elmo_keras.encoders.elmo_layer import ElmoLayer
from elmo_keras.layers.bilstm_stack import BiLSTMStack
from elmo_keras.layers.char_cnn import PUBLISHED_FILTERS, CharCNN

_MINI_FILTERS = ((1, 16), (2, 32), (3, 64), (4, 128))


class ModelSize(NamedTuple):
    """The size of a biLM.

    Attributes:
        units: int. LSTM cells per layer and direction.
        projection_dim: int. LSTM projection size, half of a token vector.
        filters: tuple of `(width, count)`, the character CNN's filters.
        num_highways: int. Highway layers of the character CNN.
    """

    units: int
    projection_dim: int
    filters: Sequence[tuple[int, int]]
    num_highways: int


MODEL_SIZES = {
    "mini": ModelSize(512, 128, _MINI_FILTERS, 1),
    "small": ModelSize(1024, 128, PUBLISHED_FILTERS, 1),
    "medium": ModelSize(2048, 256, PUBLISHED_FILTERS, 1),
    "original": ModelSize(4096, 512, PUBLISHED_FILTERS, 2),
}


def build_elmo(size: ModelSize, max_characters: int = 50, **options: Any) -> ElmoLayer:
    """Builds an ElmoLayer of the given size with random weights.

    Args:
        size: one of `MODEL_SIZES`, or another `ModelSize`.
        max_characters: int. Character ids per word. Defaults to `50`.
        **options: arguments of `ElmoLayer`, such as `dtype` and `tokenizer`.

    Returns:
        `ElmoLayer`.

    Example:

    >>> from elmo_keras.training.model_sizes import MODEL_SIZES, build_elmo
    >>> build_elmo(MODEL_SIZES["mini"]).output_dim
    256
    """
    dtype = options.get("dtype")
    encoder = CharCNN(
        filters=size.filters,
        num_highways=size.num_highways,
        projection_dim=size.projection_dim,
        max_characters=max_characters,
        dtype=dtype,
        name="token_encoder",
    )
    bilstm = BiLSTMStack(
        units=size.units, projection_dim=size.projection_dim, dtype=dtype, name="bilstm"
    )
    return ElmoLayer(encoder, bilstm, **options)


def count_parameters(size: ModelSize, num_words: int, num_layers: int = 2) -> int:
    """Counts the weights of a biLM and its softmax without building them.

    Args:
        size: `ModelSize`.
        num_words: int. Words of the softmax.
        num_layers: int. LSTM layers per direction. Defaults to `2`.
    """
    filters = sum(count for _, count in size.filters)
    cnn = 262 * 16 + sum((16 * width + 1) * count for width, count in size.filters)
    cnn += size.num_highways * 2 * filters * (filters + 1) + (filters + 1) * size.projection_dim
    cell = (2 * size.projection_dim + 1) * 4 * size.units + size.units * size.projection_dim
    return cnn + 2 * num_layers * cell + num_words * (size.projection_dim + 1)


def estimate_training_memory(
    size: ModelSize,
    num_words: int,
    batch_size: int = 64,
    window: int = 20,
    num_negatives: int = 2048,
) -> int:
    """Estimates the memory of training in float32 with Adam, in bytes.

    The formula counts weights and activations. Its constants were fitted to the resident memory of
    five TensorFlow runs (mini and small, 30,000 and 100,000 words, batch sizes 16 to 256), which it
    met within 10%. The softmax needs less memory since then, so the estimate is rather too high.

    Args:
        size: `ModelSize`.
        num_words: int. Words of the softmax.
        batch_size: int. Parallel text streams. Defaults to `64`.
        window: int. Words of a stream per step. Defaults to `20`.
        num_negatives: int. Words of the sampled softmax. Defaults to `2048`.
    """
    tokens = 2 * batch_size * window  # of both directions
    filters = sum(count for _, count in size.filters)
    # Activations of the LSTMs; logits and their gradients; the character CNN on words of 30
    # positions, half of the words distinct. They are not all in memory at the same time.
    activations = tokens * 2 * (14 * size.units + 6 * size.projection_dim)
    activations += 4 * tokens * min(num_negatives, num_words)
    activations += tokens // 2 * 30 * (16 + 2 * filters)
    # Weights, gradients, clipped gradients, Adam's moments and its temporary arrays.
    weights = 8 * count_parameters(size, num_words)
    libraries = 890 * 2**20
    return libraries + 4 * (weights + activations * 6 // 10)
