import numpy as np
from keras import ops

from elmo_keras.layers.cached_token_encoder import CachedTokenEncoder
from tests import small_models
from tests.small_models import to_numpy


def test_cached_and_other_words_have_the_vectors_of_the_encoder():
    encoder = small_models.char_cnn()
    ids = small_models.ids((5, 3, 0, 1))
    ids[3, 0] = ids[0, 0]  # a word that is repeated
    expected = to_numpy(encoder(ids))
    cached = CachedTokenEncoder(encoder, np.concatenate([ids[0, :3], ids[0, :1], ids[2, :1]]))
    assert cached.size == 4  # three words and padding
    actual = to_numpy(cached(ops.convert_to_tensor(ids)))
    np.testing.assert_allclose(actual, expected, atol=1e-6)
