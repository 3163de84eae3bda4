import keras
import numpy as np
from keras import ops

from elmo_keras.layers.composite import Composite
from elmo_keras.text.strings import is_text, string_tensor


class TextInputs(Composite):
    """Base of the composites that take sentences, tokens or ids.

    A subclass has the attributes `tokenizer`, which splits sentences, and `text_layer`, which makes
    ids `(batch, time, *ids_shape)` of tokens; its `call` begins with `ids = self._to_ids(inputs)`.
    """

    ids_shape = ()

    def __call__(self, inputs, *args, **kwargs):
        return super().__call__(self._to_tensor(inputs), *args, **kwargs)

    def _to_tensor(self, inputs):
        """Python and numpy inputs as tensors; strings outside of TensorFlow as ids."""
        if is_text(inputs):
            inputs = string_tensor(inputs)
        elif isinstance(inputs, (list, tuple)):
            inputs = np.asarray(inputs)
        if not hasattr(inputs, "dtype") or not hasattr(inputs, "shape"):
            raise self._form_error(type(inputs).__name__)
        if keras.backend.standardize_dtype(inputs.dtype) == "string":
            self._check_form(inputs)
            if keras.backend.backend() == "tensorflow":
                # Strings cannot be compiled; one such layer un-jits the model around it.
                self.supports_jit = False
            elif isinstance(inputs, keras.KerasTensor):
                raise ValueError(
                    "Strings in a model need the TensorFlow backend. Received: a string input with "
                    f"the {keras.backend.backend()} backend. Start the model at ids."
                )
            else:
                inputs = self._to_ids(inputs).numpy()
        return inputs

    def _to_ids(self, inputs):
        """The int32 ids of a tensor of any of the forms."""
        rank = self._check_form(inputs)
        if keras.backend.standardize_dtype(inputs.dtype) == "string":
            return self._look_up(self.tokenizer(inputs) if rank == 1 else inputs)
        return ops.cast(inputs, "int32")

    def _look_up(self, tokens):
        if self.text_layer is None:
            raise ValueError(
                f"This {type(self).__name__} takes ids alone: its front end knows no way to make "
                "them of text. Received: strings. Pass ids, or load a model that reads words with "
                "its `vocabulary`."
            )
        return self.text_layer(tokens)

    def _check_form(self, inputs):
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
            raise self._form_error(f"dtype={dtype}, shape={shape}")
        return len(shape)

    def _form_error(self, received):
        """The ValueError that names the forms of input."""
        ids = ", ".join(["batch", "time", *map(str, self.ids_shape)])
        return ValueError(
            f"{type(self).__name__} needs sentences of shape (batch,) or tokens of shape (batch, "
            f"time), dtype string, or ids of shape ({ids}), dtype int32. Received: {received}. "
            "Write a model's input as keras.Input((), dtype='string'), for example."
        )
