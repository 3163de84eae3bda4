"""Where the rows of a batch are computed: on one device, or on those of a tf.distribute strategy.

A strategy is TensorFlow's matter and is only looked at where TensorFlow runs.
"""

import contextlib
import tempfile

import keras

from elmo_keras import backend
from elmo_keras.training.windows import Batch
from elmo_keras.utils.optional_module import tensorflow as tf


class OneDevice:
    """Everything in one place."""

    number = 1
    is_chief = True
    pads_words = keras.backend.backend() == "jax"

    def written(self, path):
        """The place to write something to that is to be at `path`."""
        return contextlib.nullcontext(path)

    def batch(self, batch: Batch):
        """A batch as the step takes it."""
        return batch

    def states(self, arrays):
        """LSTM states `(2, layers, rows, size)` as the step takes them."""
        return tuple(keras.ops.convert_to_tensor(array) for array in arrays)

    def arrays(self, states):
        """The inverse of `states`."""
        return tuple(keras.ops.convert_to_numpy(state) for state in states)

    def numpy(self, value):
        """Something that is the same on all devices."""
        return keras.ops.convert_to_numpy(value)


class Replicas:
    """The devices of a `tf.distribute` strategy, of one or of several processes.

    Every process makes the whole batch, which depends on the seed alone, and each replica takes its
    rows of it: nothing but gradients travels.

    Args:
        strategy: MirroredStrategy or MultiWorkerMirroredStrategy.
        batch_size: int. Rows of the whole batch.

    Raises:
        ValueError: if the rows do not divide into as many equal parts as there are replicas.
    """

    pads_words = True  # a new size would be a new trace

    def __init__(self, strategy, batch_size: int):
        self.strategy = strategy
        self.number = strategy.num_replicas_in_sync
        if batch_size % self.number:
            raise ValueError(
                "`batch_size` must be a multiple of the number of replicas. "
                f"Received: batch_size={batch_size} for {self.number} replicas."
            )
        self._rows = batch_size // self.number
        self.is_chief = _is_chief(strategy.cluster_resolver)

    def written(self, path):
        # What is written may be made of new variables, and those are made by all workers together.
        return contextlib.nullcontext(path) if self.is_chief else tempfile.TemporaryDirectory()

    def batch(self, batch: Batch):
        given = [name for name, array in batch._asdict().items() if array is not None]

        def part(rows):
            own = batch.of_rows(rows, pad_words=True)
            return [getattr(own, name) for name in given]

        return batch._replace(**dict(zip(given, self._distribute(part))))

    def states(self, arrays):
        return self._distribute(lambda rows: tuple(array[:, :, rows] for array in arrays))

    def _distribute(self, part):
        def value(context):
            start = context.replica_id_in_sync_group * self._rows
            return tf.nest.map_structure(tf.constant, part(slice(start, start + self._rows)))

        return self.strategy.experimental_distribute_values_from_function(value)

    def arrays(self, states):
        return tuple(self.strategy.gather(state, axis=2).numpy() for state in states)

    def numpy(self, value):
        return self.strategy.experimental_local_results(value)[0].numpy()


def _is_chief(resolver):
    """Whether this is the process that writes: the chief, or where there is none, worker 0."""
    if resolver is None or resolver.task_type in (None, "chief"):
        return True
    return resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs


def devices(batch_size: int):
    """What the code runs under: the strategy in scope, or one device."""
    if backend.in_distribution_strategy():
        return Replicas(tf.distribute.get_strategy(), batch_size)
    return OneDevice()
