from collections.abc import Iterable

import numpy as np
from keras import ops

from elmo_keras import backend
from elmo_keras.layers.composite import Composite


class TokenEncoder(Composite):
    """The front end of an `ElmoLayer`: token ids in, one vector a token out.

    A subclass defines these members, which belong together:

    - `call(ids)`: `(batch, time, ...)` integers to `(batch, time, output_dim)` vectors. A token
      whose ids are all 0 is padding, whatever comes out for it.
    - `boundary_ids()`: the ids of the begin and of the end of a sentence, which `ElmoLayer` puts
      around the tokens.
    - `text_layer()`: a new layer of `elmo_keras.text` that turns a token matrix `(batch, time)` of
      strings into these ids, or `None` if the front end takes ids alone.
    - `numpy_ids(words)`: the same ids as an int32 numpy array, made without TensorFlow. Language
      models need it: `BidirectionalLanguageModel` and pretraining.
    - `encode(ids)`: the vectors of distinct words, for pretraining. The base class calls the layer;
      a subclass may omit the checks and the search for repeated words.

    `ids_shape` is the shape of one token's ids, `ids_limit` what all of them are below (an int, or
    an int array of that shape), and `output_dim` the size of its vector. `CharCNN` is the front
    end of the published models.
    """

    @property
    def ids_shape(self):
        raise self._missing("ids_shape")

    @property
    def ids_limit(self):
        raise self._missing("ids_limit")

    @property
    def output_dim(self):
        raise self._missing("output_dim")

    def boundary_ids(self):
        raise self._missing("boundary_ids()")

    def text_layer(self):
        return None

    def numpy_ids(self, words: Iterable[str]) -> np.ndarray:
        """The ids of words, as `text_layer()` makes them, in numpy and without TensorFlow.

        Args:
            words: iterable of str. bytes are read as UTF-8.

        Returns:
            `(len(words), *ids_shape)` int32, one row a word. The row of an empty word, which is
            padding, is zeros.

        Raises:
            ValueError: if `words` is a bare str, if one of them is not text, or if the front end
                takes ids alone.
            TypeError: if the class does not define this member.
        """
        raise self._missing("numpy_ids()")

    def encode(self, ids):
        """The vectors of words that are different already.

        Args:
            ids: `(words, *ids_shape)` int, at least one word. Rows of zeros are padding.

        Returns:
            `(words, output_dim)` float.
        """
        return self(ops.expand_dims(ids, 0))[0]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:2], self.output_dim)

    def check_range(self, ids):
        """An error unless ids are in their range, as far as values can be looked at."""
        limit = ops.convert_to_tensor(self.ids_limit, dtype=ids.dtype)
        backend.require(
            ops.all(ops.logical_and(ids >= 0, ids < limit)),
            f"{self.range_rule} Received ids outside of it: make them with the token encoder's "
            "`numpy_ids(words)`.",
        )

    @property
    def range_rule(self):
        """The sentence that says which ids there are."""
        # Words and characters, in one row of ids, have limits of their own.
        limits = dict.fromkeys(np.ravel(self.ids_limit).tolist())
        return f"Ids must be in {' and '.join(f'[0, {limit})' for limit in limits)}."

    def _missing(self, member):
        return TypeError(f"A TokenEncoder must define `{member}`; {type(self).__name__} does not.")
