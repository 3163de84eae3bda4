"""Sources of weights: locating their files, detecting the format, and loading the model."""

from elmo_keras.presets.loading import load_softmax as load_softmax
