import numpy as np
import pytest
from keras import ops

from elmo_keras.layers.sentence_boundaries import add_boundaries, token_mask
from tests.small_models import to_numpy

IDS = np.array([[5, 6], [7, 0], [0, 0]], "int32")
MASK = np.array([[True, True], [True, False], [False, False]])


def test_a_token_is_padding_if_all_its_ids_are_zero():
    np.testing.assert_array_equal(to_numpy(token_mask(ops.convert_to_tensor(IDS))), MASK)
    characters = np.stack([np.zeros_like(IDS), IDS], axis=-1)  # (batch, time, characters)
    np.testing.assert_array_equal(to_numpy(token_mask(ops.convert_to_tensor(characters))), MASK)


@pytest.mark.parametrize("characters", [(), (3,)], ids=["words", "characters"])
def test_boundaries_by_hand(characters):
    def repeated(ids):
        ids = np.array(ids, "int32")
        return np.broadcast_to(
            ids.reshape(ids.shape + (1,) * len(characters)), ids.shape + characters
        )

    ids, mask = add_boundaries(
        ops.convert_to_tensor(repeated(IDS)),
        ops.convert_to_tensor(MASK),
        repeated(1),
        repeated(2),
    )
    expected = [[1, 5, 6, 2], [1, 7, 2, 0], [1, 2, 0, 0]]
    np.testing.assert_array_equal(to_numpy(ids), repeated(expected))
    np.testing.assert_array_equal(to_numpy(mask), np.array(expected) != 0)
