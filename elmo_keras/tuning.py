"""Search spaces for keras-tuner, with hyperparameters of ELMo, the head and the training.

keras-tuner hides the exceptions of trials. Here, an error in the data or the arguments, which would
fail every trial, becomes a `FatalError`, which ends the search. Other exceptions cause a warning.
"""

import contextlib
import copy
import inspect
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import keras_tuner
from keras_tuner import HyperParameters
from keras_tuner.errors import FailedTrialError, FatalError, FatalTypeError, FatalValueError

from elmo_keras.encoders.elmo_layer import ElmoLayer
from elmo_keras.models.elmo_tagger import ElmoTagger
from elmo_keras.models.elmo_task import ElmoTask
from elmo_keras.models.elmo_text_classifier import POOLINGS, ElmoTextClassifier
from elmo_keras.models.preprocessing.labels import check_labels
from elmo_keras.utils.optional_module import tensorflow as tf

Value = bool | int | float | str
Source = ElmoLayer | str | os.PathLike | Sequence[str | os.PathLike]
Space = Mapping[str, Callable[[HyperParameters, str], Value]]

TRAIN = ("mixes", "mixes+lstm", "all")

# The defaults equal those of the layer and the models.
_ELMO: Space = {
    "train": lambda hp, name: hp.Choice(name, list(TRAIN)),
    "dropout": lambda hp, name: hp.Float(name, 0.0, 0.5, step=0.1),
}
_MIX: Space = {
    "layer_norm": lambda hp, name: hp.Boolean(name),
    "mix_regularizer": lambda hp, name: hp.Choice(name, [0.0, 1e-4, 1e-3, 1e-2, 1e-1]),
}
_HEAD: Space = {
    "hidden_dim": lambda hp, name: hp.Choice(name, [0, 64, 128, 256]),
    "head_dropout": lambda hp, name: hp.Float(name, 0.0, 0.5, step=0.1, default=0.3),
}
_FIT: Space = {
    "learning_rate": lambda hp, name: hp.Float(name, 1e-4, 1e-2, sampling="log", default=3e-4),
    "batch_size": lambda hp, name: hp.Choice(name, [16, 32, 64], default=32),
}
# Arguments of ElmoLayer that each trial sets; `train` determines `trainable`.
_SEARCHED = ("dropout", "layer_norm", "mix_regularizer", "trainable")
# Parts whose weights are copied from the source. The mixes are initialized in every trial.
_PARTS = ("token_encoder", "bilstm", "lstm_states")


class _ElmoHyperModel(keras_tuner.HyperModel):
    """Base class of the search spaces; subclasses set the model's class and its head's space."""

    task: Callable[..., ElmoTask]
    head_space: Space = _HEAD

    def __init__(
        self,
        source: Source,
        labels: list[str],
        fixed: Mapping[str, Value] | None,
        options: dict[str, Any],
    ) -> None:
        layer = _read(source, options)
        # keras-tuner builds many models. Each gets a new layer with this config and these weights.
        self._layer_class = type(layer)
        self._config = layer.get_config()
        del self._config["trainable_mixes"]
        for part in ("token_encoder", "bilstm"):
            self._config[part]["config"].pop("trainable", None)  # Each trial sets it.
        self._weights = {part: getattr(layer, part).get_weights() for part in _PARTS}
        self.elmo_space: Space = {**_ELMO, **_MIX} if layer.scalar_mixes else _ELMO
        self.fixed = _check_fixed(fixed, self.space)
        self.labels = labels
        super().__init__()

    @property
    def space(self) -> Space:
        """The hyperparameters by name, each with the function that registers it in `hp`."""
        return {**self.elmo_space, **self.head_space, **_FIT}

    def build(self, hp: HyperParameters) -> ElmoTask:
        """Builds and compiles the model of a trial.

        Args:
            hp: HyperParameters of the trial. Missing ones are registered.

        Returns:
            A new model with a new `ElmoLayer`, which has the weights of the source.
        """
        with _explained(hp):
            elmo = self._elmo({name: self._value(hp, name) for name in self.elmo_space})
            head = {name: self._value(hp, name) for name in self.head_space}
            model = self.task(elmo, self.labels, **head)
            model.optimizer.learning_rate = self._value(hp, "learning_rate")
            # Keras restores the optimizer state of a checkpoint only into a built optimizer.
            model.optimizer.build(model.trainable_variables)
            return model

    def fit(
        self, hp: HyperParameters, model: ElmoTask, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        """Trains the model of a trial.

        `batch_size` is registered here and not in `build`, because it only has an effect if the
        data is not a `tf.data.Dataset` and `search` is called without a batch size.

        Args:
            hp: HyperParameters of the trial.
            model: the model that `build` returned for `hp`.
            *args: arguments of `search`.
            **kwargs: keyword arguments of `search`, and the tuner's callbacks.

        Returns:
            The History of the model's `fit`.

        Raises:
            keras_tuner.errors.FatalError: if the model refuses the data or the arguments.
            keras_tuner.errors.FailedTrialError: if a loss is NaN or infinite.
        """
        with _explained(hp):
            given = inspect.signature(model.fit).bind_partial(*args, **kwargs).arguments
            if "batch_size" not in given and not hasattr(given.get("x"), "element_spec"):
                kwargs["batch_size"] = self._value(hp, "batch_size")
            callbacks = [_FiniteLoss(), *(kwargs.get("callbacks") or [])]
            history = model.fit(*args, **{**kwargs, "callbacks": callbacks})
            _check_objective(callbacks, history)
            return history

    def _value(self, hp: HyperParameters, name: str) -> Value:
        if name in self.fixed:
            return hp.Fixed(name, self.fixed[name])
        return self.space[name](hp, name)

    def _elmo(self, values: dict[str, Value]) -> ElmoLayer:
        """Returns a new ElmoLayer with the weights of the source."""
        train, rate = values.pop("train"), values.pop("mix_regularizer", 0.0)
        l2 = keras.regularizers.L2(rate) if rate else None
        # A copy, because deserialization may change the config.
        config = copy.deepcopy(self._config) | values | {"mix_regularizer": l2, "trainable": True}
        layer = self._layer_class.from_config(config)
        layer.build((None, None))
        for part, weights in self._weights.items():
            getattr(layer, part).set_weights(weights)
        layer.token_encoder.trainable = train == "all"
        layer.bilstm.trainable = train != "mixes"
        return layer


class ElmoClassifierHyperModel(_ElmoHyperModel):
    """Search space of `ElmoTextClassifier`, for any tuner of keras-tuner.

    The source is read once. Each trial gets a new head and a new `ElmoLayer` with the weights of
    the source.

    | Name | Values | Meaning |
    |---|---|---|
    | `train` | `"mixes"`, `"mixes+lstm"`, `"all"` | parts of ELMo that are trained with the head |
    | `dropout` | 0.0 to 0.5 | dropout rate of the ElmoLayer |
    | `layer_norm` | `False`, `True` | layer normalization in the mix |
    | `mix_regularizer` | 0, 1e-4, 1e-3, 1e-2, 1e-1 | L2 coefficient of the mix's scalars |
    | `hidden_dim` | 0, 64, 128, 256 | size of the head's hidden layer; 0 for none |
    | `head_dropout` | 0.0 to 0.5 | dropout rate of the head |
    | `pooling` | `"mean_max"`, `"mean"`, `"max"` | pooling of the token vectors |
    | `learning_rate` | 1e-4 to 1e-2 | learning rate of Adam |
    | `batch_size` | 16, 32, 64 | unless `search` receives it, or a `tf.data.Dataset` |

    The default values are those of the models. `fixed` excludes names from the search. To change a
    range, register the name in the tuner's `hyperparameters`, as in the example; they have priority
    over this space. With `tune_new_entries=False`, the tuner searches only those.

    `tuner.search` takes the arguments of the model's `fit`. The search ends at once if `fit`
    refuses the data or an argument. If a single trial fails, for example because memory is
    exhausted or the loss is NaN, a warning shows its values and the reason, and the search
    continues. The traceback is in `tuner.oracle.get_trial(...).message`. To stop at the first
    failed trial, pass `max_consecutive_failed_trials=1` to the tuner.

    Args:
        source: a source of `ElmoLayer.from_preset`, or an `ElmoLayer`. The weights of a layer and
            its warm or carried state are copied, but not its mixes.
        num_classes: int. The number of classes, which are then named `"0"`, `"1"` and so on.
            Required without `labels`.
        labels: list of str. The names of the classes. Required without `num_classes`.
        fixed: dict. Values by name, which are not searched: any value that the model accepts, and
            0 for no hidden layer or no regularizer. Defaults to `None`: all names are searched.
        **options: arguments of `ElmoLayer.from_preset` that are not searched, such as `state`,
            `tokenizer` and `dtype`. With an `output` other than `"mix"`, `layer_norm` and
            `mix_regularizer` are not part of the space.

    Raises:
        ValueError: if both `labels` and `num_classes` are missing or they disagree, if `fixed` has
            an unknown name, or if an option is searched.

    Example:

    >>> import elmo_keras, keras_tuner, tempfile
    >>> elmo = elmo_keras.ElmoLayer(
    ...     elmo_keras.layers.CharCNN(filters=[(1, 4), (2, 8)], projection_dim=6),
    ...     elmo_keras.layers.BiLSTMStack(num_layers=1, units=16, projection_dim=6),
    ... )
    >>> hypermodel = elmo_keras.tuning.ElmoClassifierHyperModel(
    ...     elmo, labels=["negative", "positive"], fixed={"train": "mixes", "layer_norm": False}
    ... )
    >>> space = keras_tuner.HyperParameters()
    >>> rate = space.Float("learning_rate", 1e-3, 1e-2, sampling="log")
    >>> tuner = keras_tuner.RandomSearch(
    ...     hypermodel,
    ...     objective="val_accuracy",
    ...     max_trials=1,
    ...     hyperparameters=space,
    ...     directory=tempfile.mkdtemp(),
    ... )
    >>> x, y = ["Lovely.", "Awful!"], ["positive", "negative"]
    >>> tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    >>> model = tuner.get_best_models()[0]
    >>> len(model.classify(["Lovely, not awful."]))
    1
    """

    task = ElmoTextClassifier
    head_space: Space = {**_HEAD, "pooling": lambda hp, name: hp.Choice(name, list(POOLINGS))}

    def __init__(
        self,
        source: Source,
        num_classes: int | None = None,
        labels: Sequence[str] | None = None,
        fixed: Mapping[str, Value] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(source, _label_names(labels, num_classes, "num_classes"), fixed, options)


class ElmoTaggerHyperModel(_ElmoHyperModel):
    """Search space of `ElmoTagger`, for any tuner of keras-tuner.

    It is the space of `ElmoClassifierHyperModel` without `pooling`.

    Args:
        source: a source of `ElmoLayer.from_preset`, or an `ElmoLayer`, which is copied.
        num_labels: int. The number of tags, which are then named `"0"`, `"1"` and so on. Required
            without `labels`.
        labels: list of str. The names of the tags. Required without `num_labels`.
        fixed: dict. Values by name, which are not searched. Defaults to `None`: all are searched.
        **options: arguments of `ElmoLayer.from_preset` that are not searched.

    Raises:
        ValueError: as `ElmoClassifierHyperModel`, with `num_labels` for `num_classes`.

    Example:

    >>> import elmo_keras, keras_tuner, tempfile
    >>> elmo = elmo_keras.ElmoLayer(
    ...     elmo_keras.layers.CharCNN(filters=[(1, 4), (2, 8)], projection_dim=6),
    ...     elmo_keras.layers.BiLSTMStack(num_layers=1, units=16, projection_dim=6),
    ... )
    >>> hypermodel = elmo_keras.tuning.ElmoTaggerHyperModel(elmo, labels=["DET", "NOUN", "VERB"])
    >>> tuner = keras_tuner.RandomSearch(
    ...     hypermodel, objective="val_accuracy", max_trials=1, directory=tempfile.mkdtemp()
    ... )
    >>> x, y = [["A", "cat", "sat"]], [["DET", "NOUN", "VERB"]]
    >>> tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    >>> model = tuner.get_best_models()[0]
    >>> [len(tags) for tags in model.tag([["Cats", "sat"]])]
    [2]
    """

    task = ElmoTagger

    def __init__(
        self,
        source: Source,
        num_labels: int | None = None,
        labels: Sequence[str] | None = None,
        fixed: Mapping[str, Value] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(source, _label_names(labels, num_labels, "num_labels"), fixed, options)


class _FiniteLoss(keras.callbacks.Callback):
    """Fails a trial at the first loss that is NaN or infinite.

    It runs before the tuner's callbacks. The accuracy is finite even if the weights are NaN, so the
    tuner could otherwise keep such an epoch as the best one.
    """

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self._check(logs or {})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._check(logs or {})

    def _check(self, logs: Mapping[str, float]) -> None:
        for name in ("loss", "val_loss"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise FailedTrialError(
                    f"`{name}` must be a finite number. Received: {name}={float(logs[name])}. "
                    "Lower the learning rate if this happens in many trials."
                )


@contextlib.contextmanager
def _explained(hp: HyperParameters) -> Iterator[None]:
    """Turns errors of every trial into a FatalError, and warns of errors of this trial only."""
    try:
        yield
    except FatalError:
        raise
    except TypeError as error:
        raise FatalTypeError(str(error)) from error
    except Exception as error:
        if isinstance(error, ValueError) or _is_refused_in_graph(error):
            raise FatalValueError(str(error)) from error
        warnings.warn(
            f"A trial failed. Its values: {hp.values}. The reason: {type(error).__name__}: {error}",
            RuntimeWarning,
            stacklevel=4,
        )
        raise


def _check_objective(callbacks: list[Any], history: keras.callbacks.History) -> None:
    """Raises a ValueError if the history lacks the tuner's objective."""
    for callback in callbacks:
        # One of keras-tuner's callbacks saves the weights of the best epoch, by the objective.
        objective: Any = getattr(callback, "objective", None)
        is_objective = isinstance(objective, keras_tuner.Objective)
        if is_objective and not objective.has_value(history.history):
            raise ValueError(
                "The tuner's `objective` must be among the model's metrics. Received: objective "
                f"{objective.name!r} and metrics {sorted(history.history)}. Choose one of them, or "
                "pass `validation_data` to `search` for an objective that begins with 'val_'."
            )


def _is_refused_in_graph(error: Exception) -> bool:
    """Returns whether a graph raised the error, as it does for invalid elements of a Dataset."""
    is_tensorflow = keras.backend.backend() == "tensorflow"
    return is_tensorflow and isinstance(error, tf.errors.InvalidArgumentError)


def _read(source: Source, options: dict[str, Any]) -> ElmoLayer:
    for name in _SEARCHED:
        if name in options:
            raise ValueError(
                f"Options must not be searched. Received: {name}={options[name]!r}, but `{name}` "
                "is searched. Pass it in `fixed`, where `train` replaces `trainable`."
            )
    if not isinstance(source, ElmoLayer):
        source = ElmoLayer.from_preset(source, **options)
    elif options:
        raise ValueError(
            "Options must come with a preset as the source. Received: an ElmoLayer and options "
            f"{sorted(options)}. Build the layer with these options instead."
        )
    if not source.built:
        source.build((None, None))
    return source


def _label_names(labels: Sequence[str] | None, number: int | None, argument: str) -> list[str]:
    if labels is None:
        if not isinstance(number, int) or number < 2:
            raise ValueError(
                f"`labels` must be a list of names, or `{argument}` an int of at least 2. "
                f"Received: labels=None, {argument}={number!r}. Pass one of the two."
            )
        return [str(label) for label in range(number)]
    labels = check_labels(labels)
    if number is not None and number != len(labels):
        raise ValueError(
            f"`{argument}` must be the number of `labels`. Received: {argument}={number!r} and "
            f"{len(labels)} labels {labels}. Leave `{argument}` out."
        )
    return labels


def _check_fixed(fixed: Mapping[str, Value] | None, space: Mapping[str, Any]) -> dict[str, Value]:
    fixed = dict(fixed or {})
    for name, value in fixed.items():
        if name not in space:
            raise ValueError(
                f"`fixed` must have names out of {list(space)}. Received: {name!r}. Correct it."
            )
        if not isinstance(value, Value):
            raise ValueError(
                f"`fixed` must have values of type bool, int, float or str. Received: "
                f"{name}={value!r}. Pass 0 for no hidden layer or no regularizer."
            )
    train = fixed.get("train", "all")
    if train not in TRAIN:
        raise ValueError(f"`train` must be one of {TRAIN}. Received: {train!r}. Choose one.")
    return fixed
