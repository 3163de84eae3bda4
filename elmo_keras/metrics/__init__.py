"""Keras metrics."""

from elmo_keras.metrics.token_accuracy import TokenAccuracy as TokenAccuracy
