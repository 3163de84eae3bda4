import numpy as np
from keras import ops

from elmo_keras import kernels
from elmo_keras.layers.composite import Composite


class TokenEncoder(Composite):
    """What `ElmoLayer` asks of its front end: token ids in, one vector a token out.

    A front end is three things that belong together, and a subclass brings all three:

    - `call(ids)`: `(batch, time, ...)` integers to `(batch, time, output_dim)` vectors. A token
      whose ids are all 0 is padding, whatever comes out for it.
    - `boundary_ids()`: the ids of the begin and of the end of a sentence, which `ElmoLayer` puts
      around the tokens.
    - `text_layer()`: a new layer of `elmo_keras.text` that turns a token matrix `(batch, time)` of
      strings into these ids, or `None` if the front end takes ids alone.

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

    def compute_output_shape(self, input_shape):
        return (*input_shape[:2], self.output_dim)

    def check_range(self, ids):
        """An error unless ids are in their range, as far as values can be looked at."""
        limit = ops.convert_to_tensor(self.ids_limit, dtype=ids.dtype)
        kernels.require(
            ops.all(ops.logical_and(ids >= 0, ids < limit)),
            f"{self.range_rule} Received ids outside of it: make them with the token encoder's "
            "`text_layer()`.",
        )

    @property
    def range_rule(self):
        """The sentence that says which ids there are."""
        # Words and characters, in one row of ids, have limits of their own.
        limits = dict.fromkeys(np.ravel(self.ids_limit).tolist())
        return f"Ids must be in {' and '.join(f'[0, {limit})' for limit in limits)}."

    def _missing(self, member):
        return TypeError(f"A TokenEncoder must define `{member}`; {type(self).__name__} does not.")
