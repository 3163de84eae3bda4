import keras
import numpy as np
from keras import ops

from elmo_keras import kernels
from elmo_keras.layers.composite import Composite
from elmo_keras.text.containers import to_batch
from elmo_keras.text.strings import is_text, refuse_spaces, string_tensor


class TextInputs(Composite):
    """Base of the composites that take sentences, tokens or ids.

    A subclass has the attributes `tokenizer`, which splits sentences, and `text_layer`, which makes
    ids `(batch, time, *ids_shape)` of tokens; its `call` begins with `ids = self.to_ids(inputs)`.
    `allow_spaces` says whether tokens may hold white space.
    """

    ids_shape = ()
    allow_spaces = False

    def __call__(self, inputs, *args, **kwargs):
        return super().__call__(self._to_tensor(inputs), *args, **kwargs)

    def _to_tensor(self, inputs):
        """Python and numpy inputs as tensors; strings outside of TensorFlow as ids."""
        inputs = to_batch(inputs)
        if is_text(inputs):
            inputs = string_tensor(inputs)
        elif isinstance(inputs, (list, tuple)):
            inputs = np.asarray(inputs)
        if not hasattr(inputs, "dtype") or not hasattr(inputs, "shape"):
            raise self._form_error(type(inputs).__name__)
        if hasattr(inputs, "ragged_rank") and not isinstance(inputs, keras.KerasTensor):
            inputs = inputs.to_tensor()  # `""` or 0 as padding
        if _is_string(inputs):
            self._check_form(inputs)
            if isinstance(inputs, keras.KerasTensor):
                self._check_model_input(inputs)
            if keras.backend.backend() == "tensorflow":
                # Strings cannot be compiled; one such layer un-jits the model around it.
                self.supports_jit = False
            else:
                inputs = self.to_ids(inputs).numpy()
        return inputs

    def _check_model_input(self, inputs):
        """Raises a ValueError for a symbolic string input that no model can be trained on."""
        if keras.backend.backend() != "tensorflow":
            raise ValueError(
                "Strings in a model need the TensorFlow backend. Received: a string input with "
                f"the {keras.backend.backend()} backend. Start the model at ids."
            )
        if tuple(inputs.shape[1:]) == (1,) and not self.allow_spaces:
            raise ValueError(
                "A model's input must be sentences, keras.Input((), dtype='string'), or tokens, "
                "keras.Input((None,), dtype='string'). Received: an input of shape (None, 1), "
                "sentences of a single token. Use shape () for sentences, and pass a flat list of "
                "them, `elmo_keras.text.to_tensor(sentences)`."
            )
        if kernels.number_of_replicas() > 1:
            ids = ", ".join(["None", *map(str, self.ids_shape)])
            raise ValueError(
                "A Keras model under a tf.distribute strategy cannot start at strings: `fit` "
                "cannot add up strings over replicas. Received: a string input in the scope of a "
                f"strategy. Start the model at ids, keras.Input(({ids}), dtype='int32'), and make "
                "them in tf.data: `dataset.map(lambda x, y: (layer.to_ids(x), y))`. The task "
                "models of elmo_keras do so themselves."
            )

    def to_ids(self, inputs):
        """Makes the ids of sentences or tokens, for models and datasets that start at ids.

        Works on any backend where TensorFlow is installed, eagerly and inside of `tf.data`.

        Args:
            inputs: string tensor, `(batch,)` sentences or `(batch, time)` tokens with `""` as
                padding; a list of str or of lists of str; or ids, which pass as they are.

        Returns:
            `(batch, time, *ids_shape)` int32, zeros as padding; of text, a TensorFlow tensor.

        Raises:
            ValueError: if a token holds white space and the layer does not allow it, or if the
                layer has no vocabulary to make ids from.

        Example:

        >>> import elmo_keras
        >>> elmo = elmo_keras.ElmoLayer.from_preset("elmo_mini_en")
        >>> elmo.to_ids(["The cat sat.", "Yes!"]).shape
        TensorShape([2, 4, 50])
        """
        inputs = to_batch(inputs)
        if is_text(inputs):
            inputs = string_tensor(inputs)
        if not hasattr(inputs, "dtype") or not hasattr(inputs, "shape"):
            raise self._form_error(type(inputs).__name__)
        rank = self._check_form(inputs)
        if not _is_string(inputs):
            return ops.cast(inputs, "int32")
        if rank == 1:
            tokens = self.tokenizer(inputs)
        else:
            tokens = inputs if self.allow_spaces else self._refuse_spaces(inputs)
        return self._look_up(tokens)

    def _refuse_spaces(self, tokens):
        return refuse_spaces(tokens)

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


def check_bool(name, value):
    """Raises a ValueError unless the argument of that name is a bool."""
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be a bool. Received: {name}={value!r}")


def _is_string(inputs):
    return keras.backend.standardize_dtype(inputs.dtype) == "string"
