"""Sizes of biLMs, and the memory that training them takes."""

from typing import NamedTuple

from elmo_keras.encoders.elmo_layer import ElmoLayer
from elmo_keras.layers.bilstm_stack import BiLSTMStack
from elmo_keras.layers.char_cnn import PUBLISHED_FILTERS, CharCNN

_MINI_FILTERS = ((1, 16), (2, 32), (3, 64), (4, 128))


class Size(NamedTuple):
    """What a biLM is made of.

    Attributes:
        units: int. Cells of an LSTM.
        projection_dim: int. Half of a token's vector.
        filters: `(width, number)` of the character CNN.
        num_highways: int.
    """

    units: int
    projection_dim: int
    filters: tuple
    num_highways: int


SIZES = {
    "mini": Size(512, 128, _MINI_FILTERS, 1),
    "small": Size(1024, 128, PUBLISHED_FILTERS, 1),
    "medium": Size(2048, 256, PUBLISHED_FILTERS, 1),
    "original": Size(4096, 512, PUBLISHED_FILTERS, 2),
}


def elmo_of_size(size: Size, max_characters=50, **options) -> ElmoLayer:
    """A new ElmoLayer, of random weights.

    Args:
        size: one of `SIZES`, or another `Size`.
        max_characters: int. Ids of a word. Defaults to `50`.
        **options: arguments of `ElmoLayer`, like `dtype` and `tokenizer`.
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


def parameters_of(size: Size, num_words: int, num_layers: int = 2) -> int:
    """Weights of a biLM and its softmax."""
    filters = sum(number for _, number in size.filters)
    cnn = 262 * 16 + sum((16 * width + 1) * number for width, number in size.filters)
    cnn += size.num_highways * 2 * filters * (filters + 1) + (filters + 1) * size.projection_dim
    cell = (2 * size.projection_dim + 1) * 4 * size.units + size.units * size.projection_dim
    return cnn + 2 * num_layers * cell + num_words * (size.projection_dim + 1)


def training_memory(
    size: Size, num_words: int, batch_size: int = 64, window: int = 20, num_negatives: int = 2048
) -> int:
    """About how many bytes training takes, in float32 with Adam.

    What is kept of weights and of words was counted, and fitted to the resident memory of five runs
    on TensorFlow (mini and small, 30,000 and 100,000 words, batches of 16 to 256), which it met
    within a tenth. The softmax has come to take less since: it is rather too much than too little.
    """
    tokens = 2 * batch_size * window  # of both directions
    filters = sum(number for _, number in size.filters)
    # What the LSTMs keep of each step for the gradient; logits and their gradients; the character
    # CNN over words of 30 positions, half of them distinct. Not all of it is there at once.
    kept = tokens * 2 * (14 * size.units + 6 * size.projection_dim)
    kept += 4 * tokens * min(num_negatives, num_words)
    kept += tokens // 2 * 30 * (16 + 2 * filters)
    # Weights, gradients, clipped gradients, the optimizer's moments, and what it computes with.
    weights = 8 * parameters_of(size, num_words)
    programs = 890 * 2**20
    return programs + 4 * (weights + kept * 6 // 10)
