"""The one place with code per backend, behind one interface.

- `require(condition, message)`: a ValueError where values are at hand, an assertion inside a
  TensorFlow graph (and so in the SavedModel), nothing under XLA and under JAX's jit, which cannot
  raise on values.
- `in_distribution_strategy()`: whether the code runs under a `tf.distribute` strategy.
- `adopt(array)`: a tensor of a numpy array's values that takes over its memory where it can.
"""

import importlib

import keras

_backend = importlib.import_module(f"elmo_keras.kernels.{keras.backend.backend()}")

require = _backend.require
in_distribution_strategy = _backend.in_distribution_strategy
adopt = _backend.adopt
