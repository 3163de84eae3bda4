"""Where weights come from: a source is recognised by what is in it."""

from elmo_keras.presets.language_model import load_language_model as load_language_model
from elmo_keras.presets.language_model import save_language_model as save_language_model
from elmo_keras.presets.preset import save_preset as save_preset
from elmo_keras.presets.reader import load as load
from elmo_keras.presets.reader import load_elmo_layer as load_elmo_layer
from elmo_keras.presets.reader import load_softmax as load_softmax
