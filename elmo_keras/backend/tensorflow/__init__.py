"""The TensorFlow implementation of `elmo_keras.backend`; its docstrings state the contract."""
