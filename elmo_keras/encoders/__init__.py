"""Layers that give each token of a text one vector: the backbones of task models."""

from elmo_keras.encoders.elmo_layer import ElmoLayer as ElmoLayer
from elmo_keras.encoders.embed import embed as embed
from elmo_keras.encoders.static_embedding import StaticEmbedding as StaticEmbedding
from elmo_keras.encoders.text_encoder import TextEncoder as TextEncoder
