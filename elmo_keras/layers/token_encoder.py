"""The base class of front ends, which turn token ids into token vectors."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from elmo_keras import backend
from elmo_keras.layers.composite import Composite


class TokenEncoder(Composite):
    """Base class of the front ends of an `ElmoLayer`: from the ids of a token to one vector.

    `CharCNN` is the front end of the published models. A subclass defines these members:

    - `ids_shape`: tuple of int, the shape of one token's ids; `()` for one id per token.
    - `ids_limit`: int, or int array of shape `ids_shape`: the upper bound of the ids, exclusive.
      The id 0 is padding.
    - `output_dim`: int, the size of a token vector. It must be the `output_dim` of the
      `BiLSTMStack`.
    - `call(ids)`: returns the vectors `(batch, time, output_dim)` of ids `(batch, time,
      *ids_shape)`, int32. It starts with `self.check_range(ids)`. A token whose ids are all 0 is
      padding; its vector may have any finite value.
    - `boundary_ids()`: returns the ids of the begin and the end of a sentence, a pair of int32
      numpy arrays of shape `ids_shape`, neither of them all 0. `ElmoLayer` adds them around the
      tokens, and passes them to `call` like tokens.
    - `text_layer()`: returns a layer of `elmo_keras.text`, or a similar one, that turns tokens
      `(batch, time)`, string, into ids `(batch, time, *ids_shape)`, int32. The default returns
      `None`: the front end then accepts only ids.
    - `numpy_ids(words)`: returns the same ids for an iterable of words, `(len(words),
      *ids_shape)`, int32, without TensorFlow. Only language models and pretraining need it.

    It may also define `encode(ids)`, which pretraining calls with distinct words.

    To be built, saved and loaded, a subclass needs the rules of its base class `Composite`:

    - All weights belong to Keras sub-layers (`Embedding`, `Dense`, `Conv1D`) or to other
      composites, created with `dtype=self.dtype_policy` and a fixed `name`. Presets and checkpoints
      store their `embeddings`, `kernel` and `bias` by the names of the sub-layers.
    - `build(input_shape)` calls `self.build_part(layer, shape)` instead of `layer.build(shape)` for
      each sub-layer, so that it receives the weights of a preset. At the end it calls
      `self.keep_frozen()`, so that a layer with `trainable=False` has frozen sub-layers.
    - `get_config()` returns `super().get_config()` and the constructor's arguments.
    - The class is registered with `keras.saving.register_keras_serializable`.

    Example:

    >>> import elmo_keras, keras, numpy as np
    >>> @keras.saving.register_keras_serializable(package="example")
    ... class LetterEncoder(elmo_keras.layers.TokenEncoder):
    ...     ids_shape, ids_limit = (), 29  # 26 letters, the begin and the end of a sentence
    ...
    ...     def __init__(self, output_dim=4, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.dim = output_dim
    ...
    ...     @property
    ...     def output_dim(self):
    ...         return self.dim
    ...
    ...     def boundary_ids(self):
    ...         return np.array(27, "int32"), np.array(28, "int32")
    ...
    ...     def build(self, input_shape):
    ...         self.embedding = keras.layers.Embedding(
    ...             self.ids_limit, self.dim, dtype=self.dtype_policy, name="embedding"
    ...         )
    ...         self.build_part(self.embedding, input_shape)
    ...         self.keep_frozen()
    ...
    ...     def call(self, ids):
    ...         self.check_range(ids)
    ...         return self.embedding(ids)
    ...
    ...     def get_config(self):
    ...         return super().get_config() | {"output_dim": self.dim}
    >>> stack = elmo_keras.layers.BiLSTMStack(units=16, projection_dim=4)
    >>> elmo_keras.ElmoLayer(LetterEncoder(), stack)(np.array([[3, 1, 20]])).shape
    TensorShape([1, 3, 8])
    """

    @property
    def ids_shape(self) -> tuple[int, ...]:
        raise self._missing("ids_shape")

    @property
    def ids_limit(self) -> Any:
        raise self._missing("ids_limit")

    @property
    def output_dim(self) -> int:
        raise self._missing("output_dim")

    def boundary_ids(self) -> tuple[np.ndarray, np.ndarray]:
        raise self._missing("boundary_ids()")

    def text_layer(self) -> keras.layers.Layer | None:
        return None

    def numpy_ids(self, words: Iterable[str | bytes]) -> np.ndarray:
        """Returns the ids of words, without TensorFlow; equal to those of `text_layer()`.

        Args:
            words: iterable of str (or bytes, which are decoded as UTF-8).

        Returns:
            `(len(words), *ids_shape)` int32, one row for each word. The row of an empty word, which
            is padding, is zeros.

        Raises:
            ValueError: if `words` is a bare str, if one of them is not text, or if the front end
                accepts only ids.
            TypeError: if the class does not define this method.
        """
        raise self._missing("numpy_ids()")

    def encode(self, ids: Any) -> Any:
        """Computes the vectors of distinct words.

        The base class calls the layer. A subclass may omit the range check and the search for
        duplicates.

        Args:
            ids: `(words, *ids_shape)` int, at least one word. Rows of zeros are padding.

        Returns:
            `(words, output_dim)` float.
        """
        return self(ops.expand_dims(ids, 0))[0]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:2], self.output_dim)

    def check_range(self, ids: Any) -> None:
        """Checks that ids are at least 0 and below `ids_limit`.

        XLA, JAX's jit and `torch.compile` cannot check values.

        Args:
            ids: `(batch, time, *ids_shape)` int tensor.

        Raises:
            ValueError: if an id is out of range. A TensorFlow graph raises an InvalidArgumentError
                when it runs.
        """
        limit = ops.convert_to_tensor(self.ids_limit, dtype=ids.dtype)
        backend.require(
            ops.all(ops.logical_and(ids >= 0, ids < limit)),
            f"{self.range_rule} Received ids outside this range: make them with the token "
            "encoder's `numpy_ids(words)`.",
        )

    @property
    def range_rule(self) -> str:
        """The sentence that states the range of the ids, for errors."""
        return ids_range_rule(self.ids_limit)

    def _missing(self, member: str) -> TypeError:
        return TypeError(f"A TokenEncoder must define `{member}`; {type(self).__name__} does not.")


def ids_range_rule(ids_limit: Any) -> str:
    """Returns a sentence that states the range of ids, for errors.

    Args:
        ids_limit: upper bound of the ids, exclusive: an int, or an array of the bounds of the ids
            of one token, for example a word's and its characters'.
    """
    limits = dict.fromkeys(np.ravel(ids_limit).tolist())
    return f"Ids must be in {' and '.join(f'[0, {limit})' for limit in limits)}."
