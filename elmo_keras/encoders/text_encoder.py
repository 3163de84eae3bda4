"""The base class of layers that turn text into one vector for each token."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from elmo_keras import backend
from elmo_keras.layers.composite import Composite
from elmo_keras.layers.token_encoder import ids_range_rule
from elmo_keras.text.containers import to_batch
from elmo_keras.text.conversion import is_text, pad_checked, refuse_spaces, string_tensor
from elmo_keras.text.tokenizer import Tokenizer


class TextEncoder(Composite):
    """Base class of layers that turn text into one vector for each token.

    A task model (`ElmoTextClassifier`, `ElmoTagger`) accepts every layer of this class as its
    backbone, and uses only the members below. `ElmoLayer` and `StaticEmbedding` are such layers.

    A subclass

    - sets `tokenizer`, which splits sentences, and `text_layer`, a layer of `elmo_keras.text` that
      turns tokens `(batch, time)` into ids `(batch, time, *ids_shape)`, or `None` if the layer
      accepts only ids;
    - defines `ids_shape`, the shape of one token's ids; `ids_limit`, the upper bound of the ids,
      exclusive (an int, or an int array of that shape); and `output_dim`, the size of a token
      vector;
    - starts its `call` with `ids = self.to_ids(inputs)`, returns `(batch, time, output_dim)` and
      attaches a Keras mask with a `FillPadding` layer at the end;
    - defines `numpy_ids(words)` if it can make ids without TensorFlow;
    - is registered with Keras, and returns its arguments from `get_config`, in order to be saved.
      For its sub-layers see `elmo_keras.layers.TokenEncoder`.

    If the attribute `allow_spaces` is `True`, tokens may contain white space. It is `False` by
    default.

    Example:

    >>> import elmo_keras, keras
    >>> class Counter(elmo_keras.TextEncoder):
    ...     ids_shape, ids_limit, output_dim = (), 4, 1
    ...
    ...     def __init__(self, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.tokenizer = elmo_keras.text.Tokenizer()
    ...         self.text_layer = elmo_keras.text.WordIds(["good", "bad"])
    ...         self.fill_padding = elmo_keras.layers.FillPadding()
    ...
    ...     def call(self, inputs):
    ...         ids = self.to_ids(inputs)
    ...         vectors = keras.ops.cast(ids, "float32")[..., None]
    ...         return self.fill_padding(vectors, mask=keras.ops.not_equal(ids, 0))
    >>> Counter()(["good bad", "bad"]).numpy().tolist()
    [[[1.0], [2.0]], [[2.0], [0.0]]]
    """

    allow_spaces = False
    # An ElmoLayer may have other values; task models need these, see `check_single_output`.
    num_representations = 1
    keep_boundaries = False
    # No values here: on torch, a class attribute would hide the layer of that name.
    tokenizer: Tokenizer
    text_layer: Any  # a Keras layer, or None
    # Whether each part has a fixed name: the parts are then built with the weights of a preset.
    has_named_parts = False
    # Names of the constructor arguments that are layers, serialized in the config.
    config_parts: tuple[str, ...] = ()

    @property
    def ids_shape(self) -> tuple[int, ...]:
        """Shape of one token's ids."""
        raise self._missing("ids_shape")

    @property
    def ids_limit(self) -> Any:
        """Upper bound of the ids, exclusive: an int, or an int array of shape `ids_shape`."""
        raise self._missing("ids_limit")

    @property
    def output_dim(self) -> int:
        """Size of a token's vector."""
        raise self._missing("output_dim")

    @property
    def range_rule(self) -> str:
        """The sentence that states the range of the ids, for errors."""
        return ids_range_rule(self.ids_limit)

    def numpy_ids(self, words: Iterable[str]) -> np.ndarray:
        """Returns the ids of words as a numpy array, without TensorFlow.

        Args:
            words: iterable of str.

        Returns:
            `(len(words), *ids_shape)` int32, one row for each word.

        Raises:
            ValueError: if `words` is a bare str, if an item is not text, or if the layer accepts
                only ids.
            TypeError: if the class does not define this method.
        """
        raise self._missing("numpy_ids()")

    def padded_ids(self, rows: Sequence[Sequence[str]], time: int | None = None) -> np.ndarray:
        """Returns the ids of token lists as a numpy array, without TensorFlow if it is possible.

        They are the ids of `numpy_ids` or, if the class does not define it, of `to_ids`.

        Args:
            rows: token lists, whose tokens are valid str.
            time: int. Time steps of the result, at least the length of the longest row. Defaults to
                `None`: that length, at least 1.

        Returns:
            `(len(rows), time, *ids_shape)` int32, zeros as padding.

        Raises:
            ValueError: if the layer accepts only ids.
        """
        lengths = np.array([len(row) for row in rows], int)
        time = int(max([1, *lengths])) if time is None else time
        padded = np.zeros((len(rows), time, *self.ids_shape), "int32")
        if not self._defines_numpy_ids():
            ids = self.to_ids(pad_checked(rows)).numpy()
            padded[:, : ids.shape[1]] = ids
        else:
            is_token = np.arange(time) < lengths[:, np.newaxis]
            padded[is_token] = self.numpy_ids([token for row in rows for token in row])
        return padded

    def _defines_numpy_ids(self) -> bool:
        return type(self).numpy_ids is not TextEncoder.numpy_ids

    def check_single_output(self) -> None:
        """Raises a ValueError unless the layer outputs one vector for each token of the text."""

    # === Presets ===

    def preset_weights(self) -> dict[str, keras.Variable]:
        """Returns the weights of the built layer by their names in a preset.

        The names contain the index of the weight, because Keras may name the same layers
        differently in another process.
        """
        return {f"{place}/{weight.name}": weight for place, weight in enumerate(self.weights)}

    def zero_weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Returns the shapes, by path, of weights that `build` sets to zero before loading."""
        return {}

    @classmethod
    def replaced_weights(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns prefixes of the paths of weights that may differ from those of a preset.

        Args:
            options: constructor arguments that replace the saved ones, by name.
        """
        return ()

    # === Inputs ===

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = self._to_tensor(inputs)
        if _is_string(inputs):
            if isinstance(inputs, keras.KerasTensor):
                self._check_model_input(inputs)
            if keras.backend.backend() == "tensorflow":
                # XLA cannot compile strings. Keras then compiles no model that contains the layer.
                self.supports_jit = False
            else:
                inputs = self._ids_of_text(inputs).numpy()
        return super().__call__(inputs, *args, **kwargs)

    def _to_tensor(self, inputs: Any) -> Any:
        """Converts text or ids in any container to a tensor or array of one of the three forms."""
        inputs = to_batch(inputs)
        if is_text(inputs):
            inputs = string_tensor(inputs)
        elif isinstance(inputs, (list, tuple)):
            array: Any = np.asarray(inputs)
            inputs = array
        if not hasattr(inputs, "dtype") or not hasattr(inputs, "shape"):
            raise self._form_error(type(inputs).__name__)
        if hasattr(inputs, "ragged_rank") and not isinstance(inputs, keras.KerasTensor):
            inputs = inputs.to_tensor()  # `""` or 0 as padding
        self._check_form(inputs)
        return inputs

    def _check_model_input(self, inputs: Any) -> None:
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
        if backend.number_of_replicas() > 1:
            ids = ", ".join(["None", *map(str, self.ids_shape)])
            raise ValueError(
                "A Keras model under a tf.distribute strategy cannot start at strings: `fit` "
                "cannot add up strings over replicas. Received: a string input in the scope of a "
                f"strategy. Start the model at ids, keras.Input(({ids}), dtype='int32'), and make "
                "them in tf.data: `dataset.map(lambda x, y: (layer.to_ids(x), y))`. The task "
                "models of elmo_keras do so themselves."
            )

    def to_ids(self, inputs: Any) -> Any:
        """Converts sentences or tokens to ids, for models and datasets that start at ids.

        Text needs TensorFlow, on every backend. The method runs eagerly and in `tf.data`.

        Args:
            inputs: string tensor, `(batch,)` sentences or `(batch, time)` tokens with `""` as
                padding; a list of str or of lists of str; or ids, which are only cast to int32.

        Returns:
            `(batch, time, *ids_shape)` int32, zeros as padding; a TensorFlow tensor for text.

        Raises:
            ValueError: if a token contains white space and the layer does not allow it, or if the
                layer accepts only ids.

        Example:

        >>> import elmo_keras
        >>> elmo = elmo_keras.ElmoLayer.from_preset("elmo_mini_en")
        >>> elmo.to_ids(["The cat sat.", "Yes!"]).shape
        TensorShape([2, 4, 50])
        """
        return self._ids_of(self._to_tensor(inputs))

    def _ids_of(self, inputs: Any) -> Any:
        """Returns the ids of a tensor whose form `__call__` has checked."""
        return self._ids_of_text(inputs) if _is_string(inputs) else ops.cast(inputs, "int32")

    def _ids_of_text(self, text: Any) -> Any:
        """Returns the ids of a string tensor of sentences or tokens."""
        if len(text.shape) == 1:
            tokens = self.tokenizer(text)
        else:
            tokens = text if self.allow_spaces else self._refuse_spaces(text)
        return self._look_up(tokens)

    def _refuse_spaces(self, tokens: Any) -> Any:
        return refuse_spaces(tokens)

    def _look_up(self, tokens: Any) -> Any:
        if self.text_layer is None:
            raise ValueError(
                f"This {type(self).__name__} accepts only ids: it cannot convert text to ids. "
                "Received: strings. Pass ids, or load a model that reads words with its "
                "`vocabulary`."
            )
        return self.text_layer(tokens)

    def _check_form(self, inputs: Any) -> None:
        """Raises a ValueError unless a tensor is sentences, tokens or ids."""
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

    def _missing(self, member: str) -> TypeError:
        return TypeError(f"A TextEncoder must define `{member}`; {type(self).__name__} does not.")

    def _form_error(self, received: str) -> ValueError:
        """Creates the error that states the three forms of input."""
        ids = ", ".join(["batch", "time", *map(str, self.ids_shape)])
        return ValueError(
            f"{type(self).__name__} needs sentences of shape (batch,) or tokens of shape (batch, "
            f"time), dtype string, or ids of shape ({ids}), dtype int32. Received: {received}. "
            "A model's input of sentences is keras.Input((), dtype='string')."
        )


def check_bool(name: str, value: Any) -> None:
    """Raises a ValueError unless an argument is a bool.

    Args:
        name: name of the argument, for the error.
        value: value of the argument.
    """
    if not isinstance(value, bool):
        raise ValueError(
            f"`{name}` must be a bool. Received: {name}={value!r}. Pass True or False."
        )


def _is_string(inputs: Any) -> bool:
    return keras.backend.standardize_dtype(inputs.dtype) == "string"
