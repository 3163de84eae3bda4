"""Search spaces for keras-tuner: the options of ELMo, of the head and of the training.

keras-tuner swallows a trial's exception. Here, what is wrong with the data or the arguments, and so
with every trial, becomes a `FatalError`, which ends the search with that message; any other failure
gives a warning before it is swallowed.
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

# Defaults are those of the layer and of the models.
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
    "head_dropout": lambda hp, name: hp.Float(name, 0.0, 0.5, step=0.1),
}
_FIT: Space = {
    "learning_rate": lambda hp, name: hp.Float(name, 1e-4, 1e-2, sampling="log", default=1e-3),
    "batch_size": lambda hp, name: hp.Choice(name, [16, 32, 64], default=32),
}
# Arguments of ElmoLayer that each trial sets; `trainable` is `train`.
_SEARCHED = ("dropout", "layer_norm", "mix_regularizer", "trainable")
# Parts that have the weights of the source; mixes start anew.
_PARTS = ("token_encoder", "bilstm", "lstm_states")


class _ElmoHyperModel(keras_tuner.HyperModel):
    """Base of the search spaces: an ElmoLayer from one source, and a task's head on it."""

    task: type[ElmoTask]
    head_space = _HEAD

    def __init__(
        self,
        source: Source,
        labels: list[str],
        fixed: Mapping[str, Value] | None,
        options: dict[str, Any],
    ) -> None:
        layer = _read(source, options)
        # keras-tuner builds models for itself, for each trial, and to return: all from these.
        self._layer_class = type(layer)
        self._config = layer.get_config()
        del self._config["trainable_mixes"]
        for part in ("token_encoder", "bilstm"):
            self._config[part]["config"].pop("trainable", None)  # Each trial has its own.
        self._weights = {part: getattr(layer, part).get_weights() for part in _PARTS}
        self.elmo_space = _ELMO | _MIX if layer.scalar_mixes else _ELMO
        self.fixed = _check_fixed(fixed, self.space)
        self.labels = labels
        super().__init__()

    @property
    def space(self) -> Space:
        """The names that are searched or fixed, each with what registers it in `hp`."""
        return {**self.elmo_space, **self.head_space, **_FIT}

    def build(self, hp: HyperParameters) -> ElmoTask:
        """The compiled model of one trial.

        Args:
            hp: the trial's values; what it does not have yet is registered.

        Returns:
            A new model, with a new ElmoLayer that has the weights of the source.
        """
        with _explained(hp):
            elmo = self._elmo(**{name: self._value(hp, name) for name in self.elmo_space})
            head = {name: self._value(hp, name) for name in self.head_space}
            model = self.task(elmo, self.labels, **head)
            model.optimizer.learning_rate = self._value(hp, "learning_rate")
            # Keras leaves out a checkpoint's optimizer state where the optimizer is not built.
            model.optimizer.build(model.trainable_variables)
            return model

    def fit(
        self, hp: HyperParameters, model: ElmoTask, *args: Any, **kwargs: Any
    ) -> keras.callbacks.History:
        """Trains the model of one trial.

        `batch_size` joins the search here, where it has an effect: not for a `tf.data.Dataset`,
        and not where `search` was given one.

        Args:
            hp: the trial's values.
            model: what `build` returned for them.
            *args, **kwargs: what `search` was given, and the tuner's callbacks.

        Returns:
            The History of the model's `fit`.

        Raises:
            keras_tuner.errors.FatalError: for data or arguments that the model refuses.
            keras_tuner.errors.FailedTrialError: if a loss is no finite number.
        """
        with _explained(hp):
            given = inspect.signature(model.fit).bind_partial(*args, **kwargs).arguments
            if "batch_size" not in given and not hasattr(given.get("x"), "element_spec"):
                kwargs["batch_size"] = self._value(hp, "batch_size")
            callbacks = [_FiniteLoss(), *(kwargs.pop("callbacks", None) or [])]
            history = model.fit(*args, callbacks=callbacks, **kwargs)
            _check_objective(callbacks, history)
            return history

    def _value(self, hp: HyperParameters, name: str) -> Value:
        if name in self.fixed:
            return hp.Fixed(name, self.fixed[name])
        return self.space[name](hp, name)

    def _elmo(self, train: str, mix_regularizer: float = 0.0, **options: Value) -> ElmoLayer:
        """A new ElmoLayer with the weights of the source."""
        l2 = keras.regularizers.L2(mix_regularizer) if mix_regularizer else None
        # A copy: deserialising may take a config apart.
        config = copy.deepcopy(self._config) | options | {"mix_regularizer": l2, "trainable": True}
        layer = self._layer_class.from_config(config)
        layer.build((None, None))
        for part, weights in self._weights.items():
            getattr(layer, part).set_weights(weights)
        layer.token_encoder.trainable = train == "all"
        layer.bilstm.trainable = train != "mixes"
        return layer


class ElmoClassifierHyperModel(_ElmoHyperModel):
    """The search space of an `ElmoTextClassifier`, for any tuner of keras-tuner.

    The source is read once; each trial gets a new `ElmoLayer` with its weights and a new head.

    | name | values | what it is |
    |---|---|---|
    | `train` | `"mixes"`, `"mixes+lstm"`, `"all"` | parts of ELMo that train beside the head |
    | `dropout` | 0.0 to 0.5 | of the ElmoLayer |
    | `layer_norm` | `False`, `True` | of the mix |
    | `mix_regularizer` | 0, 1e-4, 1e-3, 1e-2, 1e-1 | L2 coefficient of the mix' scalars |
    | `hidden_dim` | 0, 64, 128, 256 | of the head |
    | `head_dropout` | 0.0 to 0.5 | of the head |
    | `pooling` | `"mean"`, `"max"`, `"mean_max"` | of the head |
    | `learning_rate` | 1e-4 to 1e-2 | of Adam |
    | `batch_size` | 16, 32, 64 | unless `search` is given one, or a `tf.data.Dataset` |

    The defaults are the models' own. `fixed` takes names out of the search. Another range is given
    to the tuner, as for every HyperModel: register the name in its `hyperparameters`, which go
    first; with `tune_new_entries=False` nothing else is searched.

    `tuner.search` takes what the model's `fit` takes. Data and arguments that `fit` refuses end
    the search at once. A trial that fails by itself (out of memory, a loss that is no finite
    number) gives a warning with its values and the reason, and the search goes on; the
    traceback is in `tuner.oracle.get_trial(...).message`. To end at the first one, give the
    tuner `max_consecutive_failed_trials=1`.

    Args:
        source: what `ElmoLayer.from_preset` takes, or an `ElmoLayer`, which is copied: its
            weights and its warm or carried state, but not its mixes.
        num_classes: int. The number of classes, whose names are then `"0"`, `"1"` and so on.
            Needed without `labels`.
        labels: list of str. The names of the classes.
        fixed: dict of names above to values. Any value that the model takes, and 0 for no hidden
            layer or no regularizer. Defaults to `None`: all are searched.
        **options: arguments of `ElmoLayer.from_preset` that are not searched: `state`,
            `tokenizer`, `dtype` and so on. With an `output` other than `"mix"`, `layer_norm` and
            `mix_regularizer` are not in the space.

    Raises:
        ValueError: without labels and number, if the two contradict each other, or for a name in
            `fixed` that is not in the space.

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
    head_space = {**_HEAD, "pooling": lambda hp, name: hp.Choice(name, list(POOLINGS))}

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
    """The search space of an `ElmoTagger`, for any tuner of keras-tuner.

    As `ElmoClassifierHyperModel`, without `pooling`.

    Args:
        source: what `ElmoLayer.from_preset` takes, or an `ElmoLayer`, which is copied.
        num_labels: int. The number of tags, whose names are then `"0"`, `"1"` and so on. Needed
            without `labels`.
        labels: list of str. The names of the tags.
        fixed: dict of names of the space to values. Defaults to `None`: all are searched.
        **options: arguments of `ElmoLayer.from_preset` that are not searched.

    Raises:
        ValueError: as `ElmoClassifierHyperModel` does.

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
    """Fails the trial at the first loss that is no finite number.

    It runs before the tuner's callbacks: accuracies are numbers even of weights that are not, and
    such an epoch could be kept as the best.
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
                    "Often the learning rate is too high."
                )


@contextlib.contextmanager
def _explained(hp: HyperParameters) -> Iterator[None]:
    """Turns errors into what keras-tuner lets through, or warns of what it will swallow."""
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
    """Raises a ValueError if the tuner will look for its objective in vain."""
    for callback in callbacks:
        # keras-tuner's callback that keeps the weights of the best epoch knows the objective.
        objective = getattr(callback, "objective", None)
        is_objective = isinstance(objective, keras_tuner.Objective)
        if is_objective and not objective.has_value(history.history):
            raise ValueError(
                "The tuner's `objective` must be among the model's metrics. Received: objective "
                f"{objective.name!r} and metrics {sorted(history.history)}. Those that begin with "
                "'val_' need `validation_data` in `search`."
            )


def _is_refused_in_graph(error: Exception) -> bool:
    """Whether it is a ValueError that was found in a graph: a Dataset is checked as it is read."""
    if keras.backend.backend() != "tensorflow":
        return False
    return isinstance(error, tf.errors.InvalidArgumentError)


def _read(source: Source, options: dict[str, Any]) -> ElmoLayer:
    for name in _SEARCHED:
        if name in options:
            raise ValueError(
                f"`{name}` is searched. Received: {name}={options[name]!r} as an option. Pass it "
                "in `fixed`, where `train` stands for `trainable`."
            )
    if not isinstance(source, ElmoLayer):
        source = ElmoLayer.from_preset(source, **options)
    elif options:
        raise ValueError(
            "Options are for a source that is read. Received: an ElmoLayer and options "
            f"{sorted(options)}. Build the layer with them."
        )
    if not source.built:
        source.build((None, None))
    return source


def _label_names(labels: Sequence[str] | None, number: int | None, argument: str) -> list[str]:
    if labels is None:
        if not isinstance(number, int) or number < 2:
            raise ValueError(
                f"`labels` must be a list of names, or `{argument}` an int of at least 2. "
                f"Received: labels=None, {argument}={number!r}"
            )
        return [str(label) for label in range(number)]
    labels = check_labels(labels)
    if number is not None and number != len(labels):
        raise ValueError(
            f"`{argument}` must be the number of `labels`, and can be left out. "
            f"Received: {argument}={number!r} and {len(labels)} labels {labels}"
        )
    return labels


def _check_fixed(fixed: Mapping[str, Value] | None, space: Mapping[str, Any]) -> dict[str, Value]:
    fixed = dict(fixed or {})
    for name, value in fixed.items():
        if name not in space:
            raise ValueError(
                f"`fixed` must have names out of {list(space)}. Received: {name!r} in {fixed}"
            )
        if not isinstance(value, Value):
            raise ValueError(
                "`fixed` must have values of type bool, int, float or str; 0 stands for no hidden "
                f"layer and for no regularizer. Received: {name}={value!r}"
            )
    if fixed.get("train", "all") not in TRAIN:
        raise ValueError(f"`train` must be one of {TRAIN}. Received: train={fixed['train']!r}")
    return fixed
