"""ELMo as a Keras layer."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from elmo_keras import backend
from elmo_keras.encoders.embed import Embedder
from elmo_keras.encoders.text_encoder import TextEncoder, check_bool
from elmo_keras.layers.bilstm_stack import BiLSTMStack
from elmo_keras.layers.cached_token_encoder import CachedTokenEncoder
from elmo_keras.layers.char_cnn import CharCNN
from elmo_keras.layers.composite import serialize_part
from elmo_keras.layers.finite import check_finite, check_weights
from elmo_keras.layers.lstm_states import STATES, LSTMStates
from elmo_keras.layers.masking import FillPadding
from elmo_keras.layers.scalar_mix import ScalarMix
from elmo_keras.layers.sentence_boundaries import add_boundaries, token_mask
from elmo_keras.layers.token_encoder import TokenEncoder
from elmo_keras.layers.weight_loading import weights_by_path
from elmo_keras.presets import loading, native_format
from elmo_keras.text.containers import to_batch
from elmo_keras.text.conversion import check_rows
from elmo_keras.text.tokenizer import Tokenizer

OUTPUTS = ("mix", "all", "average", "top")
# The arguments that determine the layer's own weights, and prefixes of the paths of these weights.
_DECIDE_OWN_WEIGHTS = {"output", "num_representations", "state", "max_rows"}
_OWN_WEIGHTS = ("scalar_mix_", "lstm_states/")


@keras.saving.register_keras_serializable(package="elmo_keras")
class ElmoLayer(TextEncoder):
    """ELMo: one contextual vector for each token, from text, tokens or ids.

    It replaces the `Embedding` of a Keras model. It has three parts, each with its own `trainable`:
    a token encoder (`.token_encoder`), a forward and a backward stack of LSTMs (`.bilstm`), and a
    learned weighted sum of all layers (`.scalar_mixes`).

    ```
    layer_0 = [tokens; tokens]                 tokens = token_encoder(ids)
    layer_j = [forward_j; backward_j]          forward, backward = bilstm(tokens)
    y = gamma * sum_j softmax(scalars)_j * layer_j
    ```

    Note on masking: every output has a Keras mask, and padded positions are exactly 0. Padding is
    on the right: empty tokens, or rows of zero ids.

    Note on processes: TensorFlow hangs in a forked child process whose parent has run a model.
    Start workers with `multiprocessing.get_context("spawn")`, or load the model in each of them.

    Note on determinism: the vectors of a sentence depend on that sentence alone, not on the batch,
    the padding or earlier calls. The exceptions are `state="carry"`, and `layer_norm="bilm-tf"` or
    `"allennlp"`.

    Args:
        token_encoder: `TokenEncoder`, such as a `CharCNN`. Defaults to `None`, a `CharCNN` with the
            sizes of the published "small" model.
        bilstm: `BiLSTMStack` with the output size of the token encoder. Defaults to `None`, a stack
            with the sizes of the published "small" model.
        output: str or int. Defaults to `"mix"`.
            - `"mix"`: the learned weighted sum of all layers.
            - `"all"`: all layers, on an axis after time; layer 0 holds the tokens without context.
            - `"average"`: their mean.
            - `"top"`: the last layer. An int selects a layer.
        num_representations: int. Number of mixes, each with its own weights; more than one requires
            `output="mix"`, and the output is a list. Defaults to `1`.
        dropout: float. Dropout rate of each output in training. Defaults to `0.0`.
        mix_regularizer: Keras regularizer of the mixes' scalars, not of gamma. Defaults to `None`.
        layer_norm: `False`, `True`, `"bilm-tf"` or `"allennlp"`, see `ScalarMix`. `"allennlp"`
            includes the sentence boundaries, as AllenNLP does. Defaults to `False`.
        keep_boundaries: bool. Whether outputs include the steps of the begin and the end of the
            sentence; time and mask are then 2 longer. Defaults to `False`.
        state: `"zeros"`, `"warm"` or `"carry"`: initial state of the LSTMs. Defaults to `"zeros"`.
            - `"warm"`: one saved state for all sentences, set by `warm_up(sentences)`.
            - `"carry"`: the final states of the previous call, for the first `max_rows` rows of a
              batch, as in bilm-tf and AllenNLP; `reset_states()` sets them to zero. They are saved
              in `.keras` files, and refused under tf.distribute and by `export`.
        max_rows: int. Largest batch with `state="carry"`. Defaults to `128`.
        tokenizer: `elmo_keras.text.Tokenizer` for raw sentences, or the name of its method.
            Defaults to `"words"`.
        allow_spaces: bool. Whether tokens may contain white space. Defaults to `False`: a token
            with white space is an error, because it is most often a sentence that was not split.
        **kwargs: Layer keyword arguments, like `trainable`, `name` and `dtype`.

    Input shape:
        One of three forms; on JAX and torch, models need the last one.
        - sentences: `(batch,)` string, split by the tokenizer; or a Python list of str
        - tokens: `(batch, time)` string, `""` as padding; or a list of lists of str
        - ids: `(batch, time, max_characters)` int, zeros as padding; for other token encoders
          `(batch, time, *token_encoder.ids_shape)`

    Output shape:
        `(batch, time, dim)` float, for `output="all"` `(batch, time, layers, dim)`; `dim` is twice
        the size of the projection. A list of them for several representations.

    Raises:
        ValueError: if text is not a batch, if ids have a wrong shape or are out of range, or if
            padding is not on the right. A TensorFlow graph and a SavedModel raise an
            InvalidArgumentError with the same message. XLA and JAX's jit cannot check values.

    Example:

    >>> import elmo_keras
    >>> elmo = elmo_keras.ElmoLayer(
    ...     elmo_keras.layers.CharCNN(filters=[(1, 4), (2, 8)], projection_dim=6),
    ...     elmo_keras.layers.BiLSTMStack(units=16, projection_dim=6),
    ... )
    >>> elmo(["The cat sat.", "Yes!"]).shape
    TensorShape([2, 4, 12])

    References:
        - [Peters et al., 2018](https://arxiv.org/abs/1802.05365)
        - bilm-tf, `bilm/model.py` and `bilm/elmo.py`; AllenNLP, `modules/elmo.py`
    """

    has_named_parts = True
    config_parts = ("token_encoder", "bilstm")

    def __init__(
        self,
        token_encoder: TokenEncoder | None = None,
        bilstm: BiLSTMStack | None = None,
        output: str | int = "mix",
        num_representations: int = 1,
        dropout: float = 0.0,
        mix_regularizer: Any = None,
        layer_norm: bool | str = False,
        keep_boundaries: bool = False,
        state: str = "zeros",
        max_rows: int = 128,
        tokenizer: Tokenizer | str = "words",
        allow_spaces: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_parts(token_encoder, bilstm)
        if state not in STATES:
            raise ValueError(
                f"`state` must be one of {STATES}. Received: state={state!r}. Use 'zeros' for "
                "results that do not depend on earlier calls."
            )
        check_bool("keep_boundaries", keep_boundaries)
        check_bool("allow_spaces", allow_spaces)
        if not isinstance(max_rows, int) or isinstance(max_rows, bool) or max_rows < 1:
            raise ValueError(
                f"`max_rows` must be a positive int. Received: max_rows={max_rows!r}. Pass the "
                "largest batch size."
            )
        if token_encoder is None:
            token_encoder = CharCNN(dtype=self.dtype_policy, name="token_encoder")
        if bilstm is None:
            bilstm = BiLSTMStack(
                projection_dim=token_encoder.output_dim, dtype=self.dtype_policy, name="bilstm"
            )
        if bilstm.output_dim != token_encoder.output_dim:
            raise ValueError(
                "`token_encoder` and `bilstm` must have the same output size, because their "
                f"outputs are mixed. Received: token_encoder with {token_encoder.output_dim}, "
                f"bilstm with {bilstm.output_dim}. Set their `projection_dim` to the same number."
            )
        _check_output(output, num_representations, bilstm.num_layers)
        self.token_encoder = token_encoder
        self.bilstm = bilstm
        self.output_choice = output
        self.num_representations = num_representations
        self.dropout = dropout
        self.mix_regularizer = keras.regularizers.get(mix_regularizer)
        self.layer_norm = layer_norm
        self.keep_boundaries = keep_boundaries
        self.state = state
        self.max_rows = max_rows
        self.allow_spaces = allow_spaces
        self.tokenizer = tokenizer if isinstance(tokenizer, Tokenizer) else Tokenizer(tokenizer)
        self.text_layer = token_encoder.text_layer()
        self.cached_encoder: CachedTokenEncoder | None = None
        self._embedder: Embedder | None = None
        self.supports_masking = True

        dtype = self.dtype_policy
        self.scalar_mixes: list[ScalarMix] = []
        if output == "mix":
            self.scalar_mixes = [
                ScalarMix(layer_norm, self.mix_regularizer, dtype=dtype, name=f"scalar_mix_{i}")
                for i in range(num_representations)
            ]
        self.dropouts = [
            keras.layers.Dropout(dropout, dtype=dtype, name=f"dropout_{i}")
            for i in range(num_representations)
        ]
        self.fill_padding = FillPadding(dtype=dtype, name="fill_padding")
        self.lstm_states = LSTMStates(
            state, bilstm.num_layers, bilstm.output_dim, bilstm.units, max_rows, name="lstm_states"
        )

    @property
    def ids_shape(self) -> tuple[int, ...]:
        return self.token_encoder.ids_shape

    @property
    def ids_limit(self) -> Any:
        return self.token_encoder.ids_limit

    def numpy_ids(self, words: Iterable[str]) -> np.ndarray:
        return self.token_encoder.numpy_ids(words)

    def _defines_numpy_ids(self) -> bool:
        return type(self.token_encoder).numpy_ids is not TokenEncoder.numpy_ids

    @property
    def output_dim(self) -> int:
        """Size of a token's vector."""
        return 2 * self.bilstm.output_dim

    def check_single_output(self) -> None:
        if self.num_representations > 1 or self.output_choice == "all" or self.keep_boundaries:
            raise ValueError(
                "The ElmoLayer of a task model must give one vector for each token. Received: one "
                f"with output={self.output_choice!r}, "
                f"num_representations={self.num_representations}, "
                f"keep_boundaries={self.keep_boundaries}. Use output='mix', 'average', 'top' or a "
                "layer number, or build your own Keras model around the layer."
            )

    @property
    def num_layers(self) -> int:
        """Number of layers that are mixed: the token vectors and the LSTM layers."""
        return 1 + self.bilstm.num_layers

    @property
    def layer_weights(self) -> Any:
        """The pair `ScalarMix.layer_weights` of the mix; a list of pairs for several mixes."""
        weights = [mix.layer_weights for mix in self.scalar_mixes]
        return weights[0] if len(weights) == 1 else weights

    @classmethod
    def from_preset(cls, source: Any, **options: Any) -> Self:
        """Loads a pretrained model of any format.

        `source` is one of these:

        - a directory. Its files show the format: a preset of this package; `options.json` and HDF5
          weights of bilm-tf or AllenNLP; a bilm-tf training checkpoint; ELMoForManyLangs; a TF-Hub
          module
        - a zip or tar archive of such a directory
        - a file of HDF5 weights with its options in the same directory, or a pair `(options,
          weights)`
        - an http(s) address of an archive or of HDF5 weights, or a pair of addresses. Files are
          downloaded once.
        - the name of a bundled model: `"elmo_mini_en"`, `"elmo_mini_zh"`
        - the name of a model that AllenNLP published: `"small"`, `"medium"`, `"original"`,
          `"original_5.5b"`, `"portuguese"`, `"pubmed"`. It is downloaded once.

        ELMoForManyLangs checkpoints need torch; TensorFlow 1 and TF-Hub checkpoints need
        TensorFlow. `elmo-keras convert` turns them into presets, which need neither.

        Defaults: `dtype` is the global dtype policy, not the one of the saved layer. `name` is the
        name that the user gave to the saved layer, or else a new one.

        Args:
            source: str, path or pair, as above.
            **options: arguments of `ElmoLayer`: `output`, `dropout`, `state`, `trainable`, `dtype`
                and so on; and options of the source:
                - `sha256`: expected checksum of a download, or a pair of them.
                - `vocabulary`: path of a file with one word per line, for a model that reads words.
                  Defaults to the file in the directory of the weights.
                - `token_embeddings`: path of an HDF5 file of word vectors (bilm-tf's
                  `dump_token_embeddings`), which replace the character CNN.

        Returns:
            An ElmoLayer, built.

        Raises:
            ValueError: if files are missing, damaged or unsafe, or do not belong together; if an
                option is unknown, or has a wrong value.
            ImportError: if the format needs a package that is not installed.
            OSError: if an address cannot be reached.

        Example:

        ```python
        elmo = elmo_keras.ElmoLayer.from_preset("elmo_original/", trainable=False)
        ```
        """
        return loading.load(source, cls, **options).layer

    def save_to_preset(self, directory: str | os.PathLike, dtype: str = "float32") -> None:
        """Writes the layer into a directory that `from_preset` reads on every backend.

        The preset holds the layer's config and all its weights, mixes and a warm state included.

        A preset in the directory is replaced as a whole: if the program is killed, `from_preset`
        finds the old preset or the new one. `config.json` is absent for a moment while files are
        replaced; after a kill in that moment, the hidden folder `.config.json.new` holds the new
        files, and `from_preset` reads them there. Other processes that save to the same directory
        wait.

        Args:
            directory: path of the directory; created if it does not exist. `config.json`,
                `model.weights.h5` and `metadata.json` are written there.
            dtype: str. `"float32"`, the default, or `"float16"`, half the size, rounded.

        Raises:
            ValueError: if the layer is not built or is quantized; if a weight is NaN, infinite, or
                too large for float16.
            OSError: if a file cannot be written. A preset in the directory is then unchanged.

        Example:

        ```python
        elmo.save_to_preset("elmo_mine/")
        elmo = elmo_keras.ElmoLayer.from_preset("elmo_mine/")
        ```
        """
        native_format.save_preset(self, directory, dtype)

    def preset_weights(self) -> dict[str, keras.Variable]:
        weights = weights_by_path(self.token_encoder, "token_encoder")
        weights |= weights_by_path(self.bilstm, "bilstm")
        own: list[Any] = [*self.scalar_mixes, self.lstm_states]
        for part in own:
            weights |= {f"{part.name}/{weight.name}": weight for weight in part.weights}
        return weights

    def zero_weight_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = self.lstm_states.shapes
        return {f"{self.lstm_states.name}/{name}": shape for name, shape in shapes.items()}

    @classmethod
    def replaced_weights(cls, options: Mapping[str, Any]) -> tuple[str, ...]:
        return _OWN_WEIGHTS if _DECIDE_OWN_WEIGHTS & options.keys() else ()

    def build(self, input_shape: Any) -> None:
        if not self.token_encoder.built:
            ids_shape = (None, None, *self.token_encoder.ids_shape)
            self.build_part(self.token_encoder, ids_shape, name="token_encoder")
        if not self.bilstm.built:
            shape = (None, None, self.token_encoder.output_dim)
            self.build_part(self.bilstm, shape, name="bilstm")
        for mix in self.scalar_mixes:
            mix.build([(None, None, self.output_dim)] * self.num_layers)
        self.lstm_states.build()
        self.keep_frozen()

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = super().__call__(inputs, *args, **kwargs)
        some = outputs if isinstance(outputs, list) else [outputs]
        if not any((*args, kwargs.get("training"))) and backend.is_concrete(some[0]):
            check_finite(some, self)
        return outputs

    def call(self, inputs: Any, training: bool = False) -> Any:
        self._check_cache(training)
        ids = self._ids_of(inputs)
        batch_size = ops.shape(ids)[0]
        initial_state = self.lstm_states.load(batch_size)
        layers, full_mask, final_states = self.encode(ids, initial_state)
        self.lstm_states.store(final_states, batch_size)

        mask = full_mask if self.keep_boundaries else full_mask[:, 2:]  # padding is on the right
        if not self.keep_boundaries and self.layer_norm != "allennlp":
            layers = [layer[:, 1:-1] for layer in layers]  # (batch, time, dim)
        outputs = self._represent(layers, full_mask if self.layer_norm == "allennlp" else mask)
        if not self.keep_boundaries and self.layer_norm == "allennlp":
            outputs = [output[:, 1:-1] for output in outputs]
        outputs = [
            self.fill_padding(dropout(output, training=training), mask=mask)
            for dropout, output in zip(self.dropouts, outputs)
        ]
        return outputs if self.num_representations > 1 else outputs[0]

    def encode(self, ids: Any, initial_state: Any = None) -> tuple[list[Any], Any, Any]:
        """Computes all layers of the biLM, with the steps of the sentence boundaries.

        Args:
            ids: `(batch, time, *token_encoder.ids_shape)` int, padding on the right.
            initial_state: `(hidden, cell)` of the LSTMs, see `BiLSTMStack`. Defaults to `None`,
                zeros.

        Returns:
            The list of layers, tokens first, each `(batch, time + 2, dim)`; their mask
            `(batch, time + 2)`; and the final states `(hidden, cell)`.
        """
        if "int" not in str(getattr(ids, "dtype", None)):
            raise ValueError(
                f"`encode` needs ids. Received: {type(ids).__name__}. For the vectors of sentences "
                "call the layer or `embed(sentences)`; make ids with `to_ids(sentences)`."
            )
        mask = token_mask(ids)
        backend.require(
            ops.all(ops.logical_or(mask[:, :-1], ops.logical_not(mask[:, 1:]))),
            "Padding must stand at the right end of every sentence. Received a batch with padding "
            "(an empty token, or a row of zero ids) before a token: move it to the right.",
        )
        ids, mask = add_boundaries(ids, mask, *self.token_encoder.boundary_ids())
        tokens = (self.cached_encoder or self.token_encoder)(ids)  # (batch, time + 2, dim / 2)
        layers, final_states = self.bilstm(tokens, mask=mask, initial_state=initial_state)
        layers = [ops.concatenate([tokens, tokens], axis=-1), *layers]
        return layers, mask, final_states

    def _represent(self, layers: list[Any], mask: Any) -> list[Any]:
        """Returns the outputs that `output` selects, before dropout."""
        if self.output_choice == "mix":
            return [mix(layers, mask=mask) for mix in self.scalar_mixes]
        if self.output_choice == "all":
            return [ops.stack(layers, axis=2)]  # (batch, time, layers, dim)
        if self.output_choice == "average":
            return [sum(layers) / len(layers)]
        index: Any = -1 if self.output_choice == "top" else self.output_choice
        return [layers[index]]

    def warm_up(self, sentences: Any) -> None:
        """Computes the state that every sentence starts from with `state="warm"`.

        The layer reads the sentences one after the other and carries the state along. The final
        state is saved as a weight.

        Args:
            sentences: a batch in any form of input, of text similar to the later text.

        Raises:
            ValueError: if `state` is not `"warm"`, or if `sentences` is empty.
        """
        if self.state != "warm":
            raise ValueError(
                f"`warm_up` needs a layer with state='warm'. Received: state={self.state!r}. Build "
                "the layer with state='warm'."
            )
        inputs = self._to_tensor(sentences)
        if not self.built:
            self.build(tuple(inputs.shape))
        ids = ops.convert_to_numpy(self.to_ids(inputs))
        if not len(ids):
            raise ValueError(
                "`warm_up` needs at least one sentence. Received: none. Pass sentences that are "
                "similar to the later text."
            )
        state: Any = None
        for row in ids:
            length = int(np.any(row != 0, axis=tuple(range(1, row.ndim))).sum())
            _, _, state = self.encode(ops.convert_to_tensor(row[None, :length]), state)
        self.lstm_states.set_warm_state(state)

    def reset_states(self) -> None:
        """Sets carried states to zeros; does nothing unless `state="carry"`."""
        self.lstm_states.reset()

    def embed(
        self, sentences: Iterable[Any], max_tokens: int = 4096, progress: bool = False
    ) -> Iterator[Any]:
        """Computes the vectors of any number of sentences, one array for each, in their order.

        Sentences are read when they are needed and batched by length, so memory does not grow with
        their number. All cores are used. Start workers of `multiprocessing` with "spawn", because
        TensorFlow hangs in a forked child process.

        Args:
            sentences: iterable of str, of lists of str (tokens), or of int arrays `(time,
                *ids_shape)`; all of one kind.
            max_tokens: int. Maximum number of tokens per batch, including sentence boundaries and
                padding; bounds time and memory. A longer sentence is a batch of its own. Defaults
                to `4096`.
            progress: bool. Whether to show a progress bar. Defaults to `False`.

        Yields:
            float numpy arrays `(tokens, dim)`, for `output="all"` `(tokens, layers, dim)`; lists of
            arrays for several representations. The array of an empty sentence has no rows.

        Raises:
            ValueError: for a bare str, for sentences of several kinds, and with `state="carry"`,
                because batches are not in the order of the sentences.

        Example:

        >>> import elmo_keras
        >>> elmo = elmo_keras.ElmoLayer(
        ...     elmo_keras.layers.CharCNN(filters=[(1, 4), (2, 8)], projection_dim=6),
        ...     elmo_keras.layers.BiLSTMStack(units=16, projection_dim=6),
        ... )
        >>> [vectors.shape for vectors in elmo.embed(["The cat sat.", "", "Yes!"])]
        [(4, 12), (0, 12), (2, 12)]
        """
        if self._embedder is None:
            self._embedder = Embedder(self)
        return self._embedder.embed(sentences, max_tokens, progress)

    def cache_vocabulary(self, words: Any) -> None:
        """Computes the token vectors of some words once, and keeps them.

        The layer's outputs do not change. The cache is not saved. Call this method again after
        loading other weights; training the token encoder with a cache is an error. On JAX and under
        XLA the cache has no effect, because all vectors are computed there.

        Args:
            words: iterable of str, or ids `(words, *ids_shape)`. `None` drops the cache.

        Raises:
            ValueError: if `words` is not an iterable of words.

        Example:

        ```python
        elmo.token_encoder.trainable = False
        elmo.cache_vocabulary(["the", "of", "and"])
        ```
        """
        if not isinstance(words, Mapping):  # The words are the keys of a Counter, for example.
            words = to_batch(words, "`words`")
        is_iterable = words is None or hasattr(words, "__iter__")
        if isinstance(words, (str, bytes)) or not is_iterable:
            raise ValueError(
                "`words` must be an iterable of words, or None to drop the cache. "
                f"Received: {words!r}. Put a single word into a list."
            )
        self.cached_encoder = None
        if words is None:
            return
        if not self.built:
            self.build((None, None, *self.ids_shape))
        if not isinstance(words, np.ndarray) or words.dtype.kind not in "iu":
            words = check_rows(list(dict.fromkeys(words)), allow_spaces=self.allow_spaces)
            words = [[word for word in words if word]]
            words = ops.convert_to_numpy(self.to_ids(self._to_tensor(words)))[0]
        boundaries = np.stack(self.token_encoder.boundary_ids())
        padding = np.zeros_like(boundaries[:1])
        ids = np.concatenate([padding, boundaries, words])
        self.cached_encoder = CachedTokenEncoder(self.token_encoder, ids)

    def _check_cache(self, training: bool) -> None:
        if training and self.cached_encoder and self.token_encoder.trainable_weights:
            raise ValueError(
                "The token encoder of a layer with a cached vocabulary must be frozen. Received: "
                "training=True with a trainable token encoder. Set `elmo.token_encoder.trainable = "
                "False`, or drop the cache with `elmo.cache_vocabulary(None)`."
            )

    def compute_output_spec(self, inputs: Any, training: bool = False) -> Any:
        shapes = self.compute_output_shape(inputs.shape)
        if self.num_representations > 1:
            return [keras.KerasTensor(shape, dtype=self.compute_dtype) for shape in shapes]
        return keras.KerasTensor(shapes, dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        time = input_shape[1] if len(input_shape) > 1 else None
        if time is not None and len(input_shape) == 2:
            time = max(time, 1)  # The text layers return at least one step.
        if time is not None and self.keep_boundaries:
            time += 2
        layers = (self.num_layers,) if self.output_choice == "all" else ()
        shape = (input_shape[0], time, *layers, self.output_dim)
        return [shape] * self.num_representations if self.num_representations > 1 else shape

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        return None  # `fill_padding` has attached the mask to the outputs.

    def save_own_variables(self, store: Any) -> None:
        # Keras calls this for every `.keras` and weights file, also for a user's own model.
        check_weights({weight.path: weight for weight in self.weights}, "layer")
        super().save_own_variables(store)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.update(
            {
                "token_encoder": serialize_part(self.token_encoder),
                "bilstm": serialize_part(self.bilstm),
                "output": self.output_choice,
                "num_representations": self.num_representations,
                "dropout": self.dropout,
                "mix_regularizer": keras.regularizers.serialize(self.mix_regularizer),
                "layer_norm": self.layer_norm,
                "keep_boundaries": self.keep_boundaries,
                "state": self.state,
                "max_rows": self.max_rows,
                "tokenizer": serialize_part(self.tokenizer),
                "allow_spaces": self.allow_spaces,
                # Not an argument: `from_config` restores which mixes are frozen.
                "trainable_mixes": [mix.trainable for mix in self.scalar_mixes],
            }
        )
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        config = dict(config)
        trainable_mixes = config.pop("trainable_mixes", [])
        for part in ("token_encoder", "bilstm", "tokenizer"):
            if isinstance(config.get(part), dict):
                config[part] = keras.saving.deserialize_keras_object(config[part])
        layer = cls(**config)
        for mix, trainable in zip(layer.scalar_mixes, trainable_mixes):
            mix.trainable = trainable
        return layer


def _check_parts(token_encoder: Any, bilstm: Any) -> None:
    if isinstance(token_encoder, (str, os.PathLike)):
        raise ValueError(
            "`token_encoder` must be a layer, such as a CharCNN, or None. "
            f"Received: {str(token_encoder)!r}. To load a preset or a checkpoint, write "
            f"ElmoLayer.from_preset({str(token_encoder)!r})."
        )
    for name, part, cls in (
        ("token_encoder", token_encoder, TokenEncoder),
        ("bilstm", bilstm, BiLSTMStack),
    ):
        if part is not None and not isinstance(part, cls):
            raise ValueError(
                f"`{name}` must be a {cls.__name__}, or None for the sizes of the published small "
                f"model. Received: {name}={part!r} of type {type(part).__name__}. Pass a layer of "
                "elmo_keras.layers."
            )


def _check_output(output: Any, num_representations: int, num_lstm_layers: int) -> None:
    is_layer = isinstance(output, int) and not isinstance(output, bool)
    if output not in OUTPUTS and not (is_layer and 0 <= output <= num_lstm_layers):
        raise ValueError(
            f"`output` must be one of {OUTPUTS} or a layer number from 0 to {num_lstm_layers}. "
            f"Received: output={output!r}. Use 'mix', the default, for a learned sum of all layers."
        )
    if num_representations < 1 or (num_representations > 1 and output != "mix"):
        raise ValueError(
            "`num_representations` must be at least 1, and `num_representations` > 1 requires "
            "output='mix': other outputs have no weights, so all representations would be equal. "
            f"Received: num_representations={num_representations}, output={output!r}. Use 1, or "
            "output='mix'."
        )
