"""Sources of weights: each is located, and its format detected from its files."""

from elmo_keras.presets.loading import load_softmax as load_softmax
