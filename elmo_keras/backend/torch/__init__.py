"""The PyTorch implementation of `elmo_keras.backend`."""
