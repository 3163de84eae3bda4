"""The training step and the optimizers of pretraining on TensorFlow."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from elmo_keras.backend.tensorflow.internals import adagrad_accumulator, adam_moments


class Adagrad(keras.optimizers.Adagrad):
    """Keras' Adagrad, updating each weight in one pass.

    If the gradient is `tf.IndexedSlices`, only its rows are updated; the result is the same. A step
    of a sampled softmax sees some 3,000 of the softmax's 30,000 words. On JAX and PyTorch, and
    inside a `tf.distribute` strategy, this is Keras' Adagrad unchanged.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one weight; Keras calls it.

        Args:
            gradient: tensor or `tf.IndexedSlices` without repeated indices.
            variable: Keras variable, the weight.
            learning_rate: float scalar.
        """
        if tf.distribute.has_strategy():
            super().update_step(gradient, variable, learning_rate)
            return
        arguments = {
            "var": variable.handle,
            "accum": adagrad_accumulator(self, variable).value.handle,
            "lr": tf.cast(learning_rate, variable.dtype),
            "epsilon": tf.cast(self.epsilon, variable.dtype),
        }
        if isinstance(gradient, tf.IndexedSlices):
            tf.raw_ops.ResourceSparseApplyAdagradV2(
                **arguments, grad=gradient.values, indices=gradient.indices
            )
        else:
            tf.raw_ops.ResourceApplyAdagradV2(**arguments, grad=gradient)


class Adam(keras.optimizers.Adam):
    """Keras' Adam, updating each weight in one pass.

    On JAX and PyTorch, inside a `tf.distribute` strategy, and with `amsgrad=True`, this is Keras'
    Adam unchanged.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one weight; Keras calls it.

        Args:
            gradient: tensor or `tf.IndexedSlices`.
            variable: Keras variable, the weight.
            learning_rate: float scalar.
        """
        if self.amsgrad or tf.distribute.has_strategy():
            super().update_step(gradient, variable, learning_rate)
            return
        first_moment, second_moment = adam_moments(self, variable)
        dtype = variable.dtype
        step = tf.cast(self.iterations.value + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=first_moment.value.handle,
            v=second_moment.value.handle,
            beta1_power=tf.cast(self.beta_1, dtype) ** step,
            beta2_power=tf.cast(self.beta_2, dtype) ** step,
            lr=tf.cast(learning_rate, dtype),
            beta1=tf.cast(self.beta_1, dtype),
            beta2=tf.cast(self.beta_2, dtype),
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.convert_to_tensor(gradient),
        )


def training_step(
    loss: Callable[[Any, Any], tuple[Any, Any, Any]],
    weights: list[Any],
    optimizer: keras.optimizers.Optimizer,
    max_norm: float,
) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
    """Compiles a training step with gradient clipping and recurrent states.

    The gradient is scaled so that its norm, over all weights and all replicas of the strategy in
    scope, is at most `max_norm`. Then the optimizer updates the weights.

    Args:
        loss: function of a batch and of states that returns `(value, sums, new_states)`: the
            scalar to minimize, a tensor of sums to report, and states of the same shapes.
        weights: Keras variables to update.
        optimizer: Keras optimizer; `training_step` builds it.
        max_norm: bound of the gradient's norm.

    Returns:
        A function of a batch, a nest of arrays, and of states, a list of tensors. It returns
        `(sums, norm, new_states)` with the norm before the clipping. Inside a strategy, batch and
        states are distributed values, and the sums are added up over the replicas.
    """
    strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    is_distributed = tf.distribute.has_strategy()
    keeps_rows = isinstance(optimizer, Adagrad) and not is_distributed
    optimizer.build(weights)

    def replica(batch: Any, states: Any) -> tuple[Any, Any, Any]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([weight.value for weight in weights])
            value, sums, states = loss(batch, states)
        gradients = tape.gradient(
            value,
            [weight.value for weight in weights],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        if not keeps_rows:
            gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        if is_distributed:
            context = tf.distribute.get_replica_context()
            gradients, sums = context.all_reduce(tf.distribute.ReduceOp.SUM, [gradients, sums])
        gradients = [_each_row_once(gradient) for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        # Divided by `replicas`, because Keras sums over the replicas again. The division is exact
        # for a power of two.
        scale = max_norm / tf.maximum(norm, max_norm) / replicas
        optimizer.apply([tf.math.scalar_mul(scale, gradient) for gradient in gradients], weights)
        return sums, norm, states

    if is_distributed:
        return tf.function(
            lambda batch, states: strategy.run(replica, (batch, states)), autograph=False
        )
    return _traced_once(replica)


def _each_row_once(gradient: Any) -> Any:
    """Sums the parts of a sparse gradient that belong to the same row."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def _traced_once(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Compiles a function of a batch and of states; one trace serves batches of every size."""
    traced: list[Any] = []

    def call(batch: Any, states: Any) -> Any:
        # A signature cannot hold None.
        arrays = [x for x in tf.nest.flatten(batch) if x is not None]
        states = list(states)
        if not traced:
            is_there = [x is not None for x in tf.nest.flatten(batch)]

            def whole(arrays: Any, states: Any) -> Any:
                left = iter(arrays)
                leaves = [next(left) if there else None for there in is_there]
                return function(tf.nest.pack_sequence_as(batch, leaves), states)

            signature = [
                [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in arrays],
                [tf.TensorSpec(x.shape, x.dtype) for x in states],
            ]
            traced.append(tf.function(whole, input_signature=signature, autograph=False))
        return traced[0](arrays, states)

    return call
