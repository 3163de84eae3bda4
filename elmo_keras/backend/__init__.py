"""The one place with code per backend, behind one interface.

- `require(condition, message)`: a ValueError where values are at hand, an assertion inside a
  TensorFlow graph (and so in the SavedModel), nothing under XLA and under JAX's jit, which cannot
  raise on values.
- `in_distribution_strategy()`: whether the code runs under a `tf.distribute` strategy.
- `number_of_replicas()`: of that strategy; 1 without one.
- `adopt(array)`: a tensor of a numpy array's values that takes over its memory where it can.
- `has_dynamic_shapes(x)`: whether shapes may depend on the values of `x` here.
- `is_concrete(x)`: whether the values of a tensor are at hand: eagerly, outside of any graph.
- `is_long_loop(x)`, `graph(function)`: whether a loop over the time steps of `(batch, time, ...)`
  is better run as a graph than step by step from Python; and the function as such a graph.
- `gradients_of(owner)`: a context for traced code with gradients written by hand, which are kept
  as long as the layer `owner` is there and no longer.
- `take_rows(variable, rows)`: some rows of a Keras variable, without looking at the others where
  the backend can.
- `inference(layer, *inputs)`: a built layer as a function, as fast as the backend can. Each input
  is `(shape, dtype)` of a tensor `(batch, *shape)`; of several, the function takes a list.
- `distinct(rows)`: the distinct rows of a matrix of ints, and for each row its place among them; or
  the rows themselves and `None` where shapes must not depend on values.
- `steps(x, mask)`: the steps of a padded batch as the scan works on them, or `None` where only
  Keras' own loop over a cell will do (TensorFlow under XLA). Its `pack(x)` and `unpack(x)` turn
  `(batch, time, dim)` into the scan's own form and back, with zeros where the mask leaves out. On
  TensorFlow that form is without padding; on JAX and PyTorch, padding is computed and passed over.
- `projected_lstm(steps, x, states, weights, backward, cell_clip, projection_clip, forget_bias)`:
  one layer of LSTMs in one direction, as `layers.ProjectedLSTMCell` has it step by step: `x` is
  packed, `states` are `(hidden, cell)`, `weights` are `[W, b, U, P]` or, without a projection,
  `[W, b, U]`; it returns the packed hidden states and the final `(hidden, cell)`. The input product
  covers all steps at once, and in the gradient, written by hand, every weight has one product over
  all steps. The cell is computed in float32 at least, whatever the type of the products.
- `training_step(loss, weights, optimizer, max_norm)`: a compiled function of a batch and of
  states. `loss(batch, states)` gives the value to be made small, sums to be reported, and new
  states; the function updates the Keras variables `weights` with a Keras optimizer, after the
  gradients' norm over all of them (on TensorFlow: over all replicas of the strategy, too) was
  brought down to `max_norm`, and returns the sums, the norm before, and the new states.
- `Adagrad`, `Adam`: Keras' own, on TensorFlow in one pass over a weight; `Adagrad` there updates
  but the rows that a step has taken.
"""

import importlib

import keras

_backend = importlib.import_module(f"elmo_keras.backend.{keras.backend.backend()}")

require = _backend.require
in_distribution_strategy = _backend.in_distribution_strategy
number_of_replicas = _backend.number_of_replicas
adopt = _backend.adopt
has_dynamic_shapes = _backend.has_dynamic_shapes
is_concrete = _backend.is_concrete
is_long_loop = _backend.is_long_loop
graph = _backend.graph
gradients_of = _backend.gradients_of
take_rows = _backend.take_rows
inference = _backend.inference
distinct = _backend.distinct
steps = _backend.steps
projected_lstm = _backend.projected_lstm
training_step = _backend.training_step
Adagrad = _backend.Adagrad
Adam = _backend.Adam
