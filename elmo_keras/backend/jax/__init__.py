"""The JAX implementation of `elmo_keras.backend`."""
