"""Distribution of a training step: one device, or the replicas of a `tf.distribute` strategy.

TensorFlow is imported only for a strategy, so one device works without TensorFlow.
"""

import contextlib
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np

from elmo_keras import backend
from elmo_keras.training.windows import Batch
from elmo_keras.utils.optional_module import tensorflow as tf


class Distribution(Protocol):
    """The devices of a training step, and the transfer of arrays to and from them.

    Attributes:
        num_replicas: int. Number of devices.
        is_chief: bool. Whether this process writes the files of the run.
        pads_words: bool. Whether the step is compiled again for each new number of words.
    """

    num_replicas: int
    is_chief: bool
    pads_words: bool

    def write_path(self, path: pathlib.Path) -> contextlib.AbstractContextManager[Any]:
        """Returns a context with the path to write to; only the chief writes to `path`."""

    def distribute_batch(self, batch: Batch) -> Batch:
        """Converts a batch to the input of the step."""

    def distribute_states(self, arrays: tuple[np.ndarray, ...]) -> Any:
        """Converts LSTM states `(2, num_layers, batch_size, size)` to the input of the step."""

    def gather_states(self, states: Any) -> tuple[np.ndarray, ...]:
        """Converts the step's LSTM states to arrays; the inverse of `distribute_states`."""

    def to_numpy(self, value: Any) -> np.ndarray:
        """Converts a value that is the same on all devices to an array."""


class SingleDeviceDistribution:
    """One device: tensors are passed to the step as they are."""

    num_replicas = 1
    is_chief = True
    pads_words = keras.backend.backend() == "jax"

    def write_path(self, path: pathlib.Path) -> contextlib.AbstractContextManager[Any]:
        """See `Distribution`."""
        return contextlib.nullcontext(path)

    def distribute_batch(self, batch: Batch) -> Batch:
        """See `Distribution`."""
        return batch

    def distribute_states(self, arrays: tuple[np.ndarray, ...]) -> tuple[Any, ...]:
        """See `Distribution`."""
        return tuple(keras.ops.convert_to_tensor(array) for array in arrays)

    def gather_states(self, states: Any) -> tuple[np.ndarray, ...]:
        """See `Distribution`."""
        return tuple(keras.ops.convert_to_numpy(state) for state in states)

    def to_numpy(self, value: Any) -> np.ndarray:
        """See `Distribution`."""
        return keras.ops.convert_to_numpy(value)


class StrategyDistribution:
    """The replicas of a `tf.distribute` strategy, in one or several processes.

    The batch depends only on the seed, so every process makes the whole batch and each replica
    takes its streams from it. Only gradients are sent between processes.

    Args:
        strategy: MirroredStrategy or MultiWorkerMirroredStrategy.
        batch_size: int. Streams of the whole batch.

    Raises:
        ValueError: if `batch_size` is not a multiple of the number of replicas.
    """

    pads_words = True  # TensorFlow traces the step again for each new size.

    def __init__(self, strategy: Any, batch_size: int) -> None:
        self.strategy = strategy
        self.num_replicas = strategy.num_replicas_in_sync
        check_divisible("batch_size", batch_size, self.num_replicas)
        self._streams = batch_size // self.num_replicas
        self.is_chief = _is_chief(strategy.cluster_resolver)

    def write_path(self, path: pathlib.Path) -> contextlib.AbstractContextManager[Any]:
        """See `Distribution`."""
        # All workers must take part in the writing, because it may create variables, and a
        # strategy creates them on all workers together. Workers write to a temporary directory.
        return contextlib.nullcontext(path) if self.is_chief else tempfile.TemporaryDirectory()

    def distribute_batch(self, batch: Batch) -> Batch:
        """See `Distribution`."""
        names = [name for name, array in batch._asdict().items() if array is not None]

        def part(streams: slice) -> list[np.ndarray]:
            selected = batch.select_streams(streams, pad_words=True)
            return [getattr(selected, name) for name in names]

        return batch._replace(**dict(zip(names, self._distribute(part))))

    def distribute_states(self, arrays: tuple[np.ndarray, ...]) -> Any:
        """See `Distribution`."""
        return self._distribute(lambda streams: tuple(array[:, :, streams] for array in arrays))

    def _distribute(self, part: Callable[[slice], Any]) -> Any:
        def value(context: Any) -> Any:
            start = context.replica_id_in_sync_group * self._streams
            return tf.nest.map_structure(tf.constant, part(slice(start, start + self._streams)))

        return self.strategy.experimental_distribute_values_from_function(value)

    def gather_states(self, states: Any) -> tuple[np.ndarray, ...]:
        """See `Distribution`."""
        return tuple(self.strategy.gather(state, axis=2).numpy() for state in states)

    def to_numpy(self, value: Any) -> np.ndarray:
        """See `Distribution`."""
        return self.strategy.experimental_local_results(value)[0].numpy()


def check_divisible(name: str, size: int, num_replicas: int) -> None:
    """Raises a ValueError if a batch cannot be divided among the replicas."""
    if size % num_replicas:
        raise ValueError(
            f"`{name}` must be a multiple of the number of replicas. Received: {name}={size} for "
            f"{num_replicas} replicas. Change `{name}`."
        )


def current_distribution(batch_size: int) -> Distribution:
    """Returns the distribution of the `tf.distribute` strategy in scope, or of one device.

    Args:
        batch_size: int. Streams of the whole batch.

    Raises:
        ValueError: if `batch_size` is not a multiple of the strategy's number of replicas.
    """
    if backend.in_distribution_strategy():
        return StrategyDistribution(tf.distribute.get_strategy(), batch_size)
    return SingleDeviceDistribution()


def _is_chief(resolver: Any) -> bool:
    """Whether this process writes files: the chief or, in a cluster without one, worker 0."""
    if resolver is None or resolver.task_type in (None, "chief"):
        return True
    return resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs
