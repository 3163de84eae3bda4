"""Options of a pretraining run."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras

from elmo_keras import backend

OPTIMIZERS = ("adam", "adagrad")


@dataclasses.dataclass(frozen=True)
class PretrainingOptions:
    """Options of a pretraining run.

    A "token" is a word or a sentence boundary that each of the two directions predicts.

    Args:
        tokens: int. Number of training tokens.
        batch_size: int. Parallel text streams, over all devices. Defaults to `64`.
        window: int. Truncated-backpropagation length, in words. LSTM states are carried from
            window to window, gradients are not. Defaults to `20`.
        num_negatives: int. Words of the sampled softmax. If the vocabulary is not larger, the
            full softmax is used. Defaults to `2048`.
        dropout: float. Dropout rate of each LSTM layer's input and of the last layer's output.
            Defaults to `0.1`.
        fresh_starts: float. Share of windows in which a stream starts a sentence from zero LSTM
            states, as `ElmoLayer` does. A model that always carries its states, as in bilm-tf
            (0.0), predicts the first dozen words after zero states poorly. Defaults to `0.05`.
        optimizer: str. `"adam"`, the default, or `"adagrad"`, whose accumulators start at 1 as
            in bilm-tf.
        learning_rate: float. Peak learning rate. Defaults to `0.002`; bilm-tf uses 0.2 with
            Adagrad.
        warmup: int. Linear warm-up steps. Defaults to `200`.
        decay: float. Final share of the run in which the learning rate falls linearly to 0.
            Defaults to `1.0`, the whole run.
        max_norm: float. Gradient clipping threshold, a norm over all weights. Defaults to `10.0`.
        seed: int. Seed of the sentence order, the negatives, the dropout and the fresh starts.
            `elmo-keras pretrain` also seeds the initial weights with it. `pretrain` takes a model
            that already has its weights: call `keras.utils.set_random_seed` before you create the
            model. Defaults to `0`.
        teacher_weight: float. Weight of a teacher's error in the loss, in nats per word. The error
            is 1 for predicting the mean of the teacher's vectors. Defaults to `3.0`. This option
            and the next two are not used without a teacher.
        teacher_sentence_weight: float. Weight of the error of the mean vector of each sentence,
            relative to the error of the tokens, to which it is added. Defaults to `2.0`.
        teacher_batch_size: int or `None`. Number of the teacher's sentences in a step, over all
            devices. Defaults to `None`, for `batch_size`.

    Raises:
        ValueError: if an option is out of range.

    Example:

    >>> from elmo_keras.training import PretrainingOptions
    >>> PretrainingOptions(tokens=1_280_000, batch_size=64, window=20).steps
    1000
    """

    tokens: int
    batch_size: int = 64
    window: int = 20
    num_negatives: int = 2048
    dropout: float = 0.1
    fresh_starts: float = 0.05
    optimizer: str = "adam"
    learning_rate: float = 2e-3
    warmup: int = 200
    decay: float = 1.0
    max_norm: float = 10.0
    seed: int = 0
    teacher_weight: float = 3.0
    teacher_sentence_weight: float = 2.0
    teacher_batch_size: int | None = None

    def __post_init__(self) -> None:
        for name in ("tokens", "batch_size", "window", "num_negatives"):
            self._check(name, int, lambda value: value > 0, "a positive int")
        for name in ("warmup", "seed"):
            self._check(name, int, lambda value: value >= 0, "an int of at least 0")
        self._check("dropout", float, lambda value: 0 <= value < 1, "a number from 0 to below 1")
        self._check("fresh_starts", float, lambda value: 0 <= value <= 1, "a number from 0 to 1")
        self._check("decay", float, lambda value: 0 <= value <= 1, "a number from 0 to 1")
        for name in ("learning_rate", "max_norm", "teacher_weight"):
            self._check(name, float, lambda value: 0 < value < math.inf, "a positive number")
        name = "teacher_sentence_weight"
        self._check(name, float, lambda value: 0 <= value < math.inf, "a number of at least 0")
        if self.teacher_batch_size is not None:
            name = "teacher_batch_size"
            self._check(name, int, lambda value: value > 0, "a positive int or None")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"`optimizer` must be one of {OPTIMIZERS}. Received: optimizer={self.optimizer!r}. "
                "Leave it out for 'adam'."
            )

    def _check(self, name: str, kind: type, is_valid: Callable[[Any], bool], rule: str) -> None:
        value = getattr(self, name)
        is_kind = isinstance(value, (int, kind)) and not isinstance(value, bool)
        if not is_kind or not is_valid(value):
            default = getattr(PretrainingOptions, name, None)
            advice = "Pass the number of training tokens."
            if name == "teacher_batch_size":
                advice = "Leave it out to use `batch_size`."
            raise ValueError(
                f"`{name}` must be {rule}. Received: {name}={value!r}. "
                + (advice if default is None else f"The default is {default!r}.")
            )

    @property
    def steps(self) -> int:
        """Number of training steps in the run."""
        return -(-self.tokens // (self.batch_size * self.window))

    def learning_rate_at(self, step: int) -> float:
        """Returns the learning rate of a step; steps are counted from 0."""
        rate = self.learning_rate * min(1.0, (step + 1) / (self.warmup + 1))
        decaying = self.steps * self.decay
        return rate * min(1.0, (self.steps - step) / decaying) if decaying else rate

    def make_optimizer(self) -> keras.optimizers.Optimizer:
        """Creates the optimizer; the caller sets its learning rate before each step."""
        if self.optimizer == "adagrad":
            return backend.Adagrad(initial_accumulator_value=1.0)
        return backend.Adam()
