"""Training steps on TensorFlow's side."""

import keras
import tensorflow as tf


class Adagrad(keras.optimizers.Adagrad):
    """Keras' Adagrad, in one pass over a weight, and of a gradient of some rows over these alone.

    The others it would leave as they are: of the softmax' 30,000 words a step has seen 3,000.
    """

    def update_step(self, gradient, variable, learning_rate):
        if tf.distribute.has_strategy():
            super().update_step(gradient, variable, learning_rate)
            return
        accumulator = self._accumulators[self._get_variable_index(variable)]
        arguments = {
            "var": variable.handle,
            "accum": accumulator.value.handle,
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
    """Keras' Adam, in one pass over a weight."""

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad or tf.distribute.has_strategy():
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        dtype = variable.dtype
        step = tf.cast(self.iterations.value + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.cast(self.beta_1, dtype) ** step,
            beta2_power=tf.cast(self.beta_2, dtype) ** step,
            lr=tf.cast(learning_rate, dtype),
            beta1=tf.cast(self.beta_1, dtype),
            beta2=tf.cast(self.beta_2, dtype),
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.convert_to_tensor(gradient),
        )


def training_step(loss, weights, optimizer, max_norm):
    """See `elmo_keras.backend`. Under a strategy, batch and states are values of each replica."""
    strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    is_distributed = tf.distribute.has_strategy()
    keeps_rows = isinstance(optimizer, Adagrad) and not is_distributed
    optimizer.build(weights)

    def replica(batch, states):
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
        # Keras sums over the replicas once more; a division by a power of two is exact.
        scale = max_norm / tf.maximum(norm, max_norm) / replicas
        optimizer.apply([tf.math.scalar_mul(scale, gradient) for gradient in gradients], weights)
        return sums, norm, states

    if is_distributed:
        return tf.function(
            lambda batch, states: strategy.run(replica, (batch, states)), autograph=False
        )
    return _traced_once(replica)


def _each_row_once(gradient):
    """A gradient with the parts of a row that was read more than once added up."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def _traced_once(function):
    """A function of a batch, whose arrays may differ in their first dimension, and of states."""
    traced = []

    def call(batch, states):
        # A signature holds no None.
        arrays = [x for x in tf.nest.flatten(batch) if x is not None]
        states = list(states)
        if not traced:
            is_there = [x is not None for x in tf.nest.flatten(batch)]

            def whole(arrays, states):
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
