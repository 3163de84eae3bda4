"""Fine-tuning in two phases: the head first, then the whole model.

In the first phase the weights of the backbone are frozen, except those of its `ScalarMix` layers,
which are trained with the head. Three decisions make this safe:

- The first phase sets `trainable` of variables, not of layers. Frozen weights then cost no backward
  pass on any backend, and a file that a callback saves in this phase holds the flags that the user
  has set. Gradients times 0 would cost the backward pass, and fill the averages of Adam with zeros:
  its first steps with real gradients would be several times too large.
- The first phase has an optimizer of its own. The compiled optimizer sees the second phase alone,
  and its state always belongs to all trainable weights. On JAX, an optimizer cannot be applied to
  some of the weights that it was built for.
- Each phase is one call of Keras' `fit`, because on JAX the weights to train are chosen when a call
  begins. Callbacks see one training.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras

from elmo_keras.layers.keras_internals import sub_layers
from elmo_keras.layers.scalar_mix import ScalarMix

AUTO = "auto"
# The learning rate of the first phase, divided by the compiled one: new weights need larger steps
# than trained ones.
HEAD_RATE_FACTOR = 10.0
# Epochs of the two phases are one of these numbers by the root of the number of batches: few labels
# need more passes over the data and fewer steps. 3 and 2 epochs for all of SST-2 (217 batches).
_EPOCH_FACTORS = 40.0, 30.0
_MIN_EPOCHS, _MAX_EPOCHS = 2, 20


def plan_epochs(
    epochs: int | str, frozen_epochs: int | str, num_batches: int | None
) -> tuple[int, int]:
    """Computes the epochs of the first phase and of both phases.

    Args:
        epochs: argument of `fit`.
        frozen_epochs: argument of `fit`.
        num_batches: batches of an epoch, or `None` if their number is unknown.

    Raises:
        ValueError: for other strings, and for more frozen epochs than epochs.
    """
    for name, value in (("epochs", epochs), ("frozen_epochs", frozen_epochs)):
        if isinstance(value, str) and value != AUTO or not isinstance(value, str) and value < 0:
            raise ValueError(
                f"`{name}` must be an int of at least 0 or 'auto'. Received: {name}={value!r}. "
                "Pass the number of epochs."
            )
    first, second = (
        min(max(round(factor / math.sqrt(num_batches or math.inf)), _MIN_EPOCHS), _MAX_EPOCHS)
        for factor in _EPOCH_FACTORS
    )
    if isinstance(frozen_epochs, str):
        frozen_epochs = first if isinstance(epochs, str) else 0
    if isinstance(epochs, str):
        epochs = frozen_epochs + second
    if frozen_epochs > epochs:
        raise ValueError(
            "`frozen_epochs` are the first ones of `epochs`, the epochs of both phases. Received: "
            f"frozen_epochs={frozen_epochs}, epochs={epochs}. Increase `epochs`."
        )
    return frozen_epochs, epochs


def count_batches(data: Any, batch_size: int | None, steps: int | None) -> int | None:
    """Counts the batches of an epoch.

    Args:
        data: argument `x` of Keras' `fit`.
        batch_size: int, the batch size if `data` are arrays.
        steps: argument `steps_per_epoch` of `fit`.

    Returns:
        int, or `None` if the number is unknown.
    """
    if steps is not None:
        return steps
    if hasattr(data, "cardinality"):
        number = int(data.cardinality())
        return number if number >= 0 else None
    if isinstance(data, keras.utils.PyDataset):
        return len(data)
    arrays = keras.tree.flatten(data)
    if arrays and getattr(arrays[0], "shape", None):
        return -(-int(arrays[0].shape[0]) // (batch_size or 32))
    return None


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the best epoch, and restores them at the end of the training.

    The best epoch has the highest accuracy on the validation data; of equal ones, the lowest loss.
    A model without accuracy is compared by the loss. Without validation data nothing is restored.
    """

    def __init__(self) -> None:
        super().__init__()
        self._best: tuple[float, float] | None = None
        self._weights: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        if "val_loss" not in logs:
            return
        loss = float(logs["val_loss"])
        loss = loss if math.isfinite(loss) else math.inf  # NaN would never be improved on
        score = float(logs.get("val_accuracy", 0.0)), -loss
        if self._best is None or score > self._best:
            self._best, self._weights = score, self.model.get_weights()

    def restore(self) -> None:
        """Sets the weights of the best epoch so far."""
        if self._best is not None:
            self.model.set_weights(self._weights)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.restore()


class _OneTraining(keras.callbacks.CallbackList):
    """The callbacks of a training that consists of several calls of Keras' `fit`."""

    _logs: Any = None

    def begin(self) -> None:
        super().on_train_begin()

    def on_train_begin(self, logs: Any = None) -> None:
        pass  # `begin` has called the callbacks.

    def on_train_end(self, logs: Any = None) -> None:
        self._logs = logs or self._logs

    def end(self) -> None:
        super().on_train_end(self._logs)


def fit(
    model: Any,
    keras_fit: Callable[..., keras.callbacks.History],
    frozen_epochs: int,
    num_batches: int | None,
    options: dict[str, Any],
    keeps_best: bool,
) -> keras.callbacks.History:
    """Trains a task model in two phases.

    Args:
        model: the task model.
        keras_fit: Keras' `fit` of the model, with the data.
        frozen_epochs: epochs of the first phase.
        num_batches: batches of an epoch, or `None`.
        options: keyword arguments of Keras' `fit`.
        keeps_best: whether each phase ends with the weights of the best epoch so far.
    """
    given, verbose, epochs = options["callbacks"], options["verbose"], options["epochs"]
    if isinstance(given, keras.callbacks.CallbackList):
        given = given.callbacks
    best = BestWeights()
    callbacks = _OneTraining(
        [best] * keeps_best + keras.tree.flatten(given if given is not None else []),
        add_history=True,
        add_progbar=verbose != 0,
        model=model,
        verbose=verbose,
        epochs=epochs,
        steps=num_batches,
    )
    options = options | {"callbacks": callbacks}
    model.stop_training = False
    callbacks.begin()
    # BackupAndRestore sets the epoch to resume at on the model, where Keras would read it in the
    # second phase again.
    options["initial_epoch"] = model._initial_epoch or options["initial_epoch"]
    model._initial_epoch = None
    if options["initial_epoch"] < frozen_epochs:
        with _frozen_backbone(model):
            keras_fit(**options | {"epochs": frozen_epochs})
        options["initial_epoch"] = frozen_epochs
        best.restore()
    if not model.stop_training and options["initial_epoch"] < epochs:
        keras_fit(**options)
    callbacks.end()
    return model.history


@contextlib.contextmanager
def _frozen_backbone(model: Any) -> Iterator[None]:
    """Freezes the backbone's weights, except those of its mixes, and replaces the optimizer."""
    mixes = [layer for layer in sub_layers(model.backbone) if isinstance(layer, ScalarMix)]
    kept = {id(variable) for mix in mixes for variable in mix.variables}
    trainable = model.backbone.trainable_variables
    frozen = [variable for variable in trainable if id(variable) not in kept]
    compiled = model.optimizer
    if not compiled.built:
        with _strategy_scope(model):
            compiled.build(model.trainable_variables)
    for variable in frozen:
        variable.trainable = False
    try:
        model.optimizer = _head_optimizer(model)
        model.train_function = None  # The compiled step updates the weights it was made for.
        yield
    finally:
        for variable in frozen:
            variable.trainable = True
        model.optimizer = compiled
        model.train_function = None


def _head_optimizer(model: Any) -> keras.optimizers.Optimizer:
    """Creates an optimizer like the compiled one, with a higher learning rate."""
    config = model.optimizer.get_config()
    # A LossScaleOptimizer holds the config of another optimizer.
    inner = config.get("inner_optimizer", {"config": config})["config"]
    # A schedule has no single rate, and is used as it is.
    if isinstance(inner["learning_rate"], float):
        inner["learning_rate"] *= HEAD_RATE_FACTOR
    with _strategy_scope(model):
        optimizer = type(model.optimizer).from_config(config)
        optimizer.build(model.trainable_variables)
        # Keras loads the state of an optimizer by the number of its variables. With one more, a
        # file of this phase does not give its rate to the compiled optimizer.
        getattr(optimizer, "inner_optimizer", optimizer).add_variable((), name="first_phase")
    return optimizer


def _strategy_scope(model: Any) -> contextlib.AbstractContextManager[Any]:
    """Returns the scope of the model's tf.distribute strategy, where variables are created."""
    strategy = getattr(model, "distribute_strategy", None)
    return contextlib.nullcontext() if strategy is None else strategy.scope()
