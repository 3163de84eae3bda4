"""Where weights come from: a source is recognised by what is in it."""

from elmo_keras.presets.reader import load_elmo_layer as load_elmo_layer
