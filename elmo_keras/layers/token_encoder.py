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

    `ids_shape` is the shape of one token's ids and `output_dim` the size of its vector. `CharCNN`
    is the front end of the published models.
    """

    @property
    def ids_shape(self):
        raise self._missing("ids_shape")

    @property
    def output_dim(self):
        raise self._missing("output_dim")

    def boundary_ids(self):
        raise self._missing("boundary_ids()")

    def text_layer(self):
        return None

    def compute_output_shape(self, input_shape):
        return (*input_shape[:2], self.output_dim)

    def _missing(self, member):
        return TypeError(f"A TokenEncoder must define `{member}`; {type(self).__name__} does not.")
