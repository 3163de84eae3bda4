from elmo_keras import layers as layers
from elmo_keras import text as text
from elmo_keras.layers import ElmoLayer as ElmoLayer
