"""How pretraining goes."""

import dataclasses
import math

import keras

from elmo_keras import backend

OPTIMIZERS = ("adam", "adagrad")


@dataclasses.dataclass(frozen=True)
class PretrainingOptions:
    """How a biLM is pretrained.

    A "token" is a word, or sentence mark, that each of the two directions predicts.

    Attributes:
        tokens: int. How many to train on in all.
        batch_size: int. Streams side by side, over all devices. Defaults to `64`.
        window: int. Words that gradients go back; LSTM states go on from window to window.
            Defaults to `20`.
        num_negatives: int. Words of the sampled softmax; with a vocabulary that is no larger, the
            softmax is full. Defaults to `2048`.
        dropout: float. On the inputs of each LSTM layer and on the last one's output. Defaults to
            `0.1`.
        fresh_starts: float. The share of windows at whose begin a row takes its next sentence and
            starts from zero states, which is how `ElmoLayer` reads sentences: a model whose states
            always went on, as in bilm-tf (0.0), is at a loss there for a dozen words. Defaults to
            `0.05`.
        optimizer: str. `"adam"`, the default, or `"adagrad"`, with accumulators that begin at 1,
            as bilm-tf trains.
        learning_rate: float. The highest one. Defaults to `0.002`; for `"adagrad"`, 0.2 is
            bilm-tf's.
        warmup: int. Steps in which the learning rate rises from 0. Defaults to `200`.
        decay: float. The last share of the run, in which the learning rate falls to 0 in a line.
            Defaults to `1.0`: from the beginning.
        max_norm: float. What the norm of the gradient over all weights is brought down to, where
            it is larger. Defaults to `10.0`.
        seed: int. Seed of the order of sentences, the negatives, the dropout and the fresh starts;
            for `elmo-keras pretrain` also of the initial weights. `pretrain` takes a model that has
            its weights already: call `keras.utils.set_random_seed` before you make it. Defaults to
            `0`.

    Raises:
        ValueError: if one is out of range.
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

    def __post_init__(self):
        for name in ("tokens", "batch_size", "window", "num_negatives"):
            self._check(name, int, lambda value: value > 0, "a positive int")
        for name in ("warmup", "seed"):
            self._check(name, int, lambda value: value >= 0, "an int of at least 0")
        self._check("dropout", float, lambda value: 0 <= value < 1, "a number from 0 to below 1")
        self._check("fresh_starts", float, lambda value: 0 <= value <= 1, "a number from 0 to 1")
        self._check("decay", float, lambda value: 0 <= value <= 1, "a number from 0 to 1")
        for name in ("learning_rate", "max_norm"):
            self._check(name, float, lambda value: 0 < value < math.inf, "a positive number")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"`optimizer` must be one of {OPTIMIZERS}. Received: optimizer={self.optimizer!r}"
            )

    def _check(self, name, kind, holds, rule):
        value = getattr(self, name)
        is_kind = isinstance(value, (int, kind)) and not isinstance(value, bool)
        if not is_kind or not holds(value):
            raise ValueError(f"`{name}` must be {rule}. Received: {name}={value!r}")

    @property
    def steps(self) -> int:
        """Batches in all."""
        return -(-self.tokens // (self.batch_size * self.window))

    def learning_rate_of(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        rate = self.learning_rate * min(1.0, (step + 1) / (self.warmup + 1))
        decaying = self.steps * self.decay
        return rate * min(1.0, (self.steps - step) / decaying) if decaying else rate

    def make_optimizer(self) -> keras.optimizers.Optimizer:
        """The Keras optimizer; its learning rate is to be set at each step."""
        if self.optimizer == "adagrad":
            return backend.Adagrad(initial_accumulator_value=1.0)
        return backend.Adam()
