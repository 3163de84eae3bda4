import keras

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

    def check_form(self, inputs):
        """Raises a ValueError unless a tensor is sentences, tokens or ids; returns its rank."""
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        shape = tuple(inputs.shape)
        if dtype == "string":
            is_known = len(shape) in (1, 2)
        else:
            is_known = (
                dtype.startswith(("int", "uint"))
                and len(shape) == 2 + len(self.ids_shape)
                and all(size in (None, own) for size, own in zip(shape[2:], self.ids_shape))
            )
        if not is_known:
            raise self.form_error(f"dtype={dtype}, shape={shape}")
        return len(shape)

    def form_error(self, received):
        """The ValueError that names the forms of input."""
        ids = ", ".join(["batch", "time", *map(str, self.ids_shape)])
        return ValueError(
            "ELMo needs sentences of shape (batch,) or tokens of shape (batch, time), dtype string,"
            f" or ids of shape ({ids}), dtype int32. Received: {received}. Write a model's input "
            "as keras.Input((), dtype='string'), for example."
        )

    def _missing(self, member):
        return TypeError(f"A TokenEncoder must define `{member}`; {type(self).__name__} does not.")
